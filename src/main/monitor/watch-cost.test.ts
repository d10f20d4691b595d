import { describe, expect, it } from 'vitest';
import { WatchCost } from './watch-cost.ts';

const cost = (durationMs: number, rowsRead: number | null = null) => ({ durationMs, rowsRead });

describe('WatchCost', () => {
  it('is not known before the first poll', () => {
    expect(new WatchCost().perMinute(0)).toBeNull();
  });

  it('is the sum of the last minute once there is one', () => {
    const watch = new WatchCost();
    for (let second = 0; second <= 300; second += 2) watch.add(second * 1_000, cost(12, 100));
    const perMinute = watch.perMinute(300_000);
    expect(perMinute?.msPerMin).toBeCloseTo(30 * 12);
    expect(perMinute?.rowsPerMin).toBeCloseTo(30 * 100);
  });

  it('is scaled up from the polls so far', () => {
    const watch = new WatchCost();
    watch.add(0, cost(10));
    watch.add(2_000, cost(20));
    expect(watch.perMinute(2_000)).toEqual({ msPerMin: 15 * 30, rowsPerMin: null });
  });

  it('counts a single poll as one a minute', () => {
    const watch = new WatchCost();
    watch.add(0, cost(10, 7));
    expect(watch.perMinute(0)).toEqual({ msPerMin: 10, rowsPerMin: 7 });
  });

  it('takes rows from the polls that measured them', () => {
    const watch = new WatchCost();
    watch.add(0, cost(10, 40));
    watch.add(30_000, cost(10, null));
    watch.add(59_000, cost(10, 60));
    const perMinute = watch.perMinute(59_000);
    expect(perMinute?.rowsPerMin).toBeCloseTo((50 * 60_000) / 29_500);
  });

  it('forgets what is older than a minute', () => {
    const watch = new WatchCost();
    watch.add(0, cost(10_000, 1_000_000));
    watch.add(59_000, cost(10, 1));
    expect(watch.perMinute(61_000)).toEqual({ msPerMin: 10, rowsPerMin: 1 });
    expect(watch.perMinute(200_000)).toBeNull();
  });
});
