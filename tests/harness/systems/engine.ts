// Headway's own engine as a watched system: each of its stores, with jobs that come and go through the store itself.
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { MysqlStore } from '../../../src/main/engine/stores/mysql-store.ts';
import { PostgresStore } from '../../../src/main/engine/stores/postgres-store.ts';
import { SqliteStore } from '../../../src/main/engine/stores/sqlite-store.ts';
import type { Exchange, Store } from '../../../src/main/engine/stores/store.ts';
import { EngineDatabaseSource } from '../../../src/main/sources/engine-database/engine-database-source.ts';
import { tempDir } from '../temp.ts';
import { onMariaDb, READER } from './mariadb-system.ts';
import { onPostgres } from './postgres-system.ts';
import type { PlainJob, SystemOptions, WatchedSystem } from './system.ts';

export interface EngineSystem extends WatchedSystem {
  /** As an engine has it. */
  store(): Store;
}

const OWNER = 'engine-1';
/** Jobs that run have a kind of their own, so that a claim finds just the one that was put last. */
const RUNNING = 'run';

export async function engineOnPostgres(): Promise<EngineSystem> {
  let store: Store | undefined;
  const system = await onPostgres(async (server, root, owned) => {
    const address = { host: server.host, port: server.port, database: 'postgres' };
    const { user, password } = server;
    const opened = owned.use(await PostgresStore.open({ ...address, user, password }));
    store = opened;
    const tables = [
      'job',
      'parked',
      'dependency',
      'lease',
      'tenant',
      'delta',
      'idempotency',
      'owner',
      'hold',
    ];
    return {
      name: 'engine on PostgreSQL',
      source: ({ statementTimeoutMs, now = Date.now }) =>
        new EngineDatabaseSource({
          ...{ isShared: true, now },
          open: () =>
            PostgresStore.open({
              ...{ ...address, ...READER, access: 'look', connections: 2 },
              ...(statementTimeoutMs !== undefined && { lookMs: statementTimeoutMs }),
            }),
        }),
      async clear() {
        await root.query(
          `TRUNCATE ${tables.map((table) => `headway_engine.${table}`).join(', ')}; UPDATE headway_engine.circle SET cursor = NULL`,
        );
      },
      put: (job) => put(opened, job),
      async fill(rows, tenants) {
        await root.query(
          `INSERT INTO headway_engine.job (id, tenant_id, kind, rank, ready_at, created_at, attempts, max_attempts, payload)
           SELECT n + 1, 't' || n % ${tenants}, 'mail', 0, at, at, 0, 5, '{}'
             FROM (SELECT n, (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 3600000 * (${rows} - n) / ${rows} AS at
                     FROM generate_series(0, ${rows - 1}::bigint) n) jobs;
           INSERT INTO headway_engine.delta (tenants, arrivals)
           SELECT array_agg('t' || n), array_agg(${Math.floor(rows / tenants)}) FROM generate_series(0, ${tenants - 1}) n;
           SELECT setval('headway_engine.job_id', ${rows}); SELECT headway_engine.fold()`,
        );
      },
      workOne: () => workOne(opened),
      peerQuery:
        'SELECT tenant_id, kind, count(*), min(ready_at) FROM headway_engine.job GROUP BY tenant_id, kind',
    };
  });
  return withStore(system, () => store);
}

export async function engineOnMariaDb(): Promise<EngineSystem> {
  let store: Store | undefined;
  const system = await onMariaDb(async (server, root, owned) => {
    await root.query('CREATE DATABASE jobs; USE jobs');
    const address = { host: server.host, port: server.port, database: 'jobs' };
    const opened = owned.use(
      await MysqlStore.open({ ...address, user: server.rootUser, password: server.rootPassword }),
    );
    store = opened;
    const tables = ['job', 'lane', 'payload', 'timer', 'dependency', 'dead', 'key', 'owner', 'hold'];
    return {
      name: 'engine on MariaDB',
      source: ({ statementTimeoutMs, now = Date.now }) =>
        new EngineDatabaseSource({
          ...{ isShared: true, now },
          open: () =>
            MysqlStore.open({
              ...{ ...address, ...READER, access: 'look', connections: 2 },
              ...(statementTimeoutMs !== undefined && { lookMs: statementTimeoutMs }),
            }),
        }),
      async clear() {
        await root.query(
          [
            ...tables.map((table) => `TRUNCATE headway_${table}`),
            'UPDATE headway_circle SET last_turn = NULL',
          ].join(';'),
        );
      },
      put: (job) => put(opened, job),
      async fill(rows, tenants) {
        const perTenant = Math.floor(rows / tenants);
        await root.query(
          `SET unique_checks = 0;
           INSERT INTO headway_lane (id, tenant_id, kind, n_ready, arrivals)
           SELECT seq + 1, CONCAT('t', seq), 'mail', ${perTenant}, ${perTenant} FROM seq_0_to_${tenants - 1};
           INSERT INTO headway_job (id, lane_id, kind, state, urgency, ready_at, created_at, max_attempts, on_dead_parent,
             waits_for, stuck_on, payload_bytes, payload_parts, payload)
           SELECT n + 1, MOD(n, ${tenants}) + 1, 'mail', 0, 0, at, at, 5, 0, 0, 0, 2, 0, '{}'
             FROM (SELECT seq AS n, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 - 3600000 * (1 - seq / ${rows}) AS INTEGER) AS at
                     FROM seq_0_to_${rows - 1}) jobs;
           ANALYZE TABLE headway_job, headway_lane`,
        );
      },
      workOne: () => workOne(opened),
      peerQuery: `SELECT tenant_id, lane.kind, count(*), min(ready_at)
        FROM headway_job job JOIN headway_lane lane ON lane.id = job.lane_id WHERE state = 0 GROUP BY tenant_id, lane.kind`,
    };
  });
  return withStore(system, () => store);
}

