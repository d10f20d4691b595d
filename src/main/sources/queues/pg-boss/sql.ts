// Every statement the pg-boss reader runs, with the index each walks. All are reads. What one costs depends on the number of
// queues, and is capped where it could depend on the number of jobs.
import { escapeLiteral } from 'pg';
import { quotePgName } from '../../postgres-errors.ts';

/**
 * Entries of a queue's index that are always looked at, in the order of claims: enough to count 200 of each state exactly as long as
 * there are no more queues than that; more of them share a number of entries.
 */
const HEAD_ENTRIES = { most: 402, queues: 41, least: 8, inAll: 8_300 };
/** Entries looked at in one priority where the head does not tell the oldest ready job: delayed jobs were created before it. */
const DEEP_ENTRIES = { inAll: 50_000, most: 10_000, least: 50 };
/** Running jobs that are counted one by one. */
const RUNNING_LIMIT = 201;
/** Queues with more than a head whose waiting jobs one poll looks deeper at. */
export const DEEPER_PER_POLL = 25;

/** How many entries of each queue's index a poll looks at. */
export interface Limits {
  head: number;
  deep: number;
  running: number;
}

export function limitsOf(queues: number): Limits {
  const share = (inAll: number): number => Math.floor(inAll / Math.max(1, queues));
  const within = (least: number, most: number, value: number) => Math.max(least, Math.min(most, value));
  const { most, least, inAll } = HEAD_ENTRIES;
  const deep = within(DEEP_ENTRIES.least, DEEP_ENTRIES.most, share(DEEP_ENTRIES.inAll));
  if (queues <= HEAD_ENTRIES.queues) return { head: most, deep, running: RUNNING_LIMIT };
  return {
    head: within(least, most, share(inAll)),
    deep,
    running: within(least, RUNNING_LIMIT, share(inAll)),
  };
}

/** Priorities of one queue that are looked at, highest first. */
export const PRIORITIES = 20;
/** A table of jobs up to this size is scanned whole: a few milliseconds. */
const SMALL_TABLE_BYTES = 4 * 1024 * 1024;
/** Likewise when a person asks and waits: some tenths of a second. */
const LOOK_TABLE_BYTES = 64 * 1024 * 1024;

/** What the schema's version has; the statements leave out what it has not. */
export interface Dialect {
  schema: string;
  /** The column of `queue` that names the table of its jobs: `table_name`, or `partition_name` in version 10. */
  tableColumn: string | null;
  /** In the table's order. */
  jobColumns: ReadonlySet<string>;
  /** Those that this account may read. */
  readable: ReadonlySet<string>;
  queueColumns: ReadonlySet<string>;
  /** Whether there is a table of what jobs wait for that may be read. */
  tellsParents: boolean;
}

/** Tables and columns of the schema, in their order, and whether each may be read. Walks: the catalogue, by schema and name. */
export const columns = `
  SELECT c.relname AS table_name, a.attname AS column_name,
         pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable
    FROM pg_catalog.pg_namespace n
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname IN ('version', 'queue', 'job', 'job_dependency')
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE n.nspname = $1
   ORDER BY c.relname, a.attnum`;

export const version = (schema: string): string =>
  `SELECT max(version)::int AS version FROM ${quotePgName(schema)}.version`;

/** Tables whose rows are hidden from this account by row-level security. Walks: the catalogue. */
export const hiddenTables = `
  SELECT c.relname AS table_name
    FROM pg_catalog.pg_namespace n
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relrowsecurity AND c.relkind IN ('r', 'p')
   WHERE n.nspname = $1 AND pg_catalog.row_security_active(c.oid)
   ORDER BY 1`;

/** Names of all queues but pg-boss's own. Walks: queue, which has a row a queue. */
export const names = (schema: string): string => `
  SELECT name FROM ${quotePgName(schema)}.queue WHERE NOT starts_with(name, '__pgboss__') ORDER BY name`;

