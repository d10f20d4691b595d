// The index of a block of records: how many, from when to when, which levels, and which three characters in a row stand anywhere in
// its texts, so that a block that cannot hold a word is never read.
import { crc32 } from 'node:zlib';

/**
 * One bit per three characters, each as one of 64 kinds: letters without their case and digits each their own, the marks nearly so.
 * Nothing is hashed; 64³ bits are 32 KB.
 */
export const BITMAP_BYTES = 64 ** 3 / 8;
const kinds = new Uint8Array(256);
const MARKS_FROM = 37;
for (let code = 32, marks = 0; code < 127; code += 1) {
  const character = String.fromCharCode(code).toLowerCase();
  if (/[a-z]/.test(character)) kinds[code] = character.charCodeAt(0) - 96;
  else if (/\d/.test(character)) kinds[code] = 27 + code - 48;
  else kinds[code] = MARKS_FROM + (marks++ % (64 - MARKS_FROM));
}

/** What may hide a text from a search for its characters; a block that has it is not passed over for lack of them. */
export const hides = {
  /** A backslash: JSON may write any character by its number. */
  escape: 1,
  /** Letters outside of ASCII that become ASCII in small letters: U+0130 and U+212A. */
  folds: 2,
  /** A JSON number that is written another way than it is shown: an exponent, or more digits than a double has. */
  number: 4,
} as const;

/** As they stand in bytes taken for Latin-1. */
export const hidingPatterns: readonly [flag: number, source: string][] = [
  [hides.escape, String.raw`\\`],
  [hides.folds, String.raw`\xc4\xb0|\xe2\x84\xaa`],
  [hides.number, String.raw`[:"][ \t]*-?\d[\d.]*e|\d[\d.]{15}`],
];
const hiding = hidingPatterns.map(([flag, source]) => [flag, new RegExp(source, 'i')] as const);

/** The flags of what hides in some bytes. */
export function hiddenIn(bytes: Buffer): number {
  const text = bytes.toString('latin1', 0, bytes.length);
  return hiding.reduce((flags, [flag, pattern]) => (pattern.test(text) ? flags | flag : flags), 0);
}

export function addTrigrams(bitmap: Uint8Array, bytes: Uint8Array, from: number, to: number): void {
  let row = 0;
  for (let at = from; at < to; at += 1) {
    // Every index is within its table: a byte in 256, 18 bits in 64³.
    row = ((row << 6) | (kinds[bytes[at] as number] as number)) & 0x3ffff;
    (bitmap[row >> 3] as number) |= 1 << (row & 7);
  }
}

/** Whether all three characters in a row of an ASCII word are there. A shorter word may be anywhere. */
export function mayContain(bitmap: Uint8Array, word: string): boolean {
  let row = 0;
  for (let at = 0; at < word.length; at += 1) {
    row = ((row << 6) | (kinds[word.charCodeAt(at)] ?? 0)) & 0x3ffff;
    if (at >= 2 && ((bitmap[row >> 3] ?? 0) & (1 << (row & 7))) === 0) return false;
  }
  return true;
}

export interface Block {
  /** Where it begins in its segment. */
  offset: number;
  bytes: number;
  lines: number;
  errors: number;
  /** Bits by the place in `storedLevels`. */
  levels: number;
  hidden: number;
  /** Earliest and latest moment a line was read. */
  fromMs: number;
  toMs: number;
}

const MAGIC = 0x48_57_4c_31;
const HEADER_BYTES = 64;
/** One block in the index file: its numbers, then its bitmap. */
export const ENTRY_BYTES = HEADER_BYTES + BITMAP_BYTES;
const SUM_AT = 60;

export function encodeEntry(block: Block, bitmap: Uint8Array): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.writeUInt32LE(MAGIC, 0);
  entry.writeUInt32LE(block.offset, 4);
  entry.writeUInt32LE(block.bytes, 8);
  entry.writeUInt32LE(block.lines, 12);
  entry.writeUInt32LE(block.errors, 16);
  entry.writeUInt8(block.levels, 20);
  entry.writeUInt8(block.hidden, 21);
  entry.writeDoubleLE(block.fromMs, 24);
  entry.writeDoubleLE(block.toMs, 32);
  entry.writeUInt32LE(crc32(bitmap), 40);
  entry.writeUInt32LE(crc32(entry.subarray(0, SUM_AT)), SUM_AT);
  entry.set(bitmap, HEADER_BYTES);
  return entry;
}

/** null for bytes that are no entry, or not a whole one. */
export function decodeEntry(header: Buffer): Block | null {
  if (header.length < HEADER_BYTES || header.readUInt32LE(0) !== MAGIC) return null;
  if (header.readUInt32LE(SUM_AT) !== crc32(header.subarray(0, SUM_AT))) return null;
  return {
    offset: header.readUInt32LE(4),
    bytes: header.readUInt32LE(8),
    lines: header.readUInt32LE(12),
    errors: header.readUInt32LE(16),
    levels: header.readUInt8(20),
    hidden: header.readUInt8(21),
    fromMs: header.readDoubleLE(24),
    toMs: header.readDoubleLE(32),
  };
}

/** The bitmap of a whole entry; null when it is not what was written, and says nothing then. */
export function entryBitmap(entry: Buffer): Uint8Array | null {
  const bitmap = entry.subarray(HEADER_BYTES, ENTRY_BYTES);
  return bitmap.length === BITMAP_BYTES && entry.readUInt32LE(40) === crc32(bitmap) ? bitmap : null;
}
