// The store on PostgreSQL, which several machines may share: row locks spread the claims over them.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import type { Claim, Depths, Enqueued, JobRecord, NewJob } from '../job.ts';
import type { StoreAccess } from './store-access.ts';
import { PostgresDependants } from './postgres-dependants.ts';
import { checkedRows, dependsOnStored, isPlain, parts, store, storeRelated } from './postgres-enqueue.ts';
import { exchangeOnPostgres, isText } from './postgres-exchange.ts';
import { endSilent, giveBack } from './postgres-lost-claims.ts';
import { LIST_SETTINGS, postgresList, postgresListStatements } from './postgres-list.ts';
import { PostgresParked, type Repair } from './postgres-parked.ts';
import { PostgresPool, type Ask, type PostgresAddress } from './postgres-pool.ts';
import { depthRow, frontRow, holdRow, ownerRow } from './postgres-records.ts';
import { migratePostgres } from './postgres-schema.ts';
import { postgresStatements, type PostgresStatements } from './postgres-statements.ts';
import { PostgresVacuum } from './postgres-vacuum.ts';
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

export interface PostgresStoreOptions extends PostgresAddress {
  /** Made when it is not there. Engines that share jobs name the same one. */
  schema?: string;
  /** See StoreAccess; `work` when left out. */
  access?: StoreAccess;
  /** Connections at most, opened as they are needed. */
  connections?: number;
  /** With access `look`: the server stops reads that run longer. */
  lookMs?: number;
}

/** Counts are folded once in so many exchanges: until then they are added up by whoever asks for them. */
const FOLD_EVERY = 50;
const CONNECTIONS = 4;
const SCHEMA = 'headway_engine';
/** Watching must not hurt what is watched. */
const LOOK_MS = 2_000;

const cursorRow = z.object({ cursor: z.string().nullable() });

/** Every call rejects with `unreachable` while the server is away, and works again when it is back. */
export class PostgresStore implements Store {
  readonly exclusive = false;
  readonly description: string;
  readonly #pool: PostgresPool;
  readonly #sql: PostgresStatements;
  readonly #ask: Ask;
  readonly #parked: PostgresParked;
  readonly #lists: ReturnType<typeof postgresListStatements>;
  readonly #vacuum: PostgresVacuum;
  /** Names this store's exchanges among all stores'. */
  readonly #name = randomUUID();
  #calls = 0;
  /** Exchanges whose answer was lost: what they claimed, if they did, nobody knows of. */
  #doubtful: string[] = [];

