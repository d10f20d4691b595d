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
export const QUEUES_PER_STATEMENT = 500;
/** Newest events of a paused queue among which the pause is sought. */
const EVENTS = 200;
/** Children that are looked at to tell when their parent was released. */
const CHILDREN = 20;
const HEADS = { inAll: 40_200, most: 201, least: 21 };

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
  ...(queues <= 200 ? { priorities: 20, ends: 20 } : { priorities: 8, ends: 5 }),
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

/** A CTE `walk` of the queues that have jobs or settings; `more` than are wanted by one. Walks: both primary keys, skipping. */
const queueWalk = (schema: string): string => {
  const first = (name: 'job' | 'meta', after = '') =>
    `(SELECT e.queue FROM ${table(schema, name)} e${after} ORDER BY e.queue LIMIT 1)`;
  const next = ' WHERE e.queue > walk.queue';
  return `
  WITH RECURSIVE walk (queue, nth) AS (
    SELECT least(${first('job')}, ${first('meta')}), 1
    UNION ALL
    SELECT least(${first('job', next)}, ${first('meta', next)}), nth + 1
      FROM walk
     WHERE queue IS NOT NULL AND nth <= ${QUEUES}
  )`;
};

/** Queues by name, one more than are polled at most. Walks: the primary keys of job and meta, one entry a queue. */
export const queueNames = (schema: string): string => `
  ${queueWalk(schema)}
  SELECT queue FROM walk WHERE queue IS NOT NULL`;

export interface Readable {
  /** For when a pause began. */
  events: boolean;
  rateLimits: boolean;
}

/**
 * Queues with their own settings: the pause that claims obey, the limits for all workers together, and the window of the
 * rate limit. Walks: as queueNames; for each the primary keys of meta and rate_limit, and of event for a paused one.
 */
export const queues = (schema: string, readable: Readable): string => `
  ${queueWalk(schema)}
  SELECT walk.queue, coalesce(own.paused, false) AS paused, own.concurrency, own.max, own.duration_ms,
         ${readable.rateLimits ? 'limited.points::float8 AS points, limited.expire_at_ms::float8 AS expire_at_ms' : 'NULL::float8 AS points, NULL::float8 AS expire_at_ms'},
         ${readable.events ? 'began.at_ms' : 'NULL::float8'} AS paused_at_ms
    FROM walk
   CROSS JOIN LATERAL (
     SELECT bool_or(m.field = 'paused' AND m.value = '1') AS paused,
            max(m.value) FILTER (WHERE m.field = 'concurrency') AS concurrency,
            max(m.value) FILTER (WHERE m.field = 'max') AS max,
            max(m.value) FILTER (WHERE m.field = 'duration') AS duration_ms
       FROM ${table(schema, 'meta')} m
      WHERE m.queue = walk.queue AND m.field IN ('paused', 'concurrency', 'max', 'duration')) own
    ${readable.rateLimits ? `LEFT JOIN LATERAL (SELECT l.points, l.expire_at_ms FROM ${table(schema, 'rate_limit')} l WHERE l.queue = walk.queue) limited ON true` : ''}
    ${
      readable.events
        ? `LEFT JOIN LATERAL (
     SELECT max(e.created_at_ms)::float8 AS at_ms
       FROM (SELECT event, created_at_ms FROM ${table(schema, 'event')} n
              WHERE n.queue = walk.queue AND own.paused
              ORDER BY n.id DESC LIMIT ${EVENTS}) e
      WHERE e.event = 'paused') began ON true`
        : ''
    }
   WHERE walk.queue IS NOT NULL`;

const NOW = `floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint`;

/**
 * When a waiting job `j` became free to start, as far as its row tells: not before it was created, came due, or last began.
 * A parent that never began was released when its last child ended, or when the first one failed that may not.
 * Walks: primary keys of job_dependency and job.
 */
