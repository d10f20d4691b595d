// The statements that a person's questions run, with the index each walks. All are reads. Times of cursors are text, so
// that they keep their microseconds.
import { ERROR_CHARS } from '../../../../contract/queue-jobs.ts';
import { PAYLOAD_SHOWN_CHARS } from '../../../../core/shown-payload.ts';
import { quotePgName } from '../../postgres-errors.ts';
import { table } from './sql.ts';

const ms = (time: string) =>
  `CASE WHEN isfinite(${time}) THEN extract(epoch FROM ${time})::float8 * 1000 END`;

/** The id of a task ($1). Walks: the index of identifiers. */
export const taskId = (schema: string): string =>
  `SELECT id FROM ${table(schema, '_private_tasks')} WHERE identifier = $1`;

/** When a job failed last: its backoff, which began then, is e^attempts seconds; one that was failed by hand was updated then. */
const failedAt = (job: string) => `
  (CASE WHEN ${job}.run_at - exp(least(${job}.attempts, 10)) * interval '1 second' > now() THEN ${job}.updated_at
        ELSE greatest(${job}.updated_at, ${job}.run_at - exp(least(${job}.attempts, 10)) * interval '1 second') END)`;

/** A job `j` as a list shows it, with its named queue. Walks: primary keys of tasks and queues. */
const selected = (schema: string, from: string, more = ''): string => `
  SELECT j.id::text AS id, t.identifier AS task, queue.queue_name, j.priority::int AS priority, j.attempts::int AS attempts,
         j.max_attempts::int AS max_attempts, j.is_available, j.run_at <= now() AS is_due,
         j.job_queue_id IS NOT NULL AND queue.is_available IS NOT TRUE AS is_held,
         ${ms('j.created_at')} AS created_at_ms, ${ms('greatest(j.created_at, j.run_at)')} AS ready_at_ms,
         ${ms('j.locked_at')} AS locked_at_ms, ${ms(failedAt('j'))} AS failed_at_ms, j.locked_by,
         j.locked_at < now() - interval '4 hours' AS is_stale, left(j.last_error, ${ERROR_CHARS}) AS error,
         j.run_at::text AS run_at, j.locked_at::text AS locked_at, ${failedAt('j')}::text AS failed_at${more}
    FROM ${from}
    LEFT JOIN ${table(schema, '_private_tasks')} t ON t.id = j.task_id
    LEFT JOIN ${table(schema, '_private_job_queues')} queue ON queue.id = j.job_queue_id`;

/**
 * Jobs that are due, or not yet, of each priority; `held`: those whose named queue is locked, or the others. Parameters: $1
 * the task's id or NULL; $2 priority, $3 run time and $4 id after which it begins ($3 NULL: at the start); $5 the limit.
 * Walks: jobs_main_index, each priority from where it begins; a task's jobs are picked among all others.
 */
export function byPriority(schema: string, when: 'due' | 'later', held: boolean): string {
  const jobs = table(schema, '_private_jobs');
  const queues = table(schema, '_private_job_queues');
  const first = (after: string) =>
    `(SELECT e.priority FROM ${jobs} e WHERE e.is_available = true${after} ORDER BY e.priority LIMIT 1)`;
  // Due jobs come by priority; the others by time, whatever their priority.
  const isAfter =
    when === 'due'
      ? '(e.priority, e.run_at, e.id) > ($2::smallint, $3::timestamptz, $4::bigint)'
      : '$2::smallint IS NOT NULL AND (e.run_at, e.id) > ($3::timestamptz, $4::bigint)';
  const from =
    when === 'due'
      ? `CASE WHEN p.priority = $2::smallint THEN coalesce($3::timestamptz, '-infinity') ELSE '-infinity' END`
      : 'greatest(now(), $3::timestamptz)';
  const isHeld = `e.job_queue_id IS NOT NULL AND NOT EXISTS (SELECT FROM ${queues} q WHERE q.id = e.job_queue_id AND q.is_available)`;
  return `
  WITH RECURSIVE p (priority) AS (
    SELECT ${first(when === 'due' ? ' AND ($3::timestamptz IS NULL OR e.priority >= $2::smallint)' : '')}
    UNION ALL
    SELECT ${first(' AND e.priority > p.priority')} FROM p WHERE p.priority IS NOT NULL
  )
  ${selected(
    schema,
    `(
    SELECT found.*
      FROM p
     CROSS JOIN LATERAL (
       SELECT e.*
         FROM ${jobs} e
        WHERE e.is_available = true
          AND (e.priority, e.run_at) >= (p.priority, ${from})
          AND (e.priority, e.run_at) <= (p.priority, ${when === 'due' ? 'now()' : `timestamptz 'infinity'`})
          AND ${when === 'due' ? 'true' : 'e.run_at > now()'}
          AND ($3::timestamptz IS NULL OR (${isAfter}))
          AND ($1::int IS NULL OR e.task_id = $1::int)
          ${when === 'due' ? `AND ${held ? `EXISTS (SELECT FROM ${queues} WHERE NOT is_available) AND ${isHeld}` : `NOT (${isHeld})`}` : ''}
        ORDER BY e.priority, e.run_at, e.id
        LIMIT $5) found
     ORDER BY ${when === 'due' ? 'found.priority, ' : ''}found.run_at, found.id
     LIMIT $5) j`,
  )}
   ORDER BY ${when === 'due' ? 'j.priority, ' : ''}j.run_at, j.id`;
}

/**
 * Jobs that nobody may claim: locked ones from the oldest lock, or dead ones from the last to fail. Parameters: $1 the task's id or
 * NULL; $2 the time and $3 the id after which it begins ($2 NULL: at the start); $4 the limit. Walks: an index by locked_at
 * of those, which Headway's warning asks for; else the whole table.
 */
export function unavailable(schema: string, which: 'locked' | 'dead'): string {
  const { where, time, order, is } =
    which === 'locked'
      ? { where: 'e.locked_at IS NOT NULL', time: 'e.locked_at', order: '', is: '>' }
      : { where: 'e.locked_at IS NULL', time: failedAt('e'), order: ' DESC', is: '<' };
  const jobTime = which === 'locked' ? 'j.locked_at' : failedAt('j');
  return `${selected(
    schema,
    `(
    SELECT e.*
      FROM ${table(schema, '_private_jobs')} e
     WHERE e.is_available = false AND ${where}
       AND ($2::timestamptz IS NULL OR (${time}, e.id) ${is} ($2::timestamptz, $3::bigint))
       AND ($1::int IS NULL OR e.task_id = $1::int)
     ORDER BY ${time}${order}, e.id${order}
     LIMIT $4) j`,
  )}
   ORDER BY ${jobTime}${order}, j.id${order}`;
}

/** One job ($1), with its columns as text and its payload's beginning. Walks: the primary key. */
export const detail = (schema: string, columns: readonly string[]): string => `${selected(
  schema,
  `${table(schema, '_private_jobs')} j`,
  `,
         ARRAY[${columns.map((column) => `left(j.${quotePgName(column)}::text, ${ERROR_CHARS})`).join(', ')}] AS fields,
         left(j.payload::text, ${PAYLOAD_SHOWN_CHARS + 1}) AS payload`,
)}
   WHERE j.id = $1::bigint`;