/**
 * Queues with the table each keeps its jobs in (read through its parent where a grant does not reach it), what that table allows to be read, and what pg-boss itself counted last.
 * Waiting jobs can be walked in claim order (since schema version 40), by due time (before; a small table is sorted), or not;
 * running ones by an index made for it, by a scan of a small table, or not. Walks: queue; the catalogue, by the tables' names.
 */
export const queues = ({ schema, tableColumn, queueColumns }: Dialect): string => {
  const cached = (column: string) =>
    queueColumns.has(column) && queueColumns.has('monitor_on')
      ? `CASE WHEN q.monitor_on > statement_timestamp() - interval '1 hour' THEN q.${column} END`
      : 'NULL::int';
  return `
  WITH q AS (
    SELECT q.*, ${tableColumn === null ? "'job'" : `q.${quotePgName(tableColumn)}`}::text AS jobs_table
      FROM ${quotePgName(schema)}.queue q
     WHERE NOT starts_with(q.name, '__pgboss__')
  ), t AS (
    SELECT c.relname::text AS jobs_table,
           CASE WHEN pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN c.relname::text ELSE 'job' END AS read_table,
           pg_catalog.pg_relation_size(c.oid) <= ${SMALL_TABLE_BYTES} AS small, c.reltuples < 0 AS unknown_size,
           pg_catalog.pg_relation_size(c.oid) <= ${LOOK_TABLE_BYTES} AS bearable,
           bool_or(x.keys[1:4] = ARRAY['name', 'priority', 'created_on', 'start_after'] AND x.condition LIKE '%state < ''active''%') AS claim,
           bool_or(x.keys[1:2] = ARRAY['name', 'start_after'] AND x.condition LIKE '%state < ''active''%') AS due,
           bool_or(x.keys[1:2] = ARRAY['name', 'started_on'] AND x.condition ~ '^\\(state = ''active''[^()]*\\)$') AS running,
           bool_or(x.keys[1:2] = ARRAY['name', 'completed_on'] AND x.condition ~ '^\\(state = ''failed''[^()]*\\)$') AS failed
      FROM pg_catalog.pg_namespace n
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname IN (SELECT jobs_table FROM q)
      LEFT JOIN LATERAL (
             SELECT pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS condition,
                    ARRAY(SELECT a.attname::text
                            FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
                            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                           WHERE k.place <= i.indnkeyatts
                           ORDER BY k.place) AS keys
               FROM pg_catalog.pg_index i
              WHERE i.indrelid = c.oid AND i.indisvalid) x ON true
     WHERE n.nspname = $1
     GROUP BY c.oid, c.relname, c.reltuples
  )
  SELECT q.name, q.jobs_table, t.read_table, ${cached('ready_count')} AS ready_count, ${cached('active_count')} AS active_count,
         ${cached('failed_count')} AS failed_count,
         CASE WHEN t.claim THEN 'claim' WHEN t.due OR t.small THEN 'due' ELSE 'none' END AS waiting,
         CASE WHEN t.running THEN 'index' WHEN t.small THEN 'scan' ELSE 'none' END AS running,
         t.unknown_size AND NOT t.small AS unanalysed, t.bearable,
         coalesce(t.claim, false) AS by_claim, coalesce(t.due, false) AS by_due,
         coalesce(t.running, false) AS by_start, coalesce(t.failed, false) AS by_failure
    FROM q JOIN t USING (jobs_table)
   ORDER BY q.name`;
};

/**
 * The waiting jobs of queues in one table: a row about the first entries of each queue ("head"); where those are not all, one
 * about the first of each priority ("level"); and where those tell no oldest, one about the newest of it ("tail").
 * Walks: in claim order (name, priority DESC, created_on, start_after), without visiting the rows; else (name, start_after).
 */
