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

type DueNumbers = [
  ...[head: number, id: number, task_id: number, priority: number],
  ...[run_at_ms: number, created_at_ms: number, blocked: number],
];
/** Checked by hand: of thousands of jobs the general way takes several times as long. */
const dueNumbers = z.custom<DueNumbers[]>(
  (value) =>
    Array.isArray(value) &&
    value.every(
      (job: unknown) =>
        Array.isArray(job) && job.length === 7 && job.every((each) => typeof each === 'number'),
    ),
  'not a list of jobs',
);
/** Jobs that are due. Times are epoch ms of the database's clock. */
const dueJobs = dueNumbers.transform((jobs) =>
  jobs.map(([head, id, task_id, priority, run_at_ms, created_at_ms, blocked]) => ({
    /** Of its task's head, or else met on the walk in claim order. */
    isHead: head === 1,
    id,
    task_id,
    priority,
    run_at_ms,
    created_at_ms,
    /** Its named queue is locked, or gone. */
    blocked: blocked === 1,
  })),
);

/** One poll. */
export const pollRow = z.object({
  at_ms: z.number(),
  /** Identifiers by id. */
  tasks: z.array(z.tuple([z.number(), z.string()])),
  due: dueJobs,
  /** Jobs of one task (and one priority) that are not due yet. */
  later: z.array(
    z
      .tuple([z.number(), z.number().nullable(), z.number()])
      .transform(([task_id, priority, count]) => ({ task_id, priority, count })),
  ),
  /** Jobs that nobody may claim: locked since `at_ms` by `text`, or dead where that is null. */
  unavailable: z.array(
    z
      .tuple([z.number(), z.number().nullable(), z.string().nullable()])
      .transform(([task_id, at_ms, text]) => ({ task_id, at_ms, text })),
  ),
});
export type PollRow = z.infer<typeof pollRow>;

/** Counts of a task by a deeper look. */
export const deeperRow = z.object({ id: z.int(), seen: z.int(), ready: z.int(), later: z.int() });

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
