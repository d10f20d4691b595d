// GoodJob as a watched system: its newest tables, and statements as Rails sends them.
import { escapeLiteral } from 'pg';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { goodJobSchema } from '../good-job-schema.ts';
import { ago, onPostgres, READER, spread } from './postgres-system.ts';
import type { WatchedSystem } from './system.ts';

/** Rails writes UTC without a zone. */
const utc = (time: string): string => `((${time}) AT TIME ZONE 'UTC')`;
const PROCESS = '00000000-0000-4000-8000-000000000001';

export const goodJobSystem = (): Promise<WatchedSystem> =>
  onPostgres(async (server, root) => {
    for (const statement of goodJobSchema('newest')) await root.query(statement);
    return {
      name: 'GoodJob',
      source: (options) =>
        testQueueSource({
          ...{ server, system: 'good-job', ...READER, database: 'postgres', schema: 'public' },
          ...options,
        }),
      async clear() {
        await root.query('TRUNCATE good_jobs, good_job_processes');
        await root.query(
          `INSERT INTO good_job_processes (id, state, created_at, updated_at) VALUES ('${PROCESS}', '{}', ${utc('now()')}, ${utc('now()')})`,
        );
      },
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs = 0 }) {
        const started = state === 'running' ? `${utc(ago(startedAgoMs))}, '${PROCESS}'` : 'NULL, NULL';
        await root.query(
          `INSERT INTO good_jobs (queue_name, priority, serialized_params, active_job_id, job_class, created_at, updated_at, scheduled_at, performed_at, locked_by_id)
           VALUES (${escapeLiteral(tenant)}, 0, '{}', gen_random_uuid(), 'Work', ${utc(ago(ageMs))}, ${utc(ago(ageMs))}, ${utc(ago(-dueInMs))}, ${started})`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `INSERT INTO good_jobs (queue_name, priority, serialized_params, active_job_id, job_class, created_at, updated_at, scheduled_at)
           SELECT 't' || n % ${tenants}, 0, '{}', gen_random_uuid(), 'Work', at, at, at
             FROM generate_series(0, ${rows - 1}) n CROSS JOIN LATERAL (SELECT ${utc(spread(rows))} AS at) moment`,
        );
      },
      workOne: `UPDATE good_jobs SET performed_at = ${utc('now()')}, finished_at = ${utc('now()')} WHERE id = (
                  SELECT id FROM good_jobs WHERE queue_name = 'a' AND finished_at IS NULL AND locked_by_id IS NULL
                   ORDER BY priority, created_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)`,
      peerQuery: `SELECT queue_name, count(*), min(scheduled_at) FROM good_jobs WHERE finished_at IS NULL GROUP BY queue_name`,
    };
  });
