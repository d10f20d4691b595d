// The statements that find BullMQ's tables and poll them, with the index each walks. All are reads. What one costs depends
// on the number of queues, never on the number of jobs. Times in the tables are epoch ms of the clients' clocks.
import { quotePgName } from '../../postgres-errors.ts';

/** Tables and the columns needed. */
export const NEEDED_COLUMNS = {
  job: [
    ...[
      'queue',
      'id',
      'seq',
      'name',
      'state',
      'data',
      'priority',
      'max_attempts',
      'attempts_made',
      'attempts_started',
    ],
    ...['failed_reason', 'stacktrace', 'processed_by', 'added_at_ms', 'process_at_ms', 'processed_at_ms'],
    ...['finished_at_ms', 'lock_token', 'locked_until_ms', 'parent_queue', 'parent_id'],
  ],
  meta: ['queue', 'field', 'value'],
  job_dependency: ['parent_queue', 'parent_id', 'child_queue', 'child_id', 'status'],
} as const;
/** What a poll can do without. */
export const OPTIONAL_TABLES = ['migration', 'event', 'rate_limit'] as const;
type Table = keyof typeof NEEDED_COLUMNS | (typeof OPTIONAL_TABLES)[number];

/** Queues that are polled at most, first by name. */
export const QUEUES = 2_000;
/** Queues that one statement polls. */
export const QUEUES_PER_STATEMENT = 1_000;
/** Newest events of a paused queue among which the pause is sought. */
const EVENTS = 200;
/** Jobs of one state of one poll at most, shared among the queues: 41 of them get 201 each, 1,000 get 8. */
const HEADS = { inAll: 8_300, most: 201, least: 8 };

/** How deep each look goes, when so many queues share a poll. */
export interface Depth {
  /** Jobs of one state of a queue; fewer than these are all. */
  heads: number;
  /** Priorities of a long queue, first in claim order, and jobs at either end of each. */
  priorities: number;
  ends: number;
}
export const depthFor = (queues: number): Depth => ({
  heads: Math.max(HEADS.least, Math.min(HEADS.most, Math.floor(HEADS.inAll / Math.max(1, queues)))),
  ...(queues <= 41 ? { priorities: 20, ends: 20 } : { priorities: 8, ends: 2 }),
});

/** A table as a statement names it. */
export const table = (schema: string, name: Table): string => `${quotePgName(schema)}.${quotePgName(name)}`;

/** The indexes that the polls walk, as BullMQ's migrations make them. */
export const INDEXES = {
  waiting: { columns: ['queue', 'priority', 'seq'], states: ['waiting'] },
  delayed: { columns: ['queue', 'process_at_ms'], states: ['delayed'] },
  active: { columns: ['queue', 'locked_until_ms'], states: ['active'] },
  finished: { columns: ['queue', 'state', 'finished_at_ms'], states: ['completed', 'failed'] },
  blocked: { columns: ['queue', 'seq'], states: ['waiting-children'] },
} as const;
export type IndexName = keyof typeof INDEXES;
/** The condition of one, as SQL. */
export const indexCondition = (name: IndexName): string => {
  const states = INDEXES[name].states.map((state) => `'${state}'`);
  return states.length === 1 ? `state = ${states.join('')}` : `state IN (${states.join(', ')})`;
};
export const indexDdl = (schema: string, name: IndexName): string =>
  `CREATE INDEX CONCURRENTLY ON ${table(schema, 'job')} (${INDEXES[name].columns.join(', ')}) WHERE ${indexCondition(name)}`;

/**
 * The tables and views of a schema ($1), their columns in order, and whether row-level security hides rows (no policy that
 * shows all applies to this account). Walks: the catalogue's own indexes.
 */
