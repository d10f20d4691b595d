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
export function encodeBuckets(buckets: readonly Bucket[], startMs: number): Uint8Array {
  const bytes = new ByteWriter(buckets.length * 6);
  let previous = emptyBucket(startMs);
  for (const bucket of buckets) {
    bytes.varint(bucket.tMs - previous.tMs);
    let mask = 0;
    for (const [bit, field] of FIELDS.entries()) if (bucket[field] !== previous[field]) mask |= 1 << bit;
    bytes.varint(mask);
    for (const field of FIELDS) {
      const value = bucket[field];
      if (value === previous[field]) continue;
      // 0 says "not known"; else the difference to the value before, or to 0 where that was not known.
      if (value === null) bytes.varint(0);
      else bytes.varint(1 + zigzag(value - (previous[field] ?? 0)));
    }
    previous = bucket;
  }
  return bytes.take();
}

export function decodeBuckets(encoded: Uint8Array, startMs: number): Bucket[] {
  const bytes = new ByteReader(encoded);
  const buckets: Bucket[] = [];
  let previous = emptyBucket(startMs);
  while (bytes.left > 0) {
    const bucket = { ...previous, tMs: previous.tMs + bytes.varint() };
    const mask = bytes.varint();
    for (const [bit, field] of FIELDS.entries()) {
      if ((mask & (1 << bit)) === 0) continue;
      const code = bytes.varint();
      bucket[field] = code === 0 ? null : (previous[field] ?? 0) + unzigzag(code - 1);
    }
    buckets.push(bucket);
    previous = bucket;
  }
  return buckets;
}

/** Whole numbers of either sign as natural ones: 0, −1, 1, −2, … By arithmetic: a lag may pass 31 bits. */
const zigzag = (n: number): number => (n >= 0 ? 2 * n : -2 * n - 1);
const unzigzag = (n: number): number => (n % 2 === 0 ? n / 2 : -(n + 1) / 2);
