// What this source asks of the local engine. The engine's own host fits it; neither room imports the other.
import type { z } from 'zod';
import type { jobRecordSchema } from '../../../contract/engine-report.ts';
import type { Count } from '../../../core/count.ts';
import type { TenantInfo } from '../../../core/sample.ts';
import type { ShownPayload } from '../../../core/shown-payload.ts';

/** One tenant as the engine's store shows it. Times are epoch ms of this computer's clock. */
export interface EngineTenant {
  tenantId: string;
  ready: Count;
  delayed: Count;
  running: Count;
  dead: Count;
  blocked: Count;
  /** The one that has waited longest. */
  oldestReady: { id: number; readyAtMs: number; createdAtMs: number } | null;
  oldestRunningAtMs: number | null;
  lastStartedAtMs: number | null;
  arrivalsTotal: number;
  attemptsTotal: number;
  /** Those of the front that are its own, ascending. */
  frontIds: number[];
}

export interface EngineReading {
  atMs: number;
  /**
   * `first-come` claims by id; `fair` claims tenant by tenant, ascending by id, then wraps around; `fair-time` the same,
   * up to a share of run time.
   */
  order: 'first-come' | 'fair' | 'fair-time';
  workers: number;
  busy: number;
  /** The tenant that had the last turn of the fair order. */
  cursor: string | null;
  /** The front (the ready jobs with the lowest ids of all) ends here; null when it holds every ready job. */
  frontEndId: number | null;
  readMs: number;
  /** What is stopped by hand; a null tenant or kind stands for all. */
  holds: {
    tenantId: string | null;
    kind: string | null;
    mode: 'pause' | 'drain';
    by: string;
    reason: string;
    sinceMs: number;
  }[];
  kinds: { kind: string; failureRatio: number | null }[];
  memory: { worker: number; usedBytes: number; limitBytes: number | null }[];
  /** What a tenant is called. */
  tenantWord: string;
  names: TenantInfo[];
  tenants: EngineTenant[];
}

/** A stored job. */
export type EngineJob = z.infer<typeof jobRecordSchema>;

/** A place in a list of jobs; `atMs` is 0 in lists that are ordered by id alone. */
export interface EnginePlace {
  atMs: number;
  id: number;
}

/**
 * Jobs of one state, of a tenant or (null) of all, from the first after a place. Delayed jobs come by when they become
 * ready, running ones by when they were claimed, a tenant's ready ones by when they became ready, all others by id.
 */
export interface EngineListRequest {
  state: EngineJob['state'];
  tenantId: string | null;
  after: EnginePlace | null;
  limit: number;
}

export interface EngineJobsListed {
  jobs: EngineJob[];
  /** Null at the end; a page that is not full may have a next one, where a tenant's jobs are sought among all. */
  next: EnginePlace | null;
}

/** Calls reject with HeadwayError, and why, while the engine is down. */
export interface EngineReader {
  sample(signal: AbortSignal): Promise<EngineReading>;
  list(request: EngineListRequest, signal: AbortSignal): Promise<EngineJobsListed>;
  /** With null for a job that is not stored. */
  job(id: number, signal: AbortSignal): Promise<{ job: EngineJob | null; payload: ShownPayload | null }>;
}
