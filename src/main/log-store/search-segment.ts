// One segment searched, block after block in the order asked for.
import { BlockScan, type Match } from './block-scan.ts';
import { blocksOf, openSegment, type SegmentBlock } from './read-segment.ts';
import { mayHold, planSearch, type SearchPlan } from './search-plan.ts';
import type { Buckets, Found, SegmentSearch } from './search-messages.ts';
import { StoredText } from './stored-text.ts';

const TELL_EVERY_MS = 50;
const TELL_LINES = 500;

/** Tells what is found every so often, and the rest at the end. Throws what the disk says. */
export function searchSegment(
  search: SegmentSearch,
  stopped: () => boolean,
  tell: (found: Found) => void,
): void {
  const { place, segment, order } = search;
  const plan = planSearch(search.filter, search.names);
  const found = new FoundSoFar(search.buckets, tell);
  using file = openSegment(place.folder, segment);
  if (file === null) return;
  const blocks = blocksOf(file, place.folder, segment, plan.clauses.length > 0);
  const scan = new BlockScan(plan, place.sources, search);
  let buffer = Buffer.alloc(0);
  let left = search.limit;
  for (const block of order === 'newest' ? blocks.reverse() : blocks) {
    if (stopped()) return;
    found.scanned(block.bytes);
    if (!mayMatch(plan, block, search)) continue;
    if (buffer.length < block.bytes) buffer = Buffer.allocUnsafeSlow(block.bytes);
    const bytes = buffer.subarray(0, block.bytes);
    if (file.read(bytes, block.offset) < bytes.length) return;
    const matches: Match[] = [];
    scan.scan(bytes, block.index, stopped, (match) => {
      found.count(match);
      // Of the newest first the last of a block are wanted, of the oldest first its first.
      if (left > 0 && (order === 'newest' || matches.length < left)) matches.push(match);
    });
    if (stopped()) return;
    const wanted = order === 'newest' ? matches.slice(-left).reverse() : matches;
    for (const match of left > 0 ? wanted : []) {
      const record = recordAt(bytes, match, place.sources);
      if (record !== null) found.line(record, segment.number, block.offset + match.offset);
      left -= 1;
    }
    found.tellInTime();
  }
  found.tellAll();
}

/** Whether any line of a block may match, by its index. */
export function mayMatch(
  plan: SearchPlan,
  { index }: SegmentBlock,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): boolean {
  if (index === null) return plan.levels !== 0;
  const { block, bitmap } = index;
  if (block.toMs < fromMs || block.fromMs > toMs || (block.levels & plan.levels) === 0) return false;
  return bitmap === null || plan.clauses.every((clause) => mayHold(clause, bitmap, block.hidden));
}

function recordAt(bytes: Buffer, { offset, end }: Match, sources: readonly string[]): StoredText | null {
  return StoredText.of(bytes.toString('latin1', offset, end), 0, end - offset, bytes, offset, sources);
}

class FoundSoFar {
  readonly #buckets: Buckets | null;
  readonly #tell: (found: Found) => void;
  #now: Found;
  #toldAtMs = performance.now();

  constructor(buckets: Buckets | null, tell: (found: Found) => void) {
    this.#buckets = buckets;
    this.#tell = tell;
    this.#now = this.#nothing();
  }

  scanned(bytes: number): void {
    this.#now.scannedBytes += bytes;
  }

  count({ readAtMs, isError }: Match): void {
    const now = this.#now;
    now.found += 1;
    if (this.#buckets === null) return;
    const { fromMs, bucketMs, count } = this.#buckets;
    const bucket = Math.min(count - 1, Math.max(0, Math.floor((readAtMs - fromMs) / bucketMs)));
    (now.bucketLines[bucket] as number) += 1;
    if (isError) (now.bucketErrors[bucket] as number) += 1;
  }

  line(record: StoredText, segment: number, offset: number): void {
    this.#now.lines.push(record.line(segment, offset));
    // Many at once would hold up the main loop that takes them.
    if (this.#now.lines.length >= TELL_LINES) this.tellAll();
  }

  tellInTime(): void {
    if (performance.now() - this.#toldAtMs >= TELL_EVERY_MS) this.tellAll();
  }

  tellAll(): void {
    this.#tell(this.#now);
    this.#now = this.#nothing();
    this.#toldAtMs = performance.now();
  }

  #nothing(): Found {
    const count = this.#buckets?.count ?? 0;
    return {
      lines: [],
      found: 0,
      scannedBytes: 0,
      bucketLines: new Uint32Array(count),
      bucketErrors: new Uint32Array(count),
    };
  }
}
