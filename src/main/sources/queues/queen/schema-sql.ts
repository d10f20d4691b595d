// How Queen's schema is looked at, and the parts of statements that the poll and the looks share. Reads only.
import { quotePgName } from '../../postgres-errors.ts';

/** What consumers without a group of their own are called. */
export const QUEUE_MODE = '__QUEUE_MODE__';
/** How Headway's own parking leases begin; what follows names the operation. */
export const PARKED_BY = 'headway-pause:';
/** Sorts before every id. */
export const NO_MESSAGE = '00000000-0000-0000-0000-000000000000';
/** Sorts after every id. */
export const LAST_MESSAGE = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Which of the tables that an older Queen lacks, or an account may not read, can be read here. */
export interface Dialect {
  schema: string;
  hasDeadLetters: boolean;
  hasSubscriptions: boolean;
  hasState: boolean;
}

export type QueenTable =
  | 'queues'
  | 'partitions'
  | 'messages'
  | 'partition_consumers'
  | 'consumer_groups_metadata'
  | 'dead_letter_queue'
  | 'system_state'
  | 'partition_lookup'
  | 'messages_status'
  | 'partition_leases'
  | 'consumer_groups';

/** A table as a statement names it. */
export const table = (schema: string, name: QueenTable): string => `${quotePgName(schema)}.${name}`;

/** A timestamp as epoch milliseconds. */
export const ms = (timestamp: string): string => `(extract(epoch FROM ${timestamp}) * 1000)::float8`;

/** The tables and views of a schema ($1): whether row-level security hides rows, and the columns of each. Walks: the catalogue. */
export const relations = `
  SELECT c.relname AS name, c.relkind IN ('v', 'm') AS is_view,
         row_security_active(c.oid) AS hidden,
         has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
         ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm')`;

/** Compiling a statement of so many small parts takes longer than running it. For this session alone. */
export const withoutCompiler = 'SET jit = off';

/** Partitions that are polled; counting stops here. */
export const MOST_PARTITIONS = 50_000;

/** Names of queues of two kinds, and how many partitions there are. Walks: queues; partitions up to the cap. */
export const settings = (schema: string, hasStorage: boolean): string => {
  const queues = table(schema, 'queues');
  return `
  SELECT (SELECT count(*) FROM (SELECT FROM ${table(schema, 'partitions')} LIMIT ${MOST_PARTITIONS + 1}) p)::int AS partitions,
         ARRAY(SELECT name::text FROM ${queues}
                WHERE max_wait_time_seconds > 0 OR (retention_enabled AND retention_seconds > 0) ORDER BY name) AS expiring,
         ${hasStorage ? `ARRAY(SELECT name::text FROM ${queues} WHERE storage <> 'rows' ORDER BY name)` : 'ARRAY[]::text[]'} AS stored_elsewhere`;
};

/** Queen's own index, without which a message past a cursor is found only by reading all. */
export const messagesIndex = (schema: string): string =>
  `CREATE INDEX CONCURRENTLY ON ${table(schema, 'messages')} (partition_id, created_at, id)`;

/** The database's clock. */
export const clock = `SELECT ${ms('clock_timestamp()')} AS now`;

/**
 * The consumer groups of a partition p of a queue q, as rows of a LATERAL: those that have a cursor there; where none has, those
 * that subscribed to the queue; where there is none either, whoever pops first. `cursor_at` and `cursor_id`: where the group goes on;
 * a group that never consumed begins at its subscription, or with the first message. Walks: the unique index of
 * partition_consumers (partition_id, consumer_group), and that of the subscriptions.
 */
export function consumersOf({ schema, hasSubscriptions }: Dialect): string {
  const consumers = table(schema, 'partition_consumers');
  const subscriptions = table(schema, 'consumer_groups_metadata');
  const ofPartition = `s.queue_name = q.name AND s.partition_name IN (p.name, '')`;
  // A subscription to the partition goes before that to its queue, as in Queen's pop.
  const subscribedAt = hasSubscriptions
    ? `(SELECT s.subscription_timestamp FROM ${subscriptions} s
         WHERE s.consumer_group = c.consumer_group AND ${ofPartition} ORDER BY s.partition_name = '' LIMIT 1)`
    : 'NULL::timestamptz';
  const begin = `coalesce(CASE WHEN c.consumer_group <> '${QUEUE_MODE}' THEN ${subscribedAt} END, '-infinity')`;
  const nobody =
    'NULL::uuid, NULL::text, NULL::timestamptz, NULL::timestamptz, 0, 0::bigint, NULL::timestamptz, 0';
  const subscribed = hasSubscriptions
    ? `SELECT DISTINCT ON (s.consumer_group) s.consumer_group AS name, s.subscription_timestamp AS begin_at
         FROM ${subscriptions} s WHERE ${ofPartition} ORDER BY s.consumer_group, s.partition_name = ''`
    : `SELECT NULL::text AS name, NULL::timestamptz AS begin_at WHERE false`;
  return `
    SELECT c.consumer_group::text, coalesce(c.last_consumed_created_at, ${begin}) AS cursor_at,
           CASE WHEN c.last_consumed_created_at IS NULL THEN '${NO_MESSAGE}'::uuid ELSE c.last_consumed_id END AS cursor_id,
           c.id AS consumer_id, c.worker_id::text, c.lease_acquired_at, c.lease_expires_at,
           CASE WHEN c.lease_expires_at IS NULL THEN 0 ELSE greatest(c.batch_size - c.acked_count, 0) END AS held,
           c.total_messages_consumed, c.last_consumed_at, c.batch_retry_count
      FROM ${consumers} c WHERE c.partition_id = p.id
    UNION ALL
    SELECT coalesce(g.name, '${QUEUE_MODE}'), coalesce(g.begin_at, '-infinity'), '${NO_MESSAGE}'::uuid, ${nobody}
      FROM (SELECT) one LEFT JOIN LATERAL (${subscribed}) g ON true
     WHERE NOT EXISTS (SELECT FROM ${consumers} c WHERE c.partition_id = p.id)`;
}
