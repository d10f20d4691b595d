// One segment of a connection's lines as its writer has it: appended to, indexed block by block, found whole again after a crash.
import { ftruncateSync, rmSync, truncateSync } from 'node:fs';
import { encodeEntry, ENTRY_BYTES, type Block } from './block-index.ts';
import { OpenBlock } from './open-block.ts';
import { indexFile, lineEndsAt, logFile, OpenFile, readBlocks, writeAll } from './segment-files.ts';

const BLOCK_BYTES = 1_048_576;
const NEWLINE = 0x0a;

/** What a search needs to know of a segment; the rest it reads itself. */
export interface SegmentInfo {
  number: number;
  /** Of whole lines; what comes after them is not written yet. */
  bytes: number;
  lines: number;
  fromMs: number;
  toMs: number;
}

export class Segment {
  readonly number: number;
  readonly #folder: string;
  readonly #blocks: Block[] = [];
  /** Null once nothing is written any more. */
  #open: OpenBlock | null = null;
  #file: OpenFile | null = null;
  #bytes = 0;
  /** Of the index file. */
  #indexBytes = 0;

  private constructor(folder: string, number: number) {
    this.#folder = folder;
    this.number = number;
  }

  static create(folder: string, number: number): Segment {
    const segment = new Segment(folder, number);
    // What a crash left of an index would be taken for this one's.
    rmSync(indexFile(folder, number), { force: true });
    segment.#file = new OpenFile(logFile(folder, number), 'a');
    segment.#open = new OpenBlock(0);
    return segment;
  }

  /**
   * Opens what is there: a record that was not written to its end is dropped, blocks that no index tells of are read and indexed.
   * `goOn`: it will be appended to. Throws what the disk says.
   */
  static recover(folder: string, number: number, goOn: boolean): Segment {
    const segment = new Segment(folder, number);
    using file = new OpenFile(logFile(folder, number), 'r');
    segment.#bytes = file.bytes;
    const blocks = readBlocks(folder, number, segment.#bytes, false).map(({ block }) => block);
    const last = blocks.at(-1);
    // An index of other lines than these; the whole of it is worth nothing.
    const fits = last === undefined || lineEndsAt(file, last.offset + last.bytes);
    segment.#blocks.push(...(fits ? blocks : []));
    segment.#indexBytes = segment.#blocks.length * ENTRY_BYTES;
    segment.#indexRest(file);
    if (!goOn) segment.finish();
    return segment;
  }

  get info(): SegmentInfo {
    const all = this.#open === null ? this.#blocks : [...this.#blocks, this.#open.block];
    return {
      number: this.number,
      bytes: this.#bytes,
      lines: all.reduce((sum, { lines }) => sum + lines, 0),
      fromMs: all.reduce((least, { fromMs }) => Math.min(least, fromMs), Infinity),
      toMs: all.reduce((most, { toMs }) => Math.max(most, toMs), -Infinity),
    };
  }

  get bytes(): number {
    return this.#bytes;
  }

  get bytesOnDisk(): number {
    return this.#bytes + this.#indexBytes;
  }

  /** Appends whole records. Throws what the disk says, and then nothing of them is there. */
  append(records: Buffer): void {
    if (this.#open === null) throw new Error('the segment is finished');
    if (this.#open.block.bytes >= BLOCK_BYTES) this.#closeBlock(this.#open);
    this.#file ??= new OpenFile(logFile(this.#folder, this.number), 'a');
    try {
      writeAll(this.#file.fd, records);
    } catch (error) {
      // A file opened for appending is written to at its end, wherever that is: half a record must go.
      ftruncateSync(this.#file.fd, this.#bytes);
      throw error;
    }
    this.#bytes += records.length;
    this.#open.add(records);
    if (this.#open.block.bytes >= BLOCK_BYTES) this.#tryToClose(this.#open);
  }

  /** Indexes the last block and lets the files go. An index that cannot be written is written at the next opening. */
  finish(): void {
    try {
      if (this.#open !== null && this.#open.block.bytes > 0) this.#closeBlock(this.#open);
    } catch {
      const { block } = this.#open ?? {};
      if (block !== undefined) this.#blocks.push({ ...block });
    }
    this.#open = null;
    this.release();
  }

  release(): void {
    this.#file?.[Symbol.dispose]();
    this.#file = null;
  }

  /** Deletes its files. */
  remove(): void {
    this.release();
    rmSync(logFile(this.#folder, this.number), { force: true });
    rmSync(indexFile(this.#folder, this.number), { force: true });
  }

  /** Reads what the index does not cover, and drops what follows the last line end. */
  #indexRest(file: OpenFile): void {
    const covered = this.#blocks.reduce((end, { bytes }) => end + bytes, 0);
    const open = new OpenBlock(covered);
    this.#open = open;
    const chunk = Buffer.allocUnsafe(BLOCK_BYTES);
    let at = covered;
    while (at < this.#bytes) {
      const read = file.read(chunk.subarray(0, Math.min(chunk.length, this.#bytes - at)), at);
      const end = chunk.subarray(0, read).lastIndexOf(NEWLINE) + 1;
      // No record is as long as a chunk: what has no end in it was never finished, or never a record.
      if (end === 0) break;
      open.add(chunk.subarray(0, end));
      at += end;
      if (open.block.bytes >= BLOCK_BYTES) this.#tryToClose(open);
    }
    if (at < this.#bytes) truncateSync(logFile(this.#folder, this.number), at);
    this.#bytes = at;
  }

  /** The lines are there, and without an index they are found by reading them: what the disk says here is said at the next write. */
  #tryToClose(open: OpenBlock): void {
    try {
      this.#closeBlock(open);
    } catch {
      // The block stays open and grows; the next try writes all of it.
    }
  }

  #closeBlock(open: OpenBlock): void {
    const path = indexFile(this.#folder, this.number);
    using file = new OpenFile(path, 'a');
    if (file.bytes !== this.#indexBytes) ftruncateSync(file.fd, this.#indexBytes);
    writeAll(file.fd, encodeEntry(open.block, open.bitmap));
    this.#indexBytes += ENTRY_BYTES;
    this.#blocks.push({ ...open.block });
    open.restart(open.block.offset + open.block.bytes);
  }
}
