import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateLimit } from './rate-limit.ts';

const T = 1_700_000_000_000;

describe('RateLimit', () => {
  it('gives a burst of its size, then one each time a token is back', () => {
    const rate = new RateLimit({ starts: 5, perMs: 1_000 }, T);
    expect(rate.available(T)).toBe(5);
    rate.take(5, T);
    expect(rate.nextAtMs(T)).toBe(T + 200);
    expect(rate.available(T + 199)).toBe(0);
    expect(rate.available(T + 200)).toBe(1);
    expect(rate.nextAtMs(T + 200)).toBeNull();
    expect(rate.available(T + 60_000)).toBe(5);
  });

  it('waits as long as the other side asked, and no shorter pause cuts that', () => {
    const rate = new RateLimit({ starts: 5, perMs: 1_000 }, T);
    rate.pauseUntil(T + 30_000);
    rate.pauseUntil(T + 10_000);
    expect(rate.available(T + 29_999)).toBe(0);
    expect(rate.nextAtMs(T)).toBe(T + 30_000);
    expect(rate.available(T + 30_000)).toBe(5);
  });

  it('owes what was taken beyond it, and survives a clock that is set back', () => {
    const rate = new RateLimit({ starts: 2, perMs: 1_000 }, T);
    rate.take(3, T);
    expect(rate.nextAtMs(T)).toBe(T + 1_000);
    expect(rate.available(T - 5_000)).toBe(0);
    expect(rate.available(T - 4_000)).toBe(1);
  });

  it('never lets through more than its burst and what time refilled', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 5_000 }),
        fc.array(fc.nat(3_000), { maxLength: 60 }),
        (starts, perMs, gaps) => {
          const rate = new RateLimit({ starts, perMs }, T);
          let nowMs = T;
          let taken = 0;
          for (const gap of gaps) {
            nowMs += gap;
            const free = rate.available(nowMs);
            rate.take(free, nowMs);
            taken += free;
            expect(taken).toBeLessThanOrEqual(starts + ((nowMs - T) * starts) / perMs + 1e-6);
          }
        },
      ),
    );
  });
});
