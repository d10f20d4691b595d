// Time series for charts: buckets of equal length, gaps as gaps.
import { z } from 'zod';
import { severitySchema } from '../core/alert.ts';

export const historyQuerySchema = z.object({
  connectionId: z.string(),
  tenantId: z.string(),
  fromMs: z.number(),
  toMs: z.number(),
  /** The answer has at most this many buckets. */
  maxPoints: z.int().min(10).max(2000).default(300),
});
export type HistoryQuery = z.infer<typeof historyQuerySchema>;

/** One bucket; `tMs` is its start. Values are null where nothing was measured. Counts are the last seen. */
export const historyPointSchema = z.object({
  tMs: z.number(),
  lagMaxMs: z.number().nullable(),
  ready: z.number().nullable(),
  delayed: z.number().nullable(),
  running: z.number().nullable(),
  stale: z.number().nullable(),
  arrivals: z.number().nullable(),
  attempts: z.number().nullable(),
  /** Attempts with timing in the log, and how many of them failed. */
  finished: z.int(),
  failed: z.int(),
  waitP95Ms: z.number().nullable(),
  runP50Ms: z.number().nullable(),
  runP95Ms: z.number().nullable(),
  runP99Ms: z.number().nullable(),
  /** p95 per stage, in ms. */
  stagesP95Ms: z.record(z.string(), z.number()),
});
export type HistoryPoint = z.infer<typeof historyPointSchema>;

/** A moment worth a mark on the time axis: an alert, a gap's edge, an operation. */
export const historyMarkSchema = z.object({
  atMs: z.number(),
  kind: z.enum(['alert', 'gap', 'operation', 'note']),
  severity: severitySchema.nullable(),
  text: z.string(),
});
export type HistoryMark = z.infer<typeof historyMarkSchema>;

export const historySchema = z.object({
  bucketMs: z.number(),
  points: z.array(historyPointSchema),
  gaps: z.array(z.object({ fromMs: z.number(), toMs: z.number().nullable(), reason: z.string() })),
  marks: z.array(historyMarkSchema),
});
export type History = z.infer<typeof historySchema>;
