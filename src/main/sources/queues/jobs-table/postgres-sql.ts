// Every statement on a mapped table of jobs in PostgreSQL, with the index each walks.
import { escapeLiteral } from 'pg';
import { quotePgName } from '../../postgres-errors.ts';
import type { Column } from './jobs-table.ts';
import type { LookDialect } from './look-sql.ts';
import {
  counts,
  HEAD_ROWS,
  jobColumns,
  liveStates,
  probes,
  TENANTS_AT_MOST,
  type Dialect,
  type JobsIndex,
  type JobsTable,
  type Probe,
} from './mapping-sql.ts';

const MOMENT = 'now()';
const wholeMs = (time: string) => `floor(extract(epoch FROM ${time}) * 1000)::float8`;

/** Session times are UTC, so a timestamp without zone is read as UTC. Infinite times become the ends of what a date can be. */
export const postgresDialect: Dialect = {
  name: quotePgName,
  text: (value) => text(value),
  ms: (column) => postgresDialect.msOf(column),
  nowMs: wholeMs(MOMENT),
  time: (column) => `${column}::timestamptz`,
  now: MOMENT,
  ago: (ms) => `${MOMENT} - interval '${ms} milliseconds'`,
  msOf: (time) =>
    `CASE WHEN ${time} IS NOT NULL THEN LEAST(GREATEST(${wholeMs(time)}, 0), 8.64e15::float8) END`,
  tenantText: (expression) => `${expression}::text`,
  number: (expression) => `(${expression})::float8`,
  createdOfOldest: (condition) =>
    postgresDialect.msOf(`(MIN(ARRAY[ready_at, created_at]) FILTER (WHERE ${condition}))[2]`),
  owners: (condition) => `json_agg(DISTINCT locked_by::text) FILTER (WHERE ${condition})::text`,
};
/** The words that looks need, by the columns' types. */
export function postgresLooks(columns: ReadonlyMap<string, Column>): LookDialect {
  const shape = (column: string) => valueShapes[columns.get(column)?.type ?? ''] ?? /^[^\0]*$/;
  return {
    ...postgresDialect,
    value: (column, value) => (shape(column).test(value) ? text(value) : null),
    columnText: (column) => `${quoted(column)}::text`,
    beginning: (column, chars) => `left(${quoted(column)}::text, ${chars})`,
    plainText: (expression) => `${expression}::text`,
    wholeText: (expression) => `${expression}::numeric::text`,
    nowFor: () => MOMENT,
    isNumber: (column) =>
      /^(smallint|integer|bigint|numeric|real|double)/.test(columns.get(column)?.type ?? ''),
    partialIndexes: true,
    force: () => '',
  };
}

/** What a text must look like to be a value of some types; of others the server tells. */
const valueShapes: Record<string, RegExp> = {
  smallint: /^-?\d{1,5}$/,
  integer: /^-?\d{1,10}$/,
  bigint: /^-?\d{1,19}$/,
  uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
};
const quoted = quotePgName;
const text = (value: string): string => escapeLiteral(value).trim();

/**
 * For this session: where the statistics promise few rows a plan would sort all of a tenant's instead of reading the
 * first by the index.
 */
export const planning = `
  SELECT set_config(name, 'off', false)
    FROM pg_settings
   WHERE name IN ('enable_sort', 'enable_incremental_sort')`;

/** For looks, whose lists may have to be sorted. */
export const lookPlanning = `
  SELECT set_config(name, 'on', false)
    FROM pg_settings
   WHERE name IN ('enable_sort', 'enable_incremental_sort')`;

/** Parameters: the table's name, quoted. Walks: pg_class, by the name. */
export const relation = `
  SELECT c.relkind AS kind, c.oid::text AS oid, row_security_active(c.oid) AS hides_rows
    FROM pg_class c
   WHERE c.oid = to_regclass($1)`;

