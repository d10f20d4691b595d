// Every statement of a look into GoodJob, with the index each walks. All are reads.
import { escapeLiteral } from 'pg';
import { PAYLOAD_SHOWN_CHARS } from '../../../../core/shown-payload.ts';
import { ERROR_CHARS } from '../../../../contract/queue-jobs.ts';
import { quotePgName } from '../../postgres-errors.ts';
import { advisoryLocks, isHeld, isStale, processes } from './held.ts';
import type { Cursor } from './look-rows.ts';
import { EXECUTIONS, table, type GoodJobTables } from './tables.ts';

/** Attempts that are told. */
export const ATTEMPTS = 50;
const PROCESSES = 10_000;
const PAYLOAD = 'serialized_params';

const ms = (time: string): string => `(extract(epoch FROM ${time}) * 1000)::float8`;
const orNull = (tables: GoodJobTables, column: string, type: string): string =>
  tables.columns.has(column) ? `j.${column}` : `NULL::${type}`;

/** The time by which a list is ordered. Before 4.0 a job may have none of its own. */
function orderOf({ locksByRow }: GoodJobTables, list: Cursor['list']): string {
  if (list === 'dead') return 'j.finished_at';
  if (list === 'running')
    return locksByRow
      ? 'coalesce(j.performed_at, j.locked_at, j.created_at)'
      : 'coalesce(j.performed_at, j.created_at)';
  return locksByRow ? 'j.scheduled_at' : 'coalesce(j.scheduled_at, j.created_at)';
}

/** A job with its holder; `order` tells its place. */
function columns(tables: GoodJobTables, order: string): string {
  const { locksByRow } = tables;
  const kind = tables.columns.has('job_class')
    ? `coalesce(j.job_class, j.${PAYLOAD} ->> 'job_class')`
    : `j.${PAYLOAD} ->> 'job_class'`;
  const counted = `CASE WHEN j.${PAYLOAD} ->> 'executions' ~ '^[0-9]{1,9}$' THEN (j.${PAYLOAD} ->> 'executions')::int END`;
  return `j.id::text, j.queue_name, ${kind} AS kind, j.priority, coalesce(${orNull(tables, 'executions_count', 'int')}, ${counted}) AS attempts,
         left(j.error, ${ERROR_CHARS}) AS error, j.retried_good_job_id IS NOT NULL AS is_retried,
         j.finished_at IS NULL AND ${isHeld(tables, 'j')} AS is_held,
         ${locksByRow ? `j.finished_at IS NULL AND j.locked_by_id IS NOT NULL AND ${isStale('j')}` : 'false'} AS is_stale,
         ${ms('j.created_at')} AS created_at, ${ms('j.scheduled_at')} AS scheduled_at, ${ms('j.performed_at')} AS performed_at,
         ${ms('j.finished_at')} AS finished_at, ${ms(orNull(tables, 'locked_at', 'timestamp'))} AS locked_at,
         ${locksByRow ? 'j.locked_by_id::text' : 'NULL'} AS process_id, p.state ->> 'hostname' AS host, p.state ->> 'pid' AS pid,
         ${ms('p.updated_at')} AS beat_at, p.by_lock, (${order})::text AS place, ${ms('clock_timestamp()')} AS now`;
}

const withLocks = (tables: GoodJobTables): string =>
  `WITH locks AS MATERIALIZED (${advisoryLocks}), processes AS MATERIALIZED (${processes(tables, PROCESSES)})`;

const from = (tables: GoodJobTables): string => `
    FROM ${table(tables.schema, 'good_jobs')} j
    LEFT JOIN processes p ON ${tables.locksByRow ? 'p.id = j.locked_by_id' : 'false'}`;

/**
 * Jobs of one list in its order, those of one queue or of all. Walks: ready and delayed ones by (queue_name, scheduled_at) or (scheduled_at)
 * of unfinished jobs (before 4.0 they are sorted); running ones by (locked_by_id); dead ones by (finished_at) of those with an error.
 */
