// What a poll of Solid Queue says on PostgreSQL alone: queues and lanes are found by skipping, lanes by LATERAL.
import { escapeLiteral } from 'pg';
import { z } from 'zod';
import { estimate, exact, type Count } from '../../../../core/count.ts';
import { planRows } from '../plan-rows.ts';
import { postgresDialect, type Dialect } from './dialect.ts';
import {
  blockedOf,
  blockedPick,
  commonParts,
  createdAt,
  firstOfEach,
  lane,
  laneLimit,
  laneLimitOf,
  lanePart,
  LANES,
  QUEUES,
  scheduledOf,
  scheduledPick,
  select,
  WALK,
  WHOLE_LANE,
} from './poll-sql.ts';
import { partRow } from './rows.ts';
import type { Ask, LanesRead, Statements } from './statements.ts';
import type { ServingIndexes } from './tables.ts';

/**
 * For this session alone. Compiling a statement of so many small parts takes longer than running it. Rails writes UTC without a
 * zone: compared with the clock in UTC. How many rows of a lane are read is known as late as the lanes are: a planner that
 * expects more of them would rather sort a lane than walk it in order.
 */
export const sessionSettings = `
  SELECT set_config('TimeZone', 'UTC', false), count(set_config(name, 'off', false))
    FROM pg_settings WHERE name IN ('jit', 'enable_bitmapscan', 'enable_sort', 'enable_incremental_sort')`;

export const postgresStatements = (schema: string, indexes: ServingIndexes): Statements => {
  const dialect = postgresDialect(schema);
  const { dueByQueue, blockedByQueue } = indexes;
  const whole = poll(dialect, indexes);
  return {
    dialect,
    indexes,
    queues: queues(dialect),
    poll: (ask) => readPoll(ask, whole),
    examples: [{ name: 'Headway’s poll', sql: whole, walks: 'finished' }],
    scheduledOfEach:
      dueByQueue === null
        ? null
        : (names, limit) => [
            scheduledOf(dialect, ofEach(names, scheduledPick(dialect, dueByQueue, ofQueueByTime, limit))),
          ],
    blockedOfEach:
      blockedByQueue === null
        ? null
        : (names, limit) => [
            blockedOf(dialect, ofEach(names, blockedPick(dialect, blockedByQueue, ofQueue, limit))),
          ],
    depths: (ask, names) => depths(dialect, ask, names),
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
    (SELECT queue_name, priority, 1 AS place FROM ${ready} ORDER BY queue_name, priority LIMIT 1)
    UNION ALL
    SELECT after.queue_name, after.priority, lanes.place + 1
      FROM lanes CROSS JOIN LATERAL (
        SELECT r.queue_name, r.priority FROM ${ready} r
         WHERE (r.queue_name, r.priority) > (lanes.queue_name, lanes.priority)
         ORDER BY r.queue_name, r.priority LIMIT 1) after
     WHERE lanes.place <= ${LANES}`;
};

/**
 * All numbers of a poll in one snapshot and one statement, a row for each lane. A range is compared as rows, so that no statistics
 * make another index look better. What was written first is told of queues alone whose lanes do not show it.
 */
function poll(d: Dialect, indexes: ServingIndexes): string {
  const own = '(r.queue_name, r.priority)';
  const share = '(SELECT rows FROM share)';
  const head = lane(d, {
    index: null,
    range: `${own} >= (q.queue_name, q.priority) AND ${own} <= (q.queue_name, q.priority)`,
    order: 'r.queue_name, r.priority, r.job_id',
    limit: share,
  });
  const horizon = select(d, {
    part: 'horizon',
    jobs: 'coalesce(sum(f.jobs), 0)',
    last_at: d.ms('max(f.last_ready_at)'),
  });
  const older = select(d, {
    part: 'first',
    key: d.key('f.queue'),
    queue: 'f.queue',
    at: d.ms('f.ready_at'),
    created_at: createdAt(d, 'f.oldest_id'),
  });
  return `
  WITH RECURSIVE lanes AS (${lanes(d)}),
  share AS MATERIALIZED (SELECT ${laneLimitOf('count(*)')} AS rows FROM lanes),
  first AS MATERIALIZED (${firstOfEach(d)}),
  horizon AS MATERIALIZED (SELECT CASE WHEN sum(jobs) < ${WALK} THEN 'infinity' ELSE max(last_ready_at) END AS at FROM first),
  heads AS MATERIALIZED (SELECT l.* FROM lanes q CROSS JOIN LATERAL (${head}) l)
  (${lanePart(d, `l.jobs >= ${share} AND l.ready_at > (SELECT at FROM horizon)`)}
     FROM heads l)
  UNION ALL (${horizon} FROM first f)
  UNION ALL (${older}
     FROM (SELECT queue, min(ready_at) FILTER (WHERE is_first) AS ready_at, min(oldest_id) FILTER (WHERE is_first) AS oldest_id
             FROM (SELECT queue, ready_at, oldest_id, true AS is_first FROM first
                   UNION ALL SELECT queue, ready_at, oldest_id, false FROM heads) both_walks
            GROUP BY queue
           HAVING min(ready_at) FILTER (WHERE is_first) < coalesce(min(ready_at) FILTER (WHERE NOT is_first), 'infinity')) f)
  ${commonParts(d, indexes)
    .map((part) => `UNION ALL (${part})`)
    .join('\n  ')}`;
}

async function readPoll(ask: Ask, whole: string): Promise<LanesRead> {
  const rows = await ask(partRow, whole);
  const found = rows.filter(({ part }) => part === 'lane').length;
  return { rows, lanes: found, laneLimit: laneLimit(found) };
}

const ofQueue = 'queue_name >= q.name AND queue_name <= q.name';
const ofQueueByTime = `(queue_name, scheduled_at) >= (q.name, timestamp '-infinity') AND (queue_name, scheduled_at) <= (q.name, timestamp 'infinity')`;
const ofEach = (names: readonly string[], pick: string): string =>
  `SELECT picked_of.* FROM unnest(${textArray(names)}) q (name) CROSS JOIN LATERAL (${pick}) picked_of`;

const depthRow = z.object({ name: z.string(), jobs: z.number() });

/**
 * Exact where they are no more than a whole lane's, else the planner's estimate. Walks: (queue_name, priority, job_id), a whole lane
 * of each queue; statistics.
 */
async function depths(d: Dialect, ask: Ask, names: readonly string[]): Promise<Map<string, Count>> {
  const ready = d.table('ready_executions');
  const counted = await ask(
    depthRow,
    `SELECT q.name, (SELECT count(*) FROM (SELECT FROM ${ready} WHERE ${ofQueue} ORDER BY queue_name LIMIT ${WHOLE_LANE}) seen)::float8 AS jobs
       FROM unnest(${textArray(names)}) q (name)`,
  );
  const long = counted.filter(({ jobs }) => jobs >= WHOLE_LANE);
  const expected = await planRows(
    ask,
    long.map(({ name }) => `SELECT FROM ${ready} WHERE queue_name = ${escapeLiteral(name)}`),
  );
  return new Map([
    ...counted.map(({ name, jobs }) => [name, exact(jobs)] as const),
    ...long.map(({ name, jobs }, i) => [name, estimate(Math.max(jobs, expected[i] ?? 0))] as const),
  ]);
}

const textArray = (values: readonly string[]): string =>
  `ARRAY[${values.map(escapeLiteral).join(', ')}]::text[]`;
