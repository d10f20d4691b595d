import { describe, expect, it } from 'vitest';
import { AdaptiveThrottle } from './adaptive-throttle.ts';

const T = 1_700_000_000_000;
const throttle = () => new AdaptiveThrottle({ minimum: 5, start: 15, maximum: 25 });
/** Attempts of which every n-th fails. */
const attempts = (it: AdaptiveThrottle, count: number, failEvery: number, runMs: number): void => {
  for (let i = 1; i <= count; i++) it.ended(i % failEvery !== 0, runMs, T);
};

describe('AdaptiveThrottle', () => {
  it('adds one when errors are few and jobs are fast, up to its maximum', () => {
    const it = throttle();
    attempts(it, 21, Infinity, 500);
    expect(it.limit).toBe(16);
    attempts(it, 21 * 50, Infinity, 500);
    expect(it.limit).toBe(25);
    expect(it.history.map((mark) => mark.value)).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
  });

  it('takes two away when more than 15 % fail, down to its minimum', () => {
    const it = throttle();
    attempts(it, 21, 4, 500);
    expect(it.limit).toBe(13);
    attempts(it, 21 * 50, 2, 500);
    expect(it.limit).toBe(5);
  });

  it('stays when jobs are slow or some fail', () => {
    const it = throttle();
    attempts(it, 210, Infinity, 10_000);
    attempts(it, 21, 10, 500);
    expect(it.limit).toBe(15);
    expect(it.history).toEqual([]);
  });

  it('takes one failure in a window as few errors', () => {
    const it = throttle();
    attempts(it, 21, 21, 500);
    expect(it.limit).toBe(16);
  });
});
