// The shapes of the rows that the statements of sql.ts yield, parsed where they arrive.
import { z } from 'zod';

const count = z.int().nonnegative();
/** Epoch ms of the database's clock. */
const time = z.number();

export const columnRow = z.object({ table_name: z.string(), column_name: z.string(), readable: z.boolean() });
export const versionRow = z.object({ version: z.int().nullable() });
export const tableRow = z.object({ table_name: z.string() });
export const nameRow = z.object({ name: z.string() });
export const clockRow = z.object({ now: time });

/** The counts are pg-boss's own, at most an hour old; null where it did not count. */
export const queueRow = z.object({
  name: z.string(),
  jobs_table: z.string(),
  read_table: z.string(),
  ready_count: count.nullable(),
  active_count: count.nullable(),
  failed_count: count.nullable(),
  waiting: z.enum(['claim', 'due', 'none']),
  running: z.enum(['index', 'scan', 'none']),
  /** A large table that was never analysed: the planner takes it for a small one. */
  unanalysed: z.boolean(),
  /** Whether the whole table may be read when a person asks. */
  bearable: z.boolean(),
  /** Indexes: of claims, of waiting jobs by due time, of running ones by start, of failed ones by their end. */
  by_claim: z.boolean(),
  by_due: z.boolean(),
  by_start: z.boolean(),
  by_failure: z.boolean(),
});
export type QueueRow = z.infer<typeof queueRow>;

/** What was seen of a queue's waiting jobs: of its first ones, of the first of one priority, or of the newest of one. */
export const waitingRow = z.object({
  name: z.string(),
  part: z.enum(['head', 'level', 'tail']),
  entries: count,
  /** Whether the entries are all there are. */
  complete: z.boolean(),
  ready: count,
  /** When the oldest ready one of them became ready, and was created. */
  ready_at: time.nullable(),
  created_at: time.nullable(),
  /** Whether nothing after the entries can have been ready for longer. */
  settled: z.boolean(),
});
export type WaitingRow = z.infer<typeof waitingRow>;

export const runningRow = z.object({
  name: z.string(),
  running: count,
  stale: count,
  failed: count.nullable(),
  oldest_at: time.nullable(),
  newest_at: time.nullable(),
  seen_at: time.nullable(),
});
export type RunningRow = z.infer<typeof runningRow>;
