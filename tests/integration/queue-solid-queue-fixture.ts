// Solid Queue's tables on both databases, and the truth by brute force over all rows.
import type { Client } from 'pg';
import type { Connection } from 'mysql2/promise';
import type { Count } from '../../src/core/count.ts';
import type { TenantSample } from '../../src/core/sample.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { MysqlSession } from '../../src/main/sources/mysql-session.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { startMariaDb } from '../harness/mariadb.ts';
import { startPostgres } from '../harness/postgres.ts';
import {
  solidQueueSchema,
  type SolidQueueDialect,
  type SolidQueueGeneration,
} from '../harness/solid-queue-schema.ts';
import type { SolidQueueDb } from '../harness/solid-queue-workload.ts';
import { testQueueSource } from './queue-source-fixture.ts';

export const ODD = `it's "quoted" \\ \`;--% 📮`;
export const LONG = 'é'.repeat(255);
export const never = new AbortController().signal;

export interface SolidQueueServer extends SolidQueueDb, AsyncDisposable {
  dialect: SolidQueueDialect;
  /** Several statements, as superuser, in the database of the queue. */
  run: (sql: string) => Promise<unknown>;
  /** A source by an account that may only read. `place`: another schema or database. */
  source: (options?: { place?: string; user?: string; statementTimeoutMs?: number }) => Source;
  /** A session like the source's own. */
  session: () => Promise<PostgresSession | MysqlSession>;
  /** Ends Headway's connections on the server's side; yields how many. */
  kill: (onlyWaiting?: boolean) => Promise<number>;
  /** Numbers ready executions in the order in which they became ready, as they are when Solid Queue writes them. */
  renumber: () => Promise<void>;
  /** Deletes every row. */
  clear: () => Promise<void>;
  /** Many jobs straight into the tables; `columns` of the execution are SQL over n from 1. */
  bulk: (
    place: string | null,
    queue: string,
    count: number,
    columns?: Record<string, string>,
    created?: string,
  ) => Promise<void>;
}

export const seconds = (dialect: SolidQueueDialect, value: string | number): string =>
  dialect === 'postgres'
    ? `(now() AT TIME ZONE 'UTC' - (${value}) * interval '1 second')`
    : `(UTC_TIMESTAMP(6) - INTERVAL (${value}) SECOND)`;

export async function startServer(
  dialect: SolidQueueDialect,
  generation: SolidQueueGeneration = 'batches',
): Promise<SolidQueueServer> {
  const server = dialect === 'postgres' ? await postgres() : await mariadb();
  for (const statement of solidQueueSchema(dialect, generation)) await server.run(statement);
  await server.grant();
  const names = [
    'batch_executions',
    'batches',
    'recurring_executions',
    'semaphores',
    'ready_executions',
  ].concat([
    'claimed_executions',
    'scheduled_executions',
    'blocked_executions',
    'failed_executions',
    'pauses',
    'processes',
    'jobs',
  ]);
  return {
    ...server,
    dialect,
    async renumber() {
      const columns = 'job_id, queue_name, priority, created_at';
      await server.run(`CREATE TEMPORARY TABLE written AS SELECT * FROM solid_queue_ready_executions`);
      await server.run('DELETE FROM solid_queue_ready_executions');
      await server.run(
        `INSERT INTO solid_queue_ready_executions (${columns}) SELECT ${columns} FROM written ORDER BY created_at, job_id`,
      );
      await server.run('DROP TABLE written');
    },
    async clear() {
      for (const name of names) await server.run(`DELETE FROM solid_queue_${name}`).catch(() => undefined);
    },
    async bulk(place, queue, count, columns = {}, created = seconds(dialect, `${count} - n`)) {
      const text = `'${queue.replaceAll(dialect === 'mysql' ? /['\\]/g : /'/g, (c) => (c === "'" ? "''" : '\\\\'))}'`;
      const series =
        dialect === 'postgres'
          ? `(SELECT n FROM generate_series(1, ${count}) n) n`
          : `(SELECT seq AS n FROM seq_1_to_${count}) n`;
      const [{ last = 0 } = {}] = await server.query(
        'SELECT COALESCE(MAX(id), 0) AS last FROM solid_queue_jobs',
      );
      await server.run(
        `INSERT INTO solid_queue_jobs (queue_name, class_name, arguments, scheduled_at, created_at, updated_at, finished_at${'priority' in columns ? ', priority' : ''})
         SELECT ${text}, 'Bulk', '{}', ${created}, ${created}, ${created}, ${place === null ? created : 'NULL'}${'priority' in columns ? `, ${columns['priority'] ?? ''}` : ''} FROM ${series} ORDER BY n`,
      );
      if (place === null) return;
      const hasQueue = !['claimed', 'failed'].includes(place);
      const all = {
        created_at: created,
        ...(hasQueue ? { queue_name: 'j.queue_name' } : {}),
        ...(place === 'blocked' ? { concurrency_key: `'key'`, expires_at: created } : {}),
        ...columns,
      };
      await server.run(
        `INSERT INTO solid_queue_${place}_executions (job_id, ${Object.keys(all).join(', ')})
         SELECT j.id, ${Object.values(all).join(', ')}
           FROM (SELECT id, queue_name, ROW_NUMBER() OVER (ORDER BY id) AS n FROM solid_queue_jobs WHERE id > ${Number(last)}) j ORDER BY j.id`,
      );
    },
  };
}