export function waiting(
  dialect: Dialect,
  table: string,
  order: 'claim' | 'due',
  queueNames: readonly string[],
  { head: headLimit, deep }: Limits,
): string {
  const from = `${quotePgName(dialect.schema)}.${quotePgName(table)} e`;
  const free = `e.name = q.name AND e.state < 'active'${dialect.jobColumns.has('blocked') ? ' AND NOT e.blocked' : ''}`;
  const isReady = 'start_after <= statement_timestamp()';
  const walk = (by: string, limit: number, condition = ''): string => `
      SELECT count(*)::int AS entries, count(*) < ${limit} AS complete,
             count(*) FILTER (WHERE ${isReady})::int AS ready,
             min(greatest(created_on, start_after)) FILTER (WHERE ${isReady}) AS ready_at,
             (array_agg(created_on ORDER BY greatest(created_on, start_after)) FILTER (WHERE ${isReady}))[1] AS created_at,
             coalesce(min(greatest(created_on, start_after)) FILTER (WHERE ${isReady})
                      <= max(${order === 'claim' ? 'created_on' : 'start_after'}), false) AS settled
             ${order === 'claim' ? ', max(priority) AS first_priority, min(priority) AS last_priority' : ''}
        FROM (SELECT e.created_on, e.start_after${order === 'claim' ? ', e.priority' : ''} FROM ${from} WHERE ${free}${condition} ORDER BY ${by} LIMIT ${limit}) seen`;
  const inLevel = (by: string, limit: number, condition: string): string =>
    walk(by, limit, ` AND e.priority = level.priority AND ${condition}`);
  // A condition on what was walked before is checked once, before the walk: one that is not needed reads nothing.
  // A head within one priority that tells its oldest job is as good as a look at that priority.
  const isLevel =
    'NOT head.complete AND head.first_priority = head.last_priority AND head.settled AND head.ready * 2 >= head.entries';
  const byPriority = `
    UNION ALL SELECT 'level', head.* WHERE ${isLevel}
    UNION ALL
    SELECT part.* FROM (
      WITH RECURSIVE next AS (
        (SELECT CASE WHEN ${isLevel}
                     THEN (SELECT e.priority FROM ${from} WHERE ${free} AND e.priority < head.last_priority
                            ORDER BY e.priority DESC LIMIT 1)
                     ELSE head.first_priority END AS priority, CASE WHEN ${isLevel} THEN 2 ELSE 1 END AS place
          WHERE NOT head.complete)
        UNION ALL
        SELECT (SELECT e.priority FROM ${from} WHERE ${free} AND e.priority < next.priority ORDER BY e.priority DESC LIMIT 1),
               next.place + 1
          FROM next WHERE next.priority IS NOT NULL AND next.place <= ${PRIORITIES}
      ) SELECT priority FROM next WHERE priority IS NOT NULL
    ) level
    CROSS JOIN LATERAL (${walk('e.priority DESC, e.created_on', headLimit, ' AND e.priority = level.priority')}) near
    CROSS JOIN LATERAL (${inLevel(
      'e.priority DESC, e.created_on',
      deep,
      'NOT near.complete AND (NOT near.settled OR near.ready * 2 < near.entries)',
    )}) far
    CROSS JOIN LATERAL (${inLevel(
      'e.priority, e.created_on DESC',
      headLimit,
      'far.entries > 0 AND NOT far.complete AND NOT far.settled',
    )}) last
    CROSS JOIN LATERAL (
      SELECT 'level' AS part, near.* WHERE far.entries = 0
      UNION ALL SELECT 'level', far.* WHERE far.entries > 0
      UNION ALL SELECT 'tail', last.* WHERE last.entries > 0) part`;
  return `
  SELECT q.name, w.part, w.entries, w.complete, w.ready, ${ms('w.ready_at')} AS ready_at, ${ms('w.created_at')} AS created_at, w.settled
    FROM unnest(${textArray(queueNames)}) AS q (name)
   CROSS JOIN LATERAL (${walk(order === 'claim' ? 'e.priority DESC, e.created_on' : 'e.start_after', headLimit)}) head
   CROSS JOIN LATERAL (SELECT 'head' AS part, head.*${order === 'claim' ? byPriority : ''}) w`;
}

