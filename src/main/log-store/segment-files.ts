// Names and reading of the files of one connection: NNNNNN.log and its index NNNNNN.idx, and `sources`, the labels of its log inputs,
// one a line, by whose number records name them.
import { closeSync, openSync, readdirSync, readFileSync, readSync, fstatSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { decodeEntry, ENTRY_BYTES, type Block } from './block-index.ts';

const NEWLINE = 0x0a;
const stem = (segment: number): string => String(segment).padStart(6, '0');
export const logFile = (folder: string, segment: number): string => join(folder, `${stem(segment)}.log`);
export const indexFile = (folder: string, segment: number): string => join(folder, `${stem(segment)}.idx`);
export const sourcesFile = (folder: string): string => join(folder, 'sources');

/** An open file, closed with its scope. */
export class OpenFile implements Disposable {
  readonly fd: number;

  /** `mode` as of fopen; what is created is the owner's alone. */
  constructor(path: string, mode: 'r' | 'r+' | 'a') {
    this.fd = openSync(path, mode, 0o600);
  }

  get bytes(): number {
    return fstatSync(this.fd).size;
  }

  /** Reads as much as there is into `into`; returns how much. */
  read(into: Uint8Array, from: number): number {
    let read = 0;
    while (read < into.length) {
      const more = readSync(this.fd, into, read, into.length - read, from + read);
      if (more === 0) break;
      read += more;
    }
    return read;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
}

/** The numbers of the segments in a folder, oldest first. */
export function listSegments(folder: string): number[] {
  return readdirSync(folder)
    .map((name) => /^(\d{6,9})\.log$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

/** Whole lines only: a label that was being written when the power went is none. */
export function readSources(folder: string): string[] {
  try {
    return readFileSync(sourcesFile(folder), 'utf8').split('\n').slice(0, -1);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/**
 * The blocks of an index, from the segment's beginning, as far as they fit one another and `bytes` of the segment. `entry` is told of
 * each, with its bytes when `whole`.
 */
export function readBlocks(
  folder: string,
  segment: number,
  bytes: number,
  whole: boolean,
): { block: Block; entry: Buffer }[] {
  const blocks: { block: Block; entry: Buffer }[] = [];
  try {
    using file = new OpenFile(indexFile(folder, segment), 'r');
    const count = Math.floor(file.bytes / ENTRY_BYTES);
    const all = whole ? Buffer.allocUnsafe(count * ENTRY_BYTES) : null;
    if (all !== null && file.read(all, 0) < all.length) return [];
    let end = 0;
    for (let i = 0; i < count; i += 1) {
      const entry = all?.subarray(i * ENTRY_BYTES, (i + 1) * ENTRY_BYTES) ?? Buffer.alloc(64);
      if (all === null) file.read(entry, i * ENTRY_BYTES);
      const block = decodeEntry(entry);
      if (block?.offset !== end || block.bytes === 0 || end + block.bytes > bytes) break;
      end += block.bytes;
      blocks.push({ block, entry });
    }
    return blocks;
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Whether a line ends just before `offset`. */
export function lineEndsAt(file: OpenFile, offset: number): boolean {
  const last = Buffer.alloc(1);
  return offset === 0 || (file.read(last, offset - 1) === 1 && last[0] === NEWLINE);
}
