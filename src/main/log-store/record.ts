// A stored line as text: a short head, a tab, the line, a line end. The head is the moment it was read (9 digits in base 36), its kind
// and its level (a letter each), the number of its source, and how far its own time lies from the moment it was read:
//
//   0mk1abc23li0,-5k<TAB>2026-01-09 12:34:56 +0000 INFO …
//
// Timing is not stored: it is read again from the text.
import type { LogLevel, LogLine } from '../../contract/logs.ts';

type Kind = LogLine['kind'];

const READ_AT_DIGITS = 9;
/** Of the letters within a head. */
export const KIND_AT = READ_AT_DIGITS;
export const LEVEL_AT = READ_AT_DIGITS + 1;
const SOURCE_AT = READ_AT_DIGITS + 2;
/** No head is shorter. */
export const MIN_HEAD = SOURCE_AT + 1;
const LATEST_MS = 36 ** READ_AT_DIGITS - 1;

const kinds: readonly Kind[] = ['line', 'gap', 'reconnect', 'drop', 'note'];
const kindLetters = 'lgrdn';
/** In this order a level's place is its bit in a mask. */
export const storedLevels: readonly (LogLevel | null)[] = [null, 'debug', 'info', 'warn', 'error'];
const levelLetters = '-diwe';
export const ERROR_LETTER = 0x65;

export interface Head {
  readAtMs: number;
  atMs: number | null;
  kind: Kind;
  level: LogLevel | null;
  /** Its number among the connection's sources. */
  source: number;
}

/** Times are kept in whole ms. */
export function encodeHead({ readAtMs, atMs, kind, level, source }: Head): string {
  const readAt = Math.min(LATEST_MS, Math.max(0, Math.round(readAtMs) || 0));
  const offset = atMs === null ? NaN : Math.round(atMs) - readAt;
  const own = Number.isSafeInteger(offset) ? `,${offset.toString(36)}` : '';
  const letters = `${kindLetters[kinds.indexOf(kind)]}${levelLetters[storedLevels.indexOf(level)]}`;
  return `${readAt.toString(36).padStart(READ_AT_DIGITS, '0')}${letters}${source.toString(36)}${own}\t`;
}

const HEAD = /^[\da-z]{9}[lgrdn][-diwe]([\da-z]{1,6})(?:,(-?[\da-z]{1,11}))?$/;

/** null for what no head was ever: the file was damaged. */
export function decodeHead(head: string): Head | null {
  const found = HEAD.exec(head);
  if (found === null) return null;
  const readAtMs = parseInt(head.slice(0, READ_AT_DIGITS), 36);
  const [, source = '', offset] = found;
  return {
    readAtMs,
    atMs: offset === undefined ? null : readAtMs + parseInt(offset, 36),
    kind: kinds[kindLetters.indexOf(head.charAt(KIND_AT))] ?? 'line',
    level: levelOf(head.charCodeAt(LEVEL_AT)),
    source: parseInt(source, 36),
  };
}

const levelBits = new Uint8Array(128);
for (let i = 0; i < levelLetters.length; i += 1) levelBits[levelLetters.charCodeAt(i)] = 1 << i;

/** The bit of a level's letter; 0 for what is none. */
export function levelBit(letter: number): number {
  return levelBits[letter] ?? 0;
}

function levelOf(letter: number): LogLevel | null {
  return storedLevels[31 - Math.clz32(levelBit(letter))] ?? null;
}

/** A text that goes into one record. */
export function oneLine(text: string): string {
  return text.includes('\n') ? text.replaceAll('\n', ' ') : text;
}