/** In their order. Parameters: the table's oid. Walks: pg_attribute, by the table. Seen without any grant on the table. */
export const columns = `
  SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, NOT a.attnotnull AS nullable,
         has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable
    FROM pg_attribute a
   WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
   ORDER BY a.attnum`;

/**
 * Whole, valid B-tree indexes and the columns they are ordered by; only ascending ones. Parameters: the table's oid.
 * Walks: pg_index, by the table.
 */
export const indexes = `
  SELECT c.relname AS name,
         (SELECT json_agg(a.attname ORDER BY k.position)
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
            LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
           WHERE k.position <= i.indnkeyatts AND k.position <= 3)::text AS columns,
         (SELECT bool_and(o.option = 0) FROM unnest(i.indoption::int2[]) WITH ORDINALITY AS o(option, position)
           WHERE o.position <= 3) AS ascending
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
   WHERE i.indrelid = $1::oid AND i.indisvalid AND i.indpred IS NULL`;

/** Tells whether the account may read the columns, and whether the states fit their column. Reads no row. */
export const touch = ({ name, mapping }: JobsTable, names: readonly string[], states: readonly string[]) => `
  SELECT ${names.map(quoted).join(', ')}
    FROM ${name}
   WHERE ${quoted(mapping.state)} IN (${states.map(text).join(', ')})
   LIMIT 0`;

/** The database's clock. */
export const clock = `SELECT ${wholeMs('clock_timestamp()')} AS now_ms`;

/** Values of the state column: from the index where it leads, else those of some rows. Bounded either way. */
export function someStates(table: JobsTable, atMost: number, rows: number): string {
  const state = quoted(table.mapping.state);
  if (table.index?.leads !== 'state') {
    return `
  SELECT DISTINCT state::text AS state
    FROM (SELECT ${state} AS state FROM ${table.name} LIMIT ${rows}) AS looked
   WHERE state IS NOT NULL
   LIMIT ${atMost}`;
  }
  return `
  WITH RECURSIVE walked(state) AS (${skipScan(table.name, state, 'walked', 'state')})
  SELECT state::text AS state FROM walked WHERE state IS NOT NULL LIMIT ${atMost}`;
}

/** A job without a tenant. Walks: the index, one entry a state. */
export function withoutTenant(table: JobsTable): string {
  const { state, tenant } = table.mapping;
  return liveStates(table.mapping)
    .map(
      (value) => `
  (SELECT 1 AS found FROM ${table.name} WHERE ${quoted(state)} = ${text(value)} AND ${quoted(tenant)} IS NULL LIMIT 1)`,
    )
    .join('\n  UNION ALL');
}

/** Tenants with rows in one of the states. Walks: the index, one entry a tenant and state. */
export const tenants = (table: JobsTable, index: JobsIndex, states: readonly string[]): string => `
  WITH RECURSIVE ${groupWalks(table, index, states)}
  SELECT tenant::text AS tenant
    FROM (${states.map((_, place) => `SELECT tenant FROM groups${place}`).join(' UNION ')}) AS every
   LIMIT ${TENANTS_AT_MOST + 1}`;

/** The groups of a poll. Walks: the index, one entry a tenant and state. */
export function groups(table: JobsTable, index: JobsIndex): string {
  const states = liveStates(table.mapping);
  const parts = states.map(
    (_, place) => `
  SELECT ${place} AS place, tenant::text AS tenant, coalesce(last_at > ${MOMENT}, ${String(index.byReadyAt)}) AS ends_later
    FROM groups${place}`,
  );
  return `
  WITH RECURSIVE ${groupWalks(table, index, states)}${parts.join('\n  UNION ALL')}`;
}

/** Without an index that serves, the whole table. */
export const tenantsOfWholeTable = ({ name, mapping }: JobsTable): string => `
  SELECT DISTINCT ${quoted(mapping.tenant)}::text AS tenant
    FROM ${name}
   WHERE ${quoted(mapping.tenant)} IS NOT NULL
   LIMIT ${TENANTS_AT_MOST + 1}`;