export const readyAt = (schema: string): string => `
  greatest(j.added_at_ms, j.process_at_ms, j.processed_at_ms, CASE WHEN j.processed_at_ms IS NULL THEN (
    SELECT CASE WHEN bool_or(child.failed) THEN min(child.ended_ms) FILTER (WHERE child.failed) ELSE max(child.ended_ms) END
      FROM (SELECT d.status IN ('failed', 'ignored') AS failed, c.finished_at_ms AS ended_ms
              FROM ${table(schema, 'job_dependency')} d
              LEFT JOIN ${table(schema, 'job')} c ON c.queue = d.child_queue AND c.id = d.child_id
             WHERE d.parent_queue = j.queue AND d.parent_id = j.id
             LIMIT ${CHILDREN}) child) END)`;

/**
 * One row a queue ($1: their names), in one snapshot. Waiting jobs: job_ready_idx in claim order; where those are many,
 * both ends of each priority, which holds the oldest: numbers of BullMQ's sequence are given in the order of enqueueing,
 * negated for "last in, first out". So no job became ready before those with lower numbers were created. Delayed jobs:
 * job_delayed_idx from now in both directions. Running ones: job_active_idx from both ends. Failed ones and the newest
 * finish: job_finished_idx. Blocked ones: job_waiting_children_idx. `has`: indexes that are there; what one is missing for is null.
 */
