// The shapes of the rows that the statements yield, parsed where they arrive. Times are epoch ms; those of jobs were
// written by the clients' clocks.
import { z } from 'zod';

export const anyRow = z.unknown();
const count = z.int().nonnegative();
const time = z.number().nullable();

export const relationRow = z.object({
  name: z.string(),
  kind: z.string(),
  hidden: z.boolean(),
  readable: z.boolean(),
  writable: z.boolean(),
  columns: z.array(z.string()),
});
export type RelationRow = z.infer<typeof relationRow>;
export const indexRow = z.object({ columns: z.array(z.string()), condition: z.string().nullable() });
export type IndexRow = z.infer<typeof indexRow>;
export const functionRow = z.object({ name: z.string() });
export const versionRow = z.object({ version: z.int().nullable(), client: z.int().nullable() });
export const queueNameRow = z.object({ queue: z.string() });
export const clockRow = z.object({ now_ms: z.number() });

/** A queue with what is set for all its workers. Settings are text in the table. */
export const queueRow = z.object({
  queue: z.string(),
  paused: z.boolean(),
  concurrency: z.string().nullable(),
  max: z.string().nullable(),
  duration_ms: z.string().nullable(),
  /** Of the rate limit's window, which ends at `expire_at_ms`. */
  points: z.number().nullable(),
  expire_at_ms: time,
  /** Null also where the event is no longer among the newest. */
  paused_at_ms: time,
});
export type QueueRow = z.infer<typeof queueRow>;

/** What one look saw of a queue's jobs. What an index that was not looked at leads to is null. */
export const jobsRow = z.object({
  queue: z.string(),
  waiting: count.nullable(),
  ready_at_ms: time,
  created_at_ms: time,
  /** Priorities that were looked at one by one, for a queue with more waiting jobs than were read. */
  levels: count.nullable(),
  /** Whether no unseen job of them can be older. */
  settled: z.boolean().nullable(),
  level_ready_at_ms: time,
  level_created_at_ms: time,
  /** Delayed jobs that no worker has promoted yet. */
  due: count.nullable(),
  due_at_ms: time,
  due_created_at_ms: time,
  later: count.nullable(),
  active: count.nullable(),
  /** Of the active ones that were read, those whose lock ran out. */
  seen_stale: count.nullable(),
  newest_ms: time,
  oldest_ms: time,
  locked_until_ms: time,
  owners: z.array(z.string()).nullable(),
  stale: count.nullable(),
  failed: count.nullable(),
  finished_ms: time,
  blocked: count.nullable(),
});
export type JobsRow = z.infer<typeof jobsRow>;

/** What a sweep over all queues saw of one that has such jobs; `seen`: how many. */
const { active, seen_stale, newest_ms, oldest_ms, locked_until_ms, owners, stale } = jobsRow.shape;
const { due, due_at_ms, due_created_at_ms, later, blocked } = jobsRow.shape;
export const sweptRows = {
  active: z.object({
    ...{ queue: z.string(), seen: count, active, seen_stale, newest_ms, oldest_ms, locked_until_ms },
    ...{ owners, stale },
  }),
  delayed: z.object({ queue: z.string(), seen: count, due, due_at_ms, due_created_at_ms, later }),
  blocked: z.object({ queue: z.string(), seen: count, blocked }),
};
/** What is true of a queue that a sweep saw nothing of. */
export const sweptNothing = {
  active: { active: 0, seen_stale: 0, owners: [], stale: 0 },
  delayed: { due: 0, later: 0 },
  blocked: { blocked: 0 },
} as const satisfies Record<keyof typeof sweptRows, unknown>;

/** Counts of a queue by a deeper look. */
export const deeperRow = z.object({ queue: z.string(), waiting: count, later: count });

/** A job as the lists and the detail read it. */
export const jobRow = z.object({
  queue: z.string(),
  id: z.string(),
  seq: z.string(),
  name: z.string(),
  state: z.string(),
  priority: z.int(),
  added_at_ms: z.number(),
  process_at_ms: time,
  processed_at_ms: time,
  finished_at_ms: time,
  /** As far as the row tells; of waiting jobs. */
  ready_at_ms: time,
  attempts_made: z.int(),
  attempts_started: z.int(),
  max_attempts: z.int(),
  lock_token: z.string().nullable(),
  locked_until_ms: time,
  processed_by: z.string().nullable(),
  error: z.string().nullable(),
  now_ms: z.number(),
});
export type JobRow = z.infer<typeof jobRow>;

export const detailRow = z.object({
  ...jobRow.shape,
  fields: z.array(z.string().nullable()),
  payload: z.string(),
  /** Stack traces of failed attempts, oldest first. */
  traces: z.array(z.string()).nullable(),
});
