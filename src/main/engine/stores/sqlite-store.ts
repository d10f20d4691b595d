// The embedded store: one SQLite file through node:sqlite, durable at every commit (WAL, synchronous FULL).
import type { DatabaseSync } from 'node:sqlite';
import type { Claim, Depths, Enqueued, JobRecord, NewJob } from '../job.ts';
import { newJobRow } from './new-job-row.ts';
import { Claims, type KindBudget } from './sqlite-claims.ts';
import { Ends } from './sqlite-ends.ts';
import { Intake } from './sqlite-enqueue.ts';
import { openDurable, openToWork, storageError } from './sqlite-file.ts';
import { Lanes } from './sqlite-lanes.ts';
import { RunningClaims } from './sqlite-running.ts';
import { migrate } from './sqlite-schema.ts';
import { prepareReading, prepareWriting, type WritingStatements } from './sqlite-statements.ts';
import { SqliteReadOnlyStore } from './sqlite-read-only-store.ts';
import { SqliteViews } from './sqlite-views.ts';
import type {
  BlockedJob,
  DeadGroup,
  Eligible,
  Exchange,
  Hold,
  HoldScope,
  JobFilter,
  JobsListed,
  ListRequest,
  Owner,
  ReadyTenant,
  Store,
} from './store.ts';

export interface SqliteStoreOptions {
  file: string;
  /** Begin with an empty store: what the file held is worthless. */
  fresh?: boolean;
}

/**
 * Calls run to their end before they return, so they are in order without a lock; they answer by promise because
 * the seam does. They block their thread while the disk syncs: keep the store off the main loop.
 *
 * Any call may reject with `storage-failed` (disk full, disk broken): then nothing of it has happened, and the store goes
 * on as soon as the disk does.
 */
export class SqliteStore implements Store {
  readonly description: string;
  readonly exclusive: boolean;
  readonly #file: string;
  readonly #db: DatabaseSync;
  readonly #lock: DatabaseSync | null;
  readonly #sql: WritingStatements;
  readonly #views: SqliteViews;
  readonly #lanes: Lanes;
  readonly #running: RunningClaims;
  readonly #intake: Intake;
  readonly #claims: Claims;
  readonly #ends: Ends;
  /** As in the file. */
  #holds: Hold[];
  #cursor: string | null;

  /** Opens or creates the file. Throws `conflict` while another engine works on it. */
  static open({ file, fresh = false }: SqliteStoreOptions): SqliteStore {
    try {
      const { db, lock } = openToWork(file, fresh);
      return SqliteStore.#over(db, lock, file);
    } catch (error) {
      throw storageError(error, file);
    }
  }

  /** A store that lives as long as the object; engines of one process may share it. */
  static inMemory(): SqliteStore {
    return SqliteStore.#over(openDurable(':memory:'), null, 'memory');
  }

  /** Watches a file that another process works on: what changes anything rejects with `unauthorized`. */
  static openReadOnly(file: string): Store {
    return SqliteReadOnlyStore.open(file);
  }

