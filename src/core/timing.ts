// One finished attempt as a worker's log tells it.
import { z } from 'zod';

/** A `[TIMING]` record. Durations in ms; times are epoch ms of the worker's clock. */
export const timingRecordSchema = z.object({
  tenantId: z.string(),
  jobId: z.string().nullable(),
  /** Recipient domain, job kind: whatever the system adds to tell jobs apart. */
  kind: z.string().nullable(),
  startedAtMs: z.number().nullable(),
  totalMs: z.number().nonnegative(),
  /** Named parts of the run, in the order of the log, without `total`. */
  stages: z.record(z.string(), z.number().nonnegative()),
  status: z.enum(['success', 'error']),
  error: z.string().nullable(),
  sizeBytes: z.number().nonnegative().nullable(),
});
export type TimingRecord = z.infer<typeof timingRecordSchema>;

/** Percentiles of one stage over a window. Under 20 observations `raw` holds the values and p* are null. */
export const stageStatsSchema = z.object({
  stage: z.string(),
  count: z.int().nonnegative(),
  p50Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
  maxMs: z.number().nullable(),
  rawMs: z.array(z.number()).nullable(),
});
export type StageStats = z.infer<typeof stageStatsSchema>;
