import { describe, expect, it } from 'vitest';
import { SketchSeries } from './bucket-counts.ts';
import { seededRandom } from './seeded-random.ts';
import { SHARES, TimingAnalyser, type TenantAttempts } from './timing-analysis.ts';

interface Given {
  tenantId: string;
  tMs: number;
  failed: boolean;
  stages: Record<string, number>;
}

/** Values within 1 % of the one of rank floor(q × (n − 1)). */
function expectQuantile(given: number | null | undefined, values: number[], q: number): void {
  const exact = [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))] ?? NaN;
  expect(given).toBeGreaterThanOrEqual(exact * 0.989);
  expect(given).toBeLessThanOrEqual(exact * 1.011);
}

function attemptsOf(given: readonly Given[]): TenantAttempts {
  const stages = new Map<string, SketchSeries>();
  for (const { tMs, stages: own } of given) {
    for (const [stage, ms] of Object.entries(own)) {
      const series = stages.get(stage) ?? new SketchSeries();
      stages.set(stage, series);
      series.pushValue(tMs, ms);
    }
  }
  return {
    outcomes: given.map(({ tMs, failed }) => ({ tMs, finished: 1, failed: Number(failed) })),
    stages,
  };
}

const tenants = Array.from({ length: 12 }, (_, i) => `t${i}`);
/** Tenant i finishes about i attempts a second, over 50 s from 1,000 on; t5's deliver becomes slow at 1,030. */
function day(seed: number): Given[] {
  const random = seededRandom(seed);
  const given: Given[] = [];
  for (let tMs = 1_000; tMs < 1_050; tMs++)
    tenants.forEach((tenantId, i) => {
      for (let n = Math.round(i * random() * 2); n > 0; n--) {
        const deliver = 100 * Math.exp(random()) * (tenantId === 't5' && tMs >= 1_030 ? 10 : 1);
        const load = random() * 5;
        given.push({
          tenantId,
          tMs,
          failed: random() < 0.1,
          stages: { total: load + deliver, load, deliver, wait: random() * 1e4 },
        });
      }
    });
  return given;
}

function analyse(given: readonly Given[]): TimingAnalyser {
  const analyser = new TimingAnalyser(1_000, 10, 5);
  for (const tenantId of tenants)
    analyser.add(tenantId, attemptsOf(given.filter((one) => one.tenantId === tenantId)));
  return analyser;
}

describe('timing analysis', () => {
  const given = day(1);
  const figures = analyse(given).figures(null);
  const countOf = (tenantId: string): number => given.filter((one) => one.tenantId === tenantId).length;

  it('has all tenants together in every bucket', () => {
    expect(figures.buckets.map(({ tMs }) => tMs)).toEqual([1_000, 1_010, 1_020, 1_030, 1_040]);
    for (const bucket of figures.buckets) {
      const inside = given.filter(({ tMs }) => tMs >= bucket.tMs && tMs < bucket.tMs + 10);
      expect(bucket).toMatchObject({
        finished: inside.length,
        failed: inside.filter(({ failed }) => failed).length,
      });
      expect(Object.keys(bucket.p95Ms)).toEqual(['wait', 'load', 'deliver', 'total']);
      for (const stage of Object.keys(bucket.p95Ms)) {
        const values = inside.map(({ stages }) => stages[stage] ?? NaN);
        expectQuantile(bucket.p50Ms[stage], values, 0.5);
        expectQuantile(bucket.p95Ms[stage], values, 0.95);
      }
    }
  });

  it('has each tenant over the whole range, most finished first, and none that finished nothing', () => {
    const counts = figures.tenants.map(({ finished }) => finished);
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
    expect(figures.tenants.map(({ tenantId }) => tenantId).sort()).toEqual(
      tenants.filter((id) => countOf(id) > 0).sort(),
    );
    for (const { tenantId, finished, failed, stages, against } of figures.tenants) {
      const own = given.filter((one) => one.tenantId === tenantId);
      expect([finished, failed, against]).toEqual([own.length, own.filter((one) => one.failed).length, null]);
      for (const { stage, count, p50Ms, p95Ms, p99Ms, maxMs, rawMs } of stages) {
        const values = own.map((one) => one.stages[stage] ?? NaN);
        expect([count, maxMs]).toEqual([values.length, Math.max(...values)]);
        if (count < 20) {
          expect([p50Ms, p95Ms, p99Ms]).toEqual([null, null, null]);
          expect(rawMs).toHaveLength(count);
          continue;
        }
        expect(rawMs).toBeNull();
        expectQuantile(p50Ms, values, 0.5);
        expectQuantile(p95Ms, values, 0.95);
        expectQuantile(p99Ms, values, 0.99);
      }
    }
  });

  it('shares out every finished attempt among the eight busiest and the rest', () => {
    expect(figures.shares.map(({ tenantId }) => tenantId)).toEqual([
      ...figures.tenants.slice(0, SHARES).map(({ tenantId }) => tenantId),
      '',
    ]);
    figures.buckets.forEach(({ finished }, at) => {
      expect(figures.shares.reduce((sum, share) => sum + (share.finished[at] ?? 0), 0)).toBe(finished);
    });
  });

  it('names what changed and when', () => {
    const firstSlow = given.find(({ tenantId, tMs }) => tenantId === 't5' && tMs >= 1_030)?.tMs;
    // Which of the two is larger by a hair is chance.
    expect(figures.movers.map(({ tenantId, stage, atMs }) => [tenantId, stage, atMs]).sort()).toEqual([
      ['t5', 'deliver', firstSlow],
      ['t5', 'total', firstSlow],
    ]);
    const [mover] = figures.movers;
    expect((mover?.toMs ?? 0) / (mover?.fromMs ?? 1)).toBeGreaterThan(8);
    expect(mover?.finished).toBe(countOf('t5'));
  });

  it('gives nothing for nothing', () => {
    const none = new TimingAnalyser(0, 1_000, 3).figures(new Map());
    expect(none).toMatchObject({ tenants: [], shares: [], movers: [] });
    expect(none.buckets).toEqual(
      [0, 1_000, 2_000].map((tMs) => ({ tMs, finished: 0, failed: 0, p50Ms: {}, p95Ms: {} })),
    );
  });
});
