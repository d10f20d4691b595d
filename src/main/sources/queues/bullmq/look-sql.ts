// The statements that a person's questions run, with the index each walks. All are reads.
import { ERROR_CHARS } from '../../../../contract/queue-jobs.ts';
import { PAYLOAD_SHOWN_CHARS } from '../../../../core/shown-payload.ts';
import { quotePgName } from '../../postgres-errors.ts';
import { readyAt } from './jobs-sql.ts';
import { table } from './poll-sql.ts';

const NOW = `floor(extract(epoch FROM statement_timestamp()) * 1000)`;

/** A job `j` as a list shows it. */
const job = (schema: string): string => `
         j.queue, j.id, j.seq::text AS seq, j.name, j.state::text AS state, j.priority,
         j.added_at_ms::float8 AS added_at_ms, j.process_at_ms::float8 AS process_at_ms,
         j.processed_at_ms::float8 AS processed_at_ms, j.finished_at_ms::float8 AS finished_at_ms,
         CASE WHEN j.state = 'waiting' THEN ${readyAt(schema)} END::float8 AS ready_at_ms,
         j.attempts_made, j.attempts_started, j.max_attempts, j.lock_token, j.locked_until_ms::float8 AS locked_until_ms,
         j.processed_by, left(j.failed_reason, ${ERROR_CHARS}) AS error, ${NOW}::float8 AS now_ms`;

/**
 * The queues that are looked at: one ($1), or with NULL all that have a job that `condition` is true of, found by
 * skipping from one to the next.
 */
const queuesWith = (schema: string, condition: string): string => {
  const first = (after: string) =>
    `(SELECT e.queue FROM ${table(schema, 'job')} e WHERE ${condition}${after} ORDER BY e.queue LIMIT 1)`;
  return `
  WITH RECURSIVE every (queue) AS (
    SELECT coalesce($1::text, ${first('')})
    UNION ALL
    SELECT ${first(' AND e.queue > every.queue')} FROM every WHERE every.queue IS NOT NULL AND $1::text IS NULL
  ), q AS (SELECT queue FROM every WHERE queue IS NOT NULL)`;
};

/** A page of each queue's jobs, merged into one. */
const merged = (schema: string, queues: string, where: string, inQueue: string, order: string): string => `
  ${queues}
  SELECT ${job(schema)}
    FROM q
   CROSS JOIN LATERAL (
     SELECT e.* FROM ${table(schema, 'job')} e WHERE e.queue = q.queue AND ${where} ORDER BY ${inQueue} LIMIT $5) j
   ORDER BY ${order}
   LIMIT $5`;

/** A page's parameters: $1 the queue or NULL; $2 a number, $3 a queue and $4 an id, after which it begins ($2 NULL: at the start); $5 the limit. */
const after = (column: string): string =>
  `($2::bigint IS NULL OR (e.${column} >= $2::bigint AND (e.${column}, e.queue, e.id) > ($2::bigint, $3::text, $4::text)))`;

/**
 * Waiting jobs by queue, then in claim order. Parameters: $1 the queue or NULL; $2 to $5 queue, priority, seq and id after which it
 * begins ($2 NULL: at the start); $6 the limit. Walks: job_ready_idx as it lies.
 */
export const waiting = (schema: string, has: { queue: boolean; cursor: boolean }): string => `
  SELECT ${job(schema)}
    FROM ${table(schema, 'job')} j
   WHERE j.state = 'waiting'
     AND ${has.queue ? 'j.queue = $1::text' : '$1::text IS NULL'}
     AND ${has.cursor ? '(j.queue, j.priority, j.seq, j.id) > ($2::text, $3::int, $4::bigint, $5::text)' : '($2::text, $3::int, $4::bigint, $5::text) IS NULL'}
   ORDER BY j.queue, j.priority, j.seq, j.id
   LIMIT $6`;

/** Delayed jobs that are due, or not, by time. Walks: job_delayed_idx of each queue. */
export const delayed = (schema: string, when: 'due' | 'later'): string =>
  merged(
    schema,
    queuesWith(schema, "e.state = 'delayed'"),
    `e.state = 'delayed' AND e.process_at_ms ${when === 'due' ? '<=' : '>'} ${NOW}::bigint AND ${after('process_at_ms')}`,
    'e.process_at_ms, e.id',
    'j.process_at_ms, j.queue, j.id',
  );

/** Active jobs, the longest running first. Walks: job_active_idx, all active jobs of each queue: as many as run. */
export const active = (schema: string): string =>
  merged(
    schema,
    queuesWith(schema, "e.state = 'active'"),
    `e.state = 'active' AND coalesce(e.processed_at_ms, 0) >= coalesce($2::bigint, 0)
       AND ($2::bigint IS NULL OR (coalesce(e.processed_at_ms, 0), e.queue, e.id) > ($2::bigint, $3::text, $4::text))`,
    'coalesce(e.processed_at_ms, 0), e.id',
    'coalesce(j.processed_at_ms, 0), j.queue, j.id',
  );

/** Parents with unfinished children, in the order in which they were added. Walks: job_waiting_children_idx of each queue. */
export const blocked = (schema: string): string =>
  merged(
    schema,
    queuesWith(schema, "e.state = 'waiting-children'"),
    `e.state = 'waiting-children' AND ${after('seq')}`,
    'e.seq, e.id',
    'j.seq, j.queue, j.id',
  );

/** Failed jobs, the last first. Walks: job_finished_idx of each queue, backwards; queues by the primary key. */
export const failed = (schema: string): string =>
  merged(
    schema,
    queuesWith(schema, 'true'),
    `e.state = 'failed' AND e.finished_at_ms IS NOT NULL
       AND ($2::bigint IS NULL OR (e.finished_at_ms <= $2::bigint
            AND (e.finished_at_ms < $2::bigint OR (e.queue, e.id) > ($3::text, $4::text))))`,
    'e.finished_at_ms DESC, e.id',
    'j.finished_at_ms DESC, j.queue, j.id',
  );

/** Locks, the one that runs out first before the others; $1 the queue or NULL, $2 the limit. Walks: job_active_idx of each queue. */
export const locks = (schema: string): string => `
  ${queuesWith(schema, "e.state = 'active'")}
  SELECT ${job(schema)}
    FROM q
   CROSS JOIN LATERAL (
     SELECT e.* FROM ${table(schema, 'job')} e
      WHERE e.queue = q.queue AND e.state = 'active' ORDER BY e.locked_until_ms, e.id LIMIT $2) j
   ORDER BY j.locked_until_ms, j.queue, j.id
   LIMIT $2`;

/**
 * One job, by queues and ids of the same length ($1, $2), with its columns as text and its payload's beginning. The first
 * that is found counts. Walks: the primary key.
 */
export const detail = (schema: string, columns: readonly string[]): string => `
  SELECT ${job(schema)},
         ARRAY[${columns.map((column) => `left(j.${quotePgName(column)}::text, ${ERROR_CHARS})`).join(', ')}] AS fields,
         left(j.data::text, ${PAYLOAD_SHOWN_CHARS + 1}) AS payload,
         CASE WHEN jsonb_typeof(j.stacktrace) = 'array' THEN
           ARRAY(SELECT left(trace, ${ERROR_CHARS}) FROM jsonb_array_elements_text(j.stacktrace) WITH ORDINALITY t (trace, place)
                  WHERE trace IS NOT NULL ORDER BY place) END AS traces
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY named (queue, id, place)
    JOIN ${table(schema, 'job')} j ON j.queue = named.queue AND j.id = named.id
   ORDER BY named.place
   LIMIT 1`;
