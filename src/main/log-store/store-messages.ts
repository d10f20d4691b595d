// What the main side of the log store and its writing thread say to each other. Types alone: both ends are ours and of one build.
import type { WireError } from '../../contract/headway-error.ts';
import type { Head } from './record.ts';
import type { SegmentInfo } from './segment.ts';

/** Lines of one connection, in order. */
export interface Batch {
  connectionId: string;
  /** Labels that the lines name by their place here; without line ends. */
  sources: string[];
  lines: (Head & { mayBeOld: boolean })[];
  /** Their texts, one a line: one string is cheaper to hand over than thousands. */
  text: string;
}

export interface WriterData {
  folder: string;
  budgetBytes: number;
  keepMs: number;
}

export type Request =
  | { t: 'append'; batches: Batch[] }
  | { t: 'look'; connectionId: string }
  | { t: 'remove'; connectionId: string }
  | { t: 'limits'; budgetBytes: number; keepMs: number }
  | { t: 'maintain' }
  | { t: 'stop' };
export type ToWriter = Request & { id: number; nowMs: number };

/** What there is of a connection. */
export interface Look {
  folder: string;
  segments: SegmentInfo[];
  sources: readonly string[];
  bytes: number;
  unstored: number;
}

export type FromWriter =
  | { t: 'done'; id: number; look: Look | null }
  | { t: 'failed'; id: number; error: WireError }
  /** Why nothing is stored just now; null when it is again. */
  | { t: 'problem'; text: string | null };
