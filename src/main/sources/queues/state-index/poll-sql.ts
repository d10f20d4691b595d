// The statements of a poll. All are reads. What one costs depends on the number of queues and their priorities, never on
// the number of jobs: the index by state, queue, priority and scheduled time is skipped through, and looked into at most so deep.
import { quotePgName } from '../../postgres-errors.ts';
import { jobsTable, ms, stateLiteral, type StateTable } from './state-table.ts';

/** Groups (a state, a queue and a priority that jobs have) looked into at most. */
export const GROUPS = 10_500;
/** Up to so many groups, jobs that are due and jobs that are not are read apart; of more, the first jobs of each group only. */
const APART = 100;
/** Jobs read of one group, and of all: of more than `many` groups only as many as show who is late. */
const JOBS = { most: 201, least: 4, inAll: { some: 20_100, many: 6_000 }, many: 400 };
/** How a poll reads when there are so many groups. */
export function pollPlan(groups: number): PollPlan {
  const { most, least, inAll, many } = JOBS;
  const share = Math.floor((groups > many ? inAll.many : inAll.some) / Math.max(1, groups));
  return { apart: groups <= APART, limit: Math.max(least, Math.min(most, share)) };
}

export interface PollPlan {
  /** Whether the jobs of a group that are due, and those that are not, are each read up to the limit. */
  apart: boolean;
  /** Jobs read of each group when there are so many. */
  limit: number;
}
/** Newest of a queue's completed jobs that are looked at for when one ended. */
const COMPLETED = 5;

/** Compiling a statement of so many small parts takes ten times as long as running it. For this session alone. */
export const withoutCompiler = 'SET jit = off';

/**
 * Groups of jobs, one entry of the index each. Breadth-first, so that all states get equally far where there are too many.
 * Walks: (state, queue, priority, …), skipping. Compared as rows, so that a step is one range of the index.
 */
function groups(table: StateTable, states: readonly string[], queue: string | null): string {
  const jobs = jobsTable(table);
  const type = `${quotePgName(table.schema)}.${quotePgName(table.stateType)}`;
  const words = `ARRAY[${states.map(stateLiteral).join(', ')}]::${type}[]`;
  const of = queue === null ? '' : ` AND j.queue = ${queue}`;
  return `walk (state, queue, priority) AS (
    SELECT s.state, f.queue, f.priority
      FROM unnest(${words}) AS s (state)
     CROSS JOIN LATERAL (
       SELECT j.queue, j.priority FROM ${jobs} j
        WHERE j.state = s.state${of} ORDER BY j.queue, j.priority LIMIT 1) f
    UNION ALL
    SELECT w.state, n.queue, n.priority
      FROM walk w
     CROSS JOIN LATERAL (
       SELECT j.queue, j.priority FROM ${jobs} j
        WHERE j.state = w.state AND (j.queue, j.priority) > (w.queue, w.priority)${of}
        ORDER BY j.queue, j.priority LIMIT 1) n
  ), groups AS MATERIALIZED (SELECT state, queue, priority FROM walk LIMIT ${GROUPS + 1})`;
}

/** A common table expression `groups` of the given states, of one queue (an expression) or all. */
export const withGroups = (table: StateTable, states: readonly string[], queue: string | null): string =>
  `WITH RECURSIVE ${groups(table, states, queue)}`;

/**
 * Of a group, also where the order does not matter: without it PostgreSQL takes any rows that match for quick to find, and scans the
 * table for them (6,375 blocks for five groups of discarded jobs among 200,000 jobs).
 */
const inOrder = 'ORDER BY j.scheduled_at, j.id';
const inGroup = 'j.state = g.state AND j.queue = g.queue AND j.priority = g.priority';

/** States of the groups that a poll walks. */
function polledStates({ states, hasEndedIndex }: StateTable): string[] {
  const { available, waiting, running, dead, blocked, held, completed } = states;
  const ends = hasEndedIndex ? [] : [completed];
  return [available, ...waiting, running, dead, blocked, held, ...ends].filter((word) => word !== null);
}

/** How many groups there are, so that the first poll reads no more of each than it should. */
export const groupCount = (table: StateTable): string =>
  `${withGroups(table, polledStates(table), null)} SELECT count(*)::int AS groups FROM groups`;

/**
 * Everything of one poll in one snapshot, as rows of several shapes (rows.ts).
 * Walks: the groups (above); of each group the jobs that are due and those that are not, or the first ones.
 *
 * The clock is read after the snapshot was taken, as PostgreSQL takes it before it executes anything: no row lies in its future.
 */
