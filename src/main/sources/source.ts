// The seam every monitored system fills: rows of a queue become samples. Reads only, cheap ones only.
import type { Capabilities } from '../../contract/capabilities.ts';
import type { TestStep } from '../../contract/connection-test.ts';
import type { DatabaseHealth, IndexAdvice } from '../../contract/database-health.ts';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../contract/queue-jobs.ts';
import type { SourceSample, TenantInfo } from '../../core/sample.ts';

/** What a source found when it looked at the system once, before the first poll. */
export interface Probe {
  /** "Postal on MariaDB 10.11.14", as the test dialog shows it. */
  system: string;
  /** What this source calls its tenants, singular. */
  tenantWord: string;
  /** Things the engineer should know: missing grants for optional reads, row-level security, and so on. */
  warnings: string[];
}

/**
 * One monitored queue. Polling calls never overlap: the sampler waits for one before it makes the next. Each obeys
 * `signal` and rejects with HeadwayError (codes of contract/errors.ts) when the system cannot answer; after an
 * `unreachable` or `timeout` the next call connects anew. Disposing closes every connection it opened.
 */
export interface Source extends AsyncDisposable {
  probe(signal: AbortSignal): Promise<Probe>;
  /** All tenants with their names; asked once a minute, so it may be slower than a snapshot. */
  tenants(signal: AbortSignal): Promise<TenantInfo[]>;
  /** One poll. Its cost must not grow with the number of queued jobs. */
  snapshot(signal: AbortSignal): Promise<SourceSample>;
  /** Ended with the source. */
  readonly details: SourceDetails;
}

/**
 * What a person asks for beside the polls. It runs on a session of its own, so that it delays no poll; calls may be
 * made at any time and wait for one another. Rejects like the polls, with `budget-exceeded` where a read takes too long.
 */
export interface SourceDetails {
  /** What can be told and done here, as found in this schema, version and account. */
  capabilities(signal: AbortSignal): Promise<Capabilities>;
  /** A page by keyset: its cost does not grow with the number of the page. `bad-request` for a cursor that is not its own. */
  jobs(query: JobsQuery, signal: AbortSignal): Promise<JobsPage>;
  /** Null when there is no such job, or no longer. */
  job(id: string, signal: AbortSignal): Promise<QueueJobDetail | null>;
  locks(query: LocksQuery, signal: AbortSignal): Promise<LocksPage>;
  /** Null for a system without a database server. */
  health(signal: AbortSignal): Promise<DatabaseHealth | null>;
  /** Null likewise. */
  indexAdvice(signal: AbortSignal): Promise<IndexAdvice | null>;
}

/**
 * Reports one step of a connection test when it begins and when it ends; the last call for an id counts.
 * Test runners yield steps, they do not throw for expected failures.
 */
export type ReportStep = (step: TestStep) => void;
