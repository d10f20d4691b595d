// The seam every monitored system fills: rows of a queue become samples. Reads only, cheap ones only.
import type { SourceSample, TenantInfo } from '../../core/sample.ts';
import type { TestStep } from '../../contract/connection-test.ts';

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
 * One monitored queue. Calls never overlap: the sampler waits for one before it makes the next. Each obeys
 * `signal` and rejects with HeadwayError (codes of contract/errors.ts) when the system cannot answer; after an
 * `unreachable` or `timeout` the next call connects anew. Disposing closes every connection it opened.
 */
export interface Source extends AsyncDisposable {
  probe(signal: AbortSignal): Promise<Probe>;
  /** All tenants with their names; asked once a minute, so it may be slower than a snapshot. */
  tenants(signal: AbortSignal): Promise<TenantInfo[]>;
  /** One poll. Its cost must not grow with the number of queued jobs. */
  snapshot(signal: AbortSignal): Promise<SourceSample>;
}

/**
 * Reports one step of a connection test when it begins and when it ends; the last call for an id counts.
 * Test runners yield steps, they do not throw for expected failures.
 */
export type ReportStep = (step: TestStep) => void;
