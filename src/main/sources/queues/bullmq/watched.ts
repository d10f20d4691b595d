// What health and the index advisor look at: BullMQ's tables, the statements inside its functions, and Headway's own.
import { escapeLiteral } from 'pg';
import type { WantedIndex, WatchedTables } from '../../health/watched-tables.ts';
import * as look from './look-sql.ts';
import { jobs } from './jobs-sql.ts';
import * as poll from './poll-sql.ts';

const literal = (value: string): string => escapeLiteral(value).trim();

/** `queue`: one whose statements are explained. `nowMs`: the database's clock. */
export function watchedTables(
  schema: string,
  queue: string,
  nowMs: number,
  has: ReadonlySet<poll.IndexName>,
): WatchedTables {
  const job = poll.table(schema, 'job');
  const of = `queue = ${literal(queue)}`;
  const wanted = (name: poll.IndexName, why: string): WantedIndex => ({
    table: job,
    columns: poll.INDEXES[name].columns,
    where: poll.indexCondition(name),
    why,
  });
  const inPoll = jobs(schema, poll.depthFor(1), has).replaceAll('$1::text[]', `ARRAY[${literal(queue)}]`);
  const firstPage = look
    .waiting(schema, { queue: true, cursor: false })
    .replaceAll('$1', literal(queue))
    .replaceAll(/\$[2-5]/g, 'NULL')
    .replaceAll('$6', '100');
  return {
    tables: [job, poll.table(schema, 'meta'), poll.table(schema, 'job_dependency')],
    statements: [
      {
        name: 'The claim of BullMQ',
        sql: `SELECT id FROM ${job} WHERE ${of} AND state = 'waiting' ORDER BY priority, seq FOR UPDATE SKIP LOCKED LIMIT 1`,
        wants: [wanted('waiting', 'A claim sorts every waiting job of the queue.')],
      },
      {
        name: 'What each claim of BullMQ promotes',
        sql: `UPDATE ${job} SET state = 'waiting', delay_ms = 0 WHERE ${of} AND state = 'delayed' AND process_at_ms <= ${nowMs}`,
        wants: [wanted('delayed', 'Each claim reads every delayed job of the queue.')],
      },
      {
        name: 'What each claim of BullMQ counts under a limit for all workers',
        sql: `SELECT count(*) FROM ${job} WHERE ${of} AND state = 'active'`,
        wants: [wanted('active', 'Each claim reads every job of the queue.')],
      },
      {
        name: 'BullMQ’s check for lost workers',
        sql: `UPDATE ${job} SET stalled_marked = false WHERE ${of} AND stalled_marked`,
        wants: [
          {
            table: job,
            columns: ['queue'],
            where: 'stalled_marked',
            why: 'The check, every 30 seconds a queue, reads every job of the queue that is kept, finished ones too.',
          },
        ],
      },
      {
        name: 'BullMQ’s removal of old finished jobs',
        sql: `DELETE FROM ${job} WHERE ${of} AND state = 'completed' AND finished_at_ms <= ${nowMs}`,
        wants: [wanted('finished', 'Each finish reads every job of the queue that is kept.')],
      },
      {
        name: 'Headway’s poll',
        own: true,
        sql: inPoll,
        wants: (Object.keys(poll.INDEXES) as poll.IndexName[]).map((name) =>
          wanted(name, 'Headway leaves out what it cannot find by this index.'),
        ),
      },
      {
        name: 'Headway’s list of ready jobs',
        own: true,
        sql: firstPage,
        wants: [wanted('waiting', 'A page sorts every waiting job of the queue.')],
      },
    ],
  };
}