/** Literals in place of the parameters of `heads`. */
export const headsOf = (statement: string, tenant: string | null): string =>
  statement
    .replace('$1::int[]', 'ARRAY[0]')
    .replace('$2::', `ARRAY[${tenant === null ? 'NULL' : text(tenant)}]::`)
    .replace('$3::bool[]', 'ARRAY[true]')
    .replaceAll('$4::int', String(HEAD_ROWS.most));

/**
 * The counts of these groups: a row for every look that found something. Parameters: their states' places, their tenants (of
 * this type), whether they end later; how many entries a look may read. Walks: the index, at most so many entries a look.
 */
export function heads(table: JobsTable, index: JobsIndex, tenantType: string): string {
  const states = liveStates(table.mapping);
  // Those without a time are at the end of the index, where the look at later ones begins.
  const looks = probes(table).filter(({ rows }) => rows !== 'without-ready-at');
  return `
  WITH groups (place, tenant, ends_later) AS MATERIALIZED (
    SELECT * FROM unnest($1::int[], $2::${tenantType}[], $3::bool[]))${looks
      .map(
        (probe) => `
  SELECT g.tenant::text AS tenant, $4::int AS most, head.*
    FROM groups AS g
   CROSS JOIN LATERAL (${head(table, index, probe)}) AS head
   WHERE g.place = ${states.indexOf(probe.state)}${probe.rows === 'later' ? ' AND g.ends_later' : ''} AND head.seen > 0`,
      )
      .join('\n  UNION ALL')}`;
}

/**
 * How many entries these groups of ready jobs have, up to a limit, and how many of them are later; those without a time are not. Parameters: their states' places and
 * their tenants. Walks: the index, at most as many entries of each, without visiting the rows.
 */
export function depths(table: JobsTable, index: JobsIndex, tenantType: string): string {
  const states = liveStates(table.mapping);
  const time = quoted(table.readyAt.column);
  const parts = states.flatMap((state, place) =>
    table.mapping.states.ready.includes(state)
      ? [
          `
  SELECT g.tenant::text AS tenant, own.*
    FROM groups AS g
   CROSS JOIN LATERAL (
     SELECT count(*)::int AS seen, count(*) FILTER (WHERE column_at > ${MOMENT})::int AS later
       FROM (SELECT ${time} AS column_at FROM ${table.name}${ofGroup(table, index, state).sql}
              ORDER BY ${ofGroup(table, index, state).second}, ${time}
              LIMIT ${HEAD_ROWS.most}) AS entries) AS own
   WHERE g.place = ${place}`,
        ]
      : [],
  );
  return `
  WITH groups (place, tenant) AS MATERIALIZED (SELECT * FROM unnest($1::int[], $2::${tenantType}[]))${parts.join('\n  UNION ALL')}`;
}

/** The condition of a tenant `g.tenant` and a state, and the column that the index comes to second. */
function ofGroup(
  { mapping }: JobsTable,
  { leads }: JobsIndex,
  state: string,
): { sql: string; second: string } {
  const ofState = { column: quoted(mapping.state), value: text(state) };
  const ofTenant = { column: quoted(mapping.tenant), value: 'g.tenant' };
  const [first, second] = leads === 'state' ? [ofState, ofTenant] : [ofTenant, ofState];
  return {
    sql: `
             WHERE ${first.column} = ${first.value}
               AND ${second.column} >= ${second.value} AND ${second.column} <= ${second.value}`,
    second: second.column,
  };
}

