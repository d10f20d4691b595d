// The statements of lists, of a job's page and of locks: asked by a person, on a session of their own. Keys first, then the
// rows of one page by the primary key (name, id), so that no wide row is sorted.
import { escapeLiteral } from 'pg';
import { ERROR_CHARS } from '../../../../contract/queue-jobs.ts';
import { PAYLOAD_SHOWN_CHARS } from '../../../../core/shown-payload.ts';
import { quotePgName } from '../../postgres-errors.ts';
import { expiry, ms, textArray, type Dialect } from './sql.ts';

/** Entries that one page looks through where the index has another order than the list. */
const WINDOW = 20_000;
const WINDOW_LEAST = 20;
export const windowSize = (queues: number): number =>
  Math.max(WINDOW_LEAST, Math.floor(WINDOW / Math.max(1, queues)));

export type BossList = 'ready' | 'delayed' | 'running' | 'blocked' | 'dead';
/**
 * How the rows of a list are reached: `claim`, `due` and `parents` walk an index whose order is not the list's, a window at a
 * time; `index` one that has the list's order; `scan` reads the table.
 */
export type Access = 'claim' | 'due' | 'parents' | 'index' | 'scan';
export const isWindowed = (access: Access): boolean =>
  access === 'claim' || access === 'due' || access === 'parents';

/** Where a page begins: after this job of the list's order, among the entries of the window that begins after `from`. */
export interface Place {
  /** The last entry of the window before, in the index's columns; empty for the first window. */
  from: readonly string[];
  /** The moment that the list is ordered by, the id and the queue of the last job shown; null at the window's begin. */
  after: readonly [key: string, id: string, name: string] | null;
}

/** The jobs of some queues in one table. */
export interface Part {
  table: string;
  access: Access;
  names: readonly string[];
}

const text = (value: string): string => escapeLiteral(value).trim();
const now = 'statement_timestamp()';
const readyAt = 'greatest(w.created_on, w.start_after)';
/** The moment that a list is ordered by, of a row `w`, and what its rows are beside what its walk yields. */
const LISTS: Record<BossList, { key: string; where: string; direction: 'ASC' | 'DESC' }> = {
  ready: { key: readyAt, where: `${readyAt} <= ${now}`, direction: 'ASC' },
  delayed: { key: readyAt, where: `${readyAt} > ${now}`, direction: 'ASC' },
  running: { key: 'coalesce(w.started_on, w.created_on)', where: 'true', direction: 'ASC' },
  blocked: { key: 'w.created_on', where: 'true', direction: 'ASC' },
  dead: { key: 'coalesce(w.completed_on, w.created_on)', where: 'true', direction: 'DESC' },
};

const tableName = (dialect: Dialect, table: string): string =>
  `${quotePgName(dialect.schema)}.${quotePgName(table)}`;

function condition({ jobColumns }: Dialect, list: BossList): string {
  if (list === 'running') return `e.state = 'active'`;
  if (list === 'dead') return `e.state = 'failed'`;
  if (!jobColumns.has('blocked')) return list === 'blocked' ? 'false' : `e.state < 'active'`;
  return `e.state < 'active' AND ${list === 'blocked' ? 'e.blocked' : 'NOT e.blocked'}`;
}

/** The columns that windows and lists are ordered by. */
const KEY_COLUMNS = 'e.name, e.id, e.priority, e.created_on, e.start_after, e.started_on, e.completed_on';

/**
 * A window of one queue, `q.name`, in the order of the index it walks; ties end with the id. The index stops at the range of
 * `from` by itself, so that no window reads those before it.
 */
