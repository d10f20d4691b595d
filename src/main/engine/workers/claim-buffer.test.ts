import { describe, expect, it } from 'vitest';
import type { Claim } from '../job.ts';
import { ClaimBuffer } from './claim-buffer.ts';

const claim = (id: number, claimedAtMs = 0): Claim => ({
  id,
  fence: 1,
  tenantId: id % 2 === 0 ? 'even' : 'odd',
  kind: 'mail',
  payload: null,
  priority: 0,
  batchId: null,
  attempt: 1,
  maxAttempts: 5,
  createdAtMs: 0,
  readyAtMs: 0,
  claimedAtMs,
});
const ids = (claims: readonly Claim[]): number[] => claims.map(({ id }) => id);

/** Has seen `count` jobs of `runMs`, and exchanges of `exchangeMs`. */
function seasoned(runMs: number, exchangeMs: number, count = 500): ClaimBuffer {
  const buffer = new ClaimBuffer();
  for (let i = 0; i < count; i++) {
    buffer.ended(runMs);
    buffer.exchanged(exchangeMs);
  }
  return buffer;
}

describe('the buffer of claims wants', () => {
  it.each([
    ['nothing before it knows how fast jobs are', seasoned(0, 10, 19), 10, 0],
    ['never more than 500', seasoned(0, 10), 10, 500],
    ['what the workers do while the store is asked', seasoned(2, 9), 10, 50],
    ['never more than 100 ms of work', seasoned(10, 5_000), 10, 100],
    ['nothing for jobs that take longer than asking', seasoned(1_000, 3), 10, 0],
  ])('%s', (_, buffer, workers, wanted) => {
    expect(buffer.wanted(workers)).toBeGreaterThanOrEqual(wanted * 0.95);
    expect(buffer.wanted(workers)).toBeLessThanOrEqual(wanted);
  });

  it('less at once when jobs turn out slow', () => {
    const buffer = seasoned(0, 10);
    buffer.ended(10_000);
    expect(buffer.wanted(10)).toBe(0);
  });
});

describe('the buffer of claims', () => {
  it('hands them out in their order, also after some were taken out', () => {
    const buffer = new ClaimBuffer();
    for (let id = 1; id <= 6; id++) buffer.push(claim(id));
    expect(buffer.shift()?.id).toBe(1);
    expect(ids(buffer.take(({ tenantId }) => tenantId === 'odd'))).toEqual([3, 5]);
    expect(ids(buffer.all())).toEqual([2, 4, 6]);
    expect(buffer.size).toBe(3);
    expect([buffer.shift(), buffer.shift(), buffer.shift(), buffer.shift()].map((one) => one?.id)).toEqual([
      2,
      4,
      6,
      undefined,
    ]);
    expect(buffer.size).toBe(0);
  });

  it('gives up what has waited two seconds, and no more', () => {
    const buffer = seasoned(0, 10);
    expect(buffer.staleAtMs).toBe(Infinity);
    for (const [id, atMs] of [
      [1, 1_000],
      [2, 1_000],
      [3, 1_500],
    ] as const)
      buffer.push(claim(id, atMs));
    expect(buffer.staleAtMs).toBe(3_000);
    expect(buffer.takeStale(2_999)).toEqual([]);
    expect(ids(buffer.takeStale(3_000))).toEqual([1, 2]);
    expect(ids(buffer.all())).toEqual([3]);
    // What it knew of the jobs was wrong.
    expect(buffer.wanted(10)).toBe(0);
  });
});
