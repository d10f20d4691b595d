import { describe, expect, it } from 'vitest';
import { SlidingCount, SlidingSketch } from './report-window.ts';

const T = 1_700_000_000_000;

describe('a sliding count', () => {
  it('is what a look at every event gives, to within a slice', () => {
    const count = new SlidingCount(60, 1_000);
    const events: number[] = [];
    let nowMs = T;
    for (let i = 1; i < 2_000; i++) {
      // Now and then nothing happens for longer than the window.
      nowMs += i % 400 === 0 ? 75_000 : (i * 37) % 500;
      count.add(nowMs);
      events.push(nowMs);
      const slice = Math.floor(nowMs / 1_000);
      const inWindow = events.filter((atMs) => Math.floor(atMs / 1_000) > slice - 60).length;
      expect(count.sum(nowMs)).toBe(inWindow);
    }
    expect(count.sum(nowMs + 60_000)).toBe(0);
  });

  it('goes on when the clock is set back', () => {
    const count = new SlidingCount(60, 1_000);
    count.add(T);
    count.add(T - 3_600_000);
    expect(count.sum(T)).toBe(2);
    expect(count.sum(T + 60_000)).toBe(0);
  });
});

describe('a sliding sketch', () => {
  it('tells nothing under 20 observations, then percentiles, and forgets', () => {
    const sketch = new SlidingSketch(5, 60_000);
    for (let i = 1; i <= 19; i++) sketch.add(T, i);
    expect(sketch.percentiles(T)).toEqual({ count: 19, p50Ms: null, p95Ms: null, p99Ms: null, maxMs: null });
    for (let i = 20; i <= 100; i++) sketch.add(T + 60_000, i);
    const { count, p50Ms, p99Ms, maxMs } = sketch.percentiles(T + 60_000);
    expect({ count, maxMs }).toEqual({ count: 100, maxMs: 100 });
    expect(p50Ms).toBeCloseTo(50, -0.5);
    expect(p99Ms).toBeCloseTo(99, -0.5);
    expect(sketch.percentiles(T + 5 * 60_000).count).toBe(81);
    expect(sketch.percentiles(T + 7 * 60_000).count).toBe(0);
  });
});
