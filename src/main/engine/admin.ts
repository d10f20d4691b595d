// What a person may see and do with an engine's jobs: the same for the engine of this computer (engine-host.ts, over
// its thread) and for a headless engine's database (store-admin.ts, straight on its store).
import type { EngineView, RecentAttempt } from '../../contract/engine-report.ts';
import type { Enqueued, JobRecord, NewJob } from './job.ts';
import type {
  BlockedJob,
  DeadGroup,
  Hold,
  HoldScope,
  JobFilter,
  JobsListed,
  ListRequest,
} from './stores/store.ts';

export type BulkKind = 'requeue' | 'discard' | 'release' | 'cancel';

/** A job's page: stored or lately ended. */
export interface JobDetail {
  job: JobRecord | null;
  /** JSON, redacted and shortened; null when the job is no longer stored. */
  payload: { text: string; shortened: boolean } | null;
  recent: RecentAttempt[];
}

/** Each call rejects with HeadwayError, and why, while the engine or its database cannot answer. */
export interface EngineAdmin {
  view(signal: AbortSignal): Promise<EngineView>;
  deadGroups(limit: number): Promise<DeadGroup[]>;
  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]>;
  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]>;
  /** See Store. */
  list(request: ListRequest, signal?: AbortSignal): Promise<JobsListed>;
  job(id: number, signal?: AbortSignal): Promise<JobDetail>;
  hold(hold: Omit<Hold, 'sinceMs'>): Promise<void>;
  unhold(scope: HoldScope): Promise<boolean>;
  /** Begins a long operation as a job of the engine; answers that job's id. */
  bulk(what: BulkKind, filter: JobFilter): Promise<number>;
  stopBulk(jobId: number): Promise<void>;
  enqueue(jobs: NewJob[]): Promise<Enqueued[]>;
}
