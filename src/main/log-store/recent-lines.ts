// The lines that were stored last, to tell those that a tail brings once more when it begins anew.
import { logFile, OpenFile } from './segment-files.ts';
import type { SegmentInfo } from './segment.ts';
import { StoredText } from './stored-text.ts';

/** A tail begins with 64 KB or 500 lines of each input; this is the newest of all inputs of a connection together. */
const BYTES = 4 * 1_048_576;
const NEWLINE = 0x0a;

export function lineKey(source: string, atMs: number, text: string): string {
  return `${source}\n${atMs}\n${text}`;
}

/** Keys of the newest lines that have a time of their own. Throws what the disk says. */
export function recentLines(
  folder: string,
  segments: readonly SegmentInfo[],
  sources: readonly string[],
): ReadonlySet<string> {
  const keys = new Set<string>();
  let left = BYTES;
  for (const { number, bytes } of segments.toReversed()) {
    if (left <= 0) break;
    using file = new OpenFile(logFile(folder, number), 'r');
    const from = Math.max(0, bytes - left);
    const part = Buffer.allocUnsafe(bytes - from);
    const read = part.subarray(0, file.read(part, from));
    left -= part.length;
    const latin1 = read.toString('latin1');
    // A record that is cut at its beginning is none.
    for (let at = from === 0 ? 0 : read.indexOf(NEWLINE) + 1; at < latin1.length;) {
      const end = latin1.indexOf('\n', at);
      if (end < 0) break;
      const record = StoredText.of(latin1, at, end, read, 0, sources);
      if (record !== null && record.head.atMs !== null)
        keys.add(lineKey(record.source, record.head.atMs, record.text));
      at = end + 1;
    }
  }
  return keys;
}
