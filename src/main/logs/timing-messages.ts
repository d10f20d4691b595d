// What the reader of whole logs and its threads say to each other. Types alone: both ends are ours and of one build, and a thread that
// loads no schema library begins to read that much earlier.
import type { EncodedReport } from '../../core/timing-report.ts';

/** The lines that begin in [`from`, `to`) bytes of a file. */
export interface TimingRange {
  path: string;
  from: number;
  to: number;
}

export interface TimingThreadData {
  groupBy: string | null;
}

/** null: there are no more ranges, hand over the report. */
export type ToTimingThread = TimingRange | null;

/** One range was read, or all of them. */
export type FromTimingThread =
  { t: 'ready' } | { t: 'report'; report: EncodedReport } | { t: 'failed'; path: string; message: string };
