// Solid Queue as a watched system, on both databases: its newest tables, and statements as Rails sends them.
import { escape } from 'mysql2';
import { escapeLiteral } from 'pg';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { solidQueueSchema } from '../solid-queue-schema.ts';
import * as maria from './mariadb-system.ts';
import * as postgres from './postgres-system.ts';
import type { PlainJob, SystemParts, WatchedSystem } from './system.ts';

interface Words {
  run: (sql: string) => Promise<unknown>;
  text: (value: string) => string;
  /** A moment in UTC, as Rails writes it. */
  ago: (ms: number) => string;
  /** n of `rows`, with when it was made. */
  numbers: (rows: number) => string;
}

function parts({ run, text, ago, numbers }: Words): Pick<SystemParts, 'clear' | 'put' | 'fill'> {
  const write = async ({ tenant, state, ageMs, dueInMs = 0, startedAgoMs = 0 }: PlainJob): Promise<void> => {
    const created = ago(ageMs);
    await run(
      `INSERT INTO solid_queue_jobs (queue_name, class_name, arguments, active_job_id, scheduled_at, created_at, updated_at)
       VALUES (${text(tenant)}, 'Work', '{"executions":0}', 'aj', ${created}, ${created}, ${created})`,
    );
    const execution = {
      ready: ['ready', 'queue_name, created_at', `queue_name, ${created}`],
      delayed: [
        'scheduled',
        'queue_name, scheduled_at, created_at',
        `queue_name, ${ago(-dueInMs)}, ${created}`,
      ],
      running: ['claimed', 'process_id, created_at', `1, ${ago(startedAgoMs)}`],
    }[state];
    const [table = '', columns = '', values = ''] = execution;
    await run(
      `INSERT INTO solid_queue_${table}_executions (job_id, ${columns}) SELECT id, ${values} FROM solid_queue_jobs ORDER BY id DESC LIMIT 1`,
    );
  };
  return {
    put: write,
    async clear() {
      await run('DELETE FROM solid_queue_jobs');
      await run('DELETE FROM solid_queue_processes');
      const now = ago(0);
      await run(
        `INSERT INTO solid_queue_processes (id, kind, name, pid, last_heartbeat_at, created_at) VALUES (1, 'Worker', 'w', 1, ${now}, ${now})`,
      );
    },
    async fill(rows, tenants) {
      const made = numbers(rows);
      await run(
        `INSERT INTO solid_queue_jobs (queue_name, class_name, scheduled_at, created_at, updated_at)
         SELECT CONCAT('t', n % ${tenants}), 'Work', at, at, at FROM ${made} ORDER BY n`,
      );
      await run(
        `INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at) SELECT id, queue_name, created_at FROM solid_queue_jobs ORDER BY id`,
      );
    },
  };
}

/** A claim that ends at once, in one statement. */
const workOne = `DELETE FROM solid_queue_jobs WHERE id = (SELECT job_id FROM (SELECT job_id FROM solid_queue_ready_executions WHERE queue_name = 'a' ORDER BY priority, job_id LIMIT 1) first)`;
const peerQuery = `SELECT queue_name, count(*), min(created_at) FROM solid_queue_ready_executions GROUP BY queue_name`;

/** Rails writes jobs as time goes by: the oldest first. */
async function inOrder(created: Promise<WatchedSystem>): Promise<WatchedSystem> {
  const system = await created;
  return { ...system, put: (jobs) => system.put(jobs.toSorted((a, b) => b.ageMs - a.ageMs)) };
}

export const solidQueueOnPostgres = (): Promise<WatchedSystem> =>
  inOrder(
    postgres.onPostgres(async (server, root) => {
      for (const statement of solidQueueSchema('postgres', 'batches')) await root.query(statement);
      const utc = (time: string) => `((${time}) AT TIME ZONE 'UTC')`;
      return {
        ...{ name: 'Solid Queue on PostgreSQL', workOne, peerQuery },
        source: (options) =>
          testQueueSource({
            ...{ server, system: 'solid-queue', ...postgres.READER, database: 'postgres', schema: 'public' },
            ...options,
          }),
        ...parts({
          run: (sql) => root.query(sql),
          text: escapeLiteral,
          ago: (ms) => utc(postgres.ago(ms)),
          numbers: (rows) =>
            `(SELECT n, ${utc(postgres.spread(rows))} AS at FROM generate_series(0, ${rows - 1}) n) made`,
        }),
      };
    }),
  );

export const solidQueueOnMariaDb = (): Promise<WatchedSystem> =>
  inOrder(
    maria.onMariaDb(async (server, root) => {
      await root.query('CREATE DATABASE queue; USE queue');
      for (const statement of solidQueueSchema('mysql', 'batches')) await root.query(statement);
      const shared = parts({
        run: (sql) => root.query(sql),
        text: (value) => escape(value),
        ago: maria.ago,
        numbers: (rows) =>
          `(SELECT n, ${maria.spread(rows)} AS at FROM (SELECT seq AS n FROM seq_0_to_${rows - 1}) numbers) made`,
      });
      return {
        ...{ name: 'Solid Queue on MariaDB', workOne, peerQuery },
        source: (options) =>
          testQueueSource({
            ...{ server, system: 'solid-queue', type: 'mysql', ...maria.READER, database: 'queue' },
            ...options,
          }),
        ...shared,
        async fill(rows, tenants) {
          await shared.fill(rows, tenants);
          await root.query('ANALYZE TABLE solid_queue_jobs, solid_queue_ready_executions');
        },
      };
    }),
  );