// Neither time nor any other condition that might skip rows stands inside, so that the limit bounds the walk. The
// range of one value, with its order, is what only this index yields: an equality would let plans walk an index on
// the time alone, past all other tenants' rows, when the statistics are stale.
function head(table: JobsTable, index: JobsIndex, probe: Probe): string {
  const { name, mapping, readyAt } = table;
  const { sql, second } = ofGroup(table, index, probe.state);
  const time = quoted(readyAt.column);
  const { order, kept } = {
    any: { order: second, kept: '' },
    due: { order: `${second}, ${time}`, kept: `WHERE column_at <= ${MOMENT}` },
    later: {
      order: `${second} DESC, ${time} DESC`,
      kept: `WHERE column_at IS NULL OR column_at > ${MOMENT}`,
    },
  }[probe.rows === 'without-ready-at' ? 'later' : probe.rows];
  return `
    SELECT ${counts(postgresDialect, mapping, probe.look)}
      FROM (SELECT ${jobColumns(postgresDialect, mapping, probe.look, `'${probe.class}'`)}
              FROM ${name}${sql}
             ORDER BY ${order}
             LIMIT $4::int) AS rows
     ${kept}`;
}

/**
 * CTEs `groups0`, `groups1`, … of these states: the tenants that have jobs in it, at most one more than are looked at, each with
 * the last of their times; what is later lies there. Backwards, so that an entry a tenant tells both.
 */
function groupWalks(table: JobsTable, index: JobsIndex, states: readonly string[]): string {
  const { name, mapping, readyAt } = table;
  const state = quoted(mapping.state);
  const tenant = quoted(mapping.tenant);
  const [last, orLast] = index.byReadyAt
    ? [`${quoted(readyAt.column)}::timestamptz`, `, ${quoted(readyAt.column)} DESC`]
    : ['NULL::timestamptz', ''];
  const atMost = `LIMIT ${TENANTS_AT_MOST + 1}`;
  if (index.leads === 'tenant') {
    const looked = states.map(
      (each, place) => `groups${place} (tenant, last_at) AS (
    SELECT tenants.tenant, own.last_at
      FROM tenants
     CROSS JOIN LATERAL (
       SELECT ${last} AS last_at FROM ${name}
        WHERE (${tenant}, ${state}) >= (tenants.tenant, ${text(each)}) AND (${tenant}, ${state}) <= (tenants.tenant, ${text(each)})
        ORDER BY ${tenant} DESC, ${state} DESC${orLast} LIMIT 1) AS own)`,
    );
    return `walked (tenant) AS (${skipScan(name, tenant, 'walked', 'tenant')}),
  tenants AS MATERIALIZED (SELECT tenant FROM walked WHERE tenant IS NOT NULL ${atMost}),
  ${looked.join(',\n  ')}`;
  }
  const walks = states.map((each, place) => {
    const value = text(each);
    const step = (condition: string) => `
      SELECT ${tenant} AS tenant, ${last} AS last_at FROM ${name}
       WHERE ${condition} AND ${tenant} IS NOT NULL
       ORDER BY ${state} DESC, ${tenant} DESC${orLast} LIMIT 1`;
    return `walked${place} (tenant, last_at) AS (
    (${step(`${state} >= ${value} AND ${state} <= ${value}`)})
    UNION ALL
    SELECT next.* FROM walked${place} AS one CROSS JOIN LATERAL (${step(
      `(${state}, ${tenant}) < (${value}, one.tenant) AND ${state} >= ${value}`,
    )}) AS next),
  groups${place} AS (SELECT tenant, last_at FROM walked${place} ${atMost})`;
  });
  return walks.join(',\n  ');
}

/** Distinct values of the column that an index starts with, one entry each, in a recursive CTE of that name; null ends it. */
const skipScan = (table: string, column: string, walk: string, as: string): string => `
    (SELECT ${column} FROM ${table} WHERE ${column} IS NOT NULL ORDER BY ${column} LIMIT 1)
    UNION ALL
    SELECT (SELECT ${column} FROM ${table} WHERE ${column} > ${walk}.${as} ORDER BY ${column} LIMIT 1)
      FROM ${walk} WHERE ${walk}.${as} IS NOT NULL`;
