// The block that is being written: its numbers and its bitmap grow with every line, until it is closed.
import { addTrigrams, BITMAP_BYTES, hiddenIn, type Block } from './block-index.ts';
import { ERROR_LETTER, LEVEL_AT, levelBit, MIN_HEAD } from './record.ts';

const NEWLINE = 0x0a;
const TAB = 0x09;
const LONGEST_HEAD = 32;

export class OpenBlock {
  readonly bitmap = new Uint8Array(BITMAP_BYTES);
  #block: Block;

  constructor(offset: number) {
    this.#block = emptyBlock(offset);
  }

  get block(): Readonly<Block> {
    return this.#block;
  }

  /** Takes whole records, as they stand in the file right after those before. */
  add(bytes: Buffer): void {
    const block = this.#block;
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(NEWLINE, at);
      const tab = bytes.subarray(at, at + LONGEST_HEAD).indexOf(TAB);
      const level = bytes[at + LEVEL_AT] ?? 0;
      const readAtMs = tab < MIN_HEAD ? NaN : parseInt(bytes.toString('latin1', at, at + 9), 36);
      // What is no record was damaged; it is passed over here as it is by every reader.
      if (levelBit(level) !== 0 && !Number.isNaN(readAtMs)) {
        block.lines += 1;
        block.levels |= levelBit(level);
        if (level === ERROR_LETTER) block.errors += 1;
        if (readAtMs < block.fromMs) block.fromMs = readAtMs;
        if (readAtMs > block.toMs) block.toMs = readAtMs;
        addTrigrams(this.bitmap, bytes, at + tab + 1, end);
      }
      at = end + 1;
    }
    block.bytes += bytes.length;
    block.hidden |= hiddenIn(bytes);
  }

  /** Begins the next block at this one's end. */
  restart(offset: number): void {
    this.#block = emptyBlock(offset);
    this.bitmap.fill(0);
  }
}

function emptyBlock(offset: number): Block {
  return { offset, bytes: 0, lines: 0, errors: 0, levels: 0, hidden: 0, fromMs: Infinity, toMs: -Infinity };
}
