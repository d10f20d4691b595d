// Every statement on a mapped table of jobs in MySQL and MariaDB, with the index each walks.
import { escape } from 'mysql2';
import { quoteName } from '../../mysql-errors.ts';
import type { Column } from './jobs-table.ts';
import type { LookDialect } from './look-sql.ts';
import { liveStates, TENANTS_AT_MOST, type Dialect, type JobsIndex, type JobsTable } from './mapping-sql.ts';

const SECOND = 1000;

const NOW_MS = `FLOOR(UNIX_TIMESTAMP(NOW(6)) * ${SECOND})`;

export const text = (value: string): string => escape(value);

/** The dialect for a table: TIMESTAMP columns know their moment, DATETIME ones are read as UTC, binary tenants are shown as hex. */
export function mysqlDialect(types: ReadonlyMap<string, string>, tenantType: string): Dialect {
  const timestamps = new Set(
    [...types].filter(([, type]) => type === 'timestamp').map(([name]) => quoteName(name)),
  );
  const epochMs = (column: string) =>
    timestamps.has(column)
      ? `FLOOR(UNIX_TIMESTAMP(${column}) * ${SECOND})`
      : `FLOOR(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) / ${SECOND})`;
  return {
    name: quoteName,
    text,
    ms: epochMs,
    nowMs: NOW_MS,
    // Moments of columns of two types compare as milliseconds only.
    time: (column) => epochMs(column),
    now: NOW_MS,
    ago: (ms) => `${NOW_MS} - ${ms}`,
    msOf: (time) => time,
    tenantText: (expression) =>
      isBinary(tenantType) ? `LOWER(HEX(${expression}))` : `CAST(${expression} AS CHAR)`,
    number: (expression) => `(${expression}) + 0e0`,
    createdOfOldest: (condition) =>
      `SUBSTRING_INDEX(MIN(CASE WHEN ${condition} THEN CONCAT(LPAD(ready_at, 20, '0'), ' ', created_at) END), ' ', -1)`,
    owners: (condition) =>
      `CAST(JSON_ARRAYAGG(CASE WHEN ${condition} THEN CAST(locked_by AS CHAR) END) AS CHAR)`,
  };
}

/**
 * The words that looks need, by the columns' types. TIMESTAMP columns are compared in the session's time zone: in an hour that comes twice
 * there, a page may begin an hour off.
 */
export function mysqlLooks(columns: ReadonlyMap<string, Column>, dialect: Dialect): LookDialect {
  const typeOf = (column: string) => columns.get(column)?.type ?? '';
  return {
    ...dialect,
    value(column, value) {
      const type = typeOf(column);
      if (isBinary(type)) return /^(?:[0-9a-f]{2})+$/i.test(value) ? `x'${value}'` : null;
      // A text that is none would be compared as the number it begins with.
      if (isNumeric(type)) return /^-?\d{1,20}$/.test(value) ? value : null;
      return text(value);
    },
    columnText: (column) => asText(column, typeOf(column)),
    beginning: (column, chars) =>
      isBinary(typeOf(column))
        ? `LOWER(HEX(LEFT(${quoteName(column)}, ${chars})))`
        : `LEFT(${asText(column, typeOf(column))}, ${chars})`,
    plainText: (expression) => `CAST(${expression} AS CHAR)`,
    wholeText: (expression) => `CAST(CAST(${expression} AS SIGNED) AS CHAR)`,
    nowFor: (column) => (typeOf(column) === 'timestamp' ? 'NOW(6)' : 'UTC_TIMESTAMP(6)'),
    isNumber: (column) => isNumeric(typeOf(column)),
    partialIndexes: false,
    force: (index) => ` FORCE INDEX (${quoteName(index)})`,
  };
}

const asText = (column: string, type: string): string =>
  isBinary(type) ? `LOWER(HEX(${quoteName(column)}))` : `CAST(${quoteName(column)} AS CHAR)`;
const isNumeric = (type: string): boolean => /int|decimal|float|double|year|bit/.test(type);
export const isBinary = (type: string): boolean => /binary|blob/.test(type);

/** Walks: information_schema, by schema and table. No row also when the account may not see the table. */
export const relation = (schema: string | null, table: string): string => `
  SELECT TABLE_TYPE AS kind FROM information_schema.TABLES WHERE ${inSchema(schema)} AND TABLE_NAME = ${text(table)}`;

