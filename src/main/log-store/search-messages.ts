// What a search and its threads say to each other. Types alone: both ends are ours and of one build.
import type { LogContext, StoredLine, TimingSizes } from '../../contract/log-search.ts';
import type { WireError } from '../../contract/headway-error.ts';
import type { ScanRange } from './block-scan.ts';
import type { SegmentInfo } from './segment.ts';

/** Where the lines of a connection are. */
export interface Place {
  folder: string;
  sources: readonly string[];
}

export interface Buckets {
  fromMs: number;
  bucketMs: number;
  count: number;
}

export interface SegmentSearch extends ScanRange {
  t: 'search';
  place: Place;
  segment: SegmentInfo;
  filter: string;
  names: readonly [tenantId: string, name: string][];
  order: 'newest' | 'oldest';
  /** Lines that are sent. */
  limit: number;
  buckets: Buckets | null;
}

export interface ContextLook {
  t: 'context';
  place: Place;
  /** Oldest first. */
  segments: readonly SegmentInfo[];
  segment: number;
  offset: number;
  before: number;
  after: number;
}

export interface SizesLook extends ScanRange {
  t: 'sizes';
  place: Place;
  /** Oldest first. */
  segments: readonly SegmentInfo[];
  tenantId: string | null;
  stage: string;
}

export type Task = SegmentSearch | ContextLook | SizesLook;

/** A task for a thread; a thread has one at a time. `stop` is one word that becomes 1 when nobody waits any more. */
export interface ToSearchThread {
  task: Task;
  stop: SharedArrayBuffer;
}

/** Found in a segment since the last message. */
export interface Found {
  lines: StoredLine[];
  found: number;
  scannedBytes: number;
  /** By bucket; empty without any. */
  bucketLines: Uint32Array;
  bucketErrors: Uint32Array;
}

/** `result` is null for a search: it has told all. */
export type FromSearchThread =
  | { t: 'found'; found: Found }
  | { t: 'done'; result: LogContext | TimingSizes | null }
  | { t: 'failed'; error: WireError };
