import { describe, expect, it } from 'vitest';
import { breakerSpans, throttlePath } from './engine-lanes.ts';

describe('a breaker over time', () => {
  it('is closed before its first change and keeps its last state until now', () => {
    const history = [
      { atMs: 150, value: 'open' as const },
      { atMs: 180, value: 'half-open' as const },
      { atMs: 190, value: 'open' as const },
    ];
    expect(breakerSpans({ state: 'open', sinceMs: 190, history }, 100, 200)).toEqual([
      { state: 'closed', fromMs: 100, toMs: 150 },
      { state: 'open', fromMs: 150, toMs: 180 },
      { state: 'half-open', fromMs: 180, toMs: 190 },
      { state: 'open', fromMs: 190, toMs: 200 },
    ]);
  });

  it('is cut at the edges of the range', () => {
    const history = [
      { atMs: 10, value: 'open' as const },
      { atMs: 120, value: 'closed' as const },
    ];
    expect(breakerSpans({ state: 'closed', sinceMs: 120, history }, 100, 200)).toEqual([
      { state: 'open', fromMs: 100, toMs: 120 },
      { state: 'closed', fromMs: 120, toMs: 200 },
    ]);
  });

  it('without changes is what it is', () => {
    expect(breakerSpans({ state: 'closed', sinceMs: 0, history: [] }, 100, 200)).toEqual([
      { state: 'closed', fromMs: 100, toMs: 200 },
    ]);
  });
});

describe('a throttle over time', () => {
  const box = { fromMs: 100, toMs: 200, width: 100, height: 22 };
  const limits = { limit: 15, minimum: 5, maximum: 25 };

  it('steps between its least and its most', () => {
    const history = [
      { atMs: 50, value: 5 },
      { atMs: 150, value: 25 },
    ];
    expect(throttlePath({ ...limits, history }, box)).toBe('M0.0 21.0H50.0V1.0H100');
  });

  it('draws nothing before what is known', () => {
    expect(throttlePath({ ...limits, history: [{ atMs: 150, value: 15 }] }, box)).toBe('M50.0 11.0H100');
  });

  it('that never moved is a straight line', () => {
    expect(throttlePath({ ...limits, history: [] }, box)).toBe('M0.0 11.0H100');
  });
});
