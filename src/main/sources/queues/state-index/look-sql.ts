// What a person asks for: lists of jobs, one job, and who runs what. All are reads, bounded by what they look at.
import { PAYLOAD_SHOWN_CHARS } from '../../../../core/shown-payload.ts';
import { ERROR_CHARS } from '../../../../contract/queue-jobs.ts';
import { quotePgName } from '../../postgres-errors.ts';
import { withGroups } from './poll-sql.ts';
import { jobsTable, ms, stateLiteral, type StateTable } from './state-table.ts';

/** Where no index leads to an order, so many jobs are read and sorted. */
export const SORTED = 10_000;
/** Earlier attempts of a job that are shown. */
const ATTEMPTS = 50;
/** Of a column of a job. */
export const FIELD_CHARS = 2_000;

/** A list has parameters: $1 and $2 the time and the id of the last job of the page before, $3 how many, $4 the queue if it is of one. */
type List = string;

/** What `rows.ts` calls a job. `place` and `cut` as SQL. */
function jobColumns(table: StateTable, place: string, cut: string): string {
  const { createdAt, kind, endedAt } = table.columns;
  const { available, running, waiting } = table.states;
  const waits = [available, ...waiting].map(stateLiteral).join(', ');
  const canRead = (name: string) => table.readable.some((column) => column.name === name);
  return `j.id::text AS id, j.queue, j.${kind} AS kind, j.state::text AS state, j.scheduled_at <= ${table.now} AS due,
         ${ms(`j.${createdAt}`)} AS created_at,
         CASE WHEN isfinite(j.scheduled_at) THEN ${ms(
           `CASE WHEN j.state IN (${waits}) AND ${table.claimsDueOnly ? `j.scheduled_at <= ${table.now}` : `(j.state = ${stateLiteral(available)} OR j.scheduled_at <= ${table.now})`}
                 THEN least(${table.readyAt}, ${table.now}) ELSE greatest(j.${createdAt}, j.scheduled_at) END`,
         )} END AS ready_at,
         ${ms('j.attempted_at')} AS attempted_at, ${ms(endedAt)} AS ended_at,
         j.attempt::int AS attempt, j.max_attempts::int AS max_attempts, j.priority::float8 AS priority,
         CASE WHEN j.state = ${stateLiteral(running)} THEN ${table.owner} END AS owner,
         j.state = ${stateLiteral(running)} AND coalesce(j.attempted_at < ${table.now} - interval '${table.staleAfterMs} ms', false) AS stale,
         ${canRead('errors') ? `left(j.errors[array_upper(j.errors, 1)] ->> 'error', ${ERROR_CHARS})` : 'NULL::text'} AS error,
         ${place} AS place, ${cut} AS cut`;
}

/**
 * Jobs of the given states in order of their scheduled time. `when`: those whose time has come, those whose time has not, or all.
 * Walks: the groups, skipping; the first entries of each; then the rows themselves.
 */
export function byScheduledTime(
  table: StateTable,
  words: readonly string[],
  when: 'due' | 'later' | 'any',
  allQueues: boolean,
): List {
  const jobs = jobsTable(table);
  const condition = when === 'any' ? '' : ` AND j.scheduled_at ${when === 'due' ? '<=' : '>'} ${table.now}`;
  const first = (words: readonly string[], condition: string) => `
    SELECT f.id, f.scheduled_at FROM groups g
     CROSS JOIN LATERAL (
       SELECT j.id, j.scheduled_at FROM ${jobs} j
        WHERE j.state = g.state AND j.queue = g.queue AND j.priority = g.priority${condition}
          AND (j.scheduled_at, j.id) > ($1, $2)
        ORDER BY j.scheduled_at, j.id LIMIT $3) f
     WHERE g.state IN (${words.map(stateLiteral).join(', ')})`;
  const free =
    when === 'any' || table.claimsDueOnly ? [] : words.filter((word) => word === table.states.available);
  const timed = words.filter((word) => !free.includes(word));
  const parts = [
    ...(timed.length > 0 ? [first(timed, condition)] : []),
    ...(free.length > 0 && when === 'due' ? [first(free, '')] : []),
  ];
  return `${withGroups(table, words, allQueues ? null : '$4')}, picked AS (
    SELECT id, scheduled_at FROM (${parts.join(' UNION ALL')}) f ORDER BY scheduled_at, id LIMIT $3)
  SELECT ${jobColumns(table, 'j.scheduled_at::text', 'false')}
    FROM picked p JOIN ${jobs} j ON j.id = p.id
   ORDER BY p.scheduled_at, p.id`;
}

