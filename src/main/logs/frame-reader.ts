// The stream of frames that the follow-a-file script writes (tail-command.ts), for any split of its bytes.

export type Frame =
  /** A file was opened; bytes follow from `start`. */
  | { kind: 'opened'; inode: string; start: number; size: number }
  /** Part of the bytes of a file; `offset` is where this part begins. */
  | { kind: 'data'; inode: string; offset: number; bytes: Buffer }
  /** So many bytes were left out: more was waiting than may be caught up with. */
  | { kind: 'skipped'; bytes: number }
  | { kind: 'truncated'; inode: string }
  /** The file to go on with is gone. */
  | { kind: 'lost'; inode: string }
  | { kind: 'waiting' };

const MAX_HEADER_BYTES = 256;

/** Data is passed on as it arrives, so a frame cut by a lost connection still counts as far as it came. */
export class FrameReader {
  #header = Buffer.alloc(0);
  #inode = '';
  #offset = 0;
  #left = 0;

  /** @throws Error when the bytes are no frames; the connection is then of no use. */
  *push(chunk: Buffer): Generator<Frame> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(at, at + this.#left);
        yield { kind: 'data', inode: this.#inode, offset: this.#offset, bytes };
        at += bytes.length;
        this.#offset += bytes.length;
        this.#left -= bytes.length;
        continue;
      }
      const newline = chunk.indexOf(0x0a, at);
      const part = chunk.subarray(at, newline < 0 ? chunk.length : newline);
      this.#header = Buffer.concat([this.#header, part]);
      if (this.#header.length > MAX_HEADER_BYTES) throw unreadable(this.#header);
      if (newline < 0) return;
      at = newline + 1;
      const header = this.#header.toString('latin1');
      this.#header = Buffer.alloc(0);
      const frame = this.#frame(header);
      if (frame !== null) yield frame;
    }
  }

  #frame(header: string): Frame | null {
    const match = /^(?:([LT]) (\d+)|S (\d+)|W|([OD]) (\d+) (\d+) (\d+))$/.exec(header);
    if (match === null) throw unreadable(Buffer.from(header, 'latin1'));
    const [, lostOrShrunk, inode = '', skipped, opened, file = '', offset, length] = match;
    if (lostOrShrunk !== undefined) return { kind: lostOrShrunk === 'L' ? 'lost' : 'truncated', inode };
    if (skipped !== undefined) return { kind: 'skipped', bytes: Number(skipped) };
    if (opened === undefined) return { kind: 'waiting' };
    if (opened === 'O') return { kind: 'opened', inode: file, start: Number(offset), size: Number(length) };
    this.#inode = file;
    this.#offset = Number(offset);
    this.#left = Number(length);
    return null;
  }
}

function unreadable(header: Buffer): Error {
  return new Error(`unexpected output of the host: ${JSON.stringify(header.toString('utf8', 0, 80))}`);
}
