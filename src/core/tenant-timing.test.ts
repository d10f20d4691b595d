import { describe, expect, it } from 'vitest';
import { seededRandom } from './seeded-random.ts';
import { RELATIVE_ERROR } from './sketch.ts';
import { TenantTiming } from './tenant-timing.ts';
import type { TimingRecord } from './timing.ts';

const MINUTE = 60_000;
const T0 = Date.UTC(2026, 0, 9, 12);

function record(
  totalMs: number,
  stages: Record<string, number> = {},
  status: 'success' | 'error' = 'success',
) {
  return {
    tenantId: '3',
    jobId: null,
    kind: null,
    startedAtMs: null,
    totalMs,
    stages,
    status,
    error: null,
    sizeBytes: null,
  } satisfies TimingRecord;
}

function stage(timing: TenantTiming, name: string, nowMs: number) {
  return timing.stages(nowMs).find((stats) => stats.stage === name);
}

describe('TenantTiming', () => {
  it('has no stages, no rate and no error rate before the first record', () => {
    const timing = new TenantTiming();
    expect(timing.stages(T0)).toEqual([]);
    expect(timing.runP95Ms(T0)).toBeNull();
    expect(new TenantTiming().outcome(T0)).toMatchObject({ finished: 0, failed: 0, errorRate: null });
  });

  it('shows what no stage accounts for as other, and never less than nothing', () => {
    const timing = new TenantTiming();
    timing.add(record(100, { load: 10, deliver: 70 }), T0);
    timing.add(record(100, { load: 60, deliver: 70 }), T0);
    expect(stage(timing, 'other', T0)?.rawMs).toEqual([20, 0]);
  });

  it('keeps waiting apart from the run', () => {
    const timing = new TenantTiming();
    timing.add(record(100, { wait: 5_000, load: 10, deliver: 70 }), T0);
    expect(stage(timing, 'wait', T0)?.maxMs).toBe(5_000);
    expect(stage(timing, 'other', T0)?.rawMs).toEqual([20]);
  });

  it('lists wait first, then the stages as logged, other and total last', () => {
    const timing = new TenantTiming();
    timing.add(record(100, { load: 1, inspect: 2, dkim: 3, wait: 9, deliver: 4 }), T0);
    const names = timing.stages(T0).map((stats) => stats.stage);
    expect(names).toEqual(['wait', 'load', 'inspect', 'dkim', 'deliver', 'other', 'total']);
  });

  it('does not call a run without stages other', () => {
    const timing = new TenantTiming();
    timing.add(record(100), T0);
    expect(timing.stages(T0).map((stats) => stats.stage)).toEqual(['total']);
  });

  it('shows raw values under 20 observations and percentiles from 20 on', () => {
    const timing = new TenantTiming();
    for (let i = 1; i <= 19; i++) timing.add(record(i), T0);
    expect(stage(timing, 'total', T0)).toMatchObject({ count: 19, p95Ms: null, maxMs: 19 });
    expect(stage(timing, 'total', T0)?.rawMs).toHaveLength(19);
    expect(timing.runP95Ms(T0)).toBeNull();
    timing.add(record(20), T0);
    expect(stage(timing, 'total', T0)).toMatchObject({ count: 20, rawMs: null });
    expect(timing.runP95Ms(T0)).toBeCloseTo(19, 0);
  });

  it('has an error rate from 10 attempts on', () => {
    const timing = new TenantTiming();
    for (let i = 0; i < 9; i++) timing.add(record(1, {}, i < 3 ? 'error' : 'success'), T0);
    expect(timing.outcome(T0)).toMatchObject({ finished: 9, failed: 3, errorRate: null });
    timing.add(record(1), T0);
    expect(timing.outcome(T0).errorRate).toBe(0.3);
  });

  it('counts the rate over the watched part of the window', () => {
    const timing = new TenantTiming();
    for (let s = 0; s <= 600; s++) timing.add(record(1), T0 + s * 1_000);
    expect(timing.outcome(T0 + 600_000).finishedPerS).toBeCloseTo(1, 2);
    for (let s = 601; s <= 3_600; s++) timing.add(record(1), T0 + s * 1_000);
    expect(timing.outcome(T0 + 3_600_000).finishedPerS).toBeCloseTo(1, 2);
  });

  it('forgets what has left the window, whole stages too', () => {
    const timing = new TenantTiming();
    timing.add(record(9_000, { dkim: 1 }, 'error'), T0);
    timing.add(record(10, { load: 1 }), T0 + 5 * MINUTE);
    expect(stage(timing, 'total', T0 + 14 * MINUTE)?.maxMs).toBe(9_000);
    expect(stage(timing, 'total', T0 + 15 * MINUTE)).toMatchObject({ count: 1, maxMs: 10, rawMs: [10] });
    expect(timing.outcome(T0 + 15 * MINUTE)).toMatchObject({ finished: 1, failed: 0 });
    expect(stage(timing, 'dkim', T0 + 15 * MINUTE)).toBeUndefined();
    expect(timing.stages(T0 + 60 * MINUTE)).toEqual([]);
  });

  it('leaves out records older than the window and takes stragglers of other hosts', () => {
    const timing = new TenantTiming();
    timing.add(record(10), T0 + 20 * MINUTE);
    timing.add(record(11), T0 + 18 * MINUTE);
    timing.add(record(12), T0);
    expect(stage(timing, 'total', T0 + 20 * MINUTE)?.rawMs).toEqual([10, 11]);
  });

  it('stays bounded when a log invents stage names', () => {
    const timing = new TenantTiming();
    for (let i = 0; i < 5_000; i++) timing.add(record(100, { [`stage-${i}`]: 40 }), T0);
    expect(timing.stages(T0).length).toBeLessThanOrEqual(34);
    expect(stage(timing, 'total', T0)?.count).toBe(5_000);
  });

  it('agrees with all records of the window sorted, at any time', () => {
    const random = seededRandom(15);
    const timing = new TenantTiming();
    const seen: { slot: number; ms: number; failed: boolean }[] = [];
    let now = T0;
    for (let i = 0; i < 20_000; i++) {
      now += random() < 0.001 ? random() * 20 * MINUTE : random() * 2_000;
      const ms = Math.exp(random() * 8);
      const failed = random() < 0.1;
      timing.add(record(ms, { load: ms / 4 }, failed ? 'error' : 'success'), now);
      seen.push({ slot: Math.floor(now / MINUTE), ms, failed });
      if (i % 97 !== 0) continue;
      const window = seen.filter((entry) => entry.slot > Math.floor(now / MINUTE) - 15);
      const sorted = window.map((entry) => entry.ms).toSorted((a, b) => a - b);
      const stats = stage(timing, 'total', now);
      expect(stats?.count).toBe(window.length);
      expect(stats?.maxMs).toBe(sorted.at(-1));
      expect(timing.outcome(now)).toMatchObject({
        finished: window.length,
        failed: window.filter((entry) => entry.failed).length,
      });
      if (window.length < 20) {
        expect(stats?.rawMs).toEqual(window.map((entry) => entry.ms));
        continue;
      }
      const p95 = sorted[Math.floor(0.95 * (sorted.length - 1))] ?? NaN;
      expect(Math.abs((stats?.p95Ms ?? NaN) - p95)).toBeLessThanOrEqual(p95 * RELATIVE_ERROR * 1.000001);
    }
  });
});
