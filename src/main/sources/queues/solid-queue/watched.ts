// What lives on Solid Queue's tables: its claims and its dispatcher's, and what Headway reads.
import type { ExaminedStatement, WantedIndex, WatchedTables } from '../../health/watched-tables.ts';
import * as look from './look-sql.ts';
import type { Statements } from './statements.ts';
import { NEEDED, type TableName } from './tables.ts';

export function watchedTables({ dialect: d, queues, examples }: Statements): WatchedTables {
  const wants = (table: TableName, columns: string[], why: string): WantedIndex => ({
    table: d.table(table),
    columns,
    where: null,
    why,
  });
  const ready = d.table('ready_executions');
  const queue = 'default';
  const any = { dialect: d, hasNames: false };
  const page = { tenantId: null, after: null, limit: 101 };
  const lane = wants(
    'ready_executions',
    ['queue_name', 'priority', 'job_id'],
    'A claim sorts every ready job of the queue',
  );
  const statements: ExaminedStatement[] = [
    {
      name: 'Solid Queue’s claim of one queue',
      sql: `SELECT id, job_id FROM ${ready} WHERE queue_name = ${d.text(queue)} ORDER BY priority ASC, job_id ASC LIMIT 3 FOR UPDATE SKIP LOCKED`,
      wants: [lane],
    },
    {
      name: 'Solid Queue’s claim of all queues',
      sql: `SELECT id, job_id FROM ${ready} ORDER BY priority ASC, job_id ASC LIMIT 3 FOR UPDATE SKIP LOCKED`,
      wants: [
        wants('ready_executions', ['priority', 'job_id'], 'A claim of all queues sorts every ready job'),
      ],
    },
    {
      name: 'Solid Queue’s list of queues, while one is paused or a worker names a prefix',
      sql: `SELECT DISTINCT queue_name FROM ${ready}`,
      wants: [],
    },
    {
      name: 'Solid Queue’s dispatch of scheduled jobs',
      sql: `SELECT job_id FROM ${d.table('scheduled_executions')} WHERE scheduled_at <= ${d.now} ORDER BY scheduled_at ASC, priority ASC, job_id ASC LIMIT 500 FOR UPDATE SKIP LOCKED`,
      wants: [
        wants(
          'scheduled_executions',
          ['scheduled_at', 'priority', 'job_id'],
          'Each dispatch sorts every scheduled job',
        ),
      ],
    },
    {
      name: 'Solid Queue’s release of a blocked job',
      sql: `SELECT * FROM ${d.table('blocked_executions')} WHERE concurrency_key = 'key' ORDER BY priority ASC, job_id ASC LIMIT 1 FOR UPDATE SKIP LOCKED`,
      wants: [
        wants(
          'blocked_executions',
          ['concurrency_key', 'priority', 'job_id'],
          'Each job that ends and has a concurrency_key reads every blocked job',
        ),
      ],
    },
    {
      name: 'Headway’s list of queues',
      own: true,
      sql: queues.trim(),
      wants: [wants('jobs', ['queue_name'], 'Each poll reads every job for the names of the queues')],
    },
    ...examples.map(({ name, sql, walks }) => ({
      name,
      sql: sql.trim(),
      wants:
        walks === 'finished'
          ? [wants('jobs', ['finished_at'], 'Each poll looks for the newest finish')]
          : [lane],
    })),
    {
      name: 'Headway’s list of ready jobs',
      own: true,
      sql: look.byRow(any, 'ready', page).trim(),
      wants: [],
    },
    {
      name: 'Headway’s list of delayed jobs',
      own: true,
      sql: look.byTime(any, 'delayed', page).trim(),
      wants: [
        wants(
          'scheduled_executions',
          ['scheduled_at', 'priority', 'job_id'],
          'The list sorts every scheduled job',
        ),
      ],
    },
  ];
  return { tables: Object.keys(NEEDED).map(d.table), statements };
}
