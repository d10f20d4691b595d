// Where jobs are kept. One seam, one conformance suite (store-conformance.ts), four stores: memory, SQLite, PostgreSQL,
// MariaDB/MySQL. Every call is one transaction: it happens wholly or not at all.
//
// A store decides nothing: it shows which tenants have work, the scheduler (core/) decides whose turn it is, and the
// store hands over their jobs. So the fair order is the same over every store.
import type {
  Claim,
  Depths,
  Enqueued,
  FailedAttempt,
  JobRecord,
  JobState,
  NewJob,
  Settlement,
} from '../job.ts';

/*
 *            enqueue                         exchange
 *   (none) ───────────▶ ready ───────────────────────────▶ running ──done──▶ (none)
 *      │ ├──▶ delayed ───▲ ▲ ▲                               │ │ │
 *      │        ▲ promoteDue │ └───── returned, reclaimed ───┘ │ └──dead──▶ dead ──requeue──▶ ready
 *      │        └────────────┼────────────── retry ────────────┘
 *      └──▶ waiting ─────────┘ its last parent is done
 *             │  ▲ the dead parent is requeued
 *             ▼  │
 *           blocked  a parent is dead, or blocked itself (onDeadParent: cancel sends it to the dead set, release frees it)
 */

/**
 * The kinds an engine may claim now: those it has a handler for, less those at their limit or behind an open breaker.
 * `limit`: at most so many of the kind in one exchange; null where it has no limit of its own.
 */
export type Eligible = readonly { kind: string; limit: number | null }[];

/** A tenant with ready jobs of eligible kinds. */
export interface ReadyTenant {
  tenantId: string;
  /** Of its ready jobs of eligible kinds; a store that would have to count says 1. */
  readyAtLeast: number;
}

/** So many jobs of one tenant: those of highest priority, among equals the one that became ready first, then by id. */
export interface Take {
  tenantId: string;
  count: number;
}

export interface Exchange {
  /** The engine that claims and settles. */
  owner: string;
  /** Ends of earlier claims. */
  settlements: readonly Settlement[];
  /** Whose jobs to claim; `first-come`: the ready jobs with the lowest ids, whosever they are. */
  take: { order: 'turns'; takes: readonly Take[] } | { order: 'first-come'; count: number } | null;
  eligible: Eligible;
  /** The tenant that had the last turn, to be remembered; null leaves what is remembered. */
  cursor: string | null;
  nowMs: number;
}

/**
 * What is stopped by hand. `pause`: nothing of it is claimed, new jobs are taken and wait. `drain`: new jobs are refused, what is
 * stored is worked off. The whole store: both `tenantId` and `kind` null.
 */
export interface Hold {
  tenantId: string | null;
  kind: string | null;
  mode: 'pause' | 'drain';
  by: string;
  reason: string;
  sinceMs: number;
}
export type HoldScope = Pick<Hold, 'tenantId' | 'kind'>;

/** An engine as the store knows it. */
export interface Owner {
  id: string;
  beatAtMs: number;
  /** What it last said of itself: JSON of contract/engine-report.ts. */
  report: string;
}

/** Which jobs of a set are meant; what is left out matches all. */
export interface JobFilter {
  tenantId?: string | undefined;
  kind?: string | undefined;
  cause?: string | undefined;
  ids?: readonly number[] | undefined;
}

/** Dead jobs of one kind that failed alike. */
export interface DeadGroup {
  kind: string;
  cause: string;
  class: FailedAttempt['failure']['class'];
  count: number;
  /** When the newest of them died; epoch ms. */
  lastAtMs: number;
  /** One of their messages. */
  example: string;
}

/** A job that waits for a dead one, and the dead one that is to blame. */
export interface BlockedJob {
  job: JobRecord;
  ancestorId: number;
}

/** A place in a list of jobs: after the one of this time and id. `atMs` is 0 in lists that are ordered by id alone. */
export interface ListPlace {
  atMs: number;
  id: number;
}

/**
 * Jobs of one state, of a tenant or (null) of all, from the first after a place. Delayed jobs come by when they become
 * ready, running ones by when they were claimed, a tenant's ready ones by when they became ready, all others by id; among
 * equals by id.
 */
export interface ListRequest {
  state: JobState;
  tenantId: string | null;
  after: ListPlace | null;
  limit: number;
}

export interface JobsListed {
  jobs: JobRecord[];
  /**
   * Where the next page begins; null at the end. A page that is not full may have a next one: where no index knows the
   * tenants, a tenant's jobs are sought among LOOKED_THROUGH jobs of the state at a time.
   */
  next: ListPlace | null;
}

