// The store on PostgreSQL, which several machines may share: row locks spread the claims over them.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import type { Claim, Depths, Enqueued, JobRecord, NewJob, Settlement } from '../job.ts';
import { lostAttempt } from './ended-by-store.ts';
import type { StoreAccess } from './store-access.ts';
import { PostgresDependants } from './postgres-dependants.ts';
import { checkedRows, dependsOnStored, isPlain, parts, store, storeRelated } from './postgres-enqueue.ts';
import { exchangeOnPostgres, fenceOf, isText, numbers } from './postgres-exchange.ts';
import { PostgresPool, type Ask, type PostgresAddress } from './postgres-pool.ts';
import {
  culpritRow,
  deadGroupRow,
  depthRow,
  frontRow,
  holdRow,
  idRow,
  jobRow,
  lostClaimRow,
  openClaimRow,
  ownerRow,
} from './postgres-records.ts';
import { migratePostgres } from './postgres-schema.ts';
import { postgresStatements, type PostgresStatements } from './postgres-statements.ts';
import type {
  BlockedJob,
  DeadGroup,
  Eligible,
  Exchange,
  Hold,
  HoldScope,
  JobFilter,
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
}

/** Counts are folded once in so many exchanges: until then they are added up by whoever asks for them. */
const FOLD_EVERY = 50;
const CONNECTIONS = 4;
const SCHEMA = 'headway_engine';

const cursorRow = z.object({ cursor: z.string().nullable() });

