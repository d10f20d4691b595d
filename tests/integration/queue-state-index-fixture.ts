// The truth about River's and Oban's queues by brute force over all rows, and the numbers of a sample in its shape.
import type { Client } from 'pg';
import { expect } from 'vitest';
import type { Count } from '../../src/core/count.ts';
import type { WatchedTables } from '../../src/main/sources/health/watched-tables.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';

/** A row as it was read back, times in epoch ms. */
export interface TrueJob {
  queue: string;
  /** What it is at the time of the sample by the system's own rules. */
  is: 'ready' | 'delayed' | 'running' | 'dead' | 'blocked' | 'held' | 'done' | 'never';
  readyAt: number;
  createdAt: number;
  startedAt: number | null;
}

export interface QueueTruth {
  ready: number;
  delayed: number;
  running: number;
  stale: number;
  dead: number;
  blocked: number | null;
  oldestReady: { readyAtMs: number; createdAtMs: number } | null;
  lastStartedAtMs: number | null;
  oldestRunningAtMs: number | null;
}

const HOUR_MS = 3_600_000;
const nothing = (knowsBlocked: boolean): QueueTruth => ({
  ...{ ready: 0, delayed: 0, running: 0, stale: 0, dead: 0, blocked: knowsBlocked ? 0 : null },
  ...{ oldestReady: null, lastStartedAtMs: null, oldestRunningAtMs: null },
});

/** Every queue that has jobs which somebody may wait for, or is known by its name. */
export function queueTruths(
  jobs: readonly TrueJob[],
  nowMs: number,
  knowsBlocked: boolean,
  names: readonly string[] = [],
): Map<string, QueueTruth> {
  const truths = new Map(names.map((name) => [name, nothing(knowsBlocked)]));
  for (const job of jobs) {
    if (job.is === 'done') continue;
    const truth = truths.get(job.queue) ?? nothing(knowsBlocked);
    truths.set(job.queue, truth);
    if (job.is === 'never' || job.is === 'held') continue;
    if (job.is === 'blocked') {
      if (truth.blocked !== null) truth.blocked += 1;
      continue;
    }
    truth[job.is] += 1;
    if (job.is === 'ready') {
      if (truth.oldestReady === null || job.readyAt < truth.oldestReady.readyAtMs) {
        truth.oldestReady = { readyAtMs: job.readyAt, createdAtMs: job.createdAt };
      }
    } else if (job.is === 'running' && job.startedAt !== null) {
      truth.lastStartedAtMs = Math.max(truth.lastStartedAtMs ?? -Infinity, job.startedAt);
      if (nowMs - job.startedAt > HOUR_MS) truth.stale += 1;
      else truth.oldestRunningAtMs = Math.min(truth.oldestRunningAtMs ?? Infinity, job.startedAt);
    }
  }
  return truths;
}

/** The sample's numbers in the shape of the truth; throws where one is not exact. */
function exactTruth(tenant: TenantSample): QueueTruth {
  const value = (count: Count | null) => {
    if (count?.kind !== 'exact') throw new Error(`${tenant.tenantId}: ${JSON.stringify(count)} is not exact`);
    return count.value;
  };
  const { oldestReady } = tenant;
  if (oldestReady?.bound === 'at-least') throw new Error(`${tenant.tenantId}: the oldest is not proven`);
  return {
    ready: value(tenant.ready),
    delayed: value(tenant.delayed),
    running: value(tenant.running),
    stale: value(tenant.stale),
    dead: value(tenant.dead),
    blocked: tenant.blocked === null ? null : value(tenant.blocked),
    oldestReady: oldestReady && { readyAtMs: oldestReady.readyAtMs, createdAtMs: oldestReady.createdAtMs },
    lastStartedAtMs: tenant.lastStartedAtMs,
    oldestRunningAtMs: tenant.oldestRunningAtMs,
  };
}

export function expectExact(sample: SourceSample, truths: Map<string, QueueTruth>): void {
  const told = sample.tenants.map((tenant): [string, QueueTruth] => [tenant.tenantId, exactTruth(tenant)]);
  expect(new Map(told.map(toMicroseconds))).toEqual(new Map([...truths].map(toMicroseconds)));
}

/** The databases' times are whole microseconds; as milliseconds they may differ behind that. */
function toMicroseconds([name, truth]: [string, QueueTruth]): [string, QueueTruth] {
  const rounded = <T extends number | null>(time: T) =>
    time === null ? time : Math.round(time * 1_000) / 1_000;
  const { oldestReady } = truth;
  return [
    name,
    {
      ...truth,
      oldestReady: oldestReady && {
        readyAtMs: rounded(oldestReady.readyAtMs),
        createdAtMs: rounded(oldestReady.createdAtMs),
      },
      lastStartedAtMs: rounded(truth.lastStartedAtMs),
      oldestRunningAtMs: rounded(truth.oldestRunningAtMs),
    },
  ];
}

/** Every count and bound agrees with the truth, whether it is exact or not. */
export function expectHolds(sample: SourceSample, truths: Map<string, QueueTruth>): void {
  expect(sample.tenants.map(({ tenantId }) => tenantId).sort()).toEqual([...truths.keys()].sort());
  for (const tenant of sample.tenants) {
    const real = truths.get(tenant.tenantId) ?? nothing(true);
    for (const state of ['ready', 'delayed', 'running', 'stale', 'dead'] as const) {
      const count = tenant[state];
      const what = `${tenant.tenantId} ${state}`;
      if (count?.kind === 'exact') expect(count.value, what).toBe(real[state]);
      else expect(count?.value, what).toBeLessThanOrEqual(real[state]);
    }
    const { oldestReady } = tenant;
    expect(oldestReady === null, `${tenant.tenantId} has a ready one`).toBe(real.oldestReady === null);
    if (oldestReady === null || real.oldestReady === null) continue;
    if (oldestReady.bound === 'exact')
      expect(oldestReady.readyAtMs).toBeCloseTo(real.oldestReady.readyAtMs, 2);
    else expect(oldestReady.readyAtMs).toBeGreaterThan(real.oldestReady.readyAtMs - 0.01);
  }
}

export function tenantOf(sample: SourceSample, id: string): TenantSample {
  const tenant = sample.tenants.find(({ tenantId }) => tenantId === id);
  if (tenant === undefined) throw new Error(`no queue ${id}`);
  return tenant;
}

/** A stream of numbers from 0 up to 1 that is the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The statements that the index advisor would explain are explained; those that are refused, by their names. */
export async function refusedStatements(
  client: Client,
  { statements }: WatchedTables,
): Promise<Record<string, string>> {
  const refused: Record<string, string> = {};
  for (const { name, sql } of statements) {
    await client.query(`EXPLAIN ${sql}`).catch((error: unknown) => {
      refused[name] = String(error);
    });
  }
  return refused;
}