export interface Store extends AsyncDisposable {
  /** "SQLite, /path/to/jobs.db", "PostgreSQL 15.14 at db.example.com/jobs": for people. */
  readonly description: string;
  /** Nobody else can have it open, so every other owner it remembers is dead. */
  readonly exclusive: boolean;

  /** Its connections to a database: in use, at most, and calls that wait for one; absent where it has none. */
  pool?(): { used: number; size: number; waiting: number };

  /** The store's clock, epoch ms: that of the database where machines share it. */
  time(): Promise<number>;

  /**
   * All of `jobs` or none; answers in their order. Rejects with `bad-request` that names the row: payload that is no
   * JSON data, a row that depends on itself or a later one, a parent in the dead set under `block`; and with
   * `conflict` where a drain refuses it.
   */
  enqueue(jobs: readonly NewJob[], nowMs: number): Promise<Enqueued[]>;

  /**
   * Up to `limit` tenants with ready jobs of eligible kinds that no pause stops, ascending by id from the first above
   * `after` and around to it again. Tenant ids are ordered byte by byte in UTF-8. Its cost grows with `limit`, not with the backlog.
   */
  ready(request: { after: string | null; limit: number; eligible: Eligible }): Promise<ReadyTenant[]>;

  /**
   * Ends claims and makes new ones in one commit. `taken`: for each settlement whether it counted; false = the claim was
   * no longer its owner's. `claims`: at most what was asked for, never of a paused tenant or kind; in turns: the first of
   * each take in order, then the second of each, and so on. Payloads of one exchange stay under 16 MB beyond its first claim.
   */
  exchange(request: Exchange): Promise<{ taken: boolean[]; claims: Claim[] }>;

  /** The tenant that had the last turn, also after a restart. */
  cursor(): Promise<string | null>;

  /** Makes delayed jobs ready whose time has come; answers when the next one's comes, or null. */
  promoteDue(nowMs: number): Promise<number | null>;

  /** Says that `owner` lives, and what it says of itself. */
  beat(owner: string, report: string, nowMs: number): Promise<void>;
  /** Forgets an engine that stopped in good order. */
  leave(owner: string): Promise<void>;
  owners(): Promise<Owner[]>;

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

  holds(): Promise<Hold[]>;
  /** From the moment it resolves it is obeyed by every claim and every enqueue. Replaces a hold of the same scope. */
  hold(hold: Hold): Promise<void>;
  /** False when there was none. */
  unhold(scope: HoldScope): Promise<boolean>;

  /** A stored job; null when it is done or never was. */
  job(id: number): Promise<JobRecord | null>;
  /** Its payload as JSON text, at most `limitChars` of it; null like `job`. */
  payload(id: number, limitChars: number): Promise<string | null>;
  /** Its cost grows with the limit, with the tenant's kinds and priorities and with what runs, not with the backlog. */
  list(request: ListRequest): Promise<JobsListed>;
  /** The dead set by kind and cause, largest first. */
  deadGroups(limit: number): Promise<DeadGroup[]>;
  /** Dead jobs by id, from the first above `afterId`. */
  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]>;
  /** Jobs that wait for a dead one, by id, from the first above `afterId`. */
  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]>;
  /** Dead jobs to ready, attempts counted anew; their blocked dependants wait again. Up to `limit`; answers how many. */
  requeue(filter: JobFilter, limit: number, nowMs: number): Promise<number>;
  /** Removes dead jobs; what waits for them is treated as its `onDeadParent` says, `block` stays blocked. Answers how many. */
  discard(filter: JobFilter, limit: number, nowMs: number): Promise<number>;
  /** Blocked jobs: `release` no longer waits for its parents, `cancel` goes to the dead set. Answers how many. */
  unblock(filter: JobFilter, how: 'release' | 'cancel', limit: number, nowMs: number): Promise<number>;
}

/** Attempts a job has when nobody says otherwise. */
export const DEFAULT_MAX_ATTEMPTS = 5;
/** How long an idempotency key is remembered after its job was enqueued. */
export const IDEMPOTENCY_KEPT_MS = 24 * 3_600_000;
/** Payloads that one exchange hands over beyond its first claim. */
export const EXCHANGE_PAYLOAD_BYTES = 16 * 1024 * 1024;
/** Failed attempts kept for a job. */
export const FAILED_ATTEMPTS_KEPT = 10;
/** Jobs of all tenants that one page of a single tenant's list looks through at most. */
export const LOOKED_THROUGH = 10_000;
