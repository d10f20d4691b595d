// The statements with which single messages, dead letters and leases of Queen 0.15 are looked at, with the index each walks. They run under
// the longer time limit of a look: a list of all partitions visits each of them.
import { escapeLiteral } from 'pg';
import { quotePgName } from '../../postgres-errors.ts';
import { consumersOf, LAST_MESSAGE, ms, NO_MESSAGE, QUEUE_MODE, table, type Dialect } from './schema-sql.ts';

const NOW = 'statement_timestamp()';
/** A timestamp as text that loses nothing of it. */
const text = (time: string): string => `to_char(${time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Which partitions: one by its queue's name ($1) and its own ($2), or all ($1 and $2 are null). */
const partitions = (schema: string): string => `
  SELECT p.id, p.name, q.name AS queue_name, q.task, q.priority, q.retry_limit,
         coalesce(q.delayed_processing, 0) AS delay_s, coalesce(q.window_buffer, 0) AS window_s
    FROM ${table(schema, 'partitions')} p
    JOIN ${table(schema, 'queues')} q ON q.id = p.queue_id
   WHERE ($1::text IS NULL OR q.name = $1) AND ($2::text IS NULL OR p.name = $2)`;

/**
 * The consumer groups of partitions p, with the last message that each one's lease holds, and whether the queue's wait for quiet is over.
 * Walks: as consumersOf; messages (partition_id, created_at, id) past the cursor as far as the lease holds.
 */
function groups(dialect: Dialect): string {
  const messages = table(dialect.schema, 'messages');
  return `p
   CROSS JOIN LATERAL (SELECT p.queue_name AS name) q
   CROSS JOIN LATERAL (${consumersOf(dialect)}) c
   CROSS JOIN LATERAL (SELECT coalesce(c.lease_expires_at > ${NOW}, false) AS live, ${NOW} - p.delay_s * interval '1 second' AS due_at) l
    LEFT JOIN LATERAL (
    SELECT m.created_at AS at, m.id FROM ${messages} m
     WHERE c.held > 0 AND m.partition_id = p.id AND (m.created_at, m.id) > (c.cursor_at, c.cursor_id)
     ORDER BY m.created_at, m.id OFFSET greatest(c.held - 1, 0) LIMIT 1) held_end ON true
    LEFT JOIN LATERAL (
    SELECT m.created_at + p.window_s * interval '1 second' AS at FROM ${messages} m
     WHERE p.window_s > 0 AND m.partition_id = p.id ORDER BY m.created_at DESC, m.id DESC LIMIT 1) quiet ON true`;
}

/** Of what is held, what the lease's end does not bound is held all the same: messages of the batch were deleted. */
const IS_HELD =
  '(c.held > 0 AND (held_end.id IS NULL OR (m.created_at, m.id) <= (held_end.at, held_end.id)))';
const IS_QUIET = `(quiet.at IS NULL OR quiet.at <= ${NOW})`;
const READY_AT = `greatest(m.created_at + p.delay_s * interval '1 second', quiet.at, CASE WHEN NOT l.live AND ${IS_HELD} THEN c.lease_expires_at END)`;

const messageColumns = `
         m.id AS message_id, c.consumer_group, p.queue_name::text AS queue, p.name::text AS partition, p.task::text AS task, p.priority,
         p.retry_limit, ${ms('m.created_at')} AS created_at, ${ms(READY_AT)} AS ready_at`;

/**
 * Messages that wait, by creation ($3 to $5: creation, id and group of the last one shown; $6: how many). Walks: for each group messages
 * (partition_id, created_at, id) from the later of its cursor, or the end of its lease, and the last one shown: what is compared
 * once more as IS TRUE is kept from the index, so that it surely begins at the later of the two bounds.
 */
export function waiting(dialect: Dialect, list: 'ready' | 'delayed'): string {
  const isListed =
    list === 'ready'
      ? `${IS_QUIET} AND m.created_at <= l.due_at`
      : `NOT (${IS_QUIET} AND m.created_at <= l.due_at)`;
  const earliest =
    list === 'ready' ? `timestamptz '-infinity'` : `CASE WHEN ${IS_QUIET} THEN l.due_at ELSE '-infinity' END`;
  return `
  WITH p AS MATERIALIZED (${partitions(dialect.schema)})
  SELECT w.message_id, w.consumer_group, w.queue, w.partition, w.task, w.priority, w.retry_limit, w.created_at, w.ready_at,
         NULL::float8 AS started_at, NULL::float8 AS failed_at, NULL::int AS attempts, NULL AS worker_id, NULL AS error,
         ARRAY[${text('w.at')}, w.message_id::text, w.consumer_group] AS place
    FROM ${groups(dialect)}
   CROSS JOIN LATERAL (
    SELECT CASE WHEN l.live AND held_end.id IS NOT NULL THEN held_end.at ELSE c.cursor_at END AS at,
           CASE WHEN l.live AND held_end.id IS NOT NULL THEN held_end.id ELSE c.cursor_id END AS id) begun
   CROSS JOIN LATERAL (
    SELECT CASE WHEN (begun.at, begun.id) > ($3::timestamptz, $4::uuid) THEN begun.at ELSE $3::timestamptz END AS at,
           CASE WHEN (begun.at, begun.id) > ($3::timestamptz, $4::uuid) THEN begun.id ELSE $4::uuid END AS id) shown
   CROSS JOIN LATERAL (
    SELECT m.created_at AS at,${messageColumns}
      FROM ${table(dialect.schema, 'messages')} m
     WHERE m.partition_id = p.id AND (m.created_at, m.id) >= (greatest(shown.at, ${earliest}), CASE WHEN ${earliest} > shown.at THEN '${NO_MESSAGE}' ELSE shown.id END)
       AND ((m.created_at, m.id) > (begun.at, begun.id)) IS TRUE
       AND ((m.created_at, m.id, c.consumer_group) > ($3::timestamptz, $4::uuid, $5::text)) IS TRUE
       AND ${isListed}
       AND NOT (l.live AND c.held > 0 AND held_end.id IS NULL)
     ORDER BY m.created_at, m.id
     LIMIT $6) w
   ORDER BY w.at, w.message_id, w.consumer_group
   LIMIT $6`;
}

/**
 * Messages of leases that stand, the oldest lease first ($3 to $6: when the lease began, its row's id, creation and id of the last one
 * shown; $7: how many). Walks: messages (partition_id, created_at, id) from the cursor to the lease's end.
 */
export const running = (dialect: Dialect): string => `
  WITH p AS MATERIALIZED (${partitions(dialect.schema)})
  SELECT w.*, ${ms('w.acquired')} AS started_at, NULL::float8 AS failed_at, NULL AS error,
         ARRAY[${text('w.acquired')}, w.consumer_id::text, ${text('w.at')}, w.message_id::text] AS place
    FROM (
    SELECT c.lease_acquired_at AS acquired, c.consumer_id, m.created_at AS at,${messageColumns}, c.worker_id,
           coalesce(c.batch_retry_count, 0) + 1 AS attempts
      FROM ${groups(dialect)}
     CROSS JOIN LATERAL (
      SELECT * FROM ${table(dialect.schema, 'messages')} m
       WHERE l.live AND c.held > 0 AND (c.lease_acquired_at, c.consumer_id) >= ($3::timestamptz, $4::uuid)
         AND m.partition_id = p.id AND (m.created_at, m.id) > (c.cursor_at, c.cursor_id)
         AND (m.created_at, m.id) <= (coalesce(held_end.at, 'infinity'), coalesce(held_end.id, '${LAST_MESSAGE}'))
         AND ((c.lease_acquired_at, c.consumer_id, m.created_at, m.id) > ($3::timestamptz, $4::uuid, $5::timestamptz, $6::uuid)) IS TRUE
       ORDER BY m.created_at, m.id
       LIMIT $7) m) w
   ORDER BY w.acquired, w.consumer_id, w.at, w.message_id
   LIMIT $7`;

/**
 * Dead letters, the newest first ($3, $4: time and id of the last one shown; $5: how many). Walks: dead_letter_queue (failed_at DESC), or
 * (partition_id) for one partition, whose dead letters are then sorted.
 */
export const deadLetters = ({ schema }: Dialect): string => `
  SELECT d.id AS message_id, coalesce(d.consumer_group, '${QUEUE_MODE}')::text AS consumer_group, q.name::text AS queue, p.name::text AS partition,
         q.task::text AS task, q.priority, q.retry_limit, ${ms('d.original_created_at')} AS created_at, NULL::float8 AS ready_at,
         NULL::float8 AS started_at, ${ms('d.failed_at')} AS failed_at, d.retry_count + 1 AS attempts, NULL AS worker_id,
         left(d.error_message, $6::int) AS error, ARRAY[${text('d.failed_at')}, d.id::text] AS place
    FROM ${table(schema, 'dead_letter_queue')} d
    JOIN ${table(schema, 'partitions')} p ON p.id = d.partition_id
    JOIN ${table(schema, 'queues')} q ON q.id = p.queue_id
   WHERE (d.failed_at, d.id) < ($3::timestamptz, $4::uuid)
     AND ($1::text IS NULL OR d.partition_id = (
           SELECT p.id FROM ${table(schema, 'partitions')} p JOIN ${table(schema, 'queues')} q ON q.id = p.queue_id
            WHERE q.name = $1 AND p.name = $2))
   ORDER BY d.failed_at DESC, d.id DESC
   LIMIT $5`;

/** The columns of messages in a schema ($1) but for the payload, in their order. Walks: the catalogue. */
export const messageColumnNames = `
  SELECT a.attname::text AS name
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = 'messages' AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'payload'
   ORDER BY a.attnum`;

/**
 * One message ($1) as it stands to a consumer group ($2); the payload, unless it is encrypted, as far as $3 characters. Walks: the primary key of
 * messages; as `groups`; dead_letter_queue (message_id, consumer_group).
 */
export function detail(dialect: Dialect, columns: readonly string[]): string {
  const { schema, hasDeadLetters } = dialect;
  const shown = [
    ...columns.map((name) => `${escapeLiteral(name)}, m.${quotePgName(name)}::text`),
    ...[`'queue', p.queue_name::text`, `'partition', p.name::text`, `'consumer_group', c.consumer_group`],
    ...['worker_id', 'lease_acquired_at', 'lease_expires_at', 'batch_retry_count'].map(
      (name) => `'${name}', c.${name}::text`,
    ),
  ];
  const dead = hasDeadLetters
    ? `SELECT d.failed_at, d.retry_count, left(d.error_message, $4::int) AS error FROM ${table(schema, 'dead_letter_queue')} d
        WHERE d.message_id = m.id AND coalesce(d.consumer_group, '${QUEUE_MODE}') = c.consumer_group ORDER BY d.failed_at DESC LIMIT 1`
    : `SELECT NULL::timestamptz AS failed_at, NULL::int AS retry_count, left(NULL::text, $4::int) AS error WHERE false`;
  const isRunning = `l.live AND ${IS_HELD}`;
  const isPast = '(m.created_at, m.id) <= (c.cursor_at, c.cursor_id)';
  return `
  WITH wanted AS MATERIALIZED (SELECT * FROM ${table(schema, 'messages')} WHERE id = $1::uuid),
       p AS MATERIALIZED (
    SELECT p.id, p.name, q.name AS queue_name, q.task, q.priority, q.retry_limit,
           coalesce(q.delayed_processing, 0) AS delay_s, coalesce(q.window_buffer, 0) AS window_s
      FROM ${table(schema, 'partitions')} p
      JOIN ${table(schema, 'queues')} q ON q.id = p.queue_id
     WHERE p.id = (SELECT partition_id FROM wanted))
  SELECT ${messageColumns},
         CASE WHEN ${isPast} THEN CASE WHEN dead.failed_at IS NULL THEN 'done' ELSE 'dead' END
              WHEN ${isRunning} THEN 'running'
              WHEN ${IS_QUIET} AND m.created_at <= l.due_at THEN 'ready' ELSE 'delayed' END AS state,
         ${ms(`CASE WHEN NOT ${isPast} AND ${isRunning} THEN c.lease_acquired_at END`)} AS started_at,
         ${ms('dead.failed_at')} AS failed_at, dead.error,
         CASE WHEN NOT ${isPast} AND ${isRunning} THEN coalesce(c.batch_retry_count, 0) + 1 ELSE dead.retry_count + 1 END AS attempts,
         CASE WHEN NOT ${isPast} AND ${isRunning} THEN c.worker_id END AS worker_id,
         coalesce(m.is_encrypted, false) AS is_encrypted,
         CASE WHEN m.is_encrypted THEN NULL ELSE left(m.payload::text, $3::int) END AS payload,
         json_build_object(${shown.join(', ')}) AS columns
    FROM wanted m, ${groups(dialect)}
    LEFT JOIN LATERAL (${dead}) dead ON true
   WHERE c.consumer_group = $2`;
}

/** The message and group of a dead letter ($1). Walks: the primary key of dead_letter_queue. */
export const deadLetter = ({ schema }: Dialect): string => `
  SELECT message_id, coalesce(consumer_group, '${QUEUE_MODE}')::text AS consumer_group FROM ${table(schema, 'dead_letter_queue')} WHERE id = $1::uuid`;

/** The last failures of a message ($1) for a group ($2), the newest first. Walks: dead_letter_queue (message_id, consumer_group). */
export const failures = ({ schema }: Dialect): string => `
  SELECT ${ms('failed_at')} AS failed_at, left(error_message, $3::int) AS error
    FROM ${table(schema, 'dead_letter_queue')}
   WHERE message_id = $1::uuid AND coalesce(consumer_group, '${QUEUE_MODE}') = $2
   ORDER BY failed_at DESC LIMIT 20`;

/** Leases that stand or have run out, the oldest first ($3: how many), each with the first message that it holds. Walks: as consumersOf. */
export const leases = (dialect: Dialect): string => `
  WITH p AS MATERIALIZED (${partitions(dialect.schema)})
  SELECT c.partition_id, c.consumer_group, c.queue, c.partition, c.worker_id, ${ms('c.lease_acquired_at')} AS acquired_at,
         ${ms('c.lease_expires_at')} AS expires_at, c.lease_expires_at > ${NOW} AS live, m.id AS message_id
    FROM (
    SELECT p.id AS partition_id, p.queue_name::text AS queue, p.name::text AS partition, c.*
      FROM p
     CROSS JOIN LATERAL (SELECT p.queue_name AS name) q
     CROSS JOIN LATERAL (${consumersOf(dialect)}) c
     WHERE c.lease_expires_at IS NOT NULL
     ORDER BY c.lease_acquired_at, c.consumer_id
     LIMIT $3) c
    LEFT JOIN LATERAL (
    SELECT m.id FROM ${table(dialect.schema, 'messages')} m
     WHERE c.held > 0 AND m.partition_id = c.partition_id AND (m.created_at, m.id) > (c.cursor_at, c.cursor_id)
     ORDER BY m.created_at, m.id LIMIT 1) m ON true
   ORDER BY c.lease_acquired_at, c.consumer_id`;
