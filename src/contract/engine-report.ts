// What an engine says of itself: to its store with every beat, to the window each second, to /metrics on demand.
// Durations in ms, times epoch ms of the store's clock, rates over the last minute.
import { z } from 'zod';
import { countSchema } from '../core/count.ts';
import { errorClassSchema } from '../core/error-class.ts';
import { claimOrderSchema } from './job-kinds.ts';

const total = z.int().nonnegative();
const ms = z.number().nonnegative();

/** Under 20 observations the percentiles are null. */
const percentilesSchema = z.object({
  count: total,
  p50Ms: ms.nullable(),
  p95Ms: ms.nullable(),
  p99Ms: ms.nullable(),
  maxMs: ms.nullable(),
});
export type Percentiles = z.infer<typeof percentilesSchema>;

/** One place in which a job can run. */
export const workerReportSchema = z.object({
  id: z.int().nonnegative(),
  state: z.enum(['idle', 'busy', 'recycling', 'restarting']),
  /** How the present or last job ran: in the engine itself, a worker thread, a process of its own, over HTTP. */
  runsIn: z.enum(['engine', 'thread', 'process', 'http']).nullable(),
  job: z
    .object({
      id: z.int(),
      kind: z.string(),
      tenantId: z.string(),
      attempt: z.int(),
      startedAtMs: z.number(),
      /** What the handler says of its progress, from 0 to 1. */
      progress: z.number().min(0).max(1).nullable(),
      note: z.string().nullable(),
      pid: z.int().nullable(),
    })
    .nullable(),
  /** Of the thread's heap or of the process tree; null where it has neither. */
  memoryBytes: total.nullable(),
  memoryLimitBytes: total.nullable(),
  /** Event-loop delay p99 of a thread. */
  loopDelayMs: ms.nullable(),
  restarts: total,
  jobs: total,
  errors: total,
});
export type WorkerReport = z.infer<typeof workerReportSchema>;

const markSchema = <T extends z.ZodType>(value: T) => z.object({ atMs: z.number(), value });

export const breakerReportSchema = z.object({
  dependency: z.string(),
  state: z.enum(['closed', 'open', 'half-open']),
  sinceMs: z.number(),
  /** Of the calls in its window; null under its minimum of calls. */
  failureRatio: z.number().nullable(),
  /** When an open one tries again. */
  nextTryAtMs: z.number().nullable(),
  /** Its changes, oldest first, at most 50. */
  history: z.array(markSchema(z.enum(['closed', 'open', 'half-open']))),
});
export type BreakerReport = z.infer<typeof breakerReportSchema>;

export const kindReportSchema = z.object({
  kind: z.string(),
  running: total,
  /** At once, now: the least of what concurrency, throttle and breaker allow; null without a limit. */
  limit: total.nullable(),
  /** Why it starts nothing now, in words; null while it may. */
  heldBy: z.string().nullable(),
  finishedPerMinute: z.number().nonnegative(),
  failedPerMinute: z.number().nonnegative(),
  /** Of the attempts of the last hour; null under 10. */
  failureRatio: z.number().nullable(),
  wait: percentilesSchema,
  run: percentilesSchema,
  errors: z.partialRecord(errorClassSchema, total),
  breaker: z.string().nullable(),
  throttle: z
    .object({ limit: total, minimum: total, maximum: total, history: z.array(markSchema(total)) })
    .nullable(),
  rate: z.object({ starts: total, perSeconds: z.number(), nextStartAtMs: z.number().nullable() }).nullable(),
});
export type KindReport = z.infer<typeof kindReportSchema>;

export const engineReportSchema = z.object({
  owner: z.string(),
  host: z.string(),
  pid: z.int(),
  version: z.string(),
  startedAtMs: z.number(),
  atMs: z.number(),
  state: z.enum(['working', 'stopping']),
  order: claimOrderSchema,
  workersWanted: total,
  workers: z.array(workerReportSchema),
  restarts: total,
  /** Claimed and not started. */
  buffered: total,
  finishedPerS: z.number().nonnegative(),
  finishedTotal: total,
  failedTotal: total,
  kinds: z.array(kindReportSchema),
  breakers: z.array(breakerReportSchema),
  memory: z.object({
    rssBytes: total,
    limitBytes: total,
    /** At 75, 80 and 90 % of the limit. */
    pressure: z.enum(['normal', 'claim-less', 'recycle', 'stop-claiming']),
  }),
  loopDelay: z.object({ p50Ms: ms, p99Ms: ms, maxMs: ms }),
  /** Connections to a database store; null where there is none. */
  pool: z.object({ used: total, size: total, waiting: total }).nullable(),
  /** Jain's index of jobs over workers: 1 = all did the same; null under 10 jobs. */
  balance: z.number().nullable(),
});
export type EngineReport = z.infer<typeof engineReportSchema>;