export function poll(table: StateTable, { apart, limit }: PollPlan): string {
  const { states, claimsDueOnly, now } = table;
  const jobs = jobsTable(table);
  const { createdAt, diedAt, endedAt } = table.columns;
  // A clock of a client that runs ahead must not make a claimable job one of the future.
  const readyAt = `least(${table.readyAt}, ${now})`;
  const isOf = (words: readonly string[]) => `g.state IN (${words.map(stateLiteral).join(', ')})`;
  // Of the first jobs by scheduled time those that are due come first: one that is not proves that all due ones were seen.
  const seen = (isDue: string, claimable: string, condition: string) => `
      SELECT count(*)::int AS entries,
             count(*) FILTER (WHERE seen.due)::int AS due,
             count(*) FILTER (WHERE seen.due AND seen.claimable)::int AS ready,
             ${ms('min(seen.ready_at) FILTER (WHERE seen.due AND seen.claimable)')} AS ready_at,
             ${ms('(array_agg(seen.created_at ORDER BY seen.ready_at) FILTER (WHERE seen.due AND seen.claimable))[1]')} AS created_at,
             ${ms(`greatest(least(max(seen.scheduled_at), ${now}), 'epoch')`)} AS seen_until
        FROM (SELECT ${readyAt} AS ready_at, j.${createdAt} AS created_at, j.scheduled_at, ${isDue} AS due, (${claimable}) AS claimable
                FROM ${jobs} j
               WHERE ${inGroup}${condition}
               ${inOrder}
               LIMIT ${limit}) seen`;
  const count = (condition: string) =>
    `SELECT count(*)::int AS n FROM (SELECT FROM ${jobs} j WHERE ${inGroup}${condition} ${inOrder} LIMIT ${limit}) counted`;
  const untilDue = claimsDueOnly ? [states.available, ...states.waiting] : states.waiting;
  const rest = [states.dead, states.blocked, states.held].filter((word) => word !== null);
  const parts = [
    apart
      ? `
  SELECT 'waiting' AS part, row_to_json(r) AS data
    FROM (SELECT g.state::text AS state, g.queue, first.*, first.entries < ${limit} AS due_whole,
                 later.n AS later, later.n < ${limit} AS later_whole
            FROM groups g
           CROSS JOIN LATERAL (${seen('true', 'true', ` AND j.scheduled_at <= ${now}`)}) first
           CROSS JOIN LATERAL (${count(` AND j.scheduled_at > ${now}`)}) later
           WHERE ${isOf(untilDue)}) r`
      : `
  SELECT 'waiting' AS part, row_to_json(r) AS data
    FROM (SELECT g.state::text AS state, g.queue, first.*, first.entries < ${limit} OR first.due < first.entries AS due_whole,
                 first.entries - first.due AS later, first.entries < ${limit} AS later_whole
            FROM groups g CROSS JOIN LATERAL (${seen(`j.scheduled_at <= ${now}`, 'true', '')}) first
           WHERE ${isOf(untilDue)}) r`,
    ...(claimsDueOnly
      ? []
      : [
          `
  SELECT 'waiting', row_to_json(r)
    FROM (SELECT g.state::text AS state, g.queue, first.*, first.entries < ${limit} AS due_whole, 0 AS later, true AS later_whole
            FROM groups g CROSS JOIN LATERAL (${seen('true', table.claimable, '')}) first
           WHERE ${isOf([states.available])}) r`,
        ]),
    `
  SELECT 'running', row_to_json(r)
    FROM (SELECT g.queue, own.*
            FROM groups g
           CROSS JOIN LATERAL (
             SELECT count(*)::int AS entries,
                    count(*) FILTER (WHERE run.stale)::int AS stale,
                    ${ms('min(run.attempted_at) FILTER (WHERE NOT run.stale)')} AS oldest_at,
                    ${ms('max(run.attempted_at)')} AS newest_at,
                    coalesce(json_agg(DISTINCT run.owner) FILTER (WHERE NOT run.stale AND run.owner IS NOT NULL), '[]') AS owners
               FROM (SELECT j.attempted_at, ${table.owner} AS owner,
                            coalesce(j.attempted_at < ${now} - interval '${table.staleAfterMs} ms', false) AS stale
                       FROM ${jobs} j WHERE ${inGroup} ${inOrder} LIMIT ${limit}) run) own
           WHERE ${isOf([states.running])}) r`,
    `
  SELECT 'kept', row_to_json(r)
    FROM (SELECT g.state::text AS state, g.queue, own.n AS entries
            FROM groups g CROSS JOIN LATERAL (${count('')}) own
           WHERE ${isOf(rest)}) r`,
    table.hasEndedIndex
      ? `
  SELECT 'ended', json_build_object('at', (
           SELECT ${ms(`j.${diedAt}`)} FROM ${jobs} j
            WHERE j.state = ${stateLiteral(states.completed)} AND j.${diedAt} IS NOT NULL
            ORDER BY j.${diedAt} DESC LIMIT 1))`
      : `
  SELECT 'ended', json_build_object('at', (
           SELECT max(own.at) FROM groups g
            CROSS JOIN LATERAL (
              SELECT ${ms(`max(ended.at)`)} AS at
                FROM (SELECT ${endedAt} AS at FROM ${jobs} j
                       WHERE ${inGroup} ORDER BY j.scheduled_at DESC, j.id DESC LIMIT ${COMPLETED}) ended) own
            WHERE ${isOf([states.completed])}))`,
  ];
  return `
  WITH RECURSIVE ${groups(table, polledStates(table), null)}
  SELECT 'clock' AS part, json_build_object('at', ${ms('clock_timestamp()')}, 'groups', (SELECT count(*) FROM groups)) AS data
  UNION ALL${parts.join('\n  UNION ALL')}`;
}

/** In place of a poll that would read too much. */
export const clockAlone = `SELECT 'clock' AS part, json_build_object('at', ${ms('clock_timestamp()')}, 'groups', 0) AS data`;