export const relations = `
  SELECT c.relname AS name, c.relkind AS kind,
         row_security_active(c.oid) AND NOT (
           EXISTS (SELECT FROM pg_policy p
                    WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
                      AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                      AND EXISTS (SELECT FROM unnest(p.polroles) role
                                   WHERE CASE role WHEN 0 THEN true ELSE pg_has_role(role, 'USAGE') END))
           AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)
         ) AS hidden,
         has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
         has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'INSERT')
           AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') AS writable,
         ARRAY(SELECT a.attname::text FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

/** Usable indexes of the jobs ($1: schema): columns in order, and condition. Walks: the catalogue's own indexes. */
export const indexes = `
  SELECT ARRAY(SELECT a.attname::text
                 FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                WHERE k.place <= i.indnkeyatts
                ORDER BY k.place) AS columns,
         pg_get_expr(i.indpred, i.indrelid) AS condition
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = 'job' AND i.indisvalid`;

/** The names of the schema's functions ($1). Walks: the catalogue's own indexes. */
export const functions = `
  SELECT DISTINCT p.proname AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1`;

/** The newest migration, and the oldest major version of BullMQ that may work with it. Walks: all of migration, a few rows. */
export const schemaVersion = (schema: string): string => `
  SELECT max(version)::int AS version, max((to_jsonb(m) ->> 'min_client_version')::int) AS client
    FROM ${table(schema, 'migration')} m`;

/** Shows that the account may read the tables; reads no row. */
export const touch = (schema: string): string => `
  SELECT 1 FROM ${table(schema, 'job')}, ${table(schema, 'meta')}, ${table(schema, 'job_dependency')} LIMIT 0`;

/**
 * CTEs `known`, the queues that have settings, with these `columns` of them m, and `walk`, those that have jobs only, which are sought
 * between the known ones; `more` than are wanted by one. Walks: all of meta, some rows a queue; between two known queues the primary
 * key of job, one entry a queue. A range that ends at the next known queue reads no entries of that one.
 */
const queueWalk = (schema: string, columns = ''): string => {
  const next = (low: string, high: string) => `
    SELECT e.queue FROM ${table(schema, 'job')} e WHERE e.queue > ${low}${high} ORDER BY e.queue LIMIT 1`;
  return `
  WITH RECURSIVE known AS MATERIALIZED (
    SELECT m.queue${columns} FROM ${table(schema, 'meta')} m GROUP BY m.queue ORDER BY m.queue LIMIT ${QUEUES + 1}
  ), gap (low, high) AS (
    SELECT queue, lead(queue) OVER (ORDER BY queue) FROM known
    UNION ALL
    SELECT '', min(queue) FROM known
  ), walk (queue, high, nth) AS (
    SELECT first.queue, gap.high, 1
      FROM gap
     CROSS JOIN LATERAL (
       (${next('gap.low', ' AND e.queue < gap.high')}) UNION ALL (${next('gap.low', ' AND gap.high IS NULL')})) first
     WHERE gap.high IS NOT NULL OR (SELECT count(*) FROM known) <= ${QUEUES}
    UNION ALL
    SELECT coalesce(between.queue, last.queue), walk.high, walk.nth + 1
      FROM walk
      LEFT JOIN LATERAL (${next('walk.queue', ' AND e.queue < walk.high')}) between ON true
      LEFT JOIN LATERAL (${next('walk.queue', ' AND walk.high IS NULL')}) last ON true
     WHERE walk.nth <= ${QUEUES} AND coalesce(between.queue, last.queue) IS NOT NULL
  )`;
};

/** Queues by name, one more than are polled at most. Walks: as queueWalk. */
export const queueNames = (schema: string): string => `
  ${queueWalk(schema)}
  SELECT queue FROM known UNION ALL (SELECT queue FROM walk LIMIT ${QUEUES + 1}) ORDER BY queue LIMIT ${QUEUES + 1}`;

export interface Readable {
  /** For when a pause began. */
  events: boolean;
  rateLimits: boolean;
}

/**
 * Queues with their own settings: the pause that claims obey, the limits for all workers together, and the window of the
 * rate limit. Walks: as queueWalk; for a queue with a limit the primary key of rate_limit, for a paused one the newest entries of event.
 */
export const queues = (schema: string, readable: Readable): string => {
  const setting = (field: string) => `max(m.value) FILTER (WHERE m.field = '${field}')`;
  const settings = `,
           coalesce(bool_or(m.field = 'paused' AND m.value = '1'), false) AS paused, ${setting('concurrency')} AS concurrency,
           ${setting('max')} AS max, ${setting('duration')} AS duration_ms`;
  return `
  ${queueWalk(schema, settings)},
  own AS (
    SELECT * FROM known
    UNION ALL
    (SELECT queue, false, NULL, NULL, NULL FROM walk LIMIT ${QUEUES + 1})
     ORDER BY queue LIMIT ${QUEUES + 1})
  SELECT own.*,
         ${readable.rateLimits ? 'limited.points::float8 AS points, limited.expire_at_ms::float8 AS expire_at_ms' : 'NULL::float8 AS points, NULL::float8 AS expire_at_ms'},
         ${readable.events ? 'began.at_ms' : 'NULL::float8'} AS paused_at_ms
    FROM own
    ${readable.rateLimits ? `LEFT JOIN LATERAL (SELECT l.points, l.expire_at_ms FROM ${table(schema, 'rate_limit')} l WHERE own.max IS NOT NULL AND l.queue = own.queue) limited ON true` : ''}
    ${
      readable.events
        ? `LEFT JOIN LATERAL (
     SELECT max(e.created_at_ms)::float8 AS at_ms
       FROM (SELECT event, created_at_ms FROM ${table(schema, 'event')} n
              WHERE own.paused AND n.queue = own.queue
              ORDER BY n.id DESC LIMIT ${EVENTS}) e
      WHERE e.event = 'paused') began ON true`
        : ''
    }
   ORDER BY own.queue`;
};

/** The database's clock. */
export const clock = `SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms`;
