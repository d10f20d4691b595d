// The seam of the log store: lines go in as they are read, and are found again after the fact. On disk, bounded per connection.
import type {
  LogContext,
  LogSearch,
  SearchProgress,
  StoredLogs,
  TimingSizes,
} from '../../contract/log-search.ts';
import type { LogLine } from '../../contract/logs.ts';

export interface SizesQuery {
  connectionId: string;
  fromMs: number;
  toMs: number;
  tenantId: string | null;
  stage: string;
}

/** Calls reject with HeadwayError `storage-failed` when the disk cannot be read. */
export interface LogStore extends AsyncDisposable {
  /**
   * Returns at once; writes are batched off the main loop. What cannot be written is counted, never waited for. `mayBeOld`: a tail begins
   * with the last lines there are; those among them that are stored already (same source, own time and text) are not stored again.
   */
  append(connectionId: string, lines: readonly LogLine[], mayBeOld?: boolean): void;
  /** Waits until everything handed over so far can be found. */
  flush(): Promise<void>;
  stored(connectionId: string): Promise<StoredLogs>;
  /**
   * Calls `tell` about every 100 ms while it searches and once at the end, until `signal` aborts. `nameOf`: tenants that have a
   * name, so that a filter may use it.
   */
  search(
    search: LogSearch,
    names: readonly [tenantId: string, name: string][],
    tell: (progress: SearchProgress) => void,
    signal: AbortSignal,
  ): Promise<void>;
  context(connectionId: string, at: string, before: number, after: number): Promise<LogContext>;
  sizes(query: SizesQuery, signal: AbortSignal): Promise<TimingSizes>;
  /** Forgets a connection that settings no longer name. */
  remove(connectionId: string): Promise<void>;
}
