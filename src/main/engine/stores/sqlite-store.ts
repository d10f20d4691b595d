// The embedded store: one SQLite file through node:sqlite, durable at every commit (WAL, synchronous FULL).
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import { exact } from '../../../core/count.ts';
import type { ReadyTenant } from '../../../core/fair-order.ts';
import { takeTurns } from '../fair-claim.ts';
import type { Claim, ClaimOrder, Depths, Enqueued, NewJob, Settlement } from '../job.ts';
import { migrate } from './sqlite-schema.ts';
import { prepareStatements } from './sqlite-statements.ts';
import { DEFAULT_MAX_ATTEMPTS, IDEMPOTENCY_KEPT_MS, type Store } from './store.ts';

export interface SqliteStoreOptions {
  file: string;
  /** Begin with an empty store: what the file held is worthless. */
  fresh?: boolean;
}

const idRow = z.object({ id: z.int() });
const readyTenantRow = z.object({ tenant: z.string(), ready: z.int().positive() });
const claimRow = z
  .object({
    id: z.int(),
    fence: z.int(),
    tenant_id: z.string(),
    kind: z.string(),
    payload: z.string(),
    attempts: z.int(),
    max_attempts: z.int(),
    created_at: z.int(),
    ready_at: z.int(),
    started_at: z.int(),
  })
  .transform((row): Claim => ({
    id: row.id,
    fence: row.fence,
    tenantId: row.tenant_id,
    kind: row.kind,
    payload: JSON.parse(row.payload),
    attempt: row.attempts + 1,
    maxAttempts: row.max_attempts,
    createdAtMs: row.created_at,
    readyAtMs: row.ready_at,
    startedAtMs: row.started_at,
  }));
const depthRow = z.object({
  id: z.string(),
  ready: z.int(),
  delayed: z.int(),
  running: z.int(),
  dead: z.int(),
  arrivals: z.int(),
  attempts: z.int(),
  last_started_at: z.int().nullable(),
  oldest_running_at: z.int().nullable(),
});
const oldestReadyRow = z
  .object({ id: z.int(), ready_at: z.int(), created_at: z.int() })
  .transform((row) => ({ id: row.id, readyAtMs: row.ready_at, createdAtMs: row.created_at }));
const frontRow = z.object({ id: z.int(), tenant_id: z.string() });
const cursorRow = z.object({ cursor: z.string().nullable() });
const timeRow = z.object({ at: z.int().nullable() });

/**
 * Calls run to their end before they return, so they are in order without a lock; they answer by promise because
 * the seam does. They block their thread while the disk syncs: keep the store off the main loop.
 */
export class SqliteStore implements Store {
  readonly exclusive: boolean;
  readonly #db: DatabaseSync;
  readonly #lock: DatabaseSync | null;
  readonly #sql: ReturnType<typeof prepareStatements>;

  /** Opens or creates the file. Rejects with `conflict` while another engine works on it. */
  static open(options: SqliteStoreOptions): SqliteStore {
    return new SqliteStore(options);
  }

  /** A store that lives as long as the object; engines of one process may share it. */
  static inMemory(): SqliteStore {
    return new SqliteStore(null);
  }

  private constructor(options: SqliteStoreOptions | null) {
    this.exclusive = options !== null;
    this.#lock = options && lockFile(options.file);
    try {
      if (options?.fresh)
        for (const tail of ['', '-wal', '-shm']) rmSync(options.file + tail, { force: true });
      this.#db = new DatabaseSync(options?.file ?? ':memory:');
      try {
        this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;');
        migrate(this.#db, options?.file ?? 'the store in memory');
        this.#sql = prepareStatements(this.#db);
      } catch (error) {
        this.#db.close();
        throw error;
      }
    } catch (error) {
      this.#lock?.close();
      throw error;
    }
  }

  enqueue(jobs: NewJob[], nowMs: number): Promise<Enqueued[]> {
    return this.#transaction(() => {
      if (jobs.some((job) => job.idempotencyKey !== undefined)) {
        this.#sql.forgetKeys.run(nowMs - IDEMPOTENCY_KEPT_MS);
      }
      return jobs.map((job, row) => this.#enqueueOne(job, row, nowMs));
    });
  }

