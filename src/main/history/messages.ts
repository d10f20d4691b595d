// What goes between the main side of the history and its worker thread. Parsed where it arrives.
import { z } from 'zod';
import { alertEventSchema, alertSchema } from '../../core/alert.ts';
import { timingRecordSchema } from '../../core/timing.ts';
import { wireErrorSchema } from '../../contract/errors.ts';
import { historyQuerySchema } from '../../contract/history.ts';
import { timingAnalysisQuerySchema } from '../../contract/log-search.ts';

const count = z.number().nonnegative();
const sampleRowSchema = z.object({
  tenantId: z.string(),
  lagMs: count.nullable(),
  ready: count,
  delayed: count,
  running: count,
  stale: count,
  arrivals: count.nullable(),
  attempts: count.nullable(),
});
const connectionId = z.string();
const atMs = z.number();

/** One thing to keep. */
const entrySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('samples'), connectionId, atMs, rows: z.array(sampleRowSchema) }),
  z.object({ kind: z.literal('timings'), connectionId, atMs, records: z.array(timingRecordSchema) }),
  z.object({ kind: z.literal('open-gap'), connectionId, atMs, reason: z.string() }),
  z.object({ kind: z.literal('close-gap'), connectionId, atMs }),
  z.object({ kind: z.literal('alert-events'), events: z.array(alertEventSchema) }),
  z.object({ kind: z.literal('alerts'), alerts: z.array(alertSchema) }),
]);
export type Entry = z.infer<typeof entrySchema>;

/** What every message to the worker has, so that one that is wrong can be answered too. */
export const envelopeSchema = z.object({ id: z.int(), nowMs: z.number() });

/** To the worker. Every message is answered under its id; the worker has no clock, so each brings the time. */
export const requestSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('keep'), id: z.int(), nowMs: z.number(), entries: z.array(entrySchema) }),
  z.object({ t: z.literal('query'), id: z.int(), nowMs: z.number(), query: historyQuerySchema }),
  z.object({
    t: z.literal('timing-analysis'),
    id: z.int(),
    nowMs: z.number(),
    query: timingAnalysisQuerySchema,
  }),
  z.object({ t: z.literal('load-alerts'), id: z.int(), nowMs: z.number() }),
  /** Writes what is held in memory. */
  z.object({ t: z.literal('write'), id: z.int(), nowMs: z.number() }),
  /** Writes, then rolls up and lets go: one slice, or all there is. */
  z.object({ t: z.literal('maintain'), id: z.int(), nowMs: z.number(), all: z.boolean() }),
  /** Writes and closes the file. */
  z.object({ t: z.literal('stop'), id: z.int(), nowMs: z.number() }),
]);
export type Request = z.infer<typeof requestSchema>;

/** From the worker. */
export const answerSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('ready') }),
  z.object({ t: z.literal('cannot-open'), error: wireErrorSchema }),
  /** The file could not be used and was kept under another name. */
  z.object({ t: z.literal('set-aside'), path: z.string(), reason: z.string() }),
  z.object({ t: z.literal('done'), id: z.int(), result: z.unknown() }),
  z.object({ t: z.literal('failed'), id: z.int(), error: wireErrorSchema }),
]);
export type Answer = z.infer<typeof answerSchema>;

/** Results of `keep`, `maintain` and `load-alerts`. */
export const keptSchema = z.object({ dropped: z.int() });
export const maintainedSchema = z.object({ more: z.boolean() });
export const savedAlertsSchema = z.object({
  alerts: z.array(alertSchema),
  events: z.array(alertEventSchema),
});

/** What the worker is started with. */
export const workerDataSchema = z.object({
  file: z.string(),
  budgetBytes: z.number(),
  nowMs: z.number(),
  /** Why nothing was kept since the last run's end, as the gap says it. */
  pause: z.string(),
  /** Whether gaps that the last run left open have ended with it. */
  endGaps: z.boolean(),
});
export type WorkerData = z.infer<typeof workerDataSchema>;
