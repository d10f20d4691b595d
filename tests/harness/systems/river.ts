// River as a watched system: its tables as its migrations leave them, and statements as its clients send them.
import { escapeLiteral } from 'pg';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { createRiver } from '../river-schema.ts';
import { ago, onPostgres, READER, spread } from './postgres-system.ts';
import type { WatchedSystem } from './system.ts';

const SCHEMA = 'river';
const JOBS = `${SCHEMA}.river_job`;

export const riverSystem = (): Promise<WatchedSystem> =>
  onPostgres(async (server, root) => {
    await createRiver(root, SCHEMA);
    // They slow the filling down, and no poll walks them.
    await root.query(`DROP INDEX ${SCHEMA}.river_job_args_index, ${SCHEMA}.river_job_metadata_index`);
    return {
      name: 'River',
      source: (options) =>
        testQueueSource({
          ...{ server, system: 'river', ...READER, database: 'postgres', schema: SCHEMA },
          ...options,
        }),
      async clear() {
        await root.query(`TRUNCATE ${JOBS}, ${SCHEMA}.river_queue, ${SCHEMA}.river_leader`);
      },
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs = 0 }) {
        const words = { ready: 'available', delayed: 'scheduled', running: 'running' };
        await root.query(
          `INSERT INTO ${JOBS} (queue, state, kind, args, max_attempts, created_at, scheduled_at, attempted_at, attempted_by)
           VALUES (${escapeLiteral(tenant)}, '${words[state]}', 'send', '{}', 25, ${ago(ageMs)}, ${ago(-dueInMs)},
                   ${state === 'running' ? `${ago(startedAgoMs)}, '{client-1}'` : 'NULL, NULL'})`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `INSERT INTO ${JOBS} (queue, kind, args, max_attempts, created_at, scheduled_at)
           SELECT 't' || n % ${tenants}, 'send', '{}', 25, at, at
             FROM generate_series(0, ${rows - 1}) n CROSS JOIN LATERAL (SELECT ${spread(rows)} AS at) moment`,
        );
      },
      workOne: `WITH locked AS (
                  SELECT id FROM ${JOBS} WHERE state = 'available' AND queue = 'a' AND scheduled_at <= now()
                   ORDER BY priority, scheduled_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
                UPDATE ${JOBS} j SET state = 'completed', attempted_at = now(), finalized_at = now() FROM locked WHERE j.id = locked.id`,
      peerQuery: `SELECT queue, state, count(*), min(scheduled_at) FROM ${JOBS} WHERE state NOT IN ('completed', 'cancelled') GROUP BY queue, state`,
    };
  });
