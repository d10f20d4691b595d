import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../core/seeded-random.ts';
import { decodeBuckets, encodeBuckets, widen, type Bucket } from './bucket.ts';

const random = seededRandom(5);
const value = (): number | null =>
  random() < 0.2 ? null : random() < 0.5 ? 0 : Math.round(10 ** (random() * 14));
const bucket = (tMs: number): Bucket => ({
  tMs,
  lagMaxMs: value(),
  ready: value(),
  delayed: value(),
  running: value(),
  stale: value(),
  arrivals: value(),
  attempts: value(),
});

describe('buckets', () => {
  it('come back from bytes as they were, however they change', () => {
    let tMs = 1_780_000_000_000;
    const buckets = Array.from({ length: 2000 }, () => bucket((tMs += Math.round(random() * 5000))));
    expect(decodeBuckets(encodeBuckets(buckets, 1_780_000_000_000), 1_780_000_000_000)).toEqual(buckets);
  });

  it('of a tenant at rest take three to four bytes a sample', () => {
    const rest = { lagMaxMs: 0, ready: 0, delayed: 0, running: 0, stale: 0, arrivals: 0, attempts: 0 };
    const buckets = Array.from({ length: 60 }, (_, i) => ({ tMs: i * 1000, ...rest }));
    expect(encodeBuckets(buckets, 0).length).toBeLessThan(60 * 4);
  });

  it('refuse bytes that are cut off', () => {
    const bytes = encodeBuckets([bucket(1000), bucket(2_000_000)], 0);
    expect(() => decodeBuckets(bytes.subarray(0, -1), 0)).toThrow(RangeError);
  });

  it('are the same in two steps as in one', () => {
    const fine = Array.from({ length: 500 }, (_, i) => bucket(i * 700));
    expect(widen(widen(fine, 5000), 60_000)).toEqual(widen(fine, 60_000));
  });
});
