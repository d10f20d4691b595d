// Where jobs are kept. One seam, one conformance suite (store-conformance.ts), several stores: SQLite now, then
// memory, PostgreSQL and MariaDB. Every call is one transaction: it happens wholly or not at all.
import type { Claim, ClaimOrder, Depths, Enqueued, NewJob, Settlement } from '../job.ts';

/*
 *            enqueue                    claim
 *   (none) ───────────▶ ready ───────────────────────▶ running ──done──▶ (none)
 *      │                 ▲  ▲                            │ │ │
 *      └──▶ delayed ─────┘  └──── returned, reclaimed ───┘ │ └──dead────▶ dead
 *              ▲  promoteDue                               │
 *              └───────────────────── retry ───────────────┘
 */
export interface Store extends AsyncDisposable {
  /** Nobody else can have it open, so every other owner it remembers is dead. */
  readonly exclusive: boolean;

  /** All of `jobs` or none; answers in their order. Rejects when one of them is not plain JSON data. */
  enqueue(jobs: NewJob[], nowMs: number): Promise<Enqueued[]>;

  /**
   * Gives up to `limit` ready jobs to `owner`, in `order`. The place in the circle of the fair order is kept by the
   * store and moves in the same transaction, so that no tick, thread or restart sets it back.
   */
  claim(request: { owner: string; limit: number; order: ClaimOrder; nowMs: number }): Promise<Claim[]>;

  /** Ends claims; answers in their order: false = refused, the claim was no longer its owner's. */
  settle(settlements: Settlement[], nowMs: number): Promise<boolean[]>;

  /** Makes delayed jobs ready whose time has come; answers when the next one's comes, or null. */
  promoteDue(nowMs: number): Promise<number | null>;

  /** Says that `owner` lives. */
  beat(owner: string, nowMs: number): Promise<void>;

  /**
   * Takes running jobs from every owner but `except` that has been silent since `silentSinceMs`: the attempt
   * counts, so that a job that kills its worker ends in the dead set. Answers how many were taken.
   */
  reclaim(request: { except: string; silentSinceMs: number; nowMs: number }): Promise<number>;

  /**
   * Every tenant that ever had a job, and up to `frontLimit` ready jobs with the lowest ids of all; at a cost that
   * does not grow with the backlog.
   */
  depths(frontLimit: number): Promise<Depths>;
}

/** Attempts a job has when nobody says otherwise. */
export const DEFAULT_MAX_ATTEMPTS = 5;
/** How long an idempotency key is remembered after its job was enqueued. */
export const IDEMPOTENCY_KEPT_MS = 24 * 3_600_000;