/**
 * Jobs of one state by a time that no index leads to, of one queue or all: at most SORTED are read and sorted.
 * Walks: (state, queue, …).
 */
export function sorted(
  table: StateTable,
  word: string,
  time: string,
  order: 'ASC' | 'DESC',
  allQueues: boolean,
): List {
  const jobs = jobsTable(table);
  return `
  WITH read AS MATERIALIZED (
    SELECT j.id, ${time} AS at FROM ${jobs} j
     WHERE j.state = ${stateLiteral(word)}${allQueues ? '' : ' AND j.queue = $4'}
     ORDER BY j.queue, j.priority, j.scheduled_at, j.id LIMIT ${SORTED + 1}
  ), picked AS (
    SELECT id, at FROM read
     WHERE (at, id) ${order === 'ASC' ? '>' : '<'} ($1, $2)
     ORDER BY at ${order}, id ${order} LIMIT $3)
  SELECT ${jobColumns(table, 'p.at::text', `(SELECT count(*) > ${SORTED} FROM read)`)}
    FROM picked p JOIN ${jobs} j ON j.id = p.id
   ORDER BY p.at ${order}, p.id ${order}`;
}

/** The dead of all queues, the last one first. Walks: (state, time of death) backwards. */
export function deadByIndex(table: StateTable): List {
  const jobs = jobsTable(table);
  const { diedAt } = table.columns;
  return `
  WITH picked AS (
    SELECT j.id, j.${diedAt} AS at FROM ${jobs} j
     WHERE j.state = ${stateLiteral(table.states.dead)} AND j.${diedAt} IS NOT NULL
       AND j.${diedAt} <= $1 AND (j.${diedAt}, j.id) < ($1, $2)
     ORDER BY j.${diedAt} DESC, j.id DESC LIMIT $3)
  SELECT ${jobColumns(table, 'p.at::text', 'false')}
    FROM picked p JOIN ${jobs} j ON j.id = p.id
   ORDER BY p.at DESC, p.id DESC`;
}

/** Whose content is shown on its own, or not at all. */
const shownApart = (table: StateTable): readonly string[] => [table.columns.args];

/** One job ($1). Walks: the primary key. */
export function job(table: StateTable): string {
  const { args } = table.columns;
  const columns = table.readable.filter(({ name }) => !shownApart(table).includes(name));
  const canRead = (name: string) => table.readable.some((column) => column.name === name);
  const fields = columns.map(
    ({ name, type }) =>
      `json_build_object('name', ${literal(name)}, 'type', ${literal(type)}, 'value', left(j.${quotePgName(name)}::text, ${FIELD_CHARS + 1}))`,
  );
  return `
  SELECT ${jobColumns(table, 'NULL::text', 'false')},
         json_build_array(${fields.join(', ')}) AS fields,
         ${canRead(args) ? `left(j.${args}::text, ${PAYLOAD_SHOWN_CHARS + 1})` : 'NULL::text'} AS args,
         ${
           canRead('errors')
             ? `coalesce((SELECT json_agg(json_build_object('attempt', e.error ->> 'attempt', 'at', e.error ->> 'at',
                   'error', left(e.error ->> 'error', ${ERROR_CHARS})) ORDER BY e.place DESC)
              FROM (SELECT u.error, u.place FROM unnest(j.errors) WITH ORDINALITY AS u (error, place)
                     ORDER BY u.place DESC LIMIT ${ATTEMPTS}) e), '[]')`
             : `'[]'::json`
         } AS errors
    FROM ${jobsTable(table)} j
   WHERE j.id = $1`;
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
