// Both databases that hold jobs tables, started for one test file, each in its own words.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Client } from 'pg';
import type { JobList, JobsPage } from '../../src/contract/queue-jobs.ts';
import type { JobsMapping } from '../../src/contract/settings.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { until } from '../harness/until.ts';
import { fullMapping, type Job, type ReadJob } from './queue-jobs-fixture.ts';
import { testQueueSource } from './queue-source-fixture.ts';

export const never = new AbortController().signal;
export const PASSWORD = 'password-of-a-reader';

let postgres: Postgres;
let pg: Client;
let mariaDb: MariaDb;
let my: Connection;

/** Those that the tests themselves use, as the owner of both databases. */
export const owner = { pg: () => pg, my: () => my };
export const servers = { postgres: () => postgres, mariaDb: () => mariaDb };

export async function startDatabases(): Promise<void> {
  [postgres, mariaDb] = await Promise.all([startPostgres(), startMariaDb()]);
  pg = await postgres.connect();
  my = await mariaDb.connect();
  await pg.query(`CREATE ROLE reader LOGIN PASSWORD '${PASSWORD}'`);
  await my.query(
    `CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; USE shop; CREATE USER reader IDENTIFIED BY '${PASSWORD}'; GRANT SELECT ON shop.* TO reader`,
  );
}

export async function stopDatabases(): Promise<void> {
  await pg.end();
  await my.end();
  await Promise.all([postgres[Symbol.asyncDispose](), mariaDb[Symbol.asyncDispose]()]);
}

/** No tables. */
export async function clearDatabases(): Promise<void> {
  await pg.query(
    `DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO reader;
     ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader`,
  );
  await my.query('DROP TABLE IF EXISTS shop.jobs; DROP VIEW IF EXISTS shop.jobs_view');
}

interface Session {
  mapping?: JobsMapping;
  statementTimeoutMs?: number;
}

export function postgresSource({ mapping = fullMapping, statementTimeoutMs = 5000 }: Session = {}): Source {
  return testQueueSource({
    server: postgres,
    system: 'jobs-table',
    user: 'reader',
    password: PASSWORD,
    database: 'postgres',
    mapping,
    statementTimeoutMs,
  });
}

export function mysqlSource({ mapping = fullMapping, statementTimeoutMs = 5000 }: Session = {}): Source {
  return testQueueSource({
    server: mariaDb,
    system: 'jobs-table',
    type: 'mysql',
    user: 'reader',
    password: PASSWORD,
    database: 'shop',
    mapping,
    statementTimeoutMs,
  });
}

/** One database, in its own words. */
export interface Database {
  name: string;
  source: (session?: Session) => Source;
  /** Makes the table of `fullMapping`, with the index columns given. */
  create: (index: readonly string[] | null, timeType?: string) => Promise<void>;
  add: (jobs: readonly Job[]) => Promise<void>;
  all: () => Promise<ReadJob[]>;
  run: (sql: string) => Promise<unknown>;
  /** An instant without zone, and with it. */
  times: readonly [string, string];
  endSessions: () => Promise<void>;
}

const instant = (secondsFromNow: number | null | undefined, nowMs: number): Date | null =>
  secondsFromNow === null || secondsFromNow === undefined ? null : new Date(nowMs + secondsFromNow * 1000);

function values(jobs: readonly Job[]): unknown[][] {
  const nowMs = Date.now();
  return jobs.map((job) => [
    job.tenant,
    job.state,
    instant(-(job.ageS ?? 100), nowMs),
    instant(job.runInS, nowMs),
    instant(job.startedAgoS === undefined ? null : -job.startedAgoS, nowMs),
    instant(job.beatAgoS === undefined ? null : -job.beatAgoS, nowMs),
    job.worker ?? null,
  ]);
}

const read = (row: Record<string, unknown>): ReadJob => ({
  tenant: row['tenant'] as string | null, // the statement's own columns
  state: String(row['state']),
  createdAt: row['created_at'] as Date | null,
  runAt: row['run_at'] as Date | null,
  startedAt: row['started_at'] as Date | null,
  beatAt: row['beat_at'] as Date | null,
  worker: row['worker'] as string | null,
});

