// What a source hands over after one poll: plain data, in the database's own time.
import { zero, type Count } from './count.ts';

/** One tenant at one moment. Times are epoch milliseconds on the database's clock. */
export interface TenantSample {
  tenantId: string;
  ready: Count;
  delayed: Count;
  running: Count;
  /** Running jobs whose lock is older than the system's own limit. */
  stale: Count;
  /** Jobs that failed for the last time and are kept; null where the system does not tell. */
  dead: Count | null;
  /** Jobs that wait for a dead one, or for one that does; null where the system knows no such thing. */
  blocked: Count | null;
  /** The ready job that has waited longest; null when none is ready. `at-least`: an older one may be unseen. */
  oldestReady: { readyAtMs: number; createdAtMs: number; bound: 'exact' | 'at-least' } | null;
  /** Newest start seen among running jobs; null when none is seen. */
  lastStartedAtMs: number | null;
  /** Oldest start among running jobs that are not stale; null when none runs. */
  oldestRunningAtMs: number | null;
  /** Monotone counter of all jobs that ever arrived; null when the system has none. */
  arrivalsTotal: number | null;
  /** Monotone counter of all attempts that ever finished; null when the system has none. */
  attemptsTotal: number | null;
  /** Jobs that the workers' claim order puts before this tenant's oldest ready job; null when not computed. */
  behind: { ahead: Count; tenants: { tenantId: string; share: number }[] } | null;
  paused: { by: string; sinceMs: number | null; reason: string } | null;
}

/** A tenant of which the source says nothing: no jobs, and no counters. */
export function nothingQueued(tenantId: string): TenantSample {
  return {
    tenantId,
    ready: zero,
    delayed: zero,
    running: zero,
    stale: zero,
    dead: null,
    blocked: null,
    oldestReady: null,
    lastStartedAtMs: null,
    oldestRunningAtMs: null,
    arrivalsTotal: null,
    attemptsTotal: null,
    behind: null,
    paused: null,
  };
}

/** The workers as the database shows them. */
export interface WorkersSample {
  /** Distinct lock owners now; null when the system does not tell. */
  busy: number | null;
  /** Worker threads in all, where the system tells. */
  total: number | null;
  /**
   * Newest sign of any worker (a claim, a finish, a heartbeat), database clock; null when none was seen. With `busy` null too, and
   * no tenant's attempts counted, the source cannot see workers: their silence proves nothing.
   */
  lastSeenAtMs: number | null;
}

/** One poll of one source. */
export interface SourceSample {
  /** The database's clock when the rows were read. */
  databaseTimeMs: number;
  /** database clock minus local clock, with half the round trip as its error. */
  clock: { offsetMs: number; errorMs: number };
  tenants: TenantSample[];
  workers: WorkersSample;
  /** What failed of each kind's last attempts, from 0 to 1 (null: too few to tell); null where the system does not tell. */
  kinds: { kind: string; failureRatio: number | null }[] | null;
  /** Memory that workers use, by what a person would look for; null where the system does not tell. */
  workerMemory: { id: string; rssBytes: number; limitBytes: number | null }[] | null;
  /** The claim order assumed for `behind`, in words; null when not known. */
  claimOrder: string | null;
  /** What this poll cost the database. `rowsRead` is null where it is not measured. */
  cost: { durationMs: number; rowsRead: number | null };
}

/** A tenant as the source names it. */
export interface TenantInfo {
  id: string;
  name: string;
  /** A second line that tells namesakes apart (organisation, permalink); empty when there is none. */
  detail: string;
}
