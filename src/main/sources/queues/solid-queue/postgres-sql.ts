// What a poll of Solid Queue says on PostgreSQL alone: queues and lanes are found by skipping, lanes by LATERAL.
import { escapeLiteral } from 'pg';
import { postgresDialect, type Dialect } from './dialect.ts';
import {
  blockedOf,
  blockedPick,
  commonParts,
  lane,
  lanePart,
  LANES,
  QUEUES,
  scheduledOf,
  scheduledPick,
} from './poll-sql.ts';
import type { Found, Statements } from './statements.ts';
import type { ServingIndexes } from './tables.ts';

/** Compiling a statement of so many small parts takes longer than running it. For this session alone. */
export const withoutCompiler = 'SET jit = off';
/** Rails writes UTC without a zone: compared with the clock in UTC. For this session alone. */
export const inUtc = `SET TimeZone = 'UTC'`;

export const postgresStatements = (schema: string, indexes: ServingIndexes): Statements => {
  const dialect = postgresDialect(schema);
  return {
    dialect,
    indexes,
    queues: queues(dialect),
    lanes: lanes(dialect),
    poll: (found) => [poll(dialect, indexes, found)],
    rowsRead: null,
    ddl: (table, columns) => `CREATE INDEX CONCURRENTLY ON ${dialect.table(table)} (${columns.join(', ')})`,
  };
};

/** Queues that have jobs, done ones included while they are kept. Walks: (queue_name, …) of jobs, one entry a queue, skipping. */
const queues = (d: Dialect): string => {
  const jobs = d.table('jobs');
  return `
  WITH RECURSIVE next AS (
    (SELECT queue_name, 1 AS place FROM ${jobs} ORDER BY queue_name LIMIT 1)
    UNION ALL
    SELECT (SELECT j.queue_name FROM ${jobs} j WHERE j.queue_name > next.queue_name ORDER BY j.queue_name LIMIT 1), next.place + 1
      FROM next WHERE next.queue_name IS NOT NULL AND next.place <= ${QUEUES}
  ) SELECT queue_name::text AS key, queue_name::text AS name FROM next WHERE queue_name IS NOT NULL`;
};

/** Lanes that have ready jobs. Walks: (queue_name, priority, job_id), one entry a lane, skipping. */
const lanes = (d: Dialect): string => {
  const ready = d.table('ready_executions');
  return `
  WITH RECURSIVE next AS (
    (SELECT queue_name, priority, 1 AS place FROM ${ready} ORDER BY queue_name, priority LIMIT 1)
    UNION ALL
    SELECT after.queue_name, after.priority, next.place + 1
      FROM next CROSS JOIN LATERAL (
        SELECT r.queue_name, r.priority FROM ${ready} r
         WHERE (r.queue_name, r.priority) > (next.queue_name, next.priority)
         ORDER BY r.queue_name, r.priority LIMIT 1) after
     WHERE next.place <= ${LANES}
  ) SELECT queue_name::text AS name, priority::float8 AS priority FROM next`;
};

/** All numbers of a poll in one snapshot. A range is compared as rows, so that no statistics make another index look better. */
function poll(d: Dialect, indexes: ServingIndexes, found: Found): string {
  const own = '(r.queue_name, r.priority)';
  const rows = lane(d, {
    index: null,
    range: `${own} >= (q.name, q.priority) AND ${own} <= (q.name, q.priority)`,
    order: 'r.queue_name, r.priority, r.job_id',
    limit: found.limit,
  });
  const names = textArray(found.lanes.map(({ name }) => name));
  const priorities = intArray(found.lanes.map(({ priority }) => priority));
  const inLanes = `
  ${lanePart(d, found.limit)}
    FROM unnest(${names}, ${priorities}) q (name, priority) CROSS JOIN LATERAL (${rows}) l`;
  const perQueue = (pick: string) =>
    `SELECT picked_of.* FROM unnest(${textArray(found.queues)}) q (name) CROSS JOIN LATERAL (${pick}) picked_of`;
  const { dueByQueue, blockedByQueue } = indexes;
  const range1 = (low: string, high: string) =>
    `(queue_name, scheduled_at) >= (q.name, ${low}) AND (queue_name, scheduled_at) <= (q.name, ${high})`;
  return [
    ...(found.lanes.length === 0 ? [] : [inLanes]),
    ...commonParts(d, indexes),
    ...(dueByQueue === null
      ? []
      : [
          scheduledOf(
            d,
            perQueue(scheduledPick(d, dueByQueue, range1(`timestamp '-infinity'`, `timestamp 'infinity'`))),
          ),
        ]),
    ...(blockedByQueue === null
      ? []
      : [
          blockedOf(
            d,
            perQueue(blockedPick(d, blockedByQueue, 'queue_name >= q.name AND queue_name <= q.name')),
          ),
        ]),
  ]
    .map((part) => `(${part})`)
    .join('\n  UNION ALL ');
}

const textArray = (values: readonly string[]): string =>
  `ARRAY[${values.map(escapeLiteral).join(', ')}]::text[]`;
const intArray = (values: readonly number[]): string => `ARRAY[${values.join(', ')}]::int[]`;