/**
 * The running jobs of queues in one table. Walks: (name, started_on) WHERE state = 'active', the oldest of each queue and the
 * newest; of a small table all rows, which also tells its failed jobs and newest finish.
 */
export function running(
  dialect: Dialect,
  table: string,
  access: 'index' | 'scan',
  queueNames: readonly string[],
  { running: limit }: Limits,
): string {
  const { jobColumns } = dialect;
  const from = `${quotePgName(dialect.schema)}.${quotePgName(table)} e`;
  const beat = jobColumns.has('heartbeat_on') ? 'e.heartbeat_on' : 'NULL::timestamptz';
  const isStale = `coalesce(${expiry(dialect)} < statement_timestamp(), false)`;
  const picked = `
      SELECT e.name, e.state = 'active' AS active, e.state = 'failed' AS failed, e.started_on, e.completed_on,
             ${beat} AS beat_on, ${isStale} AS stale
        FROM ${from}`;
  const numbers = (rows: string, newestStart: string) => `
    SELECT count(*) FILTER (WHERE active)::int AS running,
           count(*) FILTER (WHERE active AND stale)::int AS stale,
           min(started_on) FILTER (WHERE active AND NOT stale) AS oldest_on,
           ${newestStart} AS newest_on,
           greatest(max(beat_on) FILTER (WHERE active), max(started_on) FILTER (WHERE active), max(completed_on)) AS seen_on,
           count(*) FILTER (WHERE failed)::int AS failed, name
      FROM (${rows}) e
     GROUP BY name`;
  const source =
    access === 'index'
      ? `CROSS JOIN LATERAL (${numbers(
          `${picked} WHERE e.name = q.name AND e.state = 'active' ORDER BY e.started_on LIMIT ${limit}`,
          `(SELECT e.started_on FROM ${from} WHERE e.name = q.name AND e.state = 'active' ORDER BY e.started_on DESC LIMIT 1)`,
        )}) r`
      : `JOIN (${numbers(`${picked} WHERE e.name = ANY (${textArray(queueNames)})`, 'max(started_on) FILTER (WHERE active)')}) r USING (name)`;
  return `
  SELECT q.name, r.running, r.stale, ${access === 'scan' ? 'r.failed' : 'NULL::int AS failed'}, ${ms('r.oldest_on')} AS oldest_at,
         ${ms('r.newest_on')} AS newest_at, ${ms('greatest(r.seen_on, r.newest_on)')} AS seen_at
    FROM unnest(${textArray(queueNames)}) AS q (name)
    ${source}`;
}

/** When pg-boss takes an active job `e` back: at its expiry, or when its heartbeat is missed. Null where neither is set. */
export function expiry({ jobColumns }: Dialect): string {
  const moments = [
    ...(jobColumns.has('expire_seconds')
      ? [`e.started_on + e.expire_seconds * interval '1 second'`]
      : jobColumns.has('expire_in')
        ? ['e.started_on + e.expire_in']
        : []),
    ...(jobColumns.has('heartbeat_seconds')
      ? [`e.heartbeat_on + e.heartbeat_seconds * interval '1 second'`]
      : []),
  ];
  // `least` leaves nulls out.
  return moments.length === 0 ? 'NULL::timestamptz' : `least(${moments.join(', ')})`;
}

/** The database's clock. */
export const clock = `SELECT ${ms('clock_timestamp()')} AS now`;

/** A timestamp as epoch milliseconds. */
export function ms(timestamp: string): string {
  return `(extract(epoch FROM ${timestamp}) * 1000)::float8`;
}

export function textArray(values: readonly string[]): string {
  return `ARRAY[${values.map(escapeLiteral).join(', ')}]::text[]`;
}
