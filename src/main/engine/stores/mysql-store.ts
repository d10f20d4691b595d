// The store on MariaDB 10.6+ or MySQL 8, for several machines: jobs are shared out by row locks that others skip
// (FOR UPDATE SKIP LOCKED), so the database alone decides who has what.
import type { Depths, Enqueued, JobRecord, NewJob } from '../job.ts';
import { enqueue } from './mysql-enqueue.ts';
import { exchange } from './mysql-exchange.ts';
import { hold, holds, unhold } from './mysql-holds.ts';
import { list } from './mysql-list.ts';
import { discard, promoteDue, reclaim, requeue, unblock } from './mysql-operator.ts';
import {
  blockedJobs,
  deadGroups,
  deadJobs,
  depths,
  jobRecords,
  payload,
  readyTenants,
} from './mysql-reads.ts';
import { migrate } from './mysql-schema.ts';
import { bytes, fieldsOf, MysqlPool, type MysqlAddress } from './mysql-session.ts';
import type { StoreAccess } from './store-access.ts';
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

export interface MysqlStoreOptions extends MysqlAddress {
  /** See StoreAccess; `work` when left out. */
  access?: StoreAccess;
  /** At most; 6 when left out. */
  connections?: number;
  /** With access `look`: the server stops reads that run longer. */
  lookMs?: number;
}

/** One for the exchange, one for intake, the rest for beats and questions. */
const CONNECTIONS = 6;
/** Watching must not hurt what is watched. */
const LOOK_MS = 2_000;

/**
 * Every call waits for a connection of a small pool. After the server has died a call rejects with `unreachable`, and
 * the next one connects anew.
 */
export class MysqlStore implements Store {
  readonly description: string;
  readonly exclusive = false;
  readonly #pool: MysqlPool;

  /** Rejects with `schema-mismatch` for tables that are not ours or newer than this version. */
  static async open(options: MysqlStoreOptions): Promise<MysqlStore> {
    const { access = 'work', connections = CONNECTIONS, lookMs = LOOK_MS } = options;
    const pool = await MysqlPool.open({ ...options, connections, lookMs: access === 'look' ? lookMs : null });
    try {
      const version = await pool.use(async (session) => {
        await migrate(session, pool.place, access === 'work');
        const [row] = await session.rows({ sql: 'SELECT VERSION() AS version' });
        return fieldsOf(row).text('version');
      });
      return new MysqlStore(pool, version);
    } catch (error) {
      await pool[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(pool: MysqlPool, version: string) {
    this.#pool = pool;
    const product = /mariadb/i.test(version) ? 'MariaDB' : 'MySQL';
    this.description = `${product} ${version.replace(/-.*/, '')} at ${pool.place}`;
  }

  pool(): { used: number; size: number; waiting: number } {
    return this.#pool.inUse;
  }

  async time(): Promise<number> {
    const [row] = await this.#pool.use((session) =>
      session.rows({ sql: 'SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms' }),
    );
    return fieldsOf(row).number('now_ms');
  }

  enqueue(jobs: readonly NewJob[], nowMs: number): Promise<Enqueued[]> {
    return enqueue(this.#pool, jobs, nowMs);
  }

  ready(request: { after: string | null; limit: number; eligible: Eligible }): Promise<ReadyTenant[]> {
    return readyTenants(this.#pool, request);
  }

  exchange(request: Exchange): ReturnType<Store['exchange']> {
    return exchange(this.#pool, request);
  }

  async cursor(): Promise<string | null> {
    const [row] = await this.#pool.use((session) =>
      session.rows({ sql: 'SELECT last_turn FROM headway_circle WHERE one = 1' }),
    );
    return fieldsOf(row).textOrNull('last_turn');
  }

  promoteDue(nowMs: number): Promise<number | null> {
    return promoteDue(this.#pool, nowMs);
  }

  async beat(owner: string, report: string, nowMs: number): Promise<void> {
    await this.#pool.use((session) =>
      session.rows({
        sql: `INSERT INTO headway_owner (id, beat_at, report) VALUES (?, ?, ?)
          ON DUPLICATE KEY UPDATE beat_at = GREATEST(beat_at, VALUES(beat_at)), report = VALUES(report)`,
        values: [bytes(owner), Math.floor(nowMs), report],
      }),
    );
  }

  async leave(owner: string): Promise<void> {
    await this.#pool.use((session) =>
      session.rows({ sql: 'DELETE FROM headway_owner WHERE id = ?', values: [bytes(owner)] }),
    );
  }

  async owners(): Promise<Owner[]> {
    const rows = await this.#pool.use((session) =>
      session.rows({ sql: 'SELECT id, beat_at, report FROM headway_owner ORDER BY id' }),
    );
    return rows.map((row) => {
      const { text, number } = fieldsOf(row);
      return { id: text('id'), beatAtMs: number('beat_at'), report: text('report') };
    });
  }

  reclaim(request: { except: string; silentSinceMs: number; nowMs: number }): Promise<number> {
    return reclaim(this.#pool, request);
  }

  depths(frontLimit: number): Promise<Depths> {
    return depths(this.#pool, frontLimit);
  }

  holds(): Promise<Hold[]> {
    return holds(this.#pool);
  }

  hold(wanted: Hold): Promise<void> {
    return hold(this.#pool, wanted);
  }

  unhold(scope: HoldScope): Promise<boolean> {
    return unhold(this.#pool, scope);
  }

  async job(id: number): Promise<JobRecord | null> {
    const [job] = await jobRecords(this.#pool, [id]);
    return job ?? null;
  }

  payload(id: number, limitChars: number): Promise<string | null> {
    return payload(this.#pool, id, limitChars);
  }

  list(request: ListRequest): Promise<JobsListed> {
    return list(this.#pool, request);
  }

  deadGroups(limit: number): Promise<DeadGroup[]> {
    return deadGroups(this.#pool, limit);
  }

  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return deadJobs(this.#pool, filter, afterId, limit);
  }

  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    return blockedJobs(this.#pool, filter, afterId, limit);
  }

  requeue(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return requeue(this.#pool, filter, limit, nowMs);
  }

  discard(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return discard(this.#pool, filter, limit, nowMs);
  }

  unblock(filter: JobFilter, how: 'release' | 'cancel', limit: number, nowMs: number): Promise<number> {
    return unblock(this.#pool, filter, how, limit, nowMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}