/** A report as a store keeps it; null for one that another version wrote in other words. */
export function readEngineReport(text: string): EngineReport | null {
  try {
    return engineReportSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

export const holdSchema = z.object({
  tenantId: z.string().nullable(),
  kind: z.string().nullable(),
  mode: z.enum(['pause', 'drain']),
  by: z.string(),
  reason: z.string(),
  sinceMs: z.number(),
});
export type Hold = z.infer<typeof holdSchema>;

export const failedAttemptSchema = z.object({
  attempt: z.int(),
  owner: z.string(),
  startedAtMs: z.number(),
  waitMs: ms,
  runMs: ms,
  stages: z.record(z.string(), ms),
  failure: z.object({
    class: errorClassSchema,
    message: z.string(),
    cause: z.string(),
    stderrTail: z.string().nullable(),
  }),
});

export const jobRecordSchema = z.object({
  id: z.int(),
  tenantId: z.string(),
  kind: z.string(),
  state: z.enum(['ready', 'delayed', 'waiting', 'blocked', 'running', 'dead']),
  priority: z.int(),
  batchId: z.string().nullable(),
  attempts: total,
  maxAttempts: total,
  createdAtMs: z.number(),
  readyAtMs: z.number(),
  claimedAtMs: z.number().nullable(),
  owner: z.string().nullable(),
  payloadBytes: total,
  waitsFor: z.array(z.int()),
  failedAttempts: z.array(failedAttemptSchema),
});

export const deadGroupSchema = z.object({
  kind: z.string(),
  cause: z.string(),
  class: errorClassSchema,
  count: total,
  lastAtMs: z.number(),
  example: z.string(),
});

export const jobFilterSchema = z.strictObject({
  tenantId: z.string().optional(),
  kind: z.string().optional(),
  cause: z.string().optional(),
  ids: z.array(z.int()).max(1000).optional(),
});

/** A long operation over many jobs; it runs as a job of the engine itself. */
export const bulkSchema = z.object({
  jobId: z.int(),
  what: z.enum(['requeue', 'discard', 'release', 'cancel']),
  filter: jobFilterSchema,
  state: z.enum(['waiting', 'running', 'stopped', 'done', 'failed']),
  /** Jobs changed so far. */
  changed: total,
  startedAtMs: z.number(),
  error: z.string().nullable(),
});
export type Bulk = z.infer<typeof bulkSchema>;

/** An attempt that ended lately, good or bad. */
export const recentAttemptSchema = z.object({
  jobId: z.int(),
  kind: z.string(),
  tenantId: z.string(),
  attempt: z.int(),
  startedAtMs: z.number(),
  waitMs: ms,
  runMs: ms,
  stages: z.record(z.string(), ms),
  error: z.string().nullable(),
});
export type RecentAttempt = z.infer<typeof recentAttemptSchema>;

/** The window's view of one engine connection: every engine that works on its store, and what is stored. */
export const engineViewSchema = z.object({
  asOfMs: z.number(),
  /** What this connection's jobs are kept in. */
  store: z.string(),
  /** Whether this application may change anything: "local" runs here, "database" is another machine's. */
  place: z.enum(['local', 'database']),
  /** Engines with the age of their last word, ms. */
  engines: z.array(z.object({ report: engineReportSchema, beatAgeMs: ms })),
  holds: z.array(holdSchema),
  totals: z.object({
    ready: countSchema,
    delayed: countSchema,
    running: countSchema,
    waiting: countSchema,
    blocked: countSchema,
    dead: countSchema,
  }),
  deadGroups: z.array(deadGroupSchema),
  bulks: z.array(bulkSchema),
  /** Newest first, at most 100; empty for a database. */
  recent: z.array(recentAttemptSchema),
  /** Why it could not be read just now; the rest is then the last known. */
  problem: z.string().nullable(),
});
export type EngineView = z.infer<typeof engineViewSchema>;
