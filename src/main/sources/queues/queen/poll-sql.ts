// The statements of a poll of Queen 0.15, with the index each walks. What one costs depends on the number of partitions and of their
// consumer groups, never on the number of messages.
import { escapeLiteral } from 'pg';
import { consumersOf, LAST_MESSAGE, MOST_PARTITIONS, ms, table, type Dialect } from './schema-sql.ts';

/** Messages counted one by one in one poll: 41 partitions get 201 each, 1,000 get 8. */
const HEADS = { inAll: 8_300, most: 201, least: 8 };
/** A head as long as this is deep enough. */
export const DEEP = 201;
/** Messages of a group that a deeper look reads. What lies behind them is estimated. */
export const DEEPER = 50;
/** How many messages of each group are counted one by one when `partitions` share the poll. */
export const headLimit = (partitions: number): number =>
  Math.max(HEADS.least, Math.min(HEADS.most, Math.floor(HEADS.inAll / Math.max(1, partitions))));
/** Messages of a lease that are walked past to reach those behind it. */
export const WALKED = 1_000;
/** Without its index, a table up to this size is searched all the same. */
export const SMALL_BYTES = 4 * 1024 * 1024;

/** What a poll begins with. Walks: partitions up to the cap; the key of system_state; the catalogue. */
export const state = ({ schema, hasState }: Dialect): string => {
  const messages = `${escapeLiteral(table(schema, 'messages'))}::regclass`;
  return `
  SELECT (SELECT count(*) FROM (SELECT FROM ${table(schema, 'partitions')} LIMIT ${MOST_PARTITIONS + 1}) p)::int AS partitions,
         coalesce(${hasState ? 'pause.enabled' : 'NULL'}, false) AS paused, ${hasState ? 'pause.since' : 'NULL::float8'} AS paused_since,
         pg_relation_size(${messages})::float8 AS message_bytes,
         EXISTS (SELECT FROM pg_catalog.pg_index i
                  WHERE i.indrelid = ${messages} AND i.indisvalid AND i.indpred IS NULL
                    AND pg_get_indexdef(i.indexrelid, 1, true) = 'partition_id'
                    AND pg_get_indexdef(i.indexrelid, 2, true) = 'created_at'
                    AND pg_get_indexdef(i.indexrelid, 3, true) = 'id') AS has_index
    FROM (SELECT) one
    ${
      hasState
        ? `LEFT JOIN (SELECT (value ->> 'enabled') = 'true' AS enabled, ${ms('updated_at')} AS since
             FROM ${table(schema, 'system_state')} WHERE key = 'pop_maintenance_mode') pause ON true`
        : ''
    }`;
};

/** Partitions of a page ($1: the last id of the page before) with their queues. Walks: the primary key of partitions, and that of queues. */
export const page = (schema: string, limit: number): string => `${partitionsWhere(schema, 'p.id > $1')}
   ORDER BY p.id
   LIMIT ${limit}`;

const partitionsWhere = (schema: string, condition: string): string => `
  SELECT p.id, p.name, q.name AS queue_name, coalesce(q.delayed_processing, 0) AS delay_s, coalesce(q.window_buffer, 0) AS window_s
    FROM ${table(schema, 'partitions')} p
    JOIN ${table(schema, 'queues')} q ON q.id = p.queue_id
   WHERE ${condition}`;

/**
 * Everything of the partitions of one page in one snapshot. Walks, for each consumer group: messages (partition_id, created_at, id)
 * from its cursor, past what its lease holds, and as far as `depth` messages behind that; compared as rows, so that the index is entered
 * at the cursor. Where the queue delays, the first messages that are not due; where it waits for quiet, the newest one.
 */
export const consumers = (dialect: Dialect, limit: number, depth: number): string =>
  consumersOfPartitions(dialect, page(dialect.schema, limit), depth);

/** The same of some partitions ($1: ids), deeper. */
export const deeper = (dialect: Dialect): string =>
  consumersOfPartitions(dialect, partitionsWhere(dialect.schema, 'p.id = ANY ($1::uuid[])'), DEEPER);

/** Messages of a partition that were created from one time to another (epoch ms), for the optimiser to estimate. */
export const messagesBetween = (
  { schema }: Dialect,
  partitionId: string,
  fromMs: number,
  toMs: number | null,
): string => `
  SELECT 1 FROM ${table(schema, 'messages')}
   WHERE partition_id = ${escapeLiteral(partitionId)} AND created_at >= to_timestamp(${fromMs / 1_000})${toMs === null ? '' : ` AND created_at <= to_timestamp(${toMs / 1_000})`}`;

