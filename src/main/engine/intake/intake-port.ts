// What the HTTP face needs of an engine and its store: so little that a test writes its own.
import type { EngineReport, RecentAttempt } from '../../../contract/engine-report.ts';
import type { HeadwayError } from '../../../contract/errors.ts';
import type { Enqueued, JobRecord, NewJob, TenantDepth } from '../job.ts';

export interface IntakeEngine {
  /** All or none. */
  enqueue(jobs: NewJob[]): Promise<Enqueued[]>;
  /** Each on its own. */
  enqueueEach(jobs: NewJob[]): Promise<(Enqueued | HeadwayError)[]>;
  report(): EngineReport;
  snapshot(frontLimit: number): Promise<{ tenants: TenantDepth[]; atMs: number }>;
  recentOf(jobId: number): RecentAttempt[];
}

export interface IntakeStore {
  job(id: number): Promise<JobRecord | null>;
}
