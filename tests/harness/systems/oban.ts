// Oban as a watched system: its tables as its migrations leave them, and statements as its nodes send them.
import { escapeLiteral } from 'pg';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { createOban } from '../oban-schema.ts';
import { ago, onPostgres, READER, spread } from './postgres-system.ts';
import type { WatchedSystem } from './system.ts';

const SCHEMA = 'oban';
const JOBS = `${SCHEMA}.oban_jobs`;
/** Oban's times are in UTC, without a zone. */
const utc = (time: string): string => `((${time}) AT TIME ZONE 'UTC')`;

export const obanSystem = (): Promise<WatchedSystem> =>
  onPostgres(async (server, root) => {
    await createOban(root, SCHEMA);
    // They slow the filling down, and no poll walks them.
    await root.query(`DROP INDEX ${SCHEMA}.oban_jobs_args_index, ${SCHEMA}.oban_jobs_meta_index`);
    return {
      name: 'Oban',
      source: (options) =>
        testQueueSource({
          ...{ server, system: 'oban', ...READER, database: 'postgres', schema: SCHEMA },
          ...options,
        }),
      async clear() {
        await root.query(`TRUNCATE ${JOBS}, ${SCHEMA}.oban_peers`);
      },
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs = 0 }) {
        const words = { ready: 'available', delayed: 'scheduled', running: 'executing' };
        await root.query(
          `INSERT INTO ${JOBS} (queue, state, worker, inserted_at, scheduled_at, attempted_at, attempted_by)
           VALUES (${escapeLiteral(tenant)}, '${words[state]}', 'Worker', ${utc(ago(ageMs))}, ${utc(ago(-dueInMs))},
                   ${state === 'running' ? `${utc(ago(startedAgoMs))}, '{node-1}'` : 'NULL, NULL'})`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `INSERT INTO ${JOBS} (queue, worker, inserted_at, scheduled_at)
           SELECT 't' || n % ${tenants}, 'Worker', at, at
             FROM generate_series(0, ${rows - 1}) n CROSS JOIN LATERAL (SELECT ${utc(spread(rows))} AS at) moment`,
        );
      },
      workOne: `WITH subset AS MATERIALIZED (
                  SELECT id FROM ${JOBS} WHERE state = 'available' AND queue = 'a'
                   ORDER BY priority, scheduled_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
                UPDATE ${JOBS} j SET state = 'completed', attempted_at = ${utc('now()')}, completed_at = ${utc('now()')}
                  FROM subset WHERE j.id = subset.id`,
      peerQuery: `SELECT queue, state, count(*), min(scheduled_at) FROM ${JOBS} WHERE state NOT IN ('completed', 'cancelled') GROUP BY queue, state`,
    };
  });
