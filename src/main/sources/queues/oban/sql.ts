// What Oban has beside its jobs, and the statements that its own nodes send. Facts of its migrations 10 to 15.
import { quotePgName } from '../../postgres-errors.ts';
import { sorted } from '../state-index/look-sql.ts';
import { pollPlan, poll } from '../state-index/poll-sql.ts';
import { INDEX_COLUMNS, jobsTable, ms, type StateTable } from '../state-index/state-table.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';

/** Oban keeps its times in UTC, in columns that have no zone. */
export const NOW = `(now() AT TIME ZONE 'UTC')`;

const peersTable = (schema: string): string => `${quotePgName(schema)}.oban_peers`;

/** Walks: all of oban_peers, a row for each instance of Oban. */
export const peers = (schema: string): string => `
  SELECT name, node, ${ms('started_at')} AS started_at, ${ms('expires_at')} AS expires_at, expires_at > ${NOW} AS current
    FROM ${peersTable(schema)}
   ORDER BY expires_at DESC LIMIT 100`;

/**
 * When a job became free to start. Lifeline makes a job available again without a new scheduled time, and without saying
 * when; it was not free before its last attempt began.
 */
export const READY_AT = 'greatest(j.inserted_at, j.scheduled_at, j.attempted_at)';

/** Of a job that ended in whatever way; a job has one of them. */
export const ENDED_AT = 'coalesce(j.completed_at, j.discarded_at, j.cancelled_at)';

export function watched(state: StateTable, hasPeers: boolean): WatchedTables {
  const jobs = jobsTable(state);
  const main = (why: string) => ({ table: jobs, columns: INDEX_COLUMNS, where: null, why });
  return {
    tables: [jobs, ...(hasPeers ? [peersTable(state.schema)] : [])],
    statements: [
      {
        name: 'The claim of Oban',
        sql: `WITH subset AS MATERIALIZED (
  SELECT id FROM ${jobs}
   WHERE state = 'available' AND queue = 'default' AND attempt < max_attempts
   ORDER BY priority, scheduled_at, id
   LIMIT 10
   FOR UPDATE SKIP LOCKED
)
UPDATE ${jobs} AS j
   SET state = 'executing', attempted_at = ${NOW}, attempted_by = ARRAY['node'], attempt = j.attempt + 1
  FROM subset
 WHERE j.id = subset.id
RETURNING j.*`,
        wants: [main('A claim sorts every available job of its queue')],
      },
      {
        name: "Oban's stager, every second",
        sql: `SELECT id, state FROM ${jobs}
 WHERE state IN ('scheduled', 'retryable') AND queue IS NOT NULL AND scheduled_at <= ${NOW}
 LIMIT 5000`,
        wants: [
          {
            table: jobs,
            columns: ['scheduled_at', 'id'],
            where: `state IN ('scheduled', 'retryable')`,
            why: 'The stager looks through every scheduled job each second; Oban 2.23 brings this index (migration 15)',
          },
        ],
      },
      {
        name: "Oban's pruner of discarded jobs, every 30 s",
        sql: `SELECT id FROM ${jobs}
 WHERE state = 'discarded' AND discarded_at < ${NOW} - interval '60 s'
 LIMIT 10000`,
        wants: [
          {
            table: jobs,
            columns: ['state', 'discarded_at'],
            where: null,
            why: 'The pruner reads every discarded job; Oban 2.20 brings this index (migration 13)',
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
        sql: sorted(state, 'executing', "coalesce(j.attempted_at, '-infinity')", 'ASC', true)
          .replaceAll('$1', "'-infinity'")
          .replaceAll('$2', '0')
          .replaceAll('$3', '101'),
        wants: [main('The list of what runs reads every job')],
      },
    ],
  };
}
