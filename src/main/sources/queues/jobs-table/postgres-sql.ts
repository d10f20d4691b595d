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
  ms: (column) =>
    `CASE WHEN ${column} IS NOT NULL THEN LEAST(GREATEST(${wholeMs(column)}, 0), 8.64e15::float8) END`,
  nowMs: wholeMs(MOMENT),
  tenantText: (expression) => `${expression}::text`,
  number: (expression) => `(${expression})::float8`,
  createdOfOldest: (condition) => `(MIN(CASE WHEN ${condition} THEN ARRAY[ready_ms, created_ms] END))[2]`,
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
export const tenants = (table: JobsTable, index: JobsIndex, states: readonly string[]): string =>
  `
  WITH RECURSIVE ${tenantWalk(table, index, states)}
  SELECT tenant::text AS tenant FROM tenants`;

/** Without an index that serves, the whole table. */
export const tenantsOfWholeTable = ({ name, mapping }: JobsTable): string => `
  SELECT DISTINCT ${quoted(mapping.tenant)}::text AS tenant
    FROM ${name}
   WHERE ${quoted(mapping.tenant)} IS NOT NULL
   LIMIT ${TENANTS_AT_MOST + 1}`;

/** The counts of every tenant. Walks: the index, one entry a tenant, then at most `HEAD_ROWS` entries for each look at it. */
export function heads(table: JobsTable, index: JobsIndex): string {
  // Those without a time are at the end of the index, where the look at later ones begins.
  const looks = probes(table).filter(({ rows }) => rows !== 'without-ready-at');
  return `
  WITH RECURSIVE ${tenantWalk(table, index, liveStates(table.mapping))}
  SELECT tenants.tenant::text AS tenant, head.*
    FROM tenants
   CROSS JOIN LATERAL (${looks.map((probe) => head(table, index, probe)).join('\n    UNION ALL')}) AS head`;
}

// Neither time nor any other condition that might skip rows stands inside, so that the limit bounds the walk. The
// range of one value, with its order, is what only this index yields: an equality would let plans walk an index on
// the time alone, past all other tenants' rows, when the statistics are stale.
function head({ name, mapping, readyAt }: JobsTable, { leads }: JobsIndex, probe: Probe): string {
  const ofState = { column: quoted(mapping.state), value: text(probe.state) };
  const ofTenant = { column: quoted(mapping.tenant), value: 'tenants.tenant' };
  const [first, second] = leads === 'state' ? [ofState, ofTenant] : [ofTenant, ofState];
  const time = quoted(readyAt.column);
  const { order, kept } = {
    any: { order: second.column, kept: '' },
    due: { order: `${second.column}, ${time}`, kept: `WHERE column_ms <= ${postgresDialect.nowMs}` },
    later: {
      order: `${second.column} DESC, ${time} DESC`,
      kept: `WHERE column_ms IS NULL OR column_ms > ${postgresDialect.nowMs}`,
    },
  }[probe.rows === 'without-ready-at' ? 'later' : probe.rows];
  return `
    SELECT ${counts(postgresDialect, mapping, probe.look)}
      FROM (SELECT ${jobColumns(postgresDialect, mapping, `'${probe.class}'`)}
              FROM ${name}
             WHERE ${first.column} = ${first.value}
               AND ${second.column} >= ${second.value} AND ${second.column} <= ${second.value}
             ORDER BY ${order}
             LIMIT ${HEAD_ROWS}) AS rows
     ${kept}`;
}

/** A CTE `tenants`, at most one more than are looked at. */
function tenantWalk({ name, mapping }: JobsTable, { leads }: JobsIndex, states: readonly string[]): string {
  const state = quoted(mapping.state);
  const tenant = quoted(mapping.tenant);
  if (leads === 'tenant') {
    return `walked(tenant) AS (${skipScan(name, tenant, 'walked', 'tenant')}),
  tenants AS (SELECT tenant FROM walked WHERE tenant IS NOT NULL LIMIT ${TENANTS_AT_MOST + 1})`;
  }
  const walks = states.map((each, at) => {
    const value = text(each);
    return `walked${at}(tenant) AS (
    (SELECT ${tenant} FROM ${name}
      WHERE ${state} >= ${value} AND ${state} <= ${value} AND ${tenant} IS NOT NULL
      ORDER BY ${state}, ${tenant} LIMIT 1)
    UNION ALL
    SELECT (SELECT ${tenant} FROM ${name}
             WHERE (${state}, ${tenant}) > (${value}, walked${at}.tenant) AND ${state} <= ${value} AND ${tenant} IS NOT NULL
             ORDER BY ${state}, ${tenant} LIMIT 1)
      FROM walked${at} WHERE walked${at}.tenant IS NOT NULL)`;
  });
  const parts = states.map(
    (_, at) => `(SELECT tenant FROM walked${at} WHERE tenant IS NOT NULL LIMIT ${TENANTS_AT_MOST + 1})`,
  );
  return `${walks.join(',\n  ')},
  tenants AS (SELECT tenant FROM (${parts.join(' UNION ')}) AS every LIMIT ${TENANTS_AT_MOST + 1})`;
}

/** Distinct values of the column that an index starts with, one entry each, in a recursive CTE of that name; null ends it. */
const skipScan = (table: string, column: string, walk: string, as: string): string => `
    (SELECT ${column} FROM ${table} WHERE ${column} IS NOT NULL ORDER BY ${column} LIMIT 1)
    UNION ALL
    SELECT (SELECT ${column} FROM ${table} WHERE ${column} > ${walk}.${as} ORDER BY ${column} LIMIT 1)
      FROM ${walk} WHERE ${walk}.${as} IS NOT NULL`;
