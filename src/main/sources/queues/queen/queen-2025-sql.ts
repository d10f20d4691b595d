// The statements for a Queen of 2025, which kept a status for each message and consumer group, and no cursors. With the index each walks.
import { escapeLiteral } from 'pg';
import { quotePgName } from '../../postgres-errors.ts';
import { ms, NO_MESSAGE, QUEUE_MODE, table } from './schema-sql.ts';
import { page } from './poll-sql.ts';

export interface Dialect2025 {
  schema: string;
  /** Whether groups that subscribed to a queue can be read. */
  hasGroups: boolean;
}

const NOW = 'statement_timestamp()';

/**
 * The consumer groups of partition p (which has `queue_name`): those that ever leased it, and those that subscribed to its queue; where
 * there is none, whoever pops first. Walks: partition_leases (partition_id, consumer_group), consumer_groups (queue_id, name).
 */
function consumersOf({ schema, hasGroups }: Dialect2025): string {
  const leases = `SELECT l.consumer_group FROM ${table(schema, 'partition_leases')} l WHERE l.partition_id = p.id`;
  const subscribed = `SELECT g.name FROM ${table(schema, 'consumer_groups')} g
                        JOIN ${table(schema, 'queues')} q ON q.id = g.queue_id WHERE q.name = p.queue_name`;
  const names = hasGroups ? `${leases} UNION ${subscribed}` : leases;
  return `
    SELECT names.name::text AS consumer_group,
           coalesce(${hasGroups ? `(SELECT g.subscription_start_from FROM ${table(schema, 'consumer_groups')} g JOIN ${table(schema, 'queues')} q ON q.id = g.queue_id WHERE q.name = p.queue_name AND g.name = names.name)` : 'NULL'}, timestamptz '-infinity') AS begin_at,
           l.released_at IS NULL AND coalesce(l.lease_expires_at > ${NOW}, false) AS live,
           CASE WHEN l.released_at IS NULL AND l.lease_expires_at > ${NOW} THEN l.message_batch END AS batch
      FROM (SELECT * FROM (${names}) n (name) UNION ALL SELECT '${QUEUE_MODE}' WHERE NOT EXISTS (${names})) names
      LEFT JOIN ${table(schema, 'partition_leases')} l ON l.partition_id = p.id AND l.consumer_group = names.name`;
}

/** The status of message m for group c. Walks: messages_status (message_id, consumer_group). */
const statusOf = (schema: string): string => `
  SELECT s.status, s.status IN ('completed', 'dead_letter') AS is_done,
         s.status = 'processing' AND s.lease_expires_at > ${NOW} AS is_processing, s.status = 'failed' AS is_failed,
         s.retry_count, s.error_message, s.failed_at
    FROM ${table(schema, 'messages_status')} s
   WHERE s.message_id = m.id AND (s.consumer_group = c.consumer_group OR c.consumer_group = '${QUEUE_MODE}' AND s.consumer_group IS NULL)
   LIMIT 1`;

const IS_DONE = 'coalesce(s.is_done, false)';
const IS_RUNNING = `(coalesce(s.is_processing, false) OR (coalesce(c.batch ? m.id::text, false) AND s.status IS NULL))`;

/**
 * The newest messages of each group of the partitions of a page, by state. Where none of so many is done, the oldest pending one is
 * sought by halves of the time: consumers go in order, so that what is done comes before what is not. Walks: messages (partition_id,
 * created_at) from its end, and once for each halving; messages_status for each message seen.
 */