  /**
   * Connects, makes or updates the schema. Rejects with `unreachable`, `authentication-failed`, `database-unknown`,
   * `grant-missing`, `tls-failed`; with `schema-mismatch` for a schema that is not ours or newer, or a server that is too
   * old; with `bad-request` for a name that no schema should have.
   */
  static async open(options: PostgresStoreOptions): Promise<PostgresStore> {
    const {
      schema = SCHEMA,
      access = 'work',
      connections = CONNECTIONS,
      lookMs = LOOK_MS,
      ...address
    } = options;
    if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema) || schema.startsWith('pg_')) {
      throw new HeadwayError(
        'bad-request',
        `"${schema}" is no name for the job store's schema: use small letters, digits and underscores, at most 63.`,
      );
    }
    await using opened = new AsyncDisposableStack();
    const pool = opened.use(new PostgresPool(address, connections, access === 'look' ? lookMs : null));
    const release = await pool.alone((client) =>
      migratePostgres(client, schema, pool.place, access === 'work'),
    );
    const description = `PostgreSQL ${release.split(' ')[0]} at ${pool.place}`;
    const made = new PostgresStore(
      pool,
      schema,
      schema === SCHEMA ? description : `${description}, schema ${schema}`,
    );
    opened.move();
    return made;
  }

  private constructor(pool: PostgresPool, schema: string, description: string) {
    this.#pool = pool;
    this.#ask = pool.ask;
    this.#sql = postgresStatements(schema);
    this.#parked = new PostgresParked(this.#ask, this.#sql);
    this.#lists = postgresListStatements(schema);
    this.#vacuum = new PostgresVacuum(pool.ask, schema);
    this.description = description;
  }

  pool(): { used: number; size: number; waiting: number } {
    return this.#pool.inUse;
  }

  async time(): Promise<number> {
    const [row] = await this.#ask(this.#sql.time);
    return z.object({ now: z.coerce.number() }).parse(row).now;
  }

  async enqueue(jobs: readonly NewJob[], nowMs: number): Promise<Enqueued[]> {
    if (jobs.length === 0) return [];
    const atMs = Math.floor(nowMs);
    const rows = checkedRows(jobs, atMs);
    const inParts = parts(rows);
    const storeAll = async (ask: Ask): Promise<Enqueued[]> => {
      const ids: number[] = [];
      for (const part of inParts) ids.push(...(await store(ask, this.#sql, part, null, atMs)));
      return ids.map((id) => ({ id, fresh: true }));
    };
    try {
      if (rows.every(isPlain))
        return await (inParts.length === 1 ? storeAll(this.#ask) : this.#pool.transaction(storeAll));
      return await this.#pool.transaction(async (ask) => {
        await ask(dependsOnStored(rows) ? this.#sql.gateAlone : this.#sql.gateShared);
        return storeRelated(ask, this.#sql, rows, atMs);
      });
    } catch (error) {
      throw drained(error, jobs);
    }
  }

  async ready(request: { after: string | null; limit: number; eligible: Eligible }): Promise<ReadyTenant[]> {
    const kinds = request.eligible.filter(({ limit }) => limit !== 0).map(({ kind }) => kind);
    const [row] = await this.#ask(this.#sql.ready, [request.after, request.limit, kinds]);
    const { tenants } = z.object({ tenants: z.array(z.string()) }).parse(row);
    return tenants.map((tenantId) => ({ tenantId, readyAtLeast: 1 }));
  }

  async exchange(request: Exchange): Promise<{ taken: boolean[]; claims: Claim[] }> {
    if (this.#doubtful.length > 0) await this.#giveBackDoubtful();
    const call = `${this.#name} ${++this.#calls}`;
    const occasion = { call, fold: this.#calls % FOLD_EVERY === 0 };
    const dead = request.settlements.flatMap(({ how, claim }, row) =>
      how === 'dead' ? [{ id: claim.id, row }] : [],
    );
    try {
      const answer = await (dead.length === 0
        ? exchangeOnPostgres(this.#ask, this.#sql, request, occasion)
        : this.#exchangeWithDead(request, occasion, dead));
      this.#vacuum.claimed(answer.claims.length);
      return answer;
    } catch (error) {
      // It may have been committed all the same.
      if (request.take !== null) this.#doubtful.push(call);
      throw error;
    }
  }

  #exchangeWithDead(
    request: Exchange,
    occasion: { call: string; fold: boolean },
    dead: readonly { id: number; row: number }[],
  ): Promise<{ taken: boolean[]; claims: Claim[] }> {
    return this.#alone(request.nowMs, async (ask, dependants) => {
      const answer = await exchangeOnPostgres(ask, this.#sql, request, occasion);
      await dependants.ofDead(dead.flatMap(({ id, row }) => (answer.taken[row] ? [id] : [])));
      return answer;
    });
  }

  /** Alone: then none of them is still under way in a server process that has not heard of the broken connection. */
  async #giveBackDoubtful(): Promise<void> {
    const calls = this.#doubtful;
    await this.#alone(0, (ask) => giveBack(ask, this.#sql, calls));
    this.#doubtful = this.#doubtful.filter((call) => !calls.includes(call));
  }

  async cursor(): Promise<string | null> {
    const [row] = await this.#ask(this.#sql.cursor);
    return cursorRow.parse(row).cursor;
  }

  async promoteDue(nowMs: number): Promise<number | null> {
    const [row] = await this.#ask(this.#sql.promoteDue, [Math.floor(nowMs)]);
    const { next } = z.object({ next: z.string().nullable() }).parse(row);
    return next === null ? null : Number(next);
  }

  async beat(owner: string, report: string, nowMs: number): Promise<void> {
    await this.#ask(this.#sql.beat, [owner, Math.floor(nowMs), report]);
  }

  async leave(owner: string): Promise<void> {
    await this.#ask(this.#sql.leave, [owner]);
  }

  async owners(): Promise<Owner[]> {
    return z.array(ownerRow).parse(await this.#ask(this.#sql.owners));
  }

  reclaim(request: { except: string; silentSinceMs: number; nowMs: number }): Promise<number> {
    return this.#alone(request.nowMs, async (ask, dependants) => {
      const { count, dead } = await endSilent(ask, this.#sql, request);
      await dependants.ofDead(dead);
      return count;
    });
  }

  async depths(frontLimit: number): Promise<Depths> {
    return this.#pool.transaction(async (ask) => {
      // One view of everything; it must be said before the first statement. Compiling would take longer than reading.
      await ask('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off');
      const rows = z.array(depthRow).parse(await ask(this.#sql.depths));
      // One more than asked for tells whether there are more.
      const seen = z.array(frontRow).parse(await ask(this.#sql.front, [frontLimit + 1]));
      const [cursor] = await ask(this.#sql.cursor);
      const front = Map.groupBy(seen.slice(0, frontLimit), (job) => job.tenant_id);
      return {
        cursor: cursorRow.parse(cursor).cursor,
        frontEndId: seen.length > frontLimit ? (seen[frontLimit - 1]?.id ?? 0) : null,
        tenants: rows.map((row) => ({
          ...row,
          frontIds: (front.get(row.tenantId) ?? []).map(({ id }) => id),
        })),
      };
    });
  }

  async holds(): Promise<Hold[]> {
    return z.array(holdRow).parse(await this.#ask(this.#sql.holds));
  }

  async hold({ tenantId, kind, mode, by, reason, sinceMs }: Hold): Promise<void> {
    for (const text of [tenantId ?? '', kind ?? '', by, reason])
      if (!isText(text))
        throw new HeadwayError(
          'bad-request',
          'a hold holds a character that PostgreSQL cannot store (U+0000)',
        );
    await this.#alone(sinceMs, async (ask) => {
      await ask(this.#sql.unhold, [tenantId, kind]);
      await ask(this.#sql.hold, [tenantId, kind, mode, by, reason, Math.floor(sinceMs)]);
    });
  }

  async unhold({ tenantId, kind }: HoldScope): Promise<boolean> {
    return (await this.#ask(this.#sql.unhold, [tenantId, kind])).length > 0;
  }

  async job(id: number): Promise<JobRecord | null> {
    if (!Number.isSafeInteger(id)) return null;
    return (await this.#parked.records([id]))[0] ?? null;
  }

  async payload(id: number, limitChars: number): Promise<string | null> {
    if (!Number.isSafeInteger(id)) return null;
    const [row] = await this.#ask(this.#sql.payload, [id, limitChars]);
    return row ? z.object({ text: z.string() }).parse(row).text : null;
  }

  list(request: ListRequest): Promise<JobsListed> {
    return this.#pool.transaction(async (ask) => {
      await ask(LIST_SETTINGS);
      const parked = new PostgresParked(ask, this.#sql);
      return postgresList(ask, this.#lists, (ids) => parked.records(ids), request);
    });
  }

  deadGroups(limit: number): Promise<DeadGroup[]> {
    return this.#parked.deadGroups(limit);
  }

  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return this.#parked.dead(filter, afterId, limit);
  }

  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    return this.#parked.blocked(filter, afterId, limit);
  }

  requeue(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#repair('requeue', filter, limit, nowMs);
  }

  discard(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#repair('discard', filter, limit, nowMs);
  }

  unblock(filter: JobFilter, how: 'release' | 'cancel', limit: number, nowMs: number): Promise<number> {
    return this.#repair(how, filter, limit, nowMs);
  }

  #repair(how: Repair, filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#alone(nowMs, (ask, dependants) =>
      new PostgresParked(ask, this.#sql).repair(how, filter, limit, dependants),
    );
  }

  /** One transaction that no exchange, enqueue or other such transaction runs beside. */
  #alone<T>(nowMs: number, steps: (ask: Ask, dependants: PostgresDependants) => Promise<T>): Promise<T> {
    return this.#pool.transaction(async (ask) => {
      await ask(this.#sql.gateAlone);
      return steps(ask, new PostgresDependants(ask, this.#sql, Math.floor(nowMs)));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#vacuum.over();
    await this.#pool[Symbol.asyncDispose]();
  }
}

/** What the database says of a row that a drain refuses, in words. */
function drained(error: unknown, jobs: readonly NewJob[]): unknown {
  const cause = error instanceof HeadwayError ? error.cause : null;
  if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'HWDRN') return error;
  const row = 'detail' in cause ? Number(cause.detail) : 0;
  const job = jobs[row];
  return new HeadwayError(
    'conflict',
    `job ${row} of the batch: ${job?.kind} of tenant ${job?.tenantId} is being drained and takes no new jobs; nothing was enqueued.`,
  );
}
