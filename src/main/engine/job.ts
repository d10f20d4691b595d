// A job in the words of the engine: what is enqueued, what is claimed, how a claim ends.
import type { Count } from '../../core/count.ts';
import type { ErrorClass } from '../../core/error-class.ts';

/** A job as its sender gives it. */
export interface NewJob {
  tenantId: string;
  /** Names the handler. */
  kind: string;
  /** Plain JSON data. */
  payload: unknown;
  /** Higher goes first within its tenant; 0 when left out. */
  priority?: number;
  /** Epoch ms from which it may start; now when left out. */
  readyAtMs?: number;
  /** Attempts before it goes to the dead set, counting the first. */
  maxAttempts?: number;
  /** A second job with the same key is not enqueued; the first one's id is answered. */
  idempotencyKey?: string;
  /** Jobs that were sent together and are looked at together. */
  batchId?: string;
  /**
   * Jobs that must be done before: positions in the same call's list (`{ row }`, lower than its own), or ids of earlier
   * jobs. An id that is no longer stored was done.
   */
  dependsOn?: ({ row: number } | { id: number })[];
  /** What becomes of it when one of those goes to the dead set; `block` when left out. */
  onDeadParent?: 'block' | 'cancel' | 'release';
}

export interface Enqueued {
  id: number;
  /** False when its idempotency key was known. */
  fresh: boolean;
}

/**
 * A job in somebody's hands. `fence` grows with every claim of the job, so (id, fence) names this claim alone: what
 * an owner sends in after its job was taken from it is refused.
 */
export interface Claim {
  id: number;
  fence: number;
  tenantId: string;
  kind: string;
  payload: unknown;
  priority: number;
  batchId: string | null;
  /** 1 for the first. */
  attempt: number;
  maxAttempts: number;
  createdAtMs: number;
  readyAtMs: number;
  claimedAtMs: number;
}

/** Why an attempt failed. */
export interface Failure {
  class: ErrorClass;
  message: string;
  /** The message without what differs from job to job: jobs that failed alike have the same cause. */
  cause: string;
  /** The end of what a command wrote to standard error; null where there is none. */
  stderrTail: string | null;
}

/** An attempt that failed, as the store keeps it. Durations in ms, times epoch ms. */
export interface FailedAttempt {
  attempt: number;
  /** The engine that ran it. */
  owner: string;
  startedAtMs: number;
  waitMs: number;
  runMs: number;
  stages: Record<string, number>;
  failure: Failure;
}

/** How a claim ends. `returned`: it was not really tried, the attempt does not count. */
export type Settlement = { claim: Pick<Claim, 'id' | 'fence' | 'tenantId' | 'kind'> } & (
  | { how: 'done' }
  | { how: 'retry'; atMs: number; failed: FailedAttempt }
  | { how: 'dead'; failed: FailedAttempt }
  | { how: 'returned' }
);

/** One tenant's jobs at one moment. Times are epoch ms of the store's clock. */
export interface TenantDepth {
  tenantId: string;
  ready: Count;
  delayed: Count;
  /** Claimed: in a worker's hands or in its engine's buffer. */
  running: Count;
  /** Waiting for other jobs. */
  waiting: Count;
  /** Waiting for a job that is dead, or for one that waits for it. */
  blocked: Count;
  dead: Count;
  /** The one that has waited longest. */
  oldestReady: { id: number; readyAtMs: number; createdAtMs: number } | null;
  oldestRunningAtMs: number | null;
  /** The newest start of all, running or finished. */
  lastStartedAtMs: number | null;
  arrivalsTotal: number;
  attemptsTotal: number;
  /** Those of the front that are its own, ascending. */
  frontIds: number[];
}

export interface Depths {
  tenants: TenantDepth[];
  /** The tenant that had the last turn of the fair order; null before the first. */
  cursor: string | null;
  /** The front (the ready jobs with the lowest ids of all) ends here; null when it holds every ready job. */
  frontEndId: number | null;
}

export type JobState = 'ready' | 'delayed' | 'waiting' | 'blocked' | 'running' | 'dead';

/** A stored job for a person to look at; done jobs are not stored. Times are epoch ms. */
export interface JobRecord {
  id: number;
  tenantId: string;
  kind: string;
  state: JobState;
  priority: number;
  batchId: string | null;
  /** Attempts that ended. */
  attempts: number;
  maxAttempts: number;
  createdAtMs: number;
  readyAtMs: number;
  /** Of the present claim; null when it is not running. */
  claimedAtMs: number | null;
  owner: string | null;
  payloadBytes: number;
  /** Jobs it waits for that are not done. */
  waitsFor: number[];
  /** The last failed ones, newest first, at most ten. */
  failedAttempts: FailedAttempt[];
}