type Bare = Omit<SolidQueueServer, 'dialect' | 'clear' | 'renumber' | 'bulk'> & {
  grant: () => Promise<unknown>;
};

async function postgres(): Promise<Bare> {
  // A zone with half an hour, east of UTC: a forgotten conversion shows.
  const db = await startPostgres({ settings: { timezone: 'Asia/Kolkata', autovacuum: 'off' } });
  const root: Client = await db.connect();
  await root.query(
    "CREATE ROLE reader LOGIN PASSWORD 'r'; CREATE ROLE stranger LOGIN PASSWORD 'r'; ALTER ROLE reader SET timezone = 'America/New_York'",
  );
  return {
    async query(sql, values = []) {
      let n = 0;
      const { rows } = await root.query<Record<string, unknown>>(
        sql.replaceAll('?', () => `$${(n += 1)}`),
        [...values],
      );
      return rows;
    },
    run: (sql) => root.query(sql),
    grant: () => root.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader'),
    source: ({ place = 'public', user = 'reader', ...rest } = {}) =>
      testQueueSource({
        ...{ server: db, system: 'solid-queue', user, password: user === 'postgres' ? db.password : 'r' },
        ...{ database: 'postgres', schema: place, ...rest },
      }),
    session: () =>
      PostgresSession.open(
        { settings: settings(db, 'reader', 'postgres'), password: 'r', statementTimeoutMs: 3_000 },
        never,
      ),
    async kill(onlyWaiting = false) {
      const { rowCount } = await root.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'Headway'${onlyWaiting ? ` AND wait_event_type = 'Lock'` : ''}`,
      );
      return rowCount ?? 0;
    },
    async [Symbol.asyncDispose]() {
      await root.end();
      await db[Symbol.asyncDispose]();
    },
  };
}

async function mariadb(): Promise<Bare> {
  const db = await startMariaDb({ args: ['--default-time-zone=+05:30'] });
  const setup = await db.connect();
  await setup.query(
    `CREATE DATABASE \`app "queue\`; CREATE USER reader@'%' IDENTIFIED BY 'r'; CREATE USER stranger@'%' IDENTIFIED BY 'r'`,
  );
  await setup.end();
  const root: Connection = await db.connect('app "queue');
  return {
    async query(sql, values = []) {
      const [rows] = await root.query(sql, [...values]);
      return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
    },
    run: (sql) => root.query(sql),
    grant: () => root.query('GRANT SELECT ON `app "queue`.* TO reader@`%`'),
    source: ({ place = 'app "queue', user = 'reader', ...rest } = {}) =>
      testQueueSource({
        ...{
          server: db,
          system: 'solid-queue',
          type: 'mysql',
          user,
          password: 'r',
          database: place,
          ...rest,
        },
        ...(user === 'root' ? { password: db.rootPassword } : {}),
      }),
    session: () =>
      MysqlSession.open(
        { settings: settings(db, 'reader', 'app "queue'), password: 'r', statementTimeoutMs: 3_000 },
        never,
      ),
    async kill(onlyWaiting = false) {
      const [rows] = await root.query(
        `SELECT id FROM information_schema.processlist WHERE user = 'reader'${onlyWaiting ? ` AND state LIKE '%metadata lock%'` : ''}`,
      );
      const ids = (rows as { id: number }[]).map(({ id }) => id);
      for (const id of ids)
        await root.query(`KILL ${id}`).catch((error: unknown) => {
          // One that ended meanwhile needs no killing.
          if (!(error instanceof Error && 'code' in error && error.code === 'ER_NO_SUCH_THREAD')) throw error;
        });
      return ids.length;
    },
    async [Symbol.asyncDispose]() {
      await root.end();
      await db[Symbol.asyncDispose]();
    },
  };
}

const settings = ({ host, port }: { host: string; port: number }, user: string, database: string) =>
  databaseSchema.parse({ host, port, user, database });

export interface Truth {
  ready: number;
  delayed: number;
  running: number;
  stale: number;
  dead: number;
  blocked: number;
  readyAtMs: number | null;
  createdAtMs: number | null;
  lastStartedAtMs: number | null;
  oldestRunningAtMs: number | null;
  paused: boolean;
}

const nothing = (): Truth => ({
  ...{ ready: 0, delayed: 0, running: 0, stale: 0, dead: 0, blocked: 0, paused: false },
  ...{ readyAtMs: null, createdAtMs: null, lastStartedAtMs: null, oldestRunningAtMs: null },
});

/** Every queue's numbers by their definitions, over all rows, at database time `nowMs`. */
export async function bruteForce(server: SolidQueueServer, nowMs: number): Promise<Map<string, Truth>> {
  const ms = (column: string) =>
    server.dialect === 'postgres'
      ? `(extract(epoch FROM ${column}) * 1000)::float8`
      : `(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) / 1000e0)`;
  const rows = await server.query(
    `SELECT j.queue_name AS queue, ${ms('j.created_at')} AS created, ${ms('r.created_at')} AS ready, ${ms('s.scheduled_at')} AS due,
            ${ms('c.created_at')} AS started, ${ms('p.last_heartbeat_at')} AS beat, f.id AS failed, b.id AS blocked
       FROM solid_queue_jobs j
       LEFT JOIN solid_queue_ready_executions r ON r.job_id = j.id
       LEFT JOIN solid_queue_scheduled_executions s ON s.job_id = j.id
       LEFT JOIN solid_queue_claimed_executions c ON c.job_id = j.id
       LEFT JOIN solid_queue_processes p ON p.id = c.process_id
       LEFT JOIN solid_queue_failed_executions f ON f.job_id = j.id
       LEFT JOIN solid_queue_blocked_executions b ON b.job_id = j.id`,
  );
  const truths = new Map<string, Truth>();
  const of = (queue: unknown): Truth => {
    const truth = truths.get(String(queue)) ?? nothing();
    truths.set(String(queue), truth);
    return truth;
  };
  for (const row of rows) {
    const truth = of(row['queue']);
    const time = (name: string) => (row[name] === null ? null : Number(row[name]));
    const due = time('due');
    const readyAt = time('ready') ?? (due !== null && due <= nowMs ? due : null);
    const started = time('started');
    if (row['failed'] !== null) truth.dead += 1;
    if (row['blocked'] !== null) truth.blocked += 1;
    if (due !== null && due > nowMs) truth.delayed += 1;
    if (readyAt !== null) {
      truth.ready += 1;
      if (truth.readyAtMs === null || readyAt < truth.readyAtMs) {
        truth.readyAtMs = readyAt;
        truth.createdAtMs = time('created');
      }
    }
    if (started !== null) {
      const beat = time('beat');
      truth.running += 1;
      truth.lastStartedAtMs = Math.max(truth.lastStartedAtMs ?? started, started);
      if (beat === null || beat < nowMs - 300_000) truth.stale += 1;
      else truth.oldestRunningAtMs = Math.min(truth.oldestRunningAtMs ?? started, started);
    }
  }
  for (const { queue_name } of await server.query('SELECT queue_name FROM solid_queue_pauses'))
    of(queue_name).paused = true;
  return truths;
}

/** The sample's numbers in the shape of the truth; throws where one is not exact. */
export function exactNumbers(tenant: TenantSample): Truth {
  const value = (count: Count | null) => {
    if (count?.kind !== 'exact') throw new Error(`${tenant.tenantId}: ${JSON.stringify(count)} is not exact`);
    return count.value;
  };
  if (tenant.oldestReady?.bound === 'at-least')
    throw new Error(`${tenant.tenantId}: the oldest is not proven`);
  return {
    ...{ ready: value(tenant.ready), delayed: value(tenant.delayed), running: value(tenant.running) },
    ...{ stale: value(tenant.stale), dead: value(tenant.dead), blocked: value(tenant.blocked) },
    readyAtMs: tenant.oldestReady?.readyAtMs ?? null,
    createdAtMs: tenant.oldestReady?.createdAtMs ?? null,
    lastStartedAtMs: tenant.lastStartedAtMs,
    oldestRunningAtMs: tenant.oldestRunningAtMs,
    paused: tenant.paused !== null,
  };
}
