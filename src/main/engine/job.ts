// A job in the words of the engine: what is enqueued, what is claimed, how a claim is settled.
import type { Count } from '../../core/count.ts';

/** `first-come`: strictly by id, as a primary key scan gives it. `fair`: tenants in turn, then by age. */
export type ClaimOrder = 'first-come' | 'fair';

export interface NewJob {
  tenantId: string;
  /** Names the handler. */
  kind: string;
  /** Plain JSON data. */
  payload: unknown;
  /** Epoch ms from which it may start; now when left out. */
  readyAtMs?: number;
  /** Attempts before it goes to the dead set, counting the first. */
  maxAttempts?: number;
  /** A second job with the same key is not enqueued; the first one's id is answered. */
  idempotencyKey?: string;
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
  /** 1 for the first. */
  attempt: number;
  maxAttempts: number;
  createdAtMs: number;
  readyAtMs: number;
  startedAtMs: number;
}

/** How a claim ends. `returned`: it was not really tried, the attempt does not count. */
export type Settlement = { claim: Pick<Claim, 'id' | 'fence'> } & (
  | { how: 'done' }
  | { how: 'retry'; atMs: number; error: string }
  | { how: 'dead'; error: string }
  | { how: 'returned' }
);

/** One tenant's jobs at one moment. Times are epoch ms. */
export interface TenantDepth {
  tenantId: string;
  ready: Count;
  delayed: Count;
  running: Count;
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