export const jobs = (schema: string, depth: Depth, has: ReadonlySet<IndexName>): string => {
  const from = `${table(schema, 'job')} j WHERE j.queue = q.queue`;
  const waiting = `${from} AND j.state = 'waiting'`;
  const entries = (condition: string, order: string, limit: number) => `
        SELECT j.seq, j.added_at_ms, ${readyAt(schema)} AS own_ms FROM ${waiting}${condition} ORDER BY ${order} LIMIT ${limit}`;
  // The lower ends of seq and -seq are those that were enqueued first.
  const numbers = (rows: string) => `
      SELECT count(*)::int AS entries, min(ARRAY[ready_ms, added_at_ms]) AS oldest, max(added_at_ms) AS last_ms
        FROM (SELECT added_at_ms, greatest(own_ms, max(added_at_ms) OVER (ORDER BY abs(seq))) AS ready_ms
                FROM (${rows}) seen) ready`;
  const end = (name: string, condition: string, order: string) => `
     CROSS JOIN LATERAL (${numbers(entries(` AND j.priority = level.priority AND ${condition}`, order, depth.ends))}) ${name}`;
  const settled = (name: string) =>
    `(${name}.entries < ${depth.ends} OR ${name}.oldest[1] <= ${name}.last_ms)`;
  const count = (condition: string, order: string) =>
    `(SELECT count(*)::int FROM (SELECT FROM ${from} AND ${condition} ORDER BY ${order} LIMIT ${depth.heads}) e)`;
  const only = (name: IndexName, lateral: string, otherwise: string) => (has.has(name) ? lateral : otherwise);
  return `
  SELECT q.queue, head.entries AS waiting, head.oldest[1]::float8 AS ready_at_ms, head.oldest[2]::float8 AS created_at_ms,
         levels.count AS levels, levels.settled, levels.oldest[1]::float8 AS level_ready_at_ms, levels.oldest[2]::float8 AS level_created_at_ms,
         due.entries AS due, due.oldest[1]::float8 AS due_at_ms, due.oldest[2]::float8 AS due_created_at_ms,
         ${only('delayed', count(`j.state = 'delayed' AND j.process_at_ms > ${NOW}`, 'j.process_at_ms'), 'NULL::int')} AS later,
         active.entries AS active, active.stale AS seen_stale, active.newest_ms::float8 AS newest_ms,
         active.oldest_ms::float8 AS oldest_ms, active.locked_until_ms::float8 AS locked_until_ms, active.owners,
         ${only('active', count(`j.state = 'active' AND j.locked_until_ms < ${NOW}`, 'j.locked_until_ms'), 'NULL::int')} AS stale,
         ${only('finished', count(`j.state = 'failed'`, 'j.state, j.finished_at_ms'), 'NULL::int')} AS failed,
         ${only('finished', `greatest(${finish(from, 'completed')}, ${finish(from, 'failed')})::float8`, 'NULL::float8')} AS finished_ms,
         ${only('blocked', count(`j.state = 'waiting-children'`, 'j.seq'), 'NULL::int')} AS blocked
    FROM unnest($1::text[]) q (queue)
   CROSS JOIN LATERAL (${only('waiting', numbers(entries('', 'j.priority, j.seq', depth.heads)), NONE('entries', 'oldest'))}) head
   CROSS JOIN LATERAL (${only(
     'waiting',
     `
    SELECT count(*)::int AS count, coalesce(bool_and(${settled('first')} AND ${settled('last')}), false) AS settled,
           min(least(first.oldest, last.oldest)) AS oldest
      FROM (
        WITH RECURSIVE next AS (
          (SELECT j.priority, 1 AS place FROM ${waiting} AND head.entries >= ${depth.heads} ORDER BY j.priority LIMIT 1)
          UNION ALL
          SELECT (SELECT j.priority FROM ${waiting} AND j.priority > next.priority ORDER BY j.priority LIMIT 1), next.place + 1
            FROM next
           WHERE next.priority IS NOT NULL AND next.place <= ${depth.priorities}
        ) SELECT priority FROM next WHERE priority IS NOT NULL
      ) level${end('first', 'j.seq >= 0', 'j.priority, j.seq')}${end('last', 'j.seq < 0', 'j.priority DESC, j.seq DESC')}`,
     NONE('count', 'oldest', 'settled'),
   )}) levels
   CROSS JOIN LATERAL (${only(
     'delayed',
     `
    SELECT count(*)::int AS entries, min(ARRAY[greatest(process_at_ms, added_at_ms), added_at_ms]) AS oldest
      FROM (SELECT j.process_at_ms, j.added_at_ms FROM ${from} AND j.state = 'delayed' AND j.process_at_ms <= ${NOW}
             ORDER BY j.process_at_ms LIMIT ${depth.heads}) e`,
     NONE('entries', 'oldest'),
   )}) due
   CROSS JOIN LATERAL (${only(
     'active',
     `
    SELECT count(*)::int AS entries, count(*) FILTER (WHERE locked_until_ms < ${NOW})::int AS stale,
           max(processed_at_ms) AS newest_ms, max(locked_until_ms) AS locked_until_ms,
           min(processed_at_ms) FILTER (WHERE (locked_until_ms < ${NOW}) IS NOT TRUE) AS oldest_ms,
           coalesce(array_agg(DISTINCT regexp_replace(lock_token, ':[0-9]+$', ''))
                      FILTER (WHERE locked_until_ms >= ${NOW} AND lock_token IS NOT NULL), '{}') AS owners
      FROM (SELECT j.processed_at_ms, j.locked_until_ms, j.lock_token FROM ${from} AND j.state = 'active'
             ORDER BY j.locked_until_ms DESC LIMIT ${depth.heads}) e`,
     NONE('entries', 'stale', 'newest_ms', 'locked_until_ms', 'oldest_ms', 'owners'),
   )}) active`;
};

/** The newest finish of one kind. */
const finish = (from: string, state: 'completed' | 'failed'): string =>
  `(SELECT j.finished_at_ms FROM ${from} AND j.state = '${state}' AND j.finished_at_ms IS NOT NULL
     ORDER BY j.state DESC, j.finished_at_ms DESC LIMIT 1)`;

const TYPES: Record<string, string> = {
  oldest: 'bigint[]',
  owners: 'text[]',
  settled: 'boolean',
  entries: 'int',
  count: 'int',
  stale: 'int',
};
/** A row of nothing, where the index for it is missing. */
const NONE = (...columns: string[]): string =>
  `SELECT ${columns.map((column) => `NULL::${TYPES[column] ?? 'bigint'} AS ${column}`).join(', ')}`;

/** The database's clock. */
export const clock = `SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms`;
