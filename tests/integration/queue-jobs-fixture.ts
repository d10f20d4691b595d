// Jobs tables of the tests: their mappings, and the truth by brute force over all rows.
import { jobsMappingSchema, type JobsMapping } from '../../src/contract/settings.ts';
import type { Count } from '../../src/core/count.ts';
import type { TenantSample } from '../../src/core/sample.ts';

/** A table with every column that counts. */
export const fullMapping: JobsMapping = jobsMappingSchema.parse({
  table: 'jobs',
  id: 'id',
  tenant: 'owner "of" it',
  state: 'state',
  states: {
    ready: ['queued', 'retry'],
    running: ['busy'],
    delayed: ['later'],
    held: ['paused'],
    dead: ['failed'],
    done: ['done'],
  },
  createdAt: 'created_at',
  readyAt: 'run_at',
  startedAt: 'started_at',
  heartbeatAt: 'beat_at',
  staleAfterSeconds: 60,
  lockedBy: 'worker',
});

/** A common shape: text states, stale ones known by the last change, no time of readiness. */
export const auditedJobsMapping: JobsMapping = jobsMappingSchema.parse({
  table: 'jobs',
  id: 'id',
  tenant: 'user_id',
  kind: 'kind',
  state: 'status',
  states: {
    ready: ['queued'],
    running: ['processing'],
    held: ['paused'],
    dead: ['error'],
    done: ['done', 'cancelled'],
  },
  createdAt: 'created_at',
  heartbeatAt: 'updated_at',
  staleAfterSeconds: 600,
  attempts: 'attempts',
  maxAttempts: 3,
  error: 'last_error',
  payload: 'payload',
  batch: 'batch_id',
});

/** A row of `fullMapping`'s table; ages and delays in seconds against now. */
export interface Job {
  tenant: string | null;
  state: string;
  ageS?: number;
  /** When it may start, seconds from now; null without. */
  runInS?: number | null;
  startedAgoS?: number;
  beatAgoS?: number;
  worker?: string;
}

/** The same row as it was read back, in epoch ms. */
export interface ReadJob {
  tenant: string | null;
  state: string;
  createdAt: Date | null;
  runAt: Date | null;
  startedAt: Date | null;
  beatAt: Date | null;
  worker: string | null;
}

export interface Truth {
  ready: number;
  delayed: number;
  running: number;
  stale: number;
  dead: number;
  oldestReady: { readyAtMs: number; createdAtMs: number } | null;
  lastStartedAtMs: number | null;
  oldestRunningAtMs: number | null;
}

/** Every tenant's numbers by their definitions, over all rows. */
export function bruteForce(jobs: readonly ReadJob[], nowMs: number): Map<string, Truth> {
  const { states, staleAfterSeconds } = fullMapping;
  const truths = new Map<string, Truth>();
  for (const job of jobs) {
    const live = [...states.ready, ...states.running, ...states.delayed, ...states.dead];
    if (job.tenant === null || !live.includes(job.state)) continue;
    const truth = truths.get(job.tenant) ?? nothing();
    truths.set(job.tenant, truth);
    const created = job.createdAt?.getTime() ?? nowMs;
    const readyAt = Math.max(created, job.runAt?.getTime() ?? created);
    if (states.dead.includes(job.state)) truth.dead += 1;
    else if (states.running.includes(job.state)) addRunning(truth, job, nowMs - staleAfterSeconds * 1000);
    else if (states.delayed.includes(job.state) || readyAt > nowMs) truth.delayed += 1;
    else {
      truth.ready += 1;
      const oldest = truth.oldestReady;
      if (oldest === null || readyAt < oldest.readyAtMs) {
        truth.oldestReady = { readyAtMs: readyAt, createdAtMs: created };
      }
    }
  }
  return truths;
}

function addRunning(truth: Truth, job: ReadJob, staleBeforeMs: number): void {
  truth.running += 1;
  const isStale = job.beatAt !== null && job.beatAt.getTime() < staleBeforeMs;
  if (isStale) truth.stale += 1;
  const started = job.startedAt?.getTime() ?? null;
  if (started === null) return;
  truth.lastStartedAtMs = Math.max(truth.lastStartedAtMs ?? started, started);
  if (!isStale) truth.oldestRunningAtMs = Math.min(truth.oldestRunningAtMs ?? started, started);
}

