// What this source asks of the local engine. The engine's own host fits it; neither room imports the other.
import type { Count } from '../../../core/count.ts';
import type { TenantInfo } from '../../../core/sample.ts';

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

export interface EngineReader {
  /** Rejects with HeadwayError, and why, while the engine is down. */
  sample(signal: AbortSignal): Promise<EngineReading>;
}
