// The statements that look at the jobs of many queues at once, with the index each walks. All are reads. What one costs depends on
// the number of queues, never on the number of jobs.
import { escapeLiteral } from 'pg';
import { table, type Depth, type IndexName } from './poll-sql.ts';

/** Children that are looked at to tell when their parent was released. */
const CHILDREN = 20;
/** Jobs of one state up to which those of all queues are read together: an index holds no others. */
export const SWEPT = 1_000;
/** How deep a deeper look goes. */
export const DEEP = 201;

const NOW = `floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint`;

/**
 * When a waiting job `j` became free to start, as far as its row tells: not before it was created, came due, or last began.
 * A parent (`isParent`: SQL) that never began was released when its last child ended, or when the first one failed that may not.
 * Walks: primary keys of job_dependency and job.
 */
export const readyAt = (schema: string, isParent = 'true'): string => `
  greatest(j.added_at_ms, j.process_at_ms, j.processed_at_ms, CASE WHEN ${isParent} AND j.processed_at_ms IS NULL THEN (
    SELECT CASE WHEN bool_or(child.failed) THEN min(child.ended_ms) FILTER (WHERE child.failed) ELSE max(child.ended_ms) END
      FROM (SELECT d.status IN ('failed', 'ignored') AS failed, c.finished_at_ms AS ended_ms
              FROM ${table(schema, 'job_dependency')} d
              LEFT JOIN ${table(schema, 'job')} c ON c.queue = d.child_queue AND c.id = d.child_id
             WHERE d.parent_queue = j.queue AND d.parent_id = j.id
             LIMIT ${CHILDREN}) child) END)`;

/** What is told of the active jobs, of the delayed ones and of the blocked ones of a queue, as columns over their rows. */
const ACTIVE = `
           count(*)::int AS active, count(*) FILTER (WHERE locked_until_ms < ${NOW})::int AS seen_stale,
           max(processed_at_ms)::float8 AS newest_ms, max(locked_until_ms)::float8 AS locked_until_ms,
           min(processed_at_ms) FILTER (WHERE (locked_until_ms < ${NOW}) IS NOT TRUE)::float8 AS oldest_ms,
           coalesce(array_agg(DISTINCT regexp_replace(lock_token, ':[0-9]+$', ''))
                      FILTER (WHERE locked_until_ms >= ${NOW} AND lock_token IS NOT NULL), '{}') AS owners`;
const dueColumns = (isDue: string) => `
           count(*) FILTER (WHERE ${isDue})::int AS due,
           (min(ARRAY[greatest(process_at_ms, added_at_ms), added_at_ms]) FILTER (WHERE ${isDue}))[1]::float8 AS due_at_ms,
           (min(ARRAY[greatest(process_at_ms, added_at_ms), added_at_ms]) FILTER (WHERE ${isDue}))[2]::float8 AS due_created_at_ms`;

/**
 * Jobs of all queues that have some in this state, a row a queue, from `swept` + 1 jobs at most: when those are not all, each queue is looked
 * at by itself. Walks: all of job_active_idx, job_delayed_idx or job_waiting_children_idx, so far.
 */
export const sweeps = {
  active: (schema: string): string =>
    swept(schema, 'active', 'processed_at_ms, locked_until_ms, lock_token', `${ACTIVE}, 0 AS stale`),
  delayed: (schema: string): string =>
    swept(
      schema,
      'delayed',
      'process_at_ms, added_at_ms',
      `${dueColumns(`process_at_ms <= ${NOW}`)}, count(*) FILTER (WHERE process_at_ms > ${NOW})::int AS later`,
    ),
  blocked: (schema: string): string => swept(schema, 'waiting-children', '', 'count(*)::int AS blocked'),
};
const swept = (schema: string, state: string, read: string, told: string): string => `
  SELECT queue, count(*)::int AS seen, ${told}
    FROM (SELECT queue${read === '' ? '' : `, ${read}`} FROM ${table(schema, 'job')} WHERE state = '${state}' LIMIT ${SWEPT + 1}) e
   GROUP BY queue`;

/**
 * One row a queue ($1: their names), in one snapshot. Waiting jobs: job_ready_idx in claim order; where those are many and not of one
 * priority, or some go before older ones, both ends of each priority, which holds the oldest: numbers of BullMQ's sequence are given in
 * the order of enqueueing, negated for "last in, first out". So no job became ready before those with lower numbers were created.
 * Delayed jobs: job_delayed_idx from now in both directions. Running ones: job_active_idx from both ends. Failed ones and the newest
 * finish: job_finished_idx. Blocked ones: job_waiting_children_idx. `walked`: indexes to look at; what another is for is null.
 */
