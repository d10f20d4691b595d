// Single jobs of a monitored queue, in the same words for every system. Times are epoch ms of the database's clock.
import { z } from 'zod';

/** The lists a person asks for. Each has one order: what has waited longest, run longest, or failed last comes first. */
export const jobListSchema = z.enum(['ready', 'delayed', 'running', 'held', 'blocked', 'dead']);
export type JobList = z.infer<typeof jobListSchema>;

const time = z.number().nullable();

export const queueJobSchema = z.object({
  /** As the system writes it; unique within the connection. */
  id: z.string(),
  tenantId: z.string(),
  /** What kind of work; null where the system knows no kinds. */
  kind: z.string().nullable(),
  state: z.enum(['ready', 'delayed', 'running', 'held', 'blocked', 'dead', 'done']),
  /** The state in the system's own word: "retryable", "queued". */
  stateWord: z.string(),
  createdAtMs: time,
  /** When it became, or will become, free to start. */
  readyAtMs: time,
  startedAtMs: time,
  finishedAtMs: time,
  attempts: z.int().nullable(),
  maxAttempts: z.int().nullable(),
  /** As the system writes it: in some a lower number comes first. */
  priority: z.number().nullable(),
  /** Who has claimed it, in the system's own words. */
  owner: z.string().nullable(),
  /** A running job whose lock is older than the system's own limit. */
  stale: z.boolean(),
  /** Of the last attempt, at most 2,000 characters. */
  error: z.string().nullable(),
});
export type QueueJob = z.infer<typeof queueJobSchema>;
/** What `error` is cut to. */
export const ERROR_CHARS = 2_000;

export const jobsQuerySchema = z.strictObject({
  list: jobListSchema,
  /** Null for all tenants, where the system's indexes allow it. */
  tenantId: z.string().nullable().default(null),
  /** The `next` of the page before; null for the first. */
  after: z.string().max(2_000).nullable().default(null),
  limit: z.int().min(1).max(500).default(100),
});
export type JobsQuery = z.output<typeof jobsQuerySchema>;

export const jobsPageSchema = z.object({
  jobs: z.array(queueJobSchema),
  /** Where the next page begins; null at the end. Means something to its own source only. */
  next: z.string().nullable(),
  /** What the list does not show and why ("Postal keeps no rows of dead mail"); null when it is whole. */
  note: z.string().nullable(),
});
export type JobsPage = z.infer<typeof jobsPageSchema>;

export const queueJobDetailSchema = z.object({
  job: queueJobSchema,
  /** The system's own columns, in its order, as text; without the payload. */
  fields: z.array(z.object({ name: z.string(), value: z.string().nullable() })),
  /** Redacted and shortened; null where it has none or may not be read. */
  payload: z.object({ text: z.string(), shortened: z.boolean() }).nullable(),
  /** Earlier attempts, where the system keeps them, newest first. */
  attempts: z.array(
    z.object({
      attempt: z.int().nullable(),
      atMs: time,
      error: z.string().nullable(),
      owner: z.string().nullable(),
    }),
  ),
});
export type QueueJobDetail = z.infer<typeof queueJobDetailSchema>;

/** A claim that stands: one job, its owner, and how long it may be kept. */
export const queueLockSchema = z.object({
  jobId: z.string(),
  tenantId: z.string(),
  owner: z.string().nullable(),
  lockedAtMs: time,
  /** When the system takes it back by itself; null when it never does. */
  expiresAtMs: time,
  /** The owner's last sign of life; null where it gives none. */
  beatAtMs: time,
  stale: z.boolean(),
});
export type QueueLock = z.infer<typeof queueLockSchema>;

export const locksPageSchema = z.object({
  /** Oldest first. */
  locks: z.array(queueLockSchema),
  /** How the system locks, and what becomes of a stale lock, in a sentence. */
  rule: z.string(),
  /** Whether there are more than were asked for. */
  more: z.boolean(),
});
export type LocksPage = z.infer<typeof locksPageSchema>;
export const locksQuerySchema = z.strictObject({
  tenantId: z.string().nullable().default(null),
  limit: z.int().min(1).max(500).default(100),
});
export type LocksQuery = z.output<typeof locksQuerySchema>;