const nothing = (): Truth => ({
  ready: 0,
  delayed: 0,
  running: 0,
  stale: 0,
  dead: 0,
  oldestReady: null,
  lastStartedAtMs: null,
  oldestRunningAtMs: null,
});

/** The sample's numbers in the shape of the truth; throws where one is not exact. */
export function exactNumbers(tenant: TenantSample): Truth {
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
    oldestReady: oldestReady && {
      readyAtMs: oldestReady.readyAtMs,
      createdAtMs: oldestReady.createdAtMs,
    },
    lastStartedAtMs: tenant.lastStartedAtMs,
    oldestRunningAtMs: tenant.oldestRunningAtMs,
  };
}

const many = (count: number, job: Job): Job[] =>
  Array.from({ length: count }, (_, i) => ({ ...job, ageS: (job.ageS ?? 100) + i }));

/** Every state, awkward names, several tenants; no tenant has more rows in a state than are counted exactly. */
export const mixture: readonly Job[] = [
  ...['anna', `o'brien "the" \`best\``, '🦊 fox', 'back\\slash', '7'].flatMap((tenant, n): Job[] => [
    ...many(20 + n, { tenant, state: 'queued', ageS: 50 * n }),
    ...many(5, { tenant, state: 'retry', ageS: 5000, runInS: -30 - n }),
    // Backdated: ready since its creation, not before.
    { tenant, state: 'queued', ageS: 40, runInS: -9000 },
    ...many(3 + n, { tenant, state: 'queued', runInS: 600 }),
    ...many(2, { tenant, state: 'later', runInS: 900 }),
    { tenant, state: 'busy', startedAgoS: 300, beatAgoS: 5, worker: `host-${n % 2}` },
    { tenant, state: 'busy', startedAgoS: 20 + n, beatAgoS: 2, worker: `host-${n}` },
    { tenant, state: 'busy', startedAgoS: 4000, beatAgoS: 3000 + n, worker: 'gone' },
    ...many(n, { tenant, state: 'failed' }),
    ...many(4, { tenant, state: 'done' }),
    { tenant, state: 'paused' },
  ]),
  ...many(200, { tenant: 'two hundred', state: 'queued', ageS: 10 }),
  ...many(2, { tenant: 'only dead', state: 'failed' }),
  ...many(2, { tenant: 'only done', state: 'done' }),
  { tenant: null, state: 'queued' },
];

/** More rows than are counted exactly. */
export const crowd: readonly Job[] = [
  ...many(201, { tenant: 'ready', state: 'queued', ageS: 10 }),
  ...many(300, { tenant: 'running', state: 'busy', startedAgoS: 5, beatAgoS: 1, worker: 'w' }),
  ...many(300, { tenant: 'later', state: 'queued', runInS: 500 }),
  ...many(3, { tenant: 'later', state: 'queued', ageS: 70 }),
  ...many(250, { tenant: 'dead', state: 'failed' }),
  ...many(250, { tenant: 'both', state: 'queued', ageS: 10, runInS: -5 }),
  ...many(3, { tenant: 'both', state: 'retry', ageS: 9000, runInS: -800 }),
];

/** More tenants than have 200 jobs counted exactly: long and short queues, in every state, backdated and without a time. */
export const throng: readonly Job[] = Array.from({ length: 60 }, (_, n): Job[] => {
  const tenant = `${['été', "o'brien", 'T', '🦊'][n % 4] ?? ''} ${n}`;
  return [
    ...many(n % 3 === 0 ? 90 : n % 7, { tenant, state: 'queued', ageS: 5 * n, runInS: -n - 1 }),
    ...many(n % 5 === 0 ? 70 : n % 4, { tenant, state: 'queued', runInS: 900 }),
    ...many(n % 6 === 1 ? 60 : 0, { tenant, state: 'queued', ageS: 4000 }),
    ...many(n % 8 === 2 ? 3 : 0, { tenant, state: 'queued', ageS: 10, runInS: -7000 }),
    ...many(n % 4 === 3 ? 50 : 0, { tenant, state: 'retry', ageS: 900, runInS: -100 }),
    ...many(n % 2, { tenant, state: 'later', runInS: 100 }),
    ...many(n % 9 === 0 ? 45 : n % 3, {
      tenant,
      state: 'busy',
      startedAgoS: 50 + n,
      beatAgoS: n % 5 === 0 ? 3000 : 1,
      worker: `w${n}`,
    }),
    ...many(n % 10 === 0 ? 55 : 1, { tenant, state: 'failed' }),
  ];
}).flat();