function window(
  dialect: Dialect,
  list: BossList,
  { table, access }: Part,
  from: readonly string[],
  size: number,
): string {
  const rows = (and: string, order: string) => `
      SELECT ${KEY_COLUMNS} FROM ${tableName(dialect, table)} e
       WHERE e.name = q.name AND ${condition(dialect, list)}${and} ORDER BY ${order} LIMIT ${size}`;
  if (access === 'due') {
    const [due, id] = from.map(text);
    const later = due === undefined ? '' : ` AND (e.start_after, e.id) > (${due}, ${id})`;
    const half = list === 'ready' ? ` AND e.start_after <= ${now}` : '';
    return rows(`${half}${later}`, 'e.start_after, e.id');
  }
  if (access === 'claim') {
    const order = 'e.priority DESC, e.created_on, e.start_after, e.id';
    const [priority, created, due, id] = from.map(text);
    if (priority === undefined) return rows('', order);
    // Two ranges of the index: the rest of this priority, and what comes below it.
    const rest = ` AND e.priority = ${priority} AND (e.created_on, e.start_after, e.id) > (${created}, ${due}, ${id})`;
    return `
      SELECT * FROM ((${rows(rest, order)}) UNION ALL (${rows(` AND e.priority < ${priority}`, order)})) e
       ORDER BY ${order} LIMIT ${size}`;
  }
  const [id] = from.map(text);
  return `
      SELECT ${KEY_COLUMNS}
        FROM (SELECT DISTINCT d.child_id FROM ${tableName(dialect, 'job_dependency')} d
               WHERE d.child_name = q.name${id === undefined ? '' : ` AND d.child_id > ${id}`}
               ORDER BY d.child_id LIMIT ${size}) c
        JOIN ${tableName(dialect, table)} e ON e.name = q.name AND e.id = c.child_id
       WHERE ${condition(dialect, list)}`;
}

/**
 * One page of a list over some queues. Walks: for `claim` (name, priority DESC, created_on, start_after), for `due` (name, start_after),
 * for `parents` the primary key of job_dependency, each at most `size` entries a queue, which are sorted; for `index` (name, started_on)
 * of active or (name, completed_on) of failed jobs, a page's entries a queue; for `scan` the table. Then the primary key.
 */
export function list(
  dialect: Dialect,
  what: BossList,
  parts: readonly Part[],
  { from, after }: Place,
  { size, limit }: { size: number; limit: number },
): string {
  const { key, where, direction } = LISTS[what];
  const beyond = direction === 'ASC' ? '>' : '<';
  const place =
    after === null ? '' : ` AND (${key}, w.id, w.name) ${beyond} (${after.map(text).join(', ')}::text)`;
  const order = (alias: string) =>
    `${alias}.place_at ${direction}, ${alias}.id ${direction}, ${alias}.name ${direction}`;
  const page = parts.map((part) => {
    const { table, access, names } = part;
    const each = `unnest(${textArray(names)}) AS q (name) CROSS JOIN LATERAL`;
    const selected = `SELECT w.name, w.id, ${key} AS place_at`;
    if (isWindowed(access)) {
      return `(${selected} FROM ${each} (${window(dialect, what, part, from, size)}) w WHERE ${where}${place})`;
    }
    const rows = `SELECT ${KEY_COLUMNS} FROM ${tableName(dialect, table)} e WHERE ${condition(dialect, what)}`;
    if (access === 'scan') {
      return `(${selected} FROM (${rows} AND e.name = ANY (${textArray(names)})) w WHERE ${where}${place})`;
    }
    const column = what === 'running' ? 'started_on' : 'completed_on';
    const [at, id] = (after ?? []).map(text);
    // Jobs of one moment in several queues are told apart below.
    const range = at === undefined ? '' : ` AND (e.${column}, e.id) ${beyond}= (${at}, ${id})`;
    return `(${selected} FROM ${each} (
      ${rows} AND e.name = q.name AND e.${column} IS NOT NULL${range}
       ORDER BY e.${column} ${direction}, e.id ${direction} LIMIT ${limit + 1}) w WHERE ${where}${place})`;
  });
  return `
  WITH page AS MATERIALIZED (
    SELECT * FROM (${page.join('\n    UNION ALL\n    ')}) p ORDER BY ${order('p')} LIMIT ${limit}
  )
  SELECT ${jobColumns(dialect)}, p.place_at::text AS place
    FROM page p JOIN ${tableName(dialect, tableOf(parts))} e ON e.name = p.name AND e.id = p.id
   ORDER BY ${order('p')}`;
}

/** One table is read as it is; several through their parent. */
const tableOf = (parts: readonly Part[]): string => (parts.length === 1 ? (parts[0]?.table ?? 'job') : 'job');

