// Log lines as the window shows them. Gaps, drops and reconnects are lines of their own.
import { z } from 'zod';
import { timingRecordSchema } from '../core/timing.ts';

export const logLevelSchema = z.enum(['debug', 'info', 'warn', 'error']);
export type LogLevel = z.infer<typeof logLevelSchema>;

export const logLineSchema = z.object({
  /** Grows by one per line of a connection; orders lines and keys them. */
  seq: z.int().nonnegative(),
  /** When the line was read, local clock. */
  readAtMs: z.number(),
  /** The line's own time, epoch ms; null when it has none. */
  atMs: z.number().nullable(),
  /** Label of the log input it came from. */
  source: z.string(),
  kind: z.enum(['line', 'gap', 'reconnect', 'drop', 'note']),
  level: logLevelSchema.nullable(),
  /** Without terminal escapes and control characters; cut at 16 kB. */
  text: z.string(),
  timing: timingRecordSchema.nullable(),
});
export type LogLine = z.infer<typeof logLineSchema>;

export const logStatsSchema = z.object({
  linesPerS: z.number(),
  /** Lines since start. */
  total: z.int(),
  /** Lines that left the ring before this window saw them. */
  dropped: z.int(),
  /** TIMING lines that could not be understood. */
  malformed: z.int(),
});
export type LogStats = z.infer<typeof logStatsSchema>;

export const logTailSchema = z.object({ lines: z.array(logLineSchema), stats: logStatsSchema });
export type LogTail = z.infer<typeof logTailSchema>;
