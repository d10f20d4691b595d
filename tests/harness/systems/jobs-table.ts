// A mapped table of jobs as a watched system, on either database: the audited table with the index that its poll wants.
import { escapeLiteral } from 'pg';
import { escape } from 'mysql2';
import { jobsMappingSchema } from '../../../src/contract/settings.ts';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { ago as agoMaria, onMariaDb, READER, spread as spreadMaria } from './mariadb-system.ts';
import { ago, onPostgres, spread } from './postgres-system.ts';
import type { WatchedSystem } from './system.ts';

const mapping = jobsMappingSchema.parse({
  table: 'jobs',
  id: 'id',
  tenant: 'user_id',
  kind: 'kind',
  state: 'status',
  states: { ready: ['queued'], running: ['processing'], held: ['paused'], dead: ['error'], done: ['done'] },
  createdAt: 'created_at',
  readyAt: 'run_at',
  startedAt: 'started_at',
  heartbeatAt: 'updated_at',
  attempts: 'attempts',
  maxAttempts: 3,
});
const statusOf = { ready: 'queued', delayed: 'queued', running: 'processing' } as const;
const PEER = 'SELECT user_id, status, count(*), min(created_at) FROM jobs GROUP BY user_id, status';

export const jobsTableOnPostgres = (): Promise<WatchedSystem> =>
  onPostgres(async (server, root) => {
    await root.query(
      `CREATE TABLE jobs (id bigserial PRIMARY KEY, user_id text NOT NULL, kind text NOT NULL DEFAULT 'sync',
         payload jsonb NOT NULL DEFAULT '{}', status text NOT NULL DEFAULT 'queued', attempts int NOT NULL DEFAULT 0,
         created_at timestamptz NOT NULL DEFAULT now(), run_at timestamptz NOT NULL, started_at timestamptz,
         updated_at timestamptz NOT NULL DEFAULT now());
       CREATE INDEX ON jobs (status, user_id, run_at)`,
    );
    return {
      name: 'jobs table on PostgreSQL',
      source: (options) =>
        testQueueSource({
          server,
          system: 'jobs-table',
          ...READER,
          database: 'postgres',
          mapping,
          ...options,
        }),
      async clear() {
        await root.query('TRUNCATE jobs');
      },
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs }) {
        await root.query(
          `INSERT INTO jobs (user_id, status, created_at, run_at, started_at)
           VALUES (${escapeLiteral(tenant)}, '${statusOf[state]}', ${ago(ageMs)}, ${ago(-dueInMs)},
                   ${startedAgoMs === undefined ? 'NULL' : ago(startedAgoMs)})`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `INSERT INTO jobs (user_id, created_at, run_at)
           SELECT 't' || n % ${tenants}, at, at
             FROM generate_series(0, ${rows - 1}) n CROSS JOIN LATERAL (SELECT ${spread(rows)} AS at) moment`,
        );
      },
      workOne: `UPDATE jobs SET status = 'done', updated_at = now()
                 WHERE id = (SELECT id FROM jobs WHERE status = 'queued' AND run_at <= now() ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)`,
      peerQuery: PEER,
    };
  });

export const jobsTableOnMariaDb = (): Promise<WatchedSystem> =>
  onMariaDb(async (server, root) => {
    await root.query(
      `CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; USE shop;
       CREATE TABLE jobs (id bigint AUTO_INCREMENT PRIMARY KEY, user_id varchar(255) NOT NULL, kind varchar(40) NOT NULL DEFAULT 'sync',
         payload json, status varchar(20) NOT NULL DEFAULT 'queued', attempts int NOT NULL DEFAULT 0,
         created_at datetime(6) NOT NULL, run_at datetime(6) NOT NULL, started_at datetime(6), updated_at datetime(6) NOT NULL,
         KEY by_state (status, user_id, run_at)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`,
    );
    return {
      name: 'jobs table on MariaDB',
      source: (options) =>
        testQueueSource({
          server,
          system: 'jobs-table',
          type: 'mysql',
          ...READER,
          database: 'shop',
          mapping,
          ...options,
        }),
      async clear() {
        await root.query('TRUNCATE jobs');
      },
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs }) {
        await root.query(
          `INSERT INTO jobs (user_id, status, created_at, run_at, started_at, updated_at)
           VALUES (${escape(tenant)}, '${statusOf[state]}', ${agoMaria(ageMs)}, ${agoMaria(-dueInMs)},
                   ${startedAgoMs === undefined ? 'NULL' : agoMaria(startedAgoMs)}, UTC_TIMESTAMP(6))`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `SET unique_checks = 0, foreign_key_checks = 0;
           INSERT INTO jobs (user_id, created_at, run_at, updated_at)
           SELECT CONCAT('t', MOD(n, ${tenants})), at, at, at
             FROM (SELECT n, ${spreadMaria(rows)} AS at FROM (SELECT seq AS n FROM seq_0_to_${rows - 1}) numbers) moments;
           ANALYZE TABLE jobs`,
        );
      },
      workOne: `UPDATE jobs SET status = 'done', updated_at = UTC_TIMESTAMP(6)
                 WHERE status = 'queued' AND run_at <= UTC_TIMESTAMP(6) ORDER BY id LIMIT 1`,
      peerQuery: PEER,
    };
  });
