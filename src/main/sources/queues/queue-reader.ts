// What one queue system must tell; the rest (sessions, time limits, clocks, costs) is the same for all (queue-source.ts).
import type { Capabilities } from '../../../contract/capabilities.ts';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../../contract/queue-jobs.ts';
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import type { WatchedTables } from '../health/watched-tables.ts';

/** A session of either system: PostgresSession and MysqlSession fit. */
export interface QueueSession extends AsyncDisposable {
  readonly lost: boolean;
}

/** A system's tables as they were found on one session; asked anew on each. */
export interface QueueReader<S extends QueueSession> {
  /** "pg-boss 12 (schema version 37)", without the database. */
  readonly system: string;
  readonly tenantWord: string;
  readonly warnings: readonly string[];
  /** The workers' claim order in words; null when it is not known. */
  readonly claimOrder: string | null;
  /** As found here: a version or account that lacks something says so. */
  readonly capabilities: Capabilities;

  tenants(session: S, signal: AbortSignal): Promise<TenantInfo[]>;
  /**
   * The rows of one poll, in as few statements as possible, with the database's clock read after them (so that no row lies in its future).
   */
  sample(session: S, signal: AbortSignal): Promise<QueueRead>;

  // Asked on a session of its own, with a longer statement timeout than a poll's.
  jobs(session: S, query: JobsQuery, signal: AbortSignal): Promise<JobsPage>;
  job(session: S, id: string, signal: AbortSignal): Promise<QueueJobDetail | null>;
  locks(session: S, query: LocksQuery, signal: AbortSignal): Promise<LocksPage>;
  watched(session: S, signal: AbortSignal): Promise<WatchedTables>;
}

/** What a poll read. Times are epoch ms of the database's clock. */
export interface QueueRead extends Pick<SourceSample, 'databaseTimeMs' | 'tenants' | 'workers' | 'kinds'> {
  /** Database minus local clock where the reader measured it closer than by the length of the poll. */
  clock?: SourceSample['clock'];
  /** Rows and index entries that the poll's own statements read, where the reader counts them itself; null where rows-read.ts shall. */
  rowsRead: number | null;
}
