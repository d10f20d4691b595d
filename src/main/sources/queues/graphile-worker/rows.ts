// The shapes of the rows that the statements of sql.ts yield, parsed where they arrive.
import { z } from 'zod';

export const relationRow = z.object({
  name: z.string(),
  hidden: z.boolean(),
  readable: z.boolean(),
  columns: z.array(z.string()),
});
export type RelationRow = z.infer<typeof relationRow>;

export const indexRow = z.object({
  first: z.string(),
  second: z.string().nullable(),
  condition: z.string().nullable(),
});
export type IndexRow = z.infer<typeof indexRow>;

export const versionRow = z.object({ version: z.number().nullable() });

export const taskRow = z.object({ identifier: z.string() });

export const extentRow = z.object({ priorities: z.array(z.number()), pages: z.number(), tasks: z.number() });

const job = {
  task_id: z.number(),
  id: z.number(),
  priority: z.number(),
  run_at_ms: z.number(),
  created_at_ms: z.number(),
  /** Its named queue is locked, or gone. */
  blocked: z.boolean(),
};

/** One row of a poll. Times are epoch ms of the database's clock. */
export const pollRow = z.discriminatedUnion('part', [
  z.object({ part: z.literal('clock'), at_ms: z.number() }),
  z.object({ part: z.literal('task'), task_id: z.number(), text: z.string() }),
  /** A job that is due, met on the walk in claim order. */
  z.object({ part: z.literal('walked'), ...job }),
  /** A job that is due, of its task's head. */
  z.object({ part: z.literal('head'), ...job }),
  /** Jobs of one task (and one priority) that are not due yet. Counts arrive as float8. */
  z.object({
    part: z.literal('later'),
    task_id: z.number(),
    priority: z.number().nullable(),
    count: z.number(),
  }),
  /** A job that nobody may claim: locked since `at_ms` by `text`, or dead where that is null. */
  z.object({
    part: z.literal('unavailable'),
    task_id: z.number(),
    at_ms: z.number().nullable(),
    text: z.string().nullable(),
  }),
]);
export type PollRow = z.infer<typeof pollRow>;
export type PollRowOf<P extends PollRow['part']> = Extract<PollRow, { part: P }>;

export const functionRow = z.object({ name: z.string() });
export const writableRow = z.object({ writable: z.boolean() });
export const taskIdRow = z.object({ id: z.int() });

/** A job as the lists and the detail read it. Null times are infinite, or not there. */
export const jobRow = z.object({
  id: z.string(),
  task: z.string().nullable(),
  queue_name: z.string().nullable(),
  priority: z.int(),
  attempts: z.int(),
  max_attempts: z.int(),
  is_available: z.boolean(),
  is_due: z.boolean(),
  is_held: z.boolean(),
  created_at_ms: z.number().nullable(),
  ready_at_ms: z.number().nullable(),
  locked_at_ms: z.number().nullable(),
  failed_at_ms: z.number().nullable(),
  locked_by: z.string().nullable(),
  is_stale: z.boolean().nullable(),
  error: z.string().nullable(),
  /** As text, with their microseconds. */
  run_at: z.string(),
  locked_at: z.string().nullable(),
  failed_at: z.string(),
});
export type JobRow = z.infer<typeof jobRow>;
export const detailRow = z.object({
  ...jobRow.shape,
  fields: z.array(z.string().nullable()),
  payload: z.string().nullable(),
});
