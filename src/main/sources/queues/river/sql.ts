// What River has beside its jobs, and the statements that its own clients send. Facts of its migrations 2 to 8 and of 0.44's queries.
import { quotePgName } from '../../postgres-errors.ts';
import { sorted } from '../state-index/look-sql.ts';
import { pollPlan, poll } from '../state-index/poll-sql.ts';
import { INDEX_COLUMNS, jobsTable, ms, type StateTable } from '../state-index/state-table.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';

/** Queues read at most. */
export const QUEUES = 10_000;

const table = (schema: string, name: string): string => `${quotePgName(schema)}.${name}`;

/** The newest migration of River itself; other lines are of its extensions. Walks: the primary key of river_migration, a row a migration. */
export const version = (schema: string, hasLine: boolean): string =>
  `SELECT max(version)::int AS version FROM ${table(schema, 'river_migration')}${hasLine ? " WHERE line = 'main'" : ''}`;

/** Walks: the primary key of river_queue, a row a queue. */
export const queues = (schema: string): string =>
  `SELECT name, ${ms('paused_at')} AS paused_at FROM ${table(schema, 'river_queue')} ORDER BY name LIMIT ${QUEUES}`;

/** Walks: all of river_leader, which has one row. */
export const leader = (schema: string): string => `
  SELECT leader_id, ${ms('elected_at')} AS elected_at, ${ms('expires_at')} AS expires_at, expires_at > now() AS current
    FROM ${table(schema, 'river_leader')}
   ORDER BY expires_at DESC LIMIT 1`;

/**
 * When a job became free to start. A workflow's job keeps the scheduled time of its insertion; when its dependencies were
 * done stands in its metadata. A job that a stopping client gave back keeps it too, but was not free before that attempt began.
 * Metadata are not fetched where they are stored apart for their size (they may hold megabytes of logs).
 */
export const readyAt = (readsMetadata: boolean): string =>
  `greatest(j.created_at, j.scheduled_at, j.attempted_at${
    readsMetadata
      ? `, CASE WHEN pg_column_size(j.metadata) <= 8192
                 AND j.metadata ->> 'workflow_staged_at' ~ '^2\\d{3}-(0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-](0\\d|1[0-4]):[0-5]\\d)$'
                THEN (j.metadata ->> 'workflow_staged_at')::timestamptz END`
      : ''
  })`;

export function watched(state: StateTable): WatchedTables {
  const { schema } = state;
  const jobs = jobsTable(state);
  const main = (why: string) => ({ table: jobs, columns: INDEX_COLUMNS, where: null, why });
  const others = ['river_queue', 'river_leader'].map((name) => table(schema, name));
  return {
    tables: [jobs, ...others],
    statements: [
      {
        name: 'The claim of River',
        sql: `WITH locked_jobs AS (
  SELECT * FROM ${jobs}
   WHERE state = 'available' AND queue = 'default' AND scheduled_at <= now()
   ORDER BY priority ASC, scheduled_at ASC, id ASC
   LIMIT 100
   FOR UPDATE SKIP LOCKED
)
UPDATE ${jobs} AS river_job
   SET state = 'running', attempt = river_job.attempt + 1, attempted_at = now(),
       attempted_by = array_append(river_job.attempted_by, 'client')
  FROM locked_jobs
 WHERE river_job.id = locked_jobs.id
RETURNING river_job.*`,
        wants: [main('A claim sorts every available job of its queue')],
      },
      {
        name: "River's scheduler, every 5 s",
        sql: `SELECT id, unique_key, priority, scheduled_at FROM ${jobs}
 WHERE state IN ('retryable', 'scheduled') AND queue IS NOT NULL AND priority >= 0 AND scheduled_at <= now() + interval '5 s'
 ORDER BY priority, scheduled_at, id
 LIMIT 10000
 FOR UPDATE`,
        wants: [main('The scheduler reads every job to find those whose time has come')],
      },
      {
        name: "River's cleaner of finished jobs, every 30 s",
        sql: `SELECT id FROM ${jobs}
 WHERE (state = 'cancelled' AND finalized_at < now() - interval '1 day')
    OR (state = 'completed' AND finalized_at < now() - interval '1 day')
    OR (state = 'discarded' AND finalized_at < now() - interval '7 days')
 ORDER BY id
 LIMIT 1000`,
        wants: [
          {
            table: jobs,
            columns: ['state', 'finalized_at'],
            where: 'finalized_at IS NOT NULL',
            why: 'The cleaner reads every finished job',
          },
        ],
      },
      {
        name: "Headway's poll",
        own: true,
        sql: poll(state, pollPlan(1)),
        wants: [main('A poll reads every job')],
      },
      {
        name: "Headway's list of running jobs",
        own: true,
        sql: sorted(state, 'running', "coalesce(j.attempted_at, '-infinity')", 'ASC', true)
          .replaceAll('$1', "'-infinity'")
          .replaceAll('$2', '0')
          .replaceAll('$3', '101'),
        wants: [main('The list of what runs reads every job')],
      },
    ],
  };
}
