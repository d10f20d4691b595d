// The lines around one that a search found, over the edges of its segment where need be.
import type { LogContext, StoredLine } from '../../contract/log-search.ts';
import { HeadwayError } from '../../contract/headway-error.ts';
import { openSegment } from './read-segment.ts';
import { lineEndsAt, type OpenFile } from './segment-files.ts';
import type { ContextLook, Place } from './search-messages.ts';
import type { SegmentInfo } from './segment.ts';
import { StoredText } from './stored-text.ts';

const FIRST_BYTES = 65_536;
const NEWLINE = 0x0a;

/** Throws `not-found` for a place where no line is, any more or ever, and what the disk says. */
export function readContext({ place, segments, ...asked }: ContextLook): LogContext {
  const own = segments.findIndex(({ number }) => number === asked.segment);
  const segment = segments[own];
  if (segment === undefined) throw gone();
  const [line] = linesAfter(place, segment, asked.offset, 1, true);
  if (line?.at !== `${asked.segment}:${asked.offset}`) throw gone();

  const before: StoredLine[] = [];
  let atStart = false;
  // One more than asked for tells whether there are more.
  for (let at = own; before.length <= asked.before; at -= 1) {
    const each = segments[at];
    atStart = each === undefined;
    if (each === undefined) break;
    const to = at === own ? asked.offset : each.bytes;
    before.unshift(...linesBefore(place, each, to, asked.before + 1 - before.length));
  }
  const after: StoredLine[] = [];
  let atEnd = false;
  for (let at = own; after.length <= asked.after + 1; at += 1) {
    const each = segments[at];
    atEnd = each === undefined;
    if (each === undefined) break;
    const from = at === own ? asked.offset : 0;
    after.push(...linesAfter(place, each, from, asked.after + 2 - after.length, false));
  }
  return {
    lines: [...(asked.before === 0 ? [] : before.slice(-asked.before)), ...after.slice(0, asked.after + 1)],
    atStart: atStart && before.length <= asked.before,
    atEnd: atEnd && after.length <= asked.after + 1,
  };
}

const gone = (): HeadwayError =>
  new HeadwayError(
    'not-found',
    'This line is stored no more: it was among the oldest, which make room for new ones.',
  );

/** Up to `count` lines from `offset` on; `strictly`: only when a line begins there. */
function linesAfter(
  place: Place,
  segment: SegmentInfo,
  offset: number,
  count: number,
  strictly: boolean,
): StoredLine[] {
  using file = openSegment(place.folder, segment);
  if (file === null || offset >= segment.bytes || (strictly && !lineEndsAt(file, offset))) return [];
  for (let bytes = FIRST_BYTES; ; bytes *= 4) {
    const to = Math.min(segment.bytes, offset + bytes);
    const lines = parse(readPart(file, offset, to), offset, segment, place.sources);
    if (lines.length >= count || to === segment.bytes) return lines.slice(0, count);
  }
}

/** Up to `count` lines that end at `to`. */
function linesBefore(place: Place, segment: SegmentInfo, to: number, count: number): StoredLine[] {
  using file = openSegment(place.folder, segment);
  if (file === null) return [];
  for (let bytes = FIRST_BYTES; ; bytes *= 4) {
    let from = Math.max(0, to - bytes);
    let part = readPart(file, from, to);
    if (from > 0) {
      const begin = part.indexOf(NEWLINE) + 1;
      part = part.subarray(begin);
      from += begin;
    }
    const lines = parse(part, from, segment, place.sources);
    if (lines.length >= count || from === 0 || to - bytes <= 0) return lines.slice(-count);
  }
}

function readPart(file: OpenFile, from: number, to: number): Buffer {
  const part = Buffer.allocUnsafe(to - from);
  return part.subarray(0, file.read(part, from));
}

/** The whole lines of a part that begins with one. */
function parse(
  part: Buffer,
  offset: number,
  { number }: SegmentInfo,
  sources: readonly string[],
): StoredLine[] {
  const lines: StoredLine[] = [];
  const latin1 = part.toString('latin1', 0, part.length);
  for (let at = 0, end = latin1.indexOf('\n'); end >= 0; at = end + 1, end = latin1.indexOf('\n', at)) {
    const record = StoredText.of(latin1, at, end, part, 0, sources);
    if (record !== null) lines.push(record.line(number, offset + at));
  }
  return lines;
}