function consumersOfPartitions(dialect: Dialect, partitions: string, depth: number): string {
  const messages = table(dialect.schema, 'messages');
  const now = 'statement_timestamp()';
  const dueBefore = `${now} - p.delay_s * interval '1 second'`;
  /** The first messages past a place; nothing is read where `when`, which names no message, does not hold. */
  const past = (columns: string, at: string, id: string, most: string, when = 'true') => `
      SELECT ${columns} FROM ${messages} m
       WHERE ${when} AND m.partition_id = p.id AND (m.created_at, m.id) > (${at}, ${id})
       ORDER BY m.created_at, m.id LIMIT ${most}`;
  const head = past(
    'm.created_at, row_number() OVER (ORDER BY m.created_at, m.id) AS nth',
    ...(['c.cursor_at', 'c.cursor_id'] as const),
    `CASE WHEN c.held > ${WALKED} THEN ${WALKED} ELSE c.held + ${depth} END`,
  );
  const later = past(
    '',
    `greatest(c.cursor_at, ${dueBefore})`,
    `CASE WHEN c.cursor_at > ${dueBefore} THEN c.cursor_id ELSE '${LAST_MESSAGE}' END`,
    ...([String(depth), 'p.delay_s > 0'] as const),
  );
  const since = past(
    'm.created_at',
    ...(['c.lease_acquired_at', `'${LAST_MESSAGE}'::uuid`] as const),
    ...([String(depth), `c.held > ${WALKED}`] as const),
  );
  return `
  WITH p AS MATERIALIZED (${partitions})
  SELECT p.id AS partition_id, p.queue_name::text AS queue, p.name::text AS partition, c.consumer_group, c.worker_id,
         ${ms('c.lease_acquired_at')} AS acquired_at, ${ms('c.lease_expires_at')} AS expires_at,
         coalesce(c.lease_expires_at > ${now}, false) AS live, c.held, coalesce(c.total_messages_consumed, 0)::float8 AS consumed,
         ${ms('c.last_consumed_at')} AS last_consumed_at,
         ${ms(`newest.created_at + p.window_s * interval '1 second'`)} AS quiet_at,
         coalesce(newest.created_at <= ${now} - p.window_s * interval '1 second', true) AS quiet,
         head.seen, head.after, head.due, ${ms('head.first_at')} AS first_at, ${ms('head.after_at')} AS after_at,
         later.count AS later, p.delay_s * 1000::float8 AS delay_ms,
         since.count AS since_lease, ${ms('since.first_at')} AS since_lease_at
    FROM p
   CROSS JOIN LATERAL (SELECT p.queue_name AS name) q
   CROSS JOIN LATERAL (${consumersOf(dialect)}) c
   CROSS JOIN LATERAL (
    SELECT count(*)::int AS seen, count(*) FILTER (WHERE nth > c.held)::int AS after,
           count(*) FILTER (WHERE nth > c.held AND created_at <= ${dueBefore})::int AS due,
           min(created_at) FILTER (WHERE nth = 1) AS first_at, min(created_at) FILTER (WHERE nth = c.held + 1) AS after_at
      FROM (${head}) h) head
   CROSS JOIN LATERAL (SELECT count(*)::int AS count FROM (${later}) l) later
   CROSS JOIN LATERAL (SELECT count(*)::int AS count, min(created_at) AS first_at FROM (${since}) s) since
    LEFT JOIN LATERAL (
    SELECT m.created_at FROM ${messages} m
     WHERE p.window_s > 0 AND m.partition_id = p.id ORDER BY m.created_at DESC, m.id DESC LIMIT 1) newest ON true
   ORDER BY p.id`;
}

/** The dead letters of the partitions of a page. Walks: dead_letter_queue (partition_id), as far as `depth` entries each. */
export const dead = ({ schema }: Dialect, limit: number, depth: number): string => `
  WITH p AS MATERIALIZED (SELECT id FROM ${table(schema, 'partitions')} WHERE id > $1 ORDER BY id LIMIT ${limit})
  SELECT p.id AS partition_id, d.dead
    FROM p
   CROSS JOIN LATERAL (
    SELECT count(*)::int AS dead
      FROM (SELECT FROM ${table(schema, 'dead_letter_queue')} d WHERE d.partition_id = p.id LIMIT ${depth}) d) d
   ORDER BY p.id`;

/** Names of the partitions of a page, with their consumer groups but for Queen's own name of those without one. Walks: as `consumers`. */
export const tenants = ({ schema }: Dialect, limit: number): string => `
  WITH p AS MATERIALIZED (${page(schema, limit)})
  SELECT p.id AS partition_id, p.queue_name::text AS queue, p.name::text AS partition, (g.names)[1:4] AS groups,
         coalesce(array_length(g.names, 1), 0) AS group_count
    FROM p
   CROSS JOIN LATERAL (
    SELECT ARRAY(SELECT c.consumer_group::text FROM ${table(schema, 'partition_consumers')} c
                  WHERE c.partition_id = p.id ORDER BY c.consumer_group) AS names) g
   ORDER BY p.id`;
