// How the database beside the queue is doing, and which index it lacks. Read on demand and now and then, never with every poll.
import { z } from 'zod';

const count = z.int().nonnegative();
const ms = z.number().nonnegative();

/** A statement under way; the text is cut to 500 characters and its literals are blacked out. */
export const runningStatementSchema = z.object({
  /** The server's number of the session: pid or thread id. */
  sessionId: z.string(),
  user: z.string().nullable(),
  client: z.string().nullable(),
  application: z.string().nullable(),
  /** "active", "idle in transaction", "Sleep". */
  state: z.string(),
  /** Of the statement, or of the transaction where it is idle. */
  forMs: ms,
  text: z.string(),
});
export type RunningStatement = z.infer<typeof runningStatementSchema>;

export const databaseHealthSchema = z.object({
  /** Epoch ms, local clock. */
  atMs: z.number(),
  /** "PostgreSQL 15.18" */
  server: z.string(),
  /** `reserved`: of `max`, those that only administrators may have. */
  connections: z.object({ used: count, max: count, reserved: count.optional() }).nullable(),
  /** Of reads served from memory since the counters began, 0 to 1. */
  cacheHitRatio: z.number().min(0).max(1).nullable(),
  /** Who waits for whom; a blocker may wait itself. */
  lockWaits: z.array(
    z.object({
      waiting: runningStatementSchema,
      blockedBy: z.array(runningStatementSchema),
      on: z.string().nullable(),
    }),
  ),
  /** Statements on the queue's tables that run for over a second, longest first. */
  slow: z.array(runningStatementSchema),
  /** Rows that are dead but still lie in the way; PostgreSQL. */
  deadRows: z
    .array(z.object({ table: z.string(), live: count, dead: count, lastVacuumAtMs: z.number().nullable() }))
    .nullable(),
  /** The oldest snapshot, which keeps vacuum from removing what is newer; PostgreSQL. `heldBy`: what holds it, in words. */
  horizon: z.object({ transactions: count, heldBy: z.string(), heldForMs: ms.nullable() }).nullable(),
  /** Changes that InnoDB must keep for old snapshots. */
  historyListLength: count.nullable(),
  replicas: z.array(z.object({ name: z.string(), state: z.string(), lagMs: ms.nullable() })).nullable(),
  /** What could not be read, and the grant that would show it. */
  notes: z.array(z.string()),
  /** What is wrong by these figures, worst first, each with what to do. */
  findings: z.array(z.object({ severity: z.enum(['warning', 'critical']), text: z.string() })),
  costMs: ms,
});
export type DatabaseHealth = z.infer<typeof databaseHealthSchema>;

/** An index that is not there and would help. Headway never creates one. */
export const missingIndexSchema = z.object({
  table: z.string(),
  /** The statement that makes it, without blocking writes where the server can. */
  ddl: z.string(),
  /** Which statement suffers and how, in a sentence. */
  why: z.string(),
  /** Rows that the statement reads now and would read with it, by the optimiser's estimate; null where it does not tell. */
  rowsNow: count.nullable(),
  rowsThen: count.nullable(),
  /** About how large it would be, bytes; null where it cannot be told. */
  sizeBytes: count.nullable(),
  /** What it costs: each write to the table, and the time to build. */
  cost: z.string(),
});
export type MissingIndex = z.infer<typeof missingIndexSchema>;

export const indexAdviceSchema = z.object({
  missing: z.array(missingIndexSchema),
  /** Every statement that was looked at: the system's own claim and Headway's reads. */
  examined: z.array(
    z.object({
      name: z.string(),
      sql: z.string(),
      /** The server's plan as text; null where it refused, with why in `problem`. */
      plan: z.string().nullable(),
      /** Rows the plan expects to read; null where it does not tell. */
      rows: count.nullable(),
      problem: z.string().nullable(),
    }),
  ),
});
export type IndexAdvice = z.infer<typeof indexAdviceSchema>;