export const TENANT = fullMapping.tenant;
export const pgName = (name: string) => `"${name.replaceAll('"', '""')}"`;

export const databases: Database[] = [
  {
    name: 'PostgreSQL',
    source: postgresSource,
    times: ['timestamp', 'timestamptz'],
    async create(index, type = 'timestamptz') {
      await pg.query(
        `CREATE TABLE jobs (id bigserial PRIMARY KEY, ${pgName(TENANT)} text, state varchar(20) NOT NULL,
           created_at ${type} NOT NULL, run_at ${type}, started_at ${type}, beat_at ${type}, worker text)`,
      );
      if (index) await pg.query(`CREATE INDEX ON jobs (${index.map(pgName).join(', ')})`);
    },
    async add(jobs) {
      const columns = values(jobs);
      const column = (at: number) => columns.map((row) => row[at]);
      await pg.query("SET timezone = 'UTC'");
      await pg.query(
        `INSERT INTO jobs (${pgName(TENANT)}, state, created_at, run_at, started_at, beat_at, worker)
         SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[])`,
        [0, 1, 2, 3, 4, 5, 6].map(column),
      );
      await pg.query('ANALYZE jobs');
    },
    async all() {
      const { rows } = await pg.query<Record<string, unknown>>(
        `SELECT ${pgName(TENANT)} AS tenant, state, worker, created_at::timestamptz AS created_at, run_at::timestamptz AS run_at,
                started_at::timestamptz AS started_at, beat_at::timestamptz AS beat_at FROM jobs`,
      );
      return rows.map(read);
    },
    run: (sql) => pg.query(sql),
    endSessions: async () => {
      await pg.query("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = 'reader'");
    },
  },
  {
    name: 'MariaDB',
    source: mysqlSource,
    times: ['datetime(6)', 'timestamp(6)'],
    async create(index, type = 'timestamp(6)') {
      await my.query(
        `CREATE TABLE jobs (id bigint AUTO_INCREMENT PRIMARY KEY, \`${TENANT}\` varchar(100), state varchar(20) NOT NULL,
           created_at ${type} NOT NULL DEFAULT '2020-01-01', run_at ${type} NULL, started_at ${type} NULL, beat_at ${type} NULL, worker varchar(50))`,
      );
      if (index) await my.query(`CREATE INDEX serving ON jobs (${index.map((c) => `\`${c}\``).join(', ')})`);
    },
    async add(jobs) {
      await my.query(
        `INSERT INTO jobs (\`${TENANT}\`, state, created_at, run_at, started_at, beat_at, worker) VALUES ?`,
        [values(jobs)],
      );
      await my.query('ANALYZE TABLE jobs');
    },
    async all() {
      const [rows] = await my.query<RowDataPacket[]>(`SELECT *, \`${TENANT}\` AS tenant FROM jobs`);
      return rows.map(read);
    },
    run: (sql) => my.query(sql),
    async endSessions() {
      const [rows] = await my.query<RowDataPacket[]>(
        "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'reader'",
      );
      for (const row of rows) await my.query(`KILL ${Number(row['id'])}`);
      await until(async () => {
        const [left] = await my.query<RowDataPacket[]>(
          "SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = 'reader'",
        );
        return left.length === 0;
      });
    },
  },
];

export const isPostgres = (db: Database): boolean => db.name === 'PostgreSQL';

/** Every page of a list, by its cursors. */
export async function pages(
  source: Source,
  list: JobList,
  tenantId: string | null,
  limit: number,
): Promise<JobsPage[]> {
  const all: JobsPage[] = [];
  for (let after: string | null = null; ;) {
    const page: JobsPage = await source.details.jobs({ list, tenantId, after, limit }, never);
    all.push(page);
    if (page.next === null) return all;
    after = page.next;
  }
}