export function consumers(dialect: Dialect2025, limit: number, depth: number): string {
  const { schema } = dialect;
  const messages = table(schema, 'messages');
  const dueAt = `${NOW} - p.delay_s * interval '1 second'`;
  return `
  WITH p AS MATERIALIZED (${page(schema, limit)})
  SELECT p.id AS partition_id, p.queue_name::text AS queue, p.name::text AS partition, c.consumer_group,
         head.seen, head.done, head.running, head.pending, head.due, ${ms('head.first_at')} AS first_at, ${ms('sought.at')} AS sought_at,
         ${ms(`newest.at + p.window_s * interval '1 second'`)} AS quiet_at,
         coalesce(newest.at <= ${NOW} - p.window_s * interval '1 second', true) AS quiet, p.delay_s * 1000::float8 AS delay_ms
    FROM p
   CROSS JOIN LATERAL (${consumersOf(dialect)}) c
   CROSS JOIN LATERAL (
    SELECT count(*)::int AS seen, count(*) FILTER (WHERE is_done)::int AS done, count(*) FILTER (WHERE is_running)::int AS running,
           count(*) FILTER (WHERE NOT is_done AND NOT is_running)::int AS pending,
           count(*) FILTER (WHERE NOT is_done AND NOT is_running AND created_at <= ${dueAt})::int AS due,
           min(created_at) FILTER (WHERE NOT is_done AND NOT is_running) AS first_at, min(created_at) AS begin_at
      FROM (SELECT m.created_at, ${IS_DONE} AS is_done, NOT ${IS_DONE} AND ${IS_RUNNING} AS is_running
              FROM (SELECT m.id, m.created_at FROM ${messages} m
                     WHERE m.partition_id = p.id AND m.created_at >= c.begin_at ORDER BY m.created_at DESC LIMIT ${depth}) m
              LEFT JOIN LATERAL (${statusOf(schema)}) s ON true) h) head
   CROSS JOIN LATERAL (
    WITH RECURSIVE search (low, high, at, n) AS (
      (SELECT m.created_at, head.begin_at, NULL::timestamptz, 0 FROM ${messages} m
        WHERE head.seen = ${depth} AND head.done = 0 AND m.partition_id = p.id AND m.created_at >= c.begin_at
        ORDER BY m.created_at LIMIT 1)
      UNION ALL
      SELECT CASE WHEN probe.is_done THEN probe.created_at ELSE low END, CASE WHEN probe.is_done THEN high ELSE probe.middle END,
             CASE WHEN probe.is_done OR probe.is_running THEN at ELSE least(at, probe.created_at) END, n + 1
        FROM search
       CROSS JOIN LATERAL (
        SELECT m.created_at, ${IS_DONE} AS is_done, ${IS_RUNNING} AS is_running, low + (high - low) / 2 AS middle
          FROM (SELECT m.id, m.created_at FROM ${messages} m
                 WHERE m.partition_id = p.id AND m.created_at >= low + (high - low) / 2 ORDER BY m.created_at LIMIT 1) m
          LEFT JOIN LATERAL (${statusOf(schema)}) s ON true) probe
       WHERE n < 40 AND low < high
    )
    SELECT min(at) AS at FROM search) sought
   CROSS JOIN LATERAL (
    SELECT CASE WHEN p.window_s > 0
                THEN (SELECT m.created_at FROM ${messages} m WHERE m.partition_id = p.id ORDER BY m.created_at DESC LIMIT 1) END AS at) newest
   ORDER BY p.id`;
}

/** Names of the partitions of a page with their groups. */
export const tenants = (dialect: Dialect2025, limit: number): string => `
  WITH p AS MATERIALIZED (${page(dialect.schema, limit)})
  SELECT p.id AS partition_id, p.queue_name::text AS queue, p.name::text AS partition, (g.names)[1:4] AS groups,
         coalesce(array_length(g.names, 1), 0) AS group_count
    FROM p
   CROSS JOIN LATERAL (SELECT ARRAY(SELECT c.consumer_group FROM (${consumersOf(dialect)}) c ORDER BY 1) AS names) g
   ORDER BY p.id`;

type List = 'ready' | 'delayed' | 'running' | 'dead';

/**
 * Messages of one partition ($1, $2: its queue's name and its own) in one state, by creation ($3 to $5: creation, id and group of the last one
 * shown; $6: how many; $7: characters of an error). Walks: messages (partition_id, created_at) from there on, with the status of each; a
 * partition with many that are done takes long.
 */
