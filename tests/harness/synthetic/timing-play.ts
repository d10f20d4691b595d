// The made-up system's timing: server 12's deliveries slow down at two thirds of the range, server 1 takes a burst.
import type { MethodHandlers } from '../../../src/contract/api.ts';
import type { StageStats } from '../../../src/core/timing.ts';
import type { TimingAnalysis, TimingAnalysisQuery, TimingSizes } from '../../../src/contract/log-search.ts';
import { seededRandom } from '../../../src/core/seeded-random.ts';

const WIDTHS = [5, 10, 15, 30, 60, 120, 900, 1_800, 3_600].map((seconds) => seconds * 1_000);
/** p50 in ms. */
const usual = { wait: 420, load: 4, inspect: 14, dkim: 9, deliver: 310 };
const TENANTS = 41;
/** Where in the range, from 0 to 1. */
const [SLOW_AT, BURST_FROM, BURST_TO] = [0.66, 0.3, 0.42];

/** How busy a tenant is beside the others. */
const weightOf = (tenant: number, at: number): number => {
  const usually = tenant === 12 ? 5 : 12 / (tenant + 3);
  return tenant === 1 && at >= BURST_FROM && at < BURST_TO ? 60 : usually;
};

const slowness = (stage: string, tenant: number, at: number): number =>
  stage === 'deliver' && tenant === 12 && at >= SLOW_AT
    ? 13
    : stage === 'wait' && at >= BURST_FROM && at < BURST_TO + 0.06
      ? 30
      : 1;

function statsOf(stage: string, count: number, p50Ms: number): StageStats {
  if (count < 20) {
    const rawMs = Array.from({ length: count }, (_, i) => p50Ms * (0.6 + i / 10));
    return { stage, count, p50Ms: null, p95Ms: null, p99Ms: null, maxMs: Math.max(0, ...rawMs), rawMs };
  }
  return { stage, count, p50Ms, p95Ms: p50Ms * 2.4, p99Ms: p50Ms * 5, maxMs: p50Ms * 11, rawMs: null };
}

/** A tenant over a whole range; the share of it after the slow-down weighs as it would in a p95. */
function stagesOf(tenant: number, finished: number, isSlow: boolean) {
  const stages = Object.entries(usual).map(([stage, p50]) =>
    statsOf(
      stage,
      finished,
      p50 * (1 + (tenant % 5) / 20) * (isSlow && stage === 'deliver' && tenant === 12 ? 5 : 1),
    ),
  );
  const run = stages.slice(1).reduce((sum, { p50Ms }) => sum + (p50Ms ?? 0), 0);
  return {
    finished,
    failed: Math.round(finished * (tenant === 7 ? 0.21 : 0.01)),
    stages: [...stages, statsOf('total', finished, run || 340)],
  };
}

function playAnalysis({ fromMs, toMs, tenantIds, against }: TimingAnalysisQuery): TimingAnalysis {
  const bucketMs = WIDTHS.find((width) => (toMs - fromMs) / width <= 199) ?? 86_400_000;
  const random = seededRandom(Math.round(toMs - fromMs));
  const chosen = Array.from({ length: TENANTS }, (_, i) => i + 1).filter(
    (tenant) => tenantIds.length === 0 || tenantIds.includes(String(tenant)),
  );
  const startMs = Math.floor(fromMs / bucketMs) * bucketMs;
  const perWeight = bucketMs / 12_000;
  const counts = new Map(chosen.map((tenant) => [tenant, [] as number[]]));
  const buckets: TimingAnalysis['buckets'] = [];
  for (let tMs = startMs; tMs < toMs; tMs += bucketMs) {
    const at = (tMs - fromMs) / (toMs - fromMs);
    let finished = 0;
    for (const [tenant, list] of counts) {
      const count = Math.round(weightOf(tenant, at) * perWeight * (0.6 + random() * 0.8));
      list.push(count);
      finished += count;
    }
    const wave = 0.85 + random() * 0.3;
    const stages = Object.entries(usual).map(([stage, p50]) => {
      // All together: one slow tenant among many moves the p95 more than the p50.
      const own = chosen.length === 1 ? (chosen[0] ?? 0) : 0;
      const slow = slowness(stage, own, at);
      const among = own === 0 && chosen.includes(12) && stage === 'deliver' && at >= SLOW_AT ? 2.6 : 1;
      return [stage, p50 * wave * slow, p50 * wave * slow * 2.4 * among] as const;
    });
    const sum = (place: 1 | 2): number => stages.slice(1).reduce((total, stage) => total + stage[place], 0);
    buckets.push({
      tMs,
      finished,
      failed: Math.round(finished * 0.02),
      ...(finished === 0
        ? { p50Ms: {}, p95Ms: {} }
        : {
            p50Ms: { ...Object.fromEntries(stages.map(([stage, p50]) => [stage, p50])), total: sum(1) },
            p95Ms: {
              ...Object.fromEntries(stages.map(([stage, , p95]) => [stage, p95])),
              total: sum(2) * 0.92,
            },
          }),
    });
  }
  const total = (list: readonly number[]): number => list.reduce((sum, count) => sum + count, 0);
  const ranked = [...counts].sort((a, b) => total(b[1]) - total(a[1]));
  const rest = buckets.map((_, i) => ranked.slice(8).reduce((sum, [, list]) => sum + (list[i] ?? 0), 0));
  const change = { atMs: fromMs + (toMs - fromMs) * SLOW_AT };
  const slow = counts.get(12);
  return {
    bucketMs,
    buckets,
    tenants: ranked.map(([tenant, list]) => ({
      tenantId: String(tenant),
      ...stagesOf(tenant, total(list), true),
      against: against === null ? null : stagesOf(tenant, Math.round(total(list) * 0.93), false),
    })),
    shares: [
      ...ranked.slice(0, 8).map(([tenant, finished]) => ({ tenantId: String(tenant), finished })),
      ...(ranked.length > 8 ? [{ tenantId: '', finished: rest }] : []),
    ],
    movers:
      slow === undefined
        ? []
        : [
            { tenantId: '12', stage: 'deliver', fromMs: 180, toMs: 2_400, ...change, finished: total(slow) },
            { tenantId: '12', stage: 'total', fromMs: 212, toMs: 2_460, ...change, finished: total(slow) },
            ...(counts.has(4)
              ? [
                  {
                    tenantId: '4',
                    stage: 'inspect',
                    fromMs: 96,
                    toMs: 31,
                    atMs: fromMs + (toMs - fromMs) * 0.5,
                    finished: total(counts.get(4) ?? []),
                  },
                ]
              : []),
          ],
  };
}

