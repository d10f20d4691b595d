// A segment's blocks as a search reads them: with their index where there is one, and what is not indexed yet in pieces.
import { entryBitmap, type Block } from './block-index.ts';
import { isMissing, logFile, OpenFile, readBlocks } from './segment-files.ts';
import type { SegmentInfo } from './segment.ts';

const PIECE_BYTES = 1_048_576;
const NEWLINE = 0x0a;

export interface SegmentBlock {
  offset: number;
  bytes: number;
  /** Null for what is not indexed. */
  index: { block: Block; bitmap: Uint8Array | null } | null;
}

/** Opens a segment for reading; null when it has been deleted meanwhile. */
export function openSegment(folder: string, { number }: SegmentInfo): OpenFile | null {
  try {
    return new OpenFile(logFile(folder, number), 'r');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** All of a segment's whole lines, in blocks that begin and end with them. `bitmaps`: whether they are wanted. */
export function blocksOf(
  file: OpenFile,
  folder: string,
  { number, bytes }: SegmentInfo,
  bitmaps: boolean,
): SegmentBlock[] {
  const blocks = readBlocks(folder, number, bytes, bitmaps).map(({ block, entry }): SegmentBlock => {
    const bitmap = bitmaps ? entryBitmap(entry) : null;
    return { offset: block.offset, bytes: block.bytes, index: { block, bitmap } };
  });
  const last = blocks.at(-1);
  let at = last === undefined ? 0 : last.offset + last.bytes;
  const tail = Buffer.allocUnsafe(at < bytes ? 65_536 : 0);
  while (at < bytes) {
    let end = Math.min(bytes, at + PIECE_BYTES);
    if (end < bytes) {
      // No record is longer than this.
      const read = file.read(tail, end - tail.length);
      end += tail.subarray(0, read).lastIndexOf(NEWLINE) + 1 - tail.length;
    }
    blocks.push({ offset: at, bytes: end - at, index: null });
    at = end;
  }
  return blocks;
}
