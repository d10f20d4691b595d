// The history room: what was measured, kept small and for long, and read back as buckets for charts.
// This file: what is known of one tenant over a span of time. A raw sample is a bucket of its own moment, a minute
// is the merge of its samples, a quarter of an hour the merge of its minutes: one shape, one codec, any width.
import { ByteReader, ByteWriter } from './bytes.ts';

export interface Bucket {
  /** Start of the span, or the moment of the sample; epoch ms. */
  tMs: number;
  /** The largest lag seen; null when none was measured. */
  lagMaxMs: number | null;
  /** Counts are the last seen. */
  ready: number | null;
  delayed: number | null;
  running: number | null;
  stale: number | null;
  /** Sums over the span; null when not one was known. */
  arrivals: number | null;
  attempts: number | null;
}

const FIELDS = ['lagMaxMs', 'ready', 'delayed', 'running', 'stale', 'arrivals', 'attempts'] as const;

export const emptyBucket = (tMs: number): Bucket => ({
  tMs,
  lagMaxMs: null,
  ready: null,
  delayed: null,
  running: null,
  stale: null,
  arrivals: null,
  attempts: null,
});

/** Merges a later bucket into an earlier one, in place. */
export function mergeBucket(into: Bucket, later: Bucket): void {
  if (later.lagMaxMs !== null) into.lagMaxMs = Math.max(into.lagMaxMs ?? 0, later.lagMaxMs);
  into.ready = later.ready ?? into.ready;
  into.delayed = later.delayed ?? into.delayed;
  into.running = later.running ?? into.running;
  into.stale = later.stale ?? into.stale;
  if (later.arrivals !== null) into.arrivals = (into.arrivals ?? 0) + later.arrivals;
  if (later.attempts !== null) into.attempts = (into.attempts ?? 0) + later.attempts;
}

/** Buckets of a given width, oldest first, from finer ones in the order of time; empty ones are left out. */
export function widen(buckets: Iterable<Bucket>, widthMs: number): Bucket[] {
  const wide: Bucket[] = [];
  for (const bucket of buckets) {
    const tMs = Math.floor(bucket.tMs / widthMs) * widthMs;
    let last = wide.at(-1);
    if (last?.tMs !== tMs) {
      last = emptyBucket(tMs);
      wide.push(last);
    }
    mergeBucket(last, bucket);
  }
  return wide;
}

/**
 * Buckets in the order of time as bytes. Each is the step in time, a mask of the values that differ from the bucket
 * before, and the differences: a tenant at rest takes three bytes a sample, a busy one about ten.
 */
export class BucketWriter {
  readonly #bytes = new ByteWriter();
  #previous: Bucket;

  constructor(startMs: number) {
    this.#previous = emptyBucket(startMs);
  }

  /** Everything added so far. A view: it is valid until the next `add`. */
  get bytes(): Uint8Array {
    return this.#bytes.written;
  }

  /** False, and nothing added, when the bucket is older than the one before. */
  add(bucket: Bucket): boolean {
    const previous = this.#previous;
    if (bucket.tMs < previous.tMs) return false;
    this.#bytes.varint(bucket.tMs - previous.tMs);
    let mask = 0;
    let bit = 1;
    for (const field of FIELDS) {
      if (bucket[field] !== previous[field]) mask |= bit;
      bit <<= 1;
    }
    this.#bytes.varint(mask);
    for (const field of FIELDS) {
      const value = bucket[field];
      if (value === previous[field]) continue;
      // 0 says "not known"; else the difference to the value before, or to 0 where that was not known.
      if (value === null) this.#bytes.varint(0);
      else this.#bytes.varint(1 + zigzag(value - (previous[field] ?? 0)));
    }
    this.#previous = bucket;
    return true;
  }
}

export function encodeBuckets(buckets: readonly Bucket[], startMs: number): Uint8Array {
  const writer = new BucketWriter(startMs);
  for (const bucket of buckets) writer.add(bucket);
  return writer.bytes;
}

export function decodeBuckets(encoded: Uint8Array, startMs: number): Bucket[] {
  const bytes = new ByteReader(encoded);
  const buckets: Bucket[] = [];
  // The bucket before, and the one that is read: each is a copy of the last with its differences.
  let last = emptyBucket(startMs);
  while (bytes.left > 0) {
    const { tMs, lagMaxMs, ready, delayed, running, stale, arrivals, attempts } = last;
    // Written out: an hour of a thousand tenants has 3.6 million of these, and a spread takes several times as long.
    last = { tMs: tMs + bytes.varint(), lagMaxMs, ready, delayed, running, stale, arrivals, attempts };
    let mask = bytes.varint();
    for (let i = 0; mask > 0; i++, mask >>= 1) {
      const field = FIELDS[i];
      if ((mask & 1) === 0 || field === undefined) continue;
      const code = bytes.varint();
      last[field] = code === 0 ? null : (last[field] ?? 0) + unzigzag(code - 1);
    }
    buckets.push(last);
  }
  return buckets;
}

/** Whole numbers of either sign as natural ones: 0, −1, 1, −2, … By arithmetic: a lag may pass 31 bits. */
const zigzag = (n: number): number => (n >= 0 ? 2 * n : -2 * n - 1);
const unzigzag = (n: number): number => (n % 2 === 0 ? n / 2 : -(n + 1) / 2);
