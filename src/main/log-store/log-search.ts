// One search over the segments of a connection: they are handed to the threads in the order asked for, and what is found is put
// together in that order, however they end.
import type { LogSearch, SearchProgress, StoredLine } from '../../contract/log-search.ts';
import { parseLogFilter } from '../../core/log-filter.ts';
import type { Buckets, Found, Place } from './search-messages.ts';
import type { SearchPool, StopWord } from './search-pool.ts';
import type { SegmentInfo } from './segment.ts';

/** Segments under way beyond one a thread: what ends early waits in memory for those before it. */
const AHEAD = 1;
/** More in one word would hold up the window that gets it. */
const MOST_TOLD = 2_000;

export class SegmentsSearch {
  readonly #search: LogSearch;
  readonly #names: readonly [string, string][];
  readonly #place: Place;
  /** In the order asked for. */
  readonly #segments: SegmentInfo[];
  /** Found lines of each, until they have their turn. */
  readonly #lines: StoredLine[][];
  readonly #ended: boolean[];
  readonly #range: { fromMs: number; toMs: number };
  readonly #problems: string[];
  readonly #buckets: Buckets | null;
  readonly #bucketLines: number[];
  readonly #bucketErrors: number[];
  readonly #beganAtMs = performance.now();
  readonly #totalBytes: number;
  /** The first segment that has not had its turn. */
  #turn = 0;
  #ready: StoredLine[] = [];
  #taken = 0;
  #found = 0;
  #scannedBytes = 0;
  #done = false;

  constructor(
    search: LogSearch,
    names: readonly [string, string][],
    place: Place,
    segments: readonly SegmentInfo[],
  ) {
    this.#search = search;
    this.#names = names;
    this.#place = place;
    const range = { fromMs: search.fromMs ?? -Infinity, toMs: search.toMs ?? Infinity };
    this.#range = range;
    const within = segments.filter(({ fromMs, toMs }) => toMs >= range.fromMs && fromMs <= range.toMs);
    this.#segments = search.order === 'newest' ? within.toReversed() : within;
    this.#lines = this.#segments.map(() => []);
    this.#ended = this.#segments.map(() => false);
    this.#totalBytes = within.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#problems = [...parseLogFilter(search.filter).problems];
    this.#buckets = bucketsOf(search, within);
    this.#bucketLines = new Array<number>(this.#buckets?.count ?? 0).fill(0);
    this.#bucketErrors = [...this.#bucketLines];
  }

  /** Resolves when all is searched; `changed` is called when there is something to tell. */
  async run(pool: SearchPool, stop: StopWord, changed: () => void): Promise<void> {
    const next = this.#segments.keys();
    const one = async (): Promise<void> => {
      for (const i of next) {
        const segment = this.#segments[i];
        if (segment === undefined || stop.isStopped) return;
        const { filter, order, limit } = this.#search;
        // Of what those before it have found already, none has to come from here.
        const before = this.#lines.slice(this.#turn, i).reduce((sum, lines) => sum + lines.length, 0);
        const wanted = Math.max(0, limit - this.#taken - before);
        await pool.run(
          {
            t: 'search',
            place: this.#place,
            segment,
            filter,
            names: this.#names,
            order,
            limit: wanted,
            buckets: this.#buckets,
            ...this.#range,
          },
          stop,
          (found) => {
            this.#take(i, found);
            changed();
          },
        );
        this.#ended[i] = true;
        this.#turns();
      }
    };
    await Promise.all(Array.from({ length: pool.size + AHEAD }, one));
    this.#done = true;
  }

  /** Whether lines wait to be told. */
  get hasLines(): boolean {
    return this.#ready.length > 0;
  }

  /** What there is since the last call. */
  progress(): SearchProgress {
    const lines = this.#ready.splice(0, MOST_TOLD);
    const buckets = this.#buckets;
    return {
      lines,
      found: this.#found,
      more: this.#found > this.#search.limit,
      scannedBytes: this.#scannedBytes,
      totalBytes: this.#totalBytes,
      elapsedMs: performance.now() - this.#beganAtMs,
      done: this.#done && this.#ready.length === 0,
      histogram:
        buckets === null
          ? null
          : {
              fromMs: buckets.fromMs,
              bucketMs: buckets.bucketMs,
              lines: [...this.#bucketLines],
              errors: [...this.#bucketErrors],
            },
      problems: this.#problems,
    };
  }

  #take(i: number, { lines, found, scannedBytes, bucketLines, bucketErrors }: Found): void {
    this.#found += found;
    this.#scannedBytes += scannedBytes;
    bucketLines.forEach(
      (count, bucket) => (this.#bucketLines[bucket] = (this.#bucketLines[bucket] ?? 0) + count),
    );
    bucketErrors.forEach(
      (count, bucket) => (this.#bucketErrors[bucket] = (this.#bucketErrors[bucket] ?? 0) + count),
    );
    this.#lines[i]?.push(...lines);
    this.#turns();
  }

  #turns(): void {
    for (let at = this.#turn; at < this.#segments.length; at += 1) {
      const waiting = this.#lines[at]?.splice(0) ?? [];
      const wanted = waiting.slice(0, this.#search.limit - this.#taken);
      this.#taken += wanted.length;
      this.#ready.push(...wanted);
      if (this.#ended[at] !== true) return;
      this.#turn = at + 1;
    }
  }
}

/** Null where none are wanted, or nothing tells from when to when. */
function bucketsOf({ fromMs, toMs, buckets }: LogSearch, segments: readonly SegmentInfo[]): Buckets | null {
  const from = fromMs ?? Math.min(...segments.map((segment) => segment.fromMs));
  const to = toMs ?? Math.max(...segments.map((segment) => segment.toMs));
  if (buckets === 0 || !Number.isFinite(from) || !Number.isFinite(to) || to < from) return null;
  // The last moment belongs to the last bucket.
  return { fromMs: from, bucketMs: Math.max(1, Math.ceil((to - from + 1) / buckets)), count: buckets };
}
