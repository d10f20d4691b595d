// What a log tail hands over: batches of lines, and the states of its input. The seam between this room and
// the monitor, which turns lines into timing and hands them to the windows.
import type { LogHostState } from '../../contract/live.ts';
import type { LogLevel } from '../../contract/logs.ts';
import type { TimingRecord } from '../../core/timing.ts';

/** A parsed line, before the monitor gives it its place (`seq`) in the connection's stream. */
export interface ParsedLine {
  readAtMs: number;
  atMs: number | null;
  kind: 'line' | 'gap' | 'reconnect' | 'drop' | 'note';
  level: LogLevel | null;
  text: string;
  timing: TimingRecord | null;
  /** A `[TIMING]` tag stood in the line but no record could be read from it. */
  malformedTiming: boolean;
}

export interface LogListener {
  /** At most every 100 ms, in the order of the file. */
  lines(source: string, lines: ParsedLine[]): void;
  state(state: LogHostState): void;
  /** An input that had been found is there no more; its state counts no longer. */
  gone?(label: string): void;
}