export const columns = (schema: string | null, table: string): string => `
  SELECT COLUMN_NAME AS name, DATA_TYPE AS type, IS_NULLABLE = 'YES' AS nullable, PRIVILEGES LIKE '%select%' AS readable
    FROM information_schema.COLUMNS
   WHERE ${inSchema(schema)} AND TABLE_NAME = ${text(table)}
   ORDER BY ORDINAL_POSITION`;

/** Columns of B-tree indexes in their order; `part` is not null where only the start of a value is in the index. */
export const indexes = (schema: string | null, table: string): string => `
  SELECT INDEX_NAME AS name, COLUMN_NAME AS column_name, SUB_PART AS part
    FROM information_schema.STATISTICS
   WHERE ${inSchema(schema)} AND TABLE_NAME = ${text(table)} AND INDEX_TYPE = 'BTREE'
   ORDER BY INDEX_NAME, SEQ_IN_INDEX`;

const inSchema = (schema: string | null): string =>
  `TABLE_SCHEMA = ${schema === null ? 'DATABASE()' : text(schema)}`;

/** Tells an absent table or column from one that is not granted: it fails with the one or the other. Reads no row. */
export const touch = (table: string, names: readonly string[]): string =>
  `SELECT ${names.length === 0 ? '1' : names.map(quoteName).join(', ')} FROM ${table} LIMIT 0`;

/** The database's clock. */
export const clock = `SELECT FLOOR(UNIX_TIMESTAMP(SYSDATE(6)) * ${SECOND}) + 0e0 AS now_ms`;

/** What this session has read so far. Reads no rows itself on MariaDB. */
export const handlerReads = `SHOW SESSION STATUS LIKE 'Handler_read%'`;

/** Values of the state column: from the index, loosely, where it leads; else those of some rows. Bounded either way. */
export function someStates({ name, mapping, index }: JobsTable, atMost: number, rows: number): string {
  const state = quoteName(mapping.state);
  if (index?.leads !== 'state') {
    return `
  SELECT DISTINCT CAST(state AS CHAR) AS state
    FROM (SELECT ${state} AS state FROM ${name} LIMIT ${rows}) AS looked
   WHERE state IS NOT NULL
   LIMIT ${atMost}`;
  }
  return `
  SELECT CAST(${state} AS CHAR) AS state
    FROM ${name} FORCE INDEX FOR GROUP BY (${quoteName(index.name)})
   WHERE ${state} IS NOT NULL
   GROUP BY ${state}
   LIMIT ${atMost}`;
}

/** A job without a tenant. Walks: the index, one entry a state. */
export function withoutTenant({ name, mapping }: JobsTable): string {
  return liveStates(mapping)
    .map(
      (state) => `
  (SELECT 1 AS found FROM ${name}
    WHERE ${quoteName(mapping.state)} = ${text(state)} AND ${quoteName(mapping.tenant)} IS NULL LIMIT 1)`,
    )
    .join('\n  UNION ALL');
}

/** Tenants with rows in one of the states. Walks: the index, loosely ("Using index for group-by"), an entry or two a tenant and state. */
export function tenants(
  dialect: Dialect,
  table: JobsTable,
  index: JobsIndex,
  states: readonly string[],
): string {
  const { name, mapping } = table;
  const state = quoteName(mapping.state);
  const tenant = quoteName(mapping.tenant);
  const from = `${name} FORCE INDEX FOR GROUP BY (${quoteName(index.name)})`;
  const walk =
    index.leads === 'tenant'
      ? `SELECT ${tenant} AS tenant FROM ${from} GROUP BY ${tenant}`
      : `SELECT ${state} AS state, ${tenant} AS tenant FROM ${from} WHERE ${state} IN (${states.map(text).join(', ')}) GROUP BY ${state}, ${tenant}`;
  return `
  SELECT DISTINCT ${dialect.tenantText('tenant')} AS tenant
    FROM (${walk}) AS walked
   WHERE tenant IS NOT NULL
   LIMIT ${TENANTS_AT_MOST + 1}`;
}

/** Without an index that serves, the whole table. */
export const tenantsOfWholeTable = (dialect: Dialect, { name, mapping }: JobsTable): string => `
  SELECT DISTINCT ${dialect.tenantText(quoteName(mapping.tenant))} AS tenant
    FROM ${name}
   WHERE ${quoteName(mapping.tenant)} IS NOT NULL
   LIMIT ${TENANTS_AT_MOST + 1}`;
