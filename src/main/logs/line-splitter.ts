// Bytes of a log become lines, whatever the chunks were, and text that is safe to show.

/** A longer line is cut: a worker that dumps a mail into its log must not fill our memory. */
export const MAX_LINE_BYTES = 1_048_576;
/** What a window gets to see of a line. */
export const MAX_TEXT_LENGTH = 16_384;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Keeps the beginning of an unfinished line between chunks, and over a reconnect. */
export class LineSplitter {
  #parts: Buffer[] = [];
  #kept = 0;
  #leftOut = 0;

  /** The lines that end in this chunk, without their line ends. Invalid UTF-8 becomes U+FFFD. */
  *push(chunk: Buffer): Generator<string> {
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, at)) {
      this.#keep(chunk.subarray(at, end));
      at = end + 1;
      yield this.#take();
    }
    if (at < chunk.length) this.#keep(Buffer.from(chunk.subarray(at)));
  }

  /** The unfinished line, when it will never be finished; null when there is none. */
  flush(): string | null {
    return this.#kept === 0 ? null : this.#take();
  }

  #keep(part: Buffer): void {
    const room = MAX_LINE_BYTES - this.#kept;
    const taken = part.subarray(0, room);
    if (taken.length > 0) this.#parts.push(taken);
    this.#kept += taken.length;
    this.#leftOut += part.length - taken.length;
  }

  #take(): string {
    const first = this.#parts[0] ?? Buffer.alloc(0);
    const bytes = this.#parts.length === 1 ? first : Buffer.concat(this.#parts);
    const leftOut = this.#leftOut;
    this.#parts = [];
    this.#kept = 0;
    this.#leftOut = 0;
    if (leftOut > 0) return `${bytes.toString('utf8')} … [cut, ${leftOut} more bytes]`;
    const end = bytes.at(-1) === CARRIAGE_RETURN ? bytes.length - 1 : bytes.length;
    return bytes.toString('utf8', 0, end);
  }
}

// Terminal escapes: CSI, OSC (ended by BEL or ST), other string sequences, and two-character ones.
const ESCAPES =
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g;
// Controls but tab, and marks that reorder text, with which a line could pretend to be another.
// eslint-disable-next-line no-control-regex -- as above
const CONTROLS = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text without terminal escapes and control characters, cut to `maxLength`. */
export function inertText(text: string, maxLength: number = MAX_TEXT_LENGTH): string {
  // Escapes are stripped before the cut, but never from more than could matter.
  const head = text.length > maxLength * 2 ? text.slice(0, maxLength * 2) : text;
  CONTROLS.lastIndex = 0;
  const clean = CONTROLS.test(head) ? head.replace(ESCAPES, '').replace(CONTROLS, '') : head;
  if (clean.length <= maxLength && head.length === text.length) return clean;
  let end = Math.min(clean.length, maxLength);
  // Never cut between the halves of a surrogate pair.
  if (/[\uD800-\uDBFF]/.test(clean.charAt(end - 1))) end -= 1;
  return `${clean.slice(0, end)} … [cut, ${text.length - end} more characters]`;
}