export function listed(dialect: Dialect2025, list: List): string {
  const { schema } = dialect;
  const waits = `NOT ${IS_DONE} AND NOT ${IS_RUNNING}`;
  const due = `m.created_at <= ${NOW} - p.delay_s * interval '1 second'`;
  const condition = {
    ready: `${waits} AND ${due}`,
    delayed: `${waits} AND NOT ${due}`,
    running: `NOT ${IS_DONE} AND ${IS_RUNNING}`,
    dead: `s.status = 'dead_letter'`,
  }[list];
  return `
  SELECT m.id AS message_id, c.consumer_group, p.queue_name::text AS queue, p.name::text AS partition, p.task::text AS task, p.priority,
         p.retry_limit, ${ms('m.created_at')} AS created_at, ${ms(`m.created_at + p.delay_s * interval '1 second'`)} AS ready_at,
         NULL::float8 AS started_at, ${ms('s.failed_at')} AS failed_at, s.retry_count AS attempts, NULL AS worker_id,
         left(s.error_message, $7::int) AS error,
         ARRAY[to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), m.id::text, c.consumer_group] AS place
    FROM (SELECT p.id, p.name, q.name AS queue_name, q.task, q.priority, q.retry_limit, coalesce(q.delayed_processing, 0) AS delay_s
            FROM ${table(schema, 'partitions')} p JOIN ${table(schema, 'queues')} q ON q.id = p.queue_id
           WHERE q.name = $1 AND p.name = $2) p
   CROSS JOIN LATERAL (${consumersOf(dialect)}) c
    JOIN ${table(schema, 'messages')} m ON m.partition_id = p.id AND m.created_at >= greatest(c.begin_at, $3::timestamptz)
    LEFT JOIN LATERAL (${statusOf(schema)}) s ON true
   WHERE ((m.created_at, m.id, c.consumer_group) > ($3::timestamptz, $4::uuid, $5::text)) IS TRUE AND ${condition}
   ORDER BY m.created_at, m.id, c.consumer_group
   LIMIT $6`;
}

/**
 * One message ($1) as it stands to a consumer group ($2); the payload, unless it is encrypted, as far as $3 characters. Walks: the primary
 * key of messages; messages_status (message_id, consumer_group).
 */
export const detail = (dialect: Dialect2025, columns: readonly string[]): string => {
  const { schema } = dialect;
  const shown = columns.map((name) => `${escapeLiteral(name)}, m.${quotePgName(name)}::text`);
  const due = `m.created_at <= ${NOW} - p.delay_s * interval '1 second'`;
  return `
  SELECT m.id AS message_id, c.consumer_group, p.queue_name::text AS queue, p.name::text AS partition, p.task::text AS task, p.priority,
         p.retry_limit, ${ms('m.created_at')} AS created_at, ${ms(`m.created_at + p.delay_s * interval '1 second'`)} AS ready_at,
         NULL::float8 AS started_at, ${ms('s.failed_at')} AS failed_at, s.retry_count AS attempts, NULL AS worker_id,
         left(s.error_message, $4::int) AS error, coalesce(m.is_encrypted, false) AS is_encrypted,
         CASE WHEN s.status = 'dead_letter' THEN 'dead' WHEN ${IS_DONE} THEN 'done' WHEN ${IS_RUNNING} THEN 'running'
              WHEN ${due} THEN 'ready' ELSE 'delayed' END AS state,
         CASE WHEN m.is_encrypted THEN NULL ELSE left(m.payload::text, $3::int) END AS payload,
         json_build_object(${[...shown, `'status', s.status::text`].join(', ')}) AS columns
    FROM ${table(schema, 'messages')} m
    JOIN LATERAL (
    SELECT p.id, p.name, q.name AS queue_name, q.task, q.priority, q.retry_limit, coalesce(q.delayed_processing, 0) AS delay_s
      FROM ${table(schema, 'partitions')} p JOIN ${table(schema, 'queues')} q ON q.id = p.queue_id
     WHERE p.id = m.partition_id) p ON true
   CROSS JOIN LATERAL (${consumersOf(dialect)}) c
    LEFT JOIN LATERAL (${statusOf(schema)}) s ON true
   WHERE m.id = $1::uuid AND c.consumer_group = $2`;
};

export const FIRST_PLACE = ['-infinity', NO_MESSAGE, ''] as const;