  static #over(db: DatabaseSync, lock: DatabaseSync | null, file: string): SqliteStore {
    try {
      migrate(db, file);
      return new SqliteStore(db, lock, file);
    } catch (error) {
      db.close();
      lock?.close();
      throw error;
    }
  }

  private constructor(db: DatabaseSync, lock: DatabaseSync | null, file: string) {
    this.description = `SQLite, ${file}`;
    this.exclusive = lock !== null;
    this.#file = file;
    this.#db = db;
    this.#lock = lock;
    const reading = prepareReading(db);
    this.#sql = prepareWriting(db);
    this.#views = new SqliteViews(reading);
    this.#lanes = new Lanes(reading, this.#sql);
    this.#running = new RunningClaims(this.#sql);
    this.#intake = new Intake(this.#sql, this.#lanes, this.#running);
    this.#claims = new Claims(this.#sql, this.#lanes, this.#running);
    this.#ends = new Ends(this.#sql, this.#lanes, this.#running);
    this.#holds = this.#views.holds();
    this.#cursor = this.#views.cursor();
  }

  time(): Promise<number> {
    return Promise.resolve(Date.now());
  }

  enqueue(jobs: readonly NewJob[], nowMs: number): Promise<Enqueued[]> {
    return this.#transaction(nowMs, (now) => {
      const rows = jobs.map((job, row) => newJobRow(job, row, nowMs));
      return this.#intake.enqueue(rows, this.#holds, now);
    });
  }

  ready(request: { after: string | null; limit: number; eligible: Eligible }): Promise<ReadyTenant[]> {
    return this.#look(() => {
      const kinds = this.#claimable(request.eligible).map(({ id }) => id);
      return this.#views.ready(kinds, request.after, request.limit);
    });
  }

  #claimable(eligible: Eligible): KindBudget[] {
    const stopped = this.#holds.filter((hold) => hold.mode === 'pause' && hold.tenantId === null);
    if (stopped.some((hold) => hold.kind === null)) return [];
    return eligible.flatMap(({ kind, limit }) => {
      const id = this.#lanes.kindId(kind);
      const isHeld = stopped.some((hold) => hold.kind === kind);
      return id === undefined || isHeld || limit === 0
        ? []
        : [{ id, left: limit ?? Number.MAX_SAFE_INTEGER }];
    });
  }

  exchange(request: Exchange): Promise<{ taken: boolean[]; claims: Claim[] }> {
    const { owner, settlements, take, eligible, cursor } = request;
    const before = this.#cursor;
    return this.#transaction(
      request.nowMs,
      (nowMs) => {
        const taken = this.#ends.settle(settlements, owner);
        const kinds = take ? this.#claimable(eligible) : [];
        const isAnyHeld = this.#holds.some((hold) => hold.mode === 'pause' && hold.tenantId !== null);
        const claims = take ? this.#claims.take(take, kinds, isAnyHeld, owner, nowMs) : [];
        if (cursor !== null && cursor !== before) {
          this.#sql.moveCursor.run(cursor);
          this.#cursor = cursor;
        }
        return { taken, claims };
      },
      () => {
        this.#cursor = before;
      },
    );
  }

  cursor(): Promise<string | null> {
    return Promise.resolve(this.#cursor);
  }

  promoteDue(nowMs: number): Promise<number | null> {
    const next = (): number | null => {
      const at = this.#sql.nextDue.get()?.['at'] ?? null;
      return at === null ? null : Number(at);
    };
    // Most calls come to ask when: without a write there is nothing to sync.
    const at = next();
    if (at === null || at > nowMs) return Promise.resolve(at);
    return this.#transaction(nowMs, (now) => {
      for (const { lane } of this.#sql.promote.all(now))
        this.#lanes.move(this.#lanes.byId(Number(lane)), 'delayed', 'ready');
      return next();
    });
  }

  beat(owner: string, report: string, nowMs: number): Promise<void> {
    return this.#transaction(nowMs, (now) => {
      this.#sql.beat.run(owner, now, report);
    });
  }

  leave(owner: string): Promise<void> {
    return this.#transaction(0, () => {
      this.#sql.leave.run(owner);
    });
  }

  owners(): Promise<Owner[]> {
    return this.#look(() => this.#views.owners());
  }

  reclaim(request: { except: string; silentSinceMs: number; nowMs: number }): Promise<number> {
    const { except, silentSinceMs } = request;
    return this.#transaction(request.nowMs, () => {
      const count = this.#ends.reclaim(except, silentSinceMs);
      this.#sql.forgetOwners.run(except, silentSinceMs);
      return count;
    });
  }

  depths(frontLimit: number): Promise<Depths> {
    return this.#look(() => this.#views.depths(frontLimit));
  }

  holds(): Promise<Hold[]> {
    return Promise.resolve([...this.#holds]);
  }

  hold(hold: Hold): Promise<void> {
    return this.#changeHolds(() => {
      const { tenantId, kind, mode, by, reason, sinceMs } = hold;
      this.#sql.dropHold.run(tenantId, kind);
      this.#sql.addHold.run(tenantId, kind, mode, by, reason, Math.floor(sinceMs));
      if (tenantId !== null) this.#sql.applyHolds.run(tenantId);
    });
  }

  unhold({ tenantId, kind }: HoldScope): Promise<boolean> {
    return this.#changeHolds(() => {
      const { changes } = this.#sql.dropHold.run(tenantId, kind);
      if (tenantId !== null) this.#sql.applyHolds.run(tenantId);
      return changes > 0;
    });
  }

  #changeHolds<T>(steps: () => T): Promise<T> {
    return this.#transaction(0, () => {
      const result = steps();
      this.#holds = this.#views.holds();
      // Lanes remember whether they are held.
      this.#lanes.forget();
      return result;
    });
  }

  job(id: number): Promise<JobRecord | null> {
    return this.#look(() => this.#views.job(id));
  }

  payload(id: number, limitChars: number): Promise<string | null> {
    return this.#look(() => this.#views.payload(id, limitChars));
  }

  list(request: ListRequest): Promise<JobsListed> {
    return this.#look(() => this.#views.list(request));
  }

  deadGroups(limit: number): Promise<DeadGroup[]> {
    return this.#look(() => this.#views.deadGroups(limit));
  }

  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return this.#look(() => this.#views.deadJobs(filter, afterId, limit));
  }

  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    return this.#look(() => this.#views.blockedJobs(filter, afterId, limit));
  }

  requeue(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#transaction(nowMs, (now) => {
      const ids = this.#views.deadJobs(filter, 0, limit).map(({ id }) => id);
      this.#ends.dependencies.requeue(ids, now);
      return ids.length;
    });
  }

  discard(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#transaction(nowMs, (now) => {
      const ids = this.#views.deadJobs(filter, 0, limit).map(({ id }) => id);
      this.#ends.dependencies.discard(ids, now);
      return ids.length;
    });
  }

  unblock(filter: JobFilter, how: 'release' | 'cancel', limit: number, nowMs: number): Promise<number> {
    return this.#transaction(nowMs, (now) => {
      const ids = this.#views.blockedRecords(filter, 0, limit).map(({ id }) => id);
      if (how === 'release') this.#ends.dependencies.release(ids, now);
      else this.#ends.cancel(ids);
      return ids.length;
    });
  }

  #look<T>(read: () => T): Promise<T> {
    return new Promise((resolve) => {
      try {
        resolve(read());
      } catch (error) {
        throw storageError(error, this.#file);
      }
    });
  }

  /** A step that throws undoes the whole call and rejects its promise; `undo` puts back what is remembered of it. */
  #transaction<T>(nowMs: number, steps: (nowMs: number) => T, undo?: () => void): Promise<T> {
    return new Promise((resolve) => {
      const now = Math.floor(nowMs);
      this.#ends.nowMs = now;
      try {
        this.#sql.begin.run();
        const result = steps(now);
        this.#lanes.write();
        this.#sql.commit.run();
        resolve(result);
      } catch (error) {
        // A failed COMMIT (disk full) may have ended the transaction already.
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        undo?.();
        this.#running.forget();
        this.#lanes.forget();
        this.#holds = this.#views.holds();
        throw storageError(error, this.#file);
      }
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
    if (this.#lock?.isOpen) this.#lock.close();
    return Promise.resolve();
  }
}
