// Graphile Worker as a watched system: its own program makes the tables, SQL fills them.
import { escapeLiteral } from 'pg';
import { Logger, makeWorkerUtils } from 'graphile-worker';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { ago, onPostgres, READER, spread } from './postgres-system.ts';
import type { WatchedSystem } from './system.ts';

const SCHEMA = 'graphile_worker';

export const graphileWorkerSystem = (): Promise<WatchedSystem> =>
  onPostgres(async (server, root) => {
    const { host, port, user, password } = server;
    const utils = await makeWorkerUtils({
      connectionString: `postgres://${user}:${password}@${host}:${port}/postgres`,
      logger: new Logger(() => () => undefined),
    });
    await utils.migrate();
    await utils.release();
    const task = (name: string) => `(SELECT id FROM ${SCHEMA}._private_tasks WHERE identifier = ${name})`;
    // Headway names this index where it misses it; a queue of many tasks wants it.
    await root.query(
      `CREATE INDEX ON ${SCHEMA}._private_jobs (task_id, run_at) WHERE is_available = true;
       CREATE INDEX ON ${SCHEMA}._private_jobs (locked_at) WHERE is_available = false`,
    );
    return {
      name: 'Graphile Worker',
      source: (options) =>
        testQueueSource({ server, system: 'graphile-worker', ...READER, database: 'postgres', ...options }),
      async clear() {
        await root.query(
          `TRUNCATE ${SCHEMA}._private_jobs, ${SCHEMA}._private_job_queues, ${SCHEMA}._private_tasks`,
        );
      },
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs = 0 }) {
        const name = escapeLiteral(tenant);
        await root.query(
          `INSERT INTO ${SCHEMA}._private_tasks (identifier) VALUES (${name}) ON CONFLICT DO NOTHING;
           INSERT INTO ${SCHEMA}._private_jobs (task_id, created_at, run_at, locked_at, locked_by)
           VALUES (${task(name)}, ${ago(ageMs)}, ${ago(-dueInMs)},
                   ${state === 'running' ? `${ago(startedAgoMs)}, 'worker-1'` : 'NULL, NULL'})`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `INSERT INTO ${SCHEMA}._private_tasks (identifier) SELECT 't' || n FROM generate_series(0, ${tenants - 1}) n`,
        );
        await root.query(
          `INSERT INTO ${SCHEMA}._private_jobs (task_id, created_at, run_at)
           SELECT t.id, at, at
             FROM generate_series(0, ${rows - 1}) n
             JOIN ${SCHEMA}._private_tasks t ON t.identifier = 't' || n % ${tenants}
            CROSS JOIN LATERAL (SELECT ${spread(rows)} AS at) moment`,
        );
      },
      workOne: `DELETE FROM ${SCHEMA}._private_jobs
                 WHERE id = (SELECT id FROM ${SCHEMA}._private_jobs WHERE is_available AND run_at <= now() ORDER BY priority, run_at LIMIT 1 FOR UPDATE SKIP LOCKED)`,
      peerQuery: `SELECT task_id, count(*), min(run_at) FROM ${SCHEMA}._private_jobs GROUP BY task_id`,
    };
  });
