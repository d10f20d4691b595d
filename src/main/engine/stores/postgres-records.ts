// Rows of PostgreSQL as the engine's words. A bigint travels as text: pg would not make a number of it by itself.
import { z } from 'zod';
import { exact } from '../../../core/count.ts';
import { errorClassSchema } from '../../../core/error-class.ts';
import type { FailedAttempt, JobRecord, TenantDepth } from '../job.ts';
import type { DeadGroup, Hold } from './store.ts';

/** Ids and times stay far below 2^53. */
const big = z.string().transform(Number);
const failedAttempts = z
  .array(z.string())
  .nullable()
  // Written by this store from a FailedAttempt.
  .transform((texts) => (texts ?? []).map((text) => JSON.parse(text) as FailedAttempt));

export const idRow = z.object({ id: big });
export const stateRow = z.object({
  id: big,
  state: z.enum(['ready', 'delayed', 'waiting', 'blocked', 'running', 'dead']),
});
export const keyRow = z.object({ key: z.string(), id: big });

export const jobRow = z
  .object({
    id: big,
    state: stateRow.shape.state,
    tenant_id: z.string(),
    kind: z.string(),
    priority: z.int(),
    batch_id: z.string().nullable(),
    attempts: z.int(),
    max_attempts: z.int(),
    created_at: big,
    ready_at: big,
    failed: failedAttempts,
    claimed_at: big.nullable(),
    owner: z.string().nullable(),
    payload_bytes: z.int(),
    waits_for: z.array(big),
  })
  .transform((row): JobRecord => ({
    id: row.id,
    tenantId: row.tenant_id,
    kind: row.kind,
    state: row.state,
    priority: row.priority,
    batchId: row.batch_id,
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    createdAtMs: row.created_at,
    readyAtMs: row.ready_at,
    claimedAtMs: row.claimed_at,
    owner: row.owner,
    payloadBytes: row.payload_bytes,
    waitsFor: row.waits_for,
    failedAttempts: row.failed,
  }));

export const depthRow = z
  .object({
    id: z.string(),
    ready: big,
    delayed: big,
    running: big,
    waiting: big,
    blocked: big,
    dead: big,
    arrivals: big,
    attempts: big,
    started_at: big.nullable(),
    oldest_running_at: big.nullable(),
    oldest_id: big.nullable(),
    oldest_ready_at: big.nullable(),
    oldest_created_at: big.nullable(),
  })
  .transform((row): Omit<TenantDepth, 'frontIds'> => ({
    tenantId: row.id,
    ready: exact(row.ready),
    delayed: exact(row.delayed),
    running: exact(row.running),
    waiting: exact(row.waiting),
    blocked: exact(row.blocked),
    dead: exact(row.dead),
    oldestReady:
      row.oldest_id === null || row.oldest_ready_at === null || row.oldest_created_at === null
        ? null
        : { id: row.oldest_id, readyAtMs: row.oldest_ready_at, createdAtMs: row.oldest_created_at },
    oldestRunningAtMs: row.oldest_running_at,
    lastStartedAtMs: row.started_at,
    arrivalsTotal: row.arrivals,
    attemptsTotal: row.attempts,
  }));
export const frontRow = z.object({ id: big, tenant_id: z.string() });

export const holdRow = z
  .object({
    tenant_id: z.string().nullable(),
    kind: z.string().nullable(),
    mode: z.enum(['pause', 'drain']),
    by: z.string(),
    reason: z.string(),
    since: big,
  })
  .transform((row): Hold => ({
    tenantId: row.tenant_id,
    kind: row.kind,
    mode: row.mode,
    by: row.by,
    reason: row.reason,
    sinceMs: row.since,
  }));

const failureSchema = z.object({ failure: z.object({ class: errorClassSchema, message: z.string() }) });
export const deadGroupRow = z
  .object({ kind: z.string(), cause: z.string(), count: big, last_at: big, example: z.string() })
  .transform((row): DeadGroup => {
    const { failure } = failureSchema.parse(JSON.parse(row.example));
    return {
      kind: row.kind,
      cause: z.string().parse(JSON.parse(row.cause)),
      class: failure.class,
      count: row.count,
      lastAtMs: row.last_at,
      example: failure.message,
    };
  });

export const ownerRow = z
  .object({ id: z.string(), beat_at: big, report: z.string() })
  .transform((row) => ({ id: row.id, beatAtMs: row.beat_at, report: row.report }));

export const openClaimRow = z.object({ owner: z.string(), lease: big, place: z.int(), id: big });
export const lostClaimRow = openClaimRow.extend({
  claimed_at: big,
  attempts: z.int(),
  max_attempts: z.int(),
  ready_at: big,
});
export const childRow = z.object({
  id: big,
  wish: z.enum(['block', 'cancel', 'release']),
  attempts: z.int(),
  parent: big,
});
export const culpritRow = z.object({ job_id: big, ancestor_id: big });
