// What the reader of whole logs and its threads say to each other.
import { z } from 'zod';
import type { EncodedReport } from '../../core/timing-report.ts';

/** The lines that begin in [`from`, `to`) bytes of a file. */
export const timingRangeSchema = z.object({
  path: z.string(),
  from: z.int().nonnegative(),
  to: z.int().nonnegative(),
});
export type TimingRange = z.infer<typeof timingRangeSchema>;

export const timingThreadDataSchema = z.object({ groupBy: z.string().nullable() });
export type TimingThreadData = z.infer<typeof timingThreadDataSchema>;

/** null: there are no more, hand over the report. */
export const toTimingThreadSchema = timingRangeSchema.nullable();

/** Our own thread's answer: one range was read, or all of them. */
export type FromTimingThread =
  { t: 'ready' } | { t: 'report'; report: EncodedReport } | { t: 'failed'; path: string; message: string };
