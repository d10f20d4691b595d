import { describe, expect, it } from 'vitest';
import { MonotoneCounter } from './monotone-counter.ts';

/** The deltas of a series of totals, one a second. */
function deltas(totals: (number | null)[]): (number | null)[] {
  const counter = new MonotoneCounter();
  return totals.map((total, i) => counter.step(total, i * 1_000)?.delta ?? null);
}

describe('MonotoneCounter', () => {
  it('needs two totals', () => {
    expect(deltas([100, 103, 103])).toEqual([null, 3, 0]);
  });

  it('bridges totals that were not read, and says since when it counts', () => {
    const counter = new MonotoneCounter();
    counter.step(100, 0);
    counter.step(null, 1_000);
    expect(counter.step(110, 2_000)).toEqual({ delta: 10, sinceMs: 0 });
  });

  it('takes a fall for a reset, not for a negative flow', () => {
    expect(deltas([5_000, 0, 2, 5])).toEqual([null, null, 2, 3]);
  });

  it('does not take the return from a misreading for a flood', () => {
    expect(deltas([5_000_000, 0, 5_000_004, 5_000_006])).toEqual([null, null, 4, 2]);
  });

  it('stays calm when the misreading comes again', () => {
    expect(deltas([500, 0, 510, 3, 520])).toEqual([null, null, 10, null, 10]);
  });
});