/** The last entry of a full window of one queue, in the index's columns; no row when it holds all there is. Walks: as `list`. */
export function windowEnd(
  dialect: Dialect,
  what: BossList,
  part: Part,
  from: readonly string[],
  size: number,
): string {
  const [name = ''] = part.names;
  const q = `(SELECT ${text(name)}::text AS name) q`;
  if (part.access === 'parents') {
    const [id] = from.map(text);
    return `
  SELECT ARRAY[d.child_id::text] AS place
    FROM (SELECT DISTINCT child_id FROM ${tableName(dialect, 'job_dependency')}
           WHERE child_name = ${text(name)}${id === undefined ? '' : ` AND child_id > ${id}`}
           ORDER BY child_id LIMIT 1 OFFSET ${size - 1}) d`;
  }
  const columns =
    part.access === 'due' ? ['start_after', 'id'] : ['priority', 'created_on', 'start_after', 'id'];
  const order = part.access === 'due' ? 'start_after, id' : 'priority DESC, created_on, start_after, id';
  return `
  SELECT ARRAY[${columns.map((column) => `w.${column}::text`).join(', ')}] AS place
    FROM ${q} CROSS JOIN LATERAL (SELECT * FROM (${window(dialect, what, part, from, size)}) w ORDER BY ${order} LIMIT 1 OFFSET ${size - 1}) w`;
}

/** What a job is told by, of a row `e`; columns that the version has not are null. */
function jobColumns(dialect: Dialect): string {
  const has = (column: string, otherwise: string) =>
    dialect.readable.has(column) ? `e.${column}` : otherwise;
  const output = dialect.readable.has('output') ? 'e.output' : 'NULL::jsonb';
  return `e.id::text AS id, e.name, e.state::text AS state, e.priority::float8 AS priority,
         ${has('retry_count', 'NULL::int')} AS retry_count, ${has('retry_limit', 'NULL::int')} AS retry_limit,
         ${has('blocked', 'false')} AS blocked, ${bounded('e.created_on')} AS created_at, ${bounded('e.start_after')} AS start_after,
         ${bounded('e.started_on')} AS started_at, ${bounded('e.completed_on')} AS completed_at,
         e.state = 'active' AND coalesce(${expiry(dialect)} < ${now}, false) AS stale,
         ${bounded(expiry(dialect))} AS expires_at,
         ${dialect.jobColumns.has('heartbeat_seconds') ? bounded('CASE WHEN e.heartbeat_seconds IS NOT NULL THEN e.heartbeat_on END') : 'NULL::float8'} AS beat_at,
         left(coalesce(${output} ->> 'message', ${output} #>> '{value,message}'), ${ERROR_CHARS}) AS said,
         left(${output}::text, ${ERROR_CHARS + 1}) AS output, ${ms(now)} AS now`;
}

/** Epoch ms within what a date can be: a job may be put off to infinity. */
const bounded = (timestamp: string): string =>
  `CASE WHEN ${timestamp} IS NOT NULL THEN least(greatest(${ms(timestamp)}, 0), 8.64e15) END`;

/** Columns of a job's row in their order, all but its payload, each cut. */
export const fieldNames = ({ readable }: Dialect): string[] =>
  [...readable].filter((column) => column !== 'data');

/** One job, whole. Walks: the primary key, in each of the queues. */
export function job(dialect: Dialect, table: string, names: readonly string[], id: string): string {
  const fields = fieldNames(dialect).map(
    (column) => `left(e.${quotePgName(column)}::text, ${ERROR_CHARS + 1})`,
  );
  const data = dialect.readable.has('data') ? `left(e.data::text, ${PAYLOAD_SHOWN_CHARS + 1})` : 'NULL::text';
  return `
  SELECT ${jobColumns(dialect)},
         ARRAY[${fields.join(', ')}]::text[] AS fields, ${data} AS payload
    FROM unnest(${textArray(names)}) AS q (name)
    JOIN ${tableName(dialect, table)} e ON e.name = q.name AND e.id = ${text(id)}`;
}

/** The jobs that one waits for, as "queue/id". Walks: the primary key of job_dependency. */
export const parents = (dialect: Dialect, name: string, id: string, limit: number): string => `
  SELECT parent_name || '/' || parent_id::text AS parent
    FROM ${tableName(dialect, 'job_dependency')}
   WHERE child_name = ${text(name)} AND child_id = ${text(id)}
   ORDER BY parent_name, parent_id
   LIMIT ${limit}`;
