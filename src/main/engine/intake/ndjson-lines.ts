/**
 * Cuts a stream of bytes into lines, whatever the pieces it comes in. Empty lines are left out. Throws RangeError as
 * soon as a line is longer than `longestBytes`, so a line that never ends costs no more than that.
 */
export class NdjsonLines {
  readonly #longestBytes: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #rest: Uint8Array[] = [];
  #restBytes = 0;

  constructor(longestBytes: number) {
    this.#longestBytes = longestBytes;
  }

  /** The lines that end in this piece. TypeError for bytes that are no UTF-8. */
  push(piece: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, from)) {
      this.#keep(piece.subarray(from, end));
      this.#flush(lines);
      from = end + 1;
    }
    this.#keep(piece.subarray(from));
    return lines;
  }

  /** The last line, when no newline ended it. */
  end(): string[] {
    const lines: string[] = [];
    this.#flush(lines);
    return lines;
  }

  #keep(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#restBytes += part.length;
    if (this.#restBytes > this.#longestBytes)
      throw new RangeError(`a line is longer than ${this.#longestBytes} bytes`);
    this.#rest.push(part);
  }

  #flush(lines: string[]): void {
    const [only] = this.#rest;
    if (only === undefined) return;
    const bytes = this.#rest.length === 1 ? only : Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    const line = this.#decoder.decode(bytes).trim();
    if (line !== '') lines.push(line);
  }
}

const NEWLINE = 0x0a;