export const jobs = (schema: string, depth: Depth, walked: ReadonlySet<IndexName>): string => {
  const from = `${table(schema, 'job')} j WHERE j.queue = q.queue`;
  const waiting = `${from} AND j.state = 'waiting'`;
  const entries = (condition: string, order: string, limit: number) => `
        SELECT j.priority, j.seq, j.added_at_ms, ${readyAt(schema, 'q.flows')} AS own_ms FROM ${waiting}${condition} ORDER BY ${order} LIMIT ${limit}`;
  // The lower ends of seq and -seq are those that were enqueued first.
  const numbers = (rows: string) => `
      SELECT count(*)::int AS entries, min(priority) AS priority, min(seq) AS seq,
             min(ARRAY[ready_ms, added_at_ms]) AS oldest, max(added_at_ms) AS last_ms
        FROM (SELECT priority, seq, added_at_ms, greatest(own_ms, max(added_at_ms) OVER (ORDER BY abs(seq))) AS ready_ms
                FROM (${rows}) seen) ready`;
  const end = (name: string, condition: string, order: string) => `
     CROSS JOIN LATERAL (${numbers(entries(` AND j.priority = level.priority AND ${condition}`, order, depth.ends))}) ${name}`;
  const settled = (name: string, most = depth.ends) =>
    `(${name}.entries < ${most} OR ${name}.oldest[1] <= ${name}.last_ms)`;
  const count = (condition: string, order: string, when = '') =>
    `(SELECT count(*)::int FROM (SELECT FROM ${from}${when} AND ${condition} ORDER BY ${order} LIMIT ${depth.heads}) e)`;
  const only = (name: IndexName, lateral: string, otherwise: string) =>
    walked.has(name) ? lateral : otherwise;
  // Of one priority, and none goes before an older one: then the head is the end that holds the oldest.
  const isPlain = `head.seq >= 0 AND NOT EXISTS (SELECT FROM ${waiting} AND j.priority > head.priority ORDER BY j.priority)`;
  return `
  SELECT q.queue, head.entries AS waiting, head.oldest[1]::float8 AS ready_at_ms, head.oldest[2]::float8 AS created_at_ms,
         CASE WHEN plain.is_plain THEN 1 ELSE levels.count END AS levels,
         CASE WHEN plain.is_plain THEN ${settled('head', depth.heads)} ELSE levels.settled END AS settled,
         levels.oldest[1]::float8 AS level_ready_at_ms, levels.oldest[2]::float8 AS level_created_at_ms,
         due.due, due.due_at_ms, due.due_created_at_ms,
         ${only('delayed', count(`j.state = 'delayed' AND j.process_at_ms > ${NOW}`, 'j.process_at_ms'), 'NULL::int')} AS later,
         active.active, active.seen_stale, active.newest_ms, active.oldest_ms, active.locked_until_ms, active.owners,
         ${only('active', count(`j.state = 'active' AND j.locked_until_ms < ${NOW}`, 'j.locked_until_ms', ` AND active.active >= ${depth.heads}`), 'NULL::int')} AS stale,
         failed.count AS failed,
         ${only('finished', `greatest(failed.finished_ms, ${finished(from)})::float8`, 'NULL::float8')} AS finished_ms,
         ${only('blocked', count(`j.state = 'waiting-children'`, 'j.seq'), 'NULL::int')} AS blocked
    FROM (SELECT u.queue, coalesce((SELECT true FROM ${table(schema, 'job_dependency')} d WHERE d.parent_queue = u.queue LIMIT 1), false) AS flows
            FROM unnest($1::text[]) u (queue) OFFSET 0) q
   CROSS JOIN LATERAL (${only('waiting', numbers(entries('', 'j.priority, j.seq', depth.heads)), NONE('entries', 'oldest', 'seq', 'priority', 'last_ms'))}) head
   CROSS JOIN LATERAL (${only('waiting', `SELECT CASE WHEN head.entries >= ${depth.heads} THEN ${isPlain} ELSE true END AS is_plain OFFSET 0`, NONE('is_plain'))}) plain
   CROSS JOIN LATERAL (${only(
     'waiting',
     `
    SELECT count(*)::int AS count, coalesce(bool_and(${settled('first')} AND ${settled('last')}), false) AS settled,
           min(least(first.oldest, last.oldest)) AS oldest
      FROM (
        WITH RECURSIVE next AS (
          (SELECT j.priority, 1 AS place FROM ${waiting} AND NOT plain.is_plain ORDER BY j.priority LIMIT 1)
          UNION ALL
          SELECT (SELECT j.priority FROM ${waiting} AND j.priority > next.priority ORDER BY j.priority LIMIT 1), next.place + 1
            FROM next
           WHERE next.priority IS NOT NULL AND next.place <= ${depth.priorities}
        ) SELECT priority FROM next WHERE priority IS NOT NULL
      ) level${end('first', 'j.seq >= 0', 'j.priority, j.seq')}${end('last', 'j.seq < 0', 'j.priority DESC, j.seq DESC')}`,
     NONE('count', 'oldest', 'settled'),
   )}) levels
   CROSS JOIN LATERAL (${only(
     'delayed',
     `
    SELECT ${dueColumns('true')}
      FROM (SELECT j.process_at_ms, j.added_at_ms FROM ${from} AND j.state = 'delayed' AND j.process_at_ms <= ${NOW}
             ORDER BY j.process_at_ms LIMIT ${depth.heads}) e`,
     NONE('due', 'due_at_ms', 'due_created_at_ms'),
   )}) due
   CROSS JOIN LATERAL (${only(
     'active',
     `
    SELECT ${ACTIVE}
      FROM (SELECT j.processed_at_ms, j.locked_until_ms, j.lock_token FROM ${from} AND j.state = 'active'
             ORDER BY j.locked_until_ms DESC LIMIT ${depth.heads}) e`,
     NONE('active', 'seen_stale', 'newest_ms', 'locked_until_ms', 'oldest_ms', 'owners'),
   )}) active
   CROSS JOIN LATERAL (${only(
     'finished',
     `
    SELECT count(*)::int AS count, max(finished_at_ms) AS finished_ms
      FROM (SELECT j.finished_at_ms FROM ${from} AND j.state = 'failed'
             ORDER BY j.state DESC, j.finished_at_ms DESC LIMIT ${depth.heads}) e`,
     NONE('count', 'finished_ms'),
   )}) failed`;
};

