// What lives on GoodJob's tables: its claims, and what Headway reads.
import type { ExaminedStatement, WantedIndex, WatchedTables } from '../../health/watched-tables.ts';
import * as look from './look-sql.ts';
import * as poll from './poll-sql.ts';
import { NEEDED, table, type GoodJobTables } from './tables.ts';

const UNFINISHED = 'finished_at IS NULL';

export function watchedTables(tables: GoodJobTables): WatchedTables {
  const { schema, locksByRow } = tables;
  const jobs = table(schema, 'good_jobs');
  const wants = (columns: string[], where: string | null, why: string): WantedIndex => ({
    table: jobs,
    columns,
    where,
    why,
  });
  const order = `priority ${locksByRow ? 'ASC' : 'DESC'} NULLS LAST, created_at ASC`;
  // With advisory locks the claim takes a lock on what it finds; as it is only explained, it may say so.
  const claim = (condition: string) => `WITH rows AS MATERIALIZED (
  SELECT id, active_job_id FROM ${jobs} WHERE ${UNFINISHED} AND scheduled_at <= now()${condition} ORDER BY ${order})
SELECT * FROM ${jobs} WHERE id IN (
  SELECT id FROM rows WHERE pg_try_advisory_lock(('x' || substr(md5('good_jobs' || '-' || rows.active_job_id::text), 1, 16))::bit(64)::bigint) LIMIT 1)`;
  const byQueue = wants(
    ['queue_name', 'scheduled_at'],
    UNFINISHED,
    'Each poll looks for the first due jobs of each queue',
  );
  const page = { tenantId: null, after: null, limit: 101 };
  const statements: ExaminedStatement[] = [
    {
      name: 'GoodJob’s claim of all queues',
      sql: claim(''),
      wants: [wants(['priority', 'created_at'], UNFINISHED, 'Each claim sorts every unfinished job')],
    },
    { name: 'GoodJob’s claim of one queue', sql: claim(` AND queue_name = 'default'`), wants: [] },
    {
      name: 'Headway’s list of queues',
      own: true,
      sql: poll.queues(tables).trim(),
      wants: tables.indexes.queues ? [] : [byQueue],
    },
    {
      name: 'Headway’s poll',
      own: true,
      sql: poll.poll(tables).trim(),
      wants: [
        byQueue,
        ...(locksByRow
          ? [
              wants(
                ['locked_by_id'],
                'locked_by_id IS NOT NULL',
                'Each poll looks for the jobs that are held',
              ),
            ]
          : []),
        wants(
          ['finished_at'],
          'finished_at IS NOT NULL AND error IS NOT NULL',
          'Discarded jobs are looked for among all that finished',
        ),
      ],
    },
    {
      name: 'Headway’s list of ready jobs',
      own: true,
      sql: look.list(tables, 'ready', page).trim(),
      wants: [],
    },
    {
      name: 'Headway’s list of dead jobs',
      own: true,
      sql: look.list(tables, 'dead', page).trim(),
      wants: [],
    },
  ];
  return { tables: Object.keys(NEEDED).map((name) => table(schema, name)), statements };
}