export function list(
  tables: GoodJobTables,
  which: Cursor['list'],
  { tenantId, after, limit }: { tenantId: string | null; after: Cursor | null; limit: number },
): string {
  const order = orderOf(tables, which);
  const held = isHeld(tables, 'j');
  const state = {
    ready: ['j.finished_at IS NULL', `NOT (${held})`, `${order} <= statement_timestamp()`],
    delayed: ['j.finished_at IS NULL', `NOT (${held})`, `${order} > statement_timestamp()`],
    running: ['j.finished_at IS NULL', held],
    dead: ['j.finished_at IS NOT NULL', 'j.error IS NOT NULL', 'j.retried_good_job_id IS NULL'],
  }[which];
  const newestFirst = which === 'dead';
  const conditions = [
    ...state,
    ...(tenantId === null ? [] : [`j.queue_name = ${escapeLiteral(tenantId)}`]),
    ...(after === null
      ? []
      : [
          `(${order}, j.id) ${newestFirst ? '<' : '>'} (${escapeLiteral(after.at)}::timestamp, ${escapeLiteral(after.id)}::uuid)`,
        ]),
  ];
  const direction = newestFirst ? ' DESC' : '';
  return `
  ${withLocks(tables)}
  SELECT ${columns(tables, order)}${from(tables)}
   WHERE ${conditions.join(' AND ')}
   ORDER BY ${order}${direction}, j.id${direction}
   LIMIT ${limit}`;
}

/** Walks: the primary key. */
export const job = (tables: GoodJobTables, id: string): string => `
  ${withLocks(tables)}
  SELECT ${columns(tables, 'j.created_at')}${from(tables)}
   WHERE j.id = ${escapeLiteral(id)}::uuid`;

/** A job's columns as text, and the beginning of its parameters. Walks: the primary key. */
export const whole = (tables: GoodJobTables, id: string): string => `
  SELECT left(j.${PAYLOAD}::text, ${PAYLOAD_SHOWN_CHARS + 1}) AS headway_payload,
         ${tables.columnNames
           .filter((name) => name !== PAYLOAD)
           .map((name) => `left(j.${quotePgName(name)}::text, 10000) AS ${quotePgName(name)}`)
           .join(', ')}
    FROM ${table(tables.schema, 'good_jobs')} j WHERE j.id = ${escapeLiteral(id)}::uuid`;

/**
 * Attempts that ended, the newest first: each has a row of executions; before, each but the last was a row of good_jobs itself.
 * Walks: (active_job_id, created_at) of both.
 */
export function attempts(tables: GoodJobTables, id: string): string {
  const { schema, executions, locksByRow } = tables;
  const activeJob = `(SELECT o.active_job_id FROM ${table(schema, 'good_jobs')} o WHERE o.id = ${escapeLiteral(id)}::uuid)`;
  const parts = [
    ...(executions === null
      ? []
      : [
          `SELECT e.finished_at, e.created_at, e.error, ${executions.has('process_id') ? 'e.process_id::text' : 'NULL'} AS owner
             FROM ${table(schema, EXECUTIONS)} e WHERE e.active_job_id = ${activeJob} AND e.finished_at IS NOT NULL`,
        ]),
    ...(locksByRow
      ? []
      : [
          `SELECT e.finished_at, e.created_at, e.error, NULL AS owner
             FROM ${table(schema, 'good_jobs')} e WHERE e.active_job_id = ${activeJob} AND e.retried_good_job_id IS NOT NULL`,
        ]),
  ];
  if (parts.length === 0) return `SELECT NULL::float8 AS at_ms, NULL AS error, NULL AS owner WHERE false`;
  return `
  SELECT ${ms('a.finished_at')} AS at_ms, left(a.error, ${ERROR_CHARS}) AS error, a.owner
    FROM (${parts.join(' UNION ALL ')}) a
   ORDER BY a.created_at DESC
   LIMIT ${ATTEMPTS}`;
}