  #enqueueOne(job: NewJob, row: number, nowMs: number): Enqueued {
    const key = job.idempotencyKey;
    if (key !== undefined) {
      const known = this.#sql.jobOfKey.get(key);
      if (known) return { id: z.object({ job_id: z.int() }).parse(known).job_id, fresh: false };
    }
    // JSON.stringify answers undefined for what JSON cannot say, whatever its type tells.
    const payload = JSON.stringify(job.payload) as string | undefined;
    if (payload === undefined) {
      throw new HeadwayError(
        'bad-request',
        `job ${row} of the batch: payload is not JSON data; nothing was enqueued.`,
      );
    }
    const atMs = Math.floor(nowMs);
    const readyAtMs = Math.max(atMs, Math.ceil(job.readyAtMs ?? atMs));
    const { lastInsertRowid } = this.#sql.insert.run(
      job.tenantId,
      job.kind,
      payload,
      readyAtMs > atMs ? 'delayed' : 'ready',
      atMs,
      readyAtMs,
      job.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
    );
    const id = Number(lastInsertRowid);
    if (key !== undefined) this.#sql.rememberKey.run(key, id, atMs);
    return { id, fresh: true };
  }

  claim(request: { owner: string; limit: number; order: ClaimOrder; nowMs: number }): Promise<Claim[]> {
    return this.#transaction(() =>
      request.order === 'fair' ? this.#claimInTurns(request) : this.#claimFirstCome(request),
    );
  }

  #claimFirstCome({ owner, limit, nowMs }: { owner: string; limit: number; nowMs: number }): Claim[] {
    const heads = z.array(idRow).parse(this.#sql.firstCome.all(limit));
    return heads.map((head) => this.#start(head.id, owner, nowMs));
  }

  #claimInTurns({ owner, limit, nowMs }: { owner: string; limit: number; nowMs: number }): Claim[] {
    const readyAfter = (after: string | null, most: number): ReadyTenant<string>[] => {
      const { readyFromFirst, readyAfter: above } = this.#sql;
      return z
        .array(readyTenantRow)
        .parse(after === null ? readyFromFirst.all(most) : above.all(after, most));
    };
    const { turns, cursor } = takeTurns(readyAfter, { after: this.#cursor() }, limit);
    const claims = turns.map((tenantId) => {
      const head = idRow.parse(this.#sql.headOf.get(tenantId));
      return this.#start(head.id, owner, nowMs);
    });
    if (claims.length > 0) this.#sql.moveCursor.run(cursor.after);
    return claims;
  }

  #start(id: number, owner: string, nowMs: number): Claim {
    return claimRow.parse(this.#sql.start.get(owner, Math.floor(nowMs), id));
  }

  #cursor(): string | null {
    return cursorRow.parse(this.#sql.cursor.get()).cursor;
  }

  settle(settlements: Settlement[], nowMs: number): Promise<boolean[]> {
    return this.#transaction(() => settlements.map((settlement) => this.#settleOne(settlement, nowMs)));
  }

  #settleOne(settlement: Settlement, nowMs: number): boolean {
    const { id, fence } = settlement.claim;
    const sql = this.#sql;
    if (settlement.how === 'returned') return sql.giveBack.run(id, fence).changes === 1;
    // First, because `done` deletes the row that names the tenant.
    if (sql.countAttempt.run(id, fence).changes !== 1) return false;
    switch (settlement.how) {
      case 'done':
        return sql.finish.run(id, fence).changes === 1;
      case 'retry': {
        const readyAtMs = Math.ceil(settlement.atMs);
        const state = readyAtMs > nowMs ? 'delayed' : 'ready';
        return sql.retry.run(state, readyAtMs, settlement.error, id, fence).changes === 1;
      }
      case 'dead':
        return sql.bury.run(settlement.error, id, fence).changes === 1;
    }
  }

  promoteDue(nowMs: number): Promise<number | null> {
    // Most calls come to ask when: without a write there is nothing to sync.
    return this.#transaction(() => {
      const next = (): number | null => timeRow.parse(this.#sql.nextDue.get()).at;
      const at = next();
      if (at === null || at > nowMs) return at;
      this.#sql.promote.run(Math.floor(nowMs));
      return next();
    });
  }

  beat(owner: string, nowMs: number): Promise<void> {
    return this.#transaction(() => {
      this.#sql.beat.run(owner, Math.floor(nowMs));
    });
  }

  reclaim(request: { except: string; silentSinceMs: number; nowMs: number }): Promise<number> {
    return this.#transaction(() => {
      const { except, silentSinceMs, nowMs } = request;
      this.#sql.countLostAttempts.run(except, silentSinceMs);
      const { changes } = this.#sql.reclaim.run(Math.floor(nowMs), except, silentSinceMs);
      this.#sql.forgetOwners.run(except, silentSinceMs);
      return Number(changes);
    });
  }

  depths(frontLimit: number): Promise<Depths> {
    return this.#transaction(() => {
      // One more than asked for tells whether there are more.
      const seen = z.array(frontRow).parse(this.#sql.front.all(frontLimit + 1));
      const front = Map.groupBy(seen.slice(0, frontLimit), (job) => job.tenant_id);
      return {
        cursor: this.#cursor(),
        frontEndId: seen.length > frontLimit ? (seen[frontLimit - 1]?.id ?? 0) : null,
        tenants: this.#sql.tenants.all().map((raw) => {
          const row = depthRow.parse(raw);
          return {
            tenantId: row.id,
            ready: exact(row.ready),
            delayed: exact(row.delayed),
            running: exact(row.running),
            dead: exact(row.dead),
            oldestReady: row.ready === 0 ? null : oldestReadyRow.parse(this.#sql.oldestReady.get(row.id)),
            oldestRunningAtMs: row.oldest_running_at,
            lastStartedAtMs: row.last_started_at,
            arrivalsTotal: row.arrivals,
            attemptsTotal: row.attempts,
            frontIds: (front.get(row.id) ?? []).map((job) => job.id),
          };
        }),
      };
    });
  }

  /** A step that throws undoes the whole call and rejects its promise. */
  #transaction<T>(steps: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        const result = steps();
        this.#db.exec('COMMIT');
        resolve(result);
      } catch (error) {
        // A failed COMMIT (disk full) may have ended the transaction already.
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
    if (this.#lock?.isOpen) this.#lock.close();
    return Promise.resolve();
  }
}

/**
 * Holds `FILE.lock` for this process until it is closed; the system lets go of it even after kill -9. A file of its
 * own, so that others may still read the store.
 */
function lockFile(file: string): DatabaseSync {
  const lock = new DatabaseSync(`${file}.lock`);
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE;');
    return lock;
  } catch (cause) {
    lock.close();
    throw new HeadwayError(
      'conflict',
      `Another engine works on ${file}; stop the other Headway, or give this one a folder of its own.`,
      { retryable: true, cause },
    );
  }
}