/** Every call rejects with `unreachable` while the server is away, and works again when it is back. */
export class PostgresStore implements Store {
  readonly exclusive = false;
  readonly description: string;
  readonly #pool: PostgresPool;
  readonly #sql: PostgresStatements;
  readonly #ask: Ask;
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
    const { schema = SCHEMA, access = 'work', connections = CONNECTIONS, ...address } = options;
    if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema) || schema.startsWith('pg_')) {
      throw new HeadwayError(
        'bad-request',
        `"${schema}" is no name for the job store's schema: use small letters, digits and underscores, at most 63.`,
      );
    }
    await using opened = new AsyncDisposableStack();
    const pool = opened.use(new PostgresPool(address, connections, access === 'look'));
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
    this.description = description;
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
      if (dead.length === 0) return await exchangeOnPostgres(this.#ask, this.#sql, request, occasion);
      return await this.#alone(request.nowMs, async (ask, dependants) => {
        const answer = await exchangeOnPostgres(ask, this.#sql, request, occasion);
        await dependants.ofDead(dead.flatMap(({ id, row }) => (answer.taken[row] ? [id] : [])));
        return answer;
      });
    } catch (error) {
      // It may have been committed all the same.
      if (request.take !== null) this.#doubtful.push(call);
      throw error;
    }
  }

  /** Claims whose answer was lost go back, as if they had never been made. */
  async #giveBackDoubtful(): Promise<void> {
    const calls = this.#doubtful;
    // Alone: then none of them is still under way in a server process that has not heard of the broken connection.
    await this.#alone(0, async (ask) => {
      const claims = z.array(openClaimRow).parse(await ask(this.#sql.ofCalls, [calls]));
      await this.#endAll(ask, 0, claims, (): { how: 'returned' } => ({ how: 'returned' }));
    });
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

  async reclaim(request: { except: string; silentSinceMs: number; nowMs: number }): Promise<number> {
    const { except, nowMs } = request;
    const silentSinceMs = Math.floor(Math.min(request.silentSinceMs, Number.MAX_SAFE_INTEGER));
    return this.#alone(nowMs, async (ask, dependants) => {
      const lost = z.array(lostClaimRow).parse(await ask(this.#sql.lost, [except, silentSinceMs]));
      const dead: number[] = [];
      await this.#endAll(ask, nowMs, lost, (claim) => {
        const failed = lostAttempt({
          attempt: claim.attempts + 1,
          owner: claim.owner,
          readyAtMs: claim.ready_at,
          claimedAtMs: claim.claimed_at,
          nowMs: Math.floor(nowMs),
        });
        if (claim.attempts + 1 < claim.max_attempts)
          return { how: 'retry', atMs: Math.max(claim.ready_at, Math.floor(nowMs)), failed };
        dead.push(claim.id);
        return { how: 'dead', failed };
      });
      if (dead.length > 0) await dependants.ofDead(dead);
      await ask(this.#sql.forgetSilent, [except, silentSinceMs]);
      return lost.length;
    });
  }

  /** Ends open claims in their owners' names. */
  async #endAll<T extends z.infer<typeof openClaimRow>>(
    ask: Ask,
    nowMs: number,
    claims: readonly T[],
    how: (claim: T) => DistributiveOmit<Settlement, 'claim'>,
  ): Promise<void> {
    for (const [owner, own] of Map.groupBy(claims, (claim) => claim.owner)) {
      const settlements = own.map((claim): Settlement => ({
        // Neither tenant nor kind is asked for.
        claim: { id: claim.id, fence: fenceOf(claim.lease, claim.place), tenantId: '', kind: '' },
        ...how(claim),
      }));
      const request = { owner, settlements, take: null, eligible: [], cursor: null, nowMs };
      await exchangeOnPostgres(ask, this.#sql, request, { call: '', fold: false });
    }
  }

  async depths(frontLimit: number): Promise<Depths> {
    return this.#pool.transaction(async (ask) => {
      // One view of everything; it must be said before the first statement.
      await ask('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
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
    return (await this.#records([id]))[0] ?? null;
  }

  async payload(id: number, limitChars: number): Promise<string | null> {
    if (!Number.isSafeInteger(id)) return null;
    const [row] = await this.#ask(this.#sql.payload, [id, limitChars]);
    return row ? z.object({ text: z.string() }).parse(row).text : null;
  }

  async deadGroups(limit: number): Promise<DeadGroup[]> {
    return z.array(deadGroupRow).parse(await this.#ask(this.#sql.deadGroups, [limit]));
  }

  async deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return this.#records(await this.#parked(this.#ask, 'dead', filter, afterId, limit));
  }

  async blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    const ids = await this.#parked(this.#ask, 'blocked', filter, afterId, limit);
    const jobs = await this.#records(ids);
    const culprits = z.array(culpritRow).parse(await this.#ask(this.#sql.culprits, [numbers(ids)]));
    const culpritOf = new Map(culprits.map((row) => [row.job_id, row.ancestor_id]));
    return jobs.flatMap((job) => {
      const ancestorId = culpritOf.get(job.id);
      return ancestorId === undefined ? [] : [{ job, ancestorId }];
    });
  }

  requeue(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#onParked('dead', filter, limit, nowMs, (dependants, ids) => dependants.requeue(ids));
  }

  discard(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#onParked('dead', filter, limit, nowMs, (dependants, ids) => dependants.discard(ids));
  }

  unblock(filter: JobFilter, how: 'release' | 'cancel', limit: number, nowMs: number): Promise<number> {
    return this.#onParked('blocked', filter, limit, nowMs, async (dependants, ids) => {
      if (how === 'release') await dependants.release(ids);
      else await dependants.cancel((await this.#records(ids)).map(({ id, attempts }) => ({ id, attempts })));
    });
  }

  /** Chooses parked jobs, lowest ids first, and does something to them; answers how many. */
  #onParked(
    state: 'dead' | 'blocked',
    filter: JobFilter,
    limit: number,
    nowMs: number,
    act: (dependants: PostgresDependants, ids: number[]) => Promise<void>,
  ): Promise<number> {
    return this.#alone(nowMs, async (ask, dependants) => {
      const ids = await this.#parked(ask, state, filter, 0, limit);
      if (ids.length > 0) await act(dependants, ids);
      return ids.length;
    });
  }

  async #parked(
    ask: Ask,
    state: 'dead' | 'blocked',
    filter: JobFilter,
    afterId: number,
    limit: number,
  ): Promise<number[]> {
    // A blocked job has no cause.
    const { tenantId = null, kind = null, cause, ids } = filter;
    if (![tenantId ?? '', kind ?? ''].every(isText)) return [];
    const rows = await ask(this.#sql.parkedIds, [
      ...[state, afterId, limit, tenantId, kind],
      cause === undefined ? null : JSON.stringify(cause),
      ids ? numbers(ids.filter((id) => Number.isSafeInteger(id))) : null,
    ]);
    return z
      .array(idRow)
      .parse(rows)
      .map(({ id }) => id);
  }

  async #records(ids: readonly number[]): Promise<JobRecord[]> {
    return ids.length === 0 ? [] : z.array(jobRow).parse(await this.#ask(this.#sql.jobs, [numbers(ids)]));
  }

  /** One transaction that no exchange, enqueue or other such transaction runs beside. */
  #alone<T>(nowMs: number, steps: (ask: Ask, dependants: PostgresDependants) => Promise<T>): Promise<T> {
    return this.#pool.transaction(async (ask) => {
      await ask(this.#sql.gateAlone);
      return steps(ask, new PostgresDependants(ask, this.#sql, Math.floor(nowMs)));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

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
