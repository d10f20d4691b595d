// What this source asks of the local engine. The engine's own host fits it; neither room imports the other.
import type { Count } from '../../../core/count.ts';
import type { TenantInfo } from '../../../core/sample.ts';

/** One tenant as the engine's store shows it. Times are epoch ms of this computer's clock. */
export interface EngineTenant {
  tenantId: string;
  ready: Count;
  delayed: Count;
  running: Count;
  oldestReady: { readyAtMs: number; createdAtMs: number } | null;
  oldestRunningAtMs: number | null;
  lastStartedAtMs: number | null;
  arrivalsTotal: number;
  attemptsTotal: number;
  /** Ids of its oldest ready jobs, oldest first; all of them when there are as many as are ready. */
  headIds: number[];
}

export interface EngineReading {
  atMs: number;
  /** `first-come` claims by id; `fair` claims tenant by tenant, ascending by id, then wraps around. */
  order: 'first-come' | 'fair';
  workers: number;
  busy: number;
  /** The tenant that had the last turn of the fair order. */
  cursor: string | null;
  readMs: number;
  tenants: EngineTenant[];
}

export interface EngineReader {
  /** Rejects with HeadwayError, and why, while the engine is down. */
  sample(signal: AbortSignal): Promise<EngineReading>;
  tenants(): TenantInfo[];
}