/** The newest finish of a completed job. */
const finished = (from: string): string =>
  `(SELECT j.finished_at_ms FROM ${from} AND j.state = 'completed' AND j.finished_at_ms IS NOT NULL
     ORDER BY j.state DESC, j.finished_at_ms DESC LIMIT 1)`;

const TYPES: Record<string, string> = {
  ...{ oldest: 'bigint[]', owners: 'text[]', settled: 'boolean', is_plain: 'boolean' },
  ...{ entries: 'int', count: 'int', due: 'int', active: 'int', seen_stale: 'int', priority: 'int' },
  ...{ due_at_ms: 'float8', due_created_at_ms: 'float8' },
  ...{ newest_ms: 'float8', locked_until_ms: 'float8', oldest_ms: 'float8' },
};
/** A row of nothing, where an index is not looked at. */
const NONE = (...columns: string[]): string =>
  `SELECT ${columns.map((column) => `NULL::${TYPES[column] ?? 'bigint'} AS ${column}`).join(', ')}`;

/** Waiting and delayed jobs of some queues ($1: names), deeper. Walks: job_ready_idx and job_delayed_idx, DEEP entries a queue. */
export const deeper = (schema: string): string => {
  const count = (condition: string, order: string) => `
    (SELECT count(*)::int FROM (SELECT FROM ${table(schema, 'job')} j WHERE j.queue = q.queue AND ${condition} ORDER BY ${order} LIMIT ${DEEP}) e)`;
  return `
  SELECT q.queue, ${count(`j.state = 'waiting'`, 'j.priority, j.seq')} AS waiting,
         ${count(`j.state = 'delayed' AND j.process_at_ms > ${NOW}`, 'j.process_at_ms')} AS later
    FROM unnest($1::text[]) q (queue)`;
};

/** Jobs of a queue for the optimiser to estimate. */
export const waitingOf = (schema: string, queue: string): string =>
  `SELECT 1 FROM ${table(schema, 'job')} WHERE queue = ${escapeLiteral(queue).trim()} AND state = 'waiting'`;
export const laterOf = (schema: string, queue: string, nowMs: number): string =>
  `SELECT 1 FROM ${table(schema, 'job')} WHERE queue = ${escapeLiteral(queue).trim()} AND state = 'delayed' AND process_at_ms > ${Math.floor(nowMs)}`;