function withStore(system: WatchedSystem, stored: () => Store | undefined): EngineSystem {
  return Object.assign(system, {
    store: () => {
      const store = stored();
      if (store === undefined) throw new Error('the store was not opened');
      return store;
    },
  });
}

/** On a file: there are no sessions to be ended, no statement is stopped, and nothing counts what is read. */
export async function engineOnSqlite(): Promise<EngineSystem> {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await tempDir('engine'));
  const file = join(folder.path, 'jobs.db');
  let store = SqliteStore.open({ file, fresh: true });
  cleanup.defer(() => store[Symbol.asyncDispose]());
  const none = (what: string) => () => Promise.reject(new Error(`a file has no ${what}`));
  const owned = cleanup.move();
  return {
    name: 'engine on SQLite',
    type: 'sqlite',
    source: ({ now = Date.now }: SystemOptions = {}) =>
      new EngineDatabaseSource({
        ...{ isShared: false, now },
        open: () => new Promise((resolve) => resolve(SqliteStore.openReadOnly(file))),
      }),
    tenantId: (tenant) => tenant,
    async clear() {
      await store[Symbol.asyncDispose]();
      store = SqliteStore.open({ file, fresh: true });
    },
    async put(jobs) {
      for (const job of jobs) await put(store, job);
    },
    async fill(rows, tenants) {
      // A store remembers its counts: it is opened anew over those that are written beside it.
      await store[Symbol.asyncDispose]();
      const db = new DatabaseSync(file);
      db.exec(
        `BEGIN;
         INSERT INTO kind (id, name) VALUES (1, 'mail');
         WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < ${tenants - 1})
         INSERT INTO lane (id, tenant, kind, ready, arrivals, open)
           SELECT n + 1, 't' || n, 1, ${Math.floor(rows / tenants)}, ${Math.floor(rows / tenants)}, 1 FROM s;
         WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < ${rows - 1})
         INSERT INTO job (id, lane, kind, state, priority, created_at, ready_at, max_attempts, payload_bytes, payload)
           SELECT n + 1, n % ${tenants} + 1, 1, 'ready', 0, at, at, 5, 2, '{}'
           FROM (SELECT n, ${Date.now()} - 3600000 * (${rows} - n) / ${rows} AS at FROM s);
         UPDATE circle SET last_id = ${rows};
         COMMIT`,
      );
      db.close();
      store = SqliteStore.open({ file });
    },
    workOne: () => workOne(store),
    endSessions: none('sessions'),
    reads: none('counter of reads'),
    peerQuery: '',
    peer: none('counter of reads'),
    store: () => store,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Enqueues a job at its time, and claims it at its time where it runs, as an engine that lives. */
async function put(
  store: Store,
  { tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs = 0 }: PlainJob,
): Promise<void> {
  const nowMs = Date.now();
  const isRunning = state === 'running';
  const kind = isRunning ? RUNNING : 'mail';
  const job = {
    tenantId: tenant,
    kind,
    payload: {},
    ...(state === 'delayed' && { readyAtMs: nowMs + dueInMs }),
  };
  await store.enqueue([job], nowMs - ageMs);
  if (!isRunning) return;
  await store.beat(OWNER, '{}', nowMs);
  const take: Exchange['take'] = { order: 'turns', takes: [{ tenantId: tenant, count: 1 }] };
  const { claims } = await store.exchange({
    ...{ owner: OWNER, settlements: [], take, cursor: null, nowMs: nowMs - startedAgoMs },
    eligible: [{ kind: RUNNING, limit: null }],
  });
  if (claims.length !== 1) throw new Error(`${claims.length} jobs were claimed`);
}

async function workOne(store: Store): Promise<void> {
  const common = { owner: OWNER, eligible: [{ kind: 'mail', limit: null }], cursor: null, nowMs: Date.now() };
  const { claims } = await store.exchange({
    ...common,
    settlements: [],
    take: { order: 'first-come', count: 1 },
  });
  await store.exchange({
    ...common,
    settlements: claims.map((claim) => ({ claim, how: 'done' })),
    take: null,
  });
}
