// Stored log lines: what there is, what a search finds, and where the time went.
import { z } from 'zod';
import { stageStatsSchema } from '../core/timing.ts';
import { logLineSchema } from './logs.ts';

const count = z.int().nonnegative();

/** A line as the store keeps it: `at` is its place there, the same for ever; `seq` means nothing here. */
export const storedLineSchema = logLineSchema.omit({ seq: true }).extend({ at: z.string() });
export type StoredLine = z.infer<typeof storedLineSchema>;

export const storedLogsSchema = z.object({
  lines: count,
  bytes: count,
  limitBytes: count,
  /** When the oldest and newest lines were read, local clock; null without any. */
  fromMs: z.number().nullable(),
  toMs: z.number().nullable(),
  /** Lines that could not be stored: a full disk. */
  unstored: count,
  /** Why nothing is stored just now; null while it is. */
  problem: z.string().nullable(),
});
export type StoredLogs = z.infer<typeof storedLogsSchema>;

export const logSearchSchema = z.strictObject({
  connectionId: z.string(),
  /** The filter language of core/log-filter.ts. */
  filter: z.string().max(2_000),
  /** By the time when a line was read, local clock; null: from the first, to the last there is. */
  fromMs: z.number().nullable(),
  toMs: z.number().nullable(),
  /** Which end to begin at. */
  order: z.enum(['newest', 'oldest']).default('newest'),
  /** Found lines that are sent; all are counted. */
  limit: z.int().min(1).max(100_000).default(1_000),
  /** Bars of the histogram over the range. */
  buckets: z.int().min(0).max(500).default(120),
});
export type LogSearch = z.output<typeof logSearchSchema>;

export const searchProgressSchema = z.object({
  /** Found since the last word, in the order asked for. */
  lines: z.array(storedLineSchema),
  found: count,
  /** Whether more were found than are sent. */
  more: z.boolean(),
  scannedBytes: count,
  totalBytes: count,
  elapsedMs: z.number().nonnegative(),
  done: z.boolean(),
  /** Of all found so far: how many lines and how many of them errors; equal parts of the range from `fromMs`. */
  histogram: z
    .object({
      fromMs: z.number(),
      bucketMs: z.number().positive(),
      lines: z.array(count),
      errors: z.array(count),
    })
    .nullable(),
  /** Terms of the filter that were left out, and why. */
  problems: z.array(z.string()),
});
export type SearchProgress = z.infer<typeof searchProgressSchema>;

export const logContextSchema = z.object({
  /** In the order of the store; the one asked for among them. */
  lines: z.array(storedLineSchema),
  atStart: z.boolean(),
  atEnd: z.boolean(),
});
export type LogContext = z.infer<typeof logContextSchema>;

const range = z.strictObject({ fromMs: z.number(), toMs: z.number() });
export const timingAnalysisQuerySchema = z.strictObject({
  connectionId: z.string(),
  ...range.shape,
  /** Empty: all that finished anything. */
  tenantIds: z.array(z.string()).max(50).default([]),
  /** A second range to compare with; null for none. */
  against: range.nullable().default(null),
});
export type TimingAnalysisQuery = z.output<typeof timingAnalysisQuerySchema>;

const stagesOf = z.object({ finished: count, failed: count, stages: z.array(stageStatsSchema) });
export type StagesOf = z.infer<typeof stagesOf>;

/** All durations in ms; percentiles are of merged sketches. */
export const timingAnalysisSchema = z.object({
  bucketMs: z.number().positive(),
  /** The chosen tenants together, per bucket; p50 and p95 by stage, run and wait among them. */
  buckets: z.array(
    z.object({
      tMs: z.number(),
      finished: count,
      failed: count,
      p50Ms: z.record(z.string(), z.number()),
      p95Ms: z.record(z.string(), z.number()),
    }),
  ),
  /** Of each tenant over the whole range, most finished first, at most 200. */
  tenants: z.array(stagesOf.extend({ tenantId: z.string(), against: stagesOf.nullable() })),
  /** Finished attempts by tenant and bucket for the eight tenants with most, "" for the rest: is the order fair? */
  shares: z.array(z.object({ tenantId: z.string(), finished: z.array(count) })),
  /** The largest changes of a stage's p95 within the range, largest first, at most 20: before and after the moment that parts them most. */
  movers: z.array(
    z.object({
      tenantId: z.string(),
      stage: z.string(),
      fromMs: z.number(),
      toMs: z.number(),
      atMs: z.number(),
      finished: count,
    }),
  ),
});
export type TimingAnalysis = z.infer<typeof timingAnalysisSchema>;

export const timingSizesSchema = z.object({
  /** Records with both a size and the stage that were looked at; at most a million, the newest. */
  records: count,
  isWhole: z.boolean(),
  /** Log-spaced edges, one more than cells on that side. */
  sizeEdges: z.array(z.number()),
  msEdges: z.array(z.number()),
  /** Records by size cell, then by duration cell. */
  density: z.array(z.array(count)),
  /** ms = exp(intercept) × bytes^slope by least squares on logarithms; r² tells how much it explains. Null under 20 records. */
  fit: z.object({ slope: z.number(), intercept: z.number(), r2: z.number() }).nullable(),
  /** The slowest of the range, at most 50. */
  slowest: z.array(storedLineSchema),
});
export type TimingSizes = z.infer<typeof timingSizesSchema>;