function playSizes({
  fromMs,
  toMs,
  tenantId,
  stage,
}: {
  fromMs: number;
  toMs: number;
  tenantId: string | null;
  stage: string;
}): TimingSizes {
  const random = seededRandom(5);
  const normal = (): number => (random() + random() + random() + random() - 2) * 1.7;
  const edges = (first: number, last: number, cells: number): number[] =>
    Array.from({ length: cells + 1 }, (_, i) => first * (last / first) ** (i / cells));
  const [sizeEdges, msEdges] = [edges(300, 3e7, 48), edges(1, 1e5, 32)];
  const density = sizeEdges.slice(1).map(() => msEdges.slice(1).map(() => 0));
  const [slope, r2] = stage === 'dkim' ? [0.71, 0.83] : [0.255, 0.12];
  const records = tenantId === null ? 8_000 : 900;
  const cell = (list: number[], value: number): number =>
    list.findIndex((edge, i) => i > 0 && value < edge) - 1;
  const intercept = Math.log(stage === 'dkim' ? 0.05 : 34);
  for (let n = 0; n < records; n++) {
    const bytes = 9_000 * Math.exp(normal() * 1.6);
    const ms = Math.exp(intercept) * bytes ** slope * Math.exp(normal() * (r2 > 0.5 ? 0.4 : 0.9));
    const row = density[cell(sizeEdges, bytes)];
    const at = cell(msEdges, ms);
    if (row !== undefined && at >= 0) row[at] = (row[at] ?? 0) + 1;
  }
  return {
    records,
    isWhole: true,
    sizeEdges,
    msEdges,
    density,
    fit: { slope, intercept, r2 },
    slowest: Array.from({ length: 12 }, (_, i) => {
      const atMs = toMs - (toMs - fromMs) * 0.02 * (i + 1);
      const ms = 41_000 / (1 + i / 5);
      const failed = i % 5 === 1;
      const owner = tenantId ?? (i % 3 === 2 ? '7' : '12');
      return {
        at: `play-${i}`,
        readAtMs: atMs,
        atMs,
        source: 'worker@mail-1:22 postal.log',
        kind: 'line' as const,
        level: failed ? ('error' as const) : ('info' as const),
        text: `[TIMING] {"message_id":${9_000 + i},"server_id":${owner}}`,
        timing: {
          tenantId: owner,
          jobId: String(9_000 + i),
          kind: 'example.org',
          startedAtMs: atMs - ms,
          totalMs: ms,
          stages: { load: 4, inspect: 20, dkim: 11, deliver: ms - 40 },
          status: failed ? ('error' as const) : ('success' as const),
          error: failed ? '451 4.7.1 try again later' : null,
          sizeBytes: Math.round(900_000 / (1 + i)),
        },
      };
    }),
  };
}

export const timingPlay: Pick<MethodHandlers, 'timing.analysis' | 'timing.sizes'> = {
  'timing.analysis': (query) => Promise.resolve(playAnalysis(query)),
  'timing.sizes': (query) => Promise.resolve(playSizes(query)),
};
