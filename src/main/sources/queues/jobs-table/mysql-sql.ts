// Every statement on a mapped table of jobs in MySQL and MariaDB, with the index each walks.
import { escape } from 'mysql2';
import { quoteName } from '../../mysql-errors.ts';
import type { Column } from './jobs-table.ts';
import type { LookDialect } from './look-sql.ts';
import {
  counts,
  jobColumns,
  liveStates,
  probes,
  TENANTS_AT_MOST,
  type Dialect,
  type Group,
  type JobsIndex,
  type JobsTable,
  type Probe,
} from './mapping-sql.ts';

/** Looks at tenants that one statement takes. */
const LOOKS_PER_STATEMENT = 200;
const SECOND = 1000;

const NOW_MS = `FLOOR(UNIX_TIMESTAMP(NOW(6)) * ${SECOND})`;

const text = (value: string): string => escape(value);

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
const isBinary = (type: string): boolean => /binary|blob/.test(type);

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

/**
 * The groups of a poll. Walks: the index, loosely ("Using index for group-by"), the ends of each tenant's entries in a state. The least
 * and the greatest time come with them, and one of them alone would be walked to otherwise.
 */
export function groups(dialect: Dialect, table: JobsTable, index: JobsIndex): string {
  const { mapping } = table;
  const states = liveStates(mapping);
  const place = `CASE ${states.map((state, at) => `WHEN ${quoteName(mapping.state)} = ${text(state)} THEN ${at}`).join(' ')} END`;
  return `
  SELECT ${place} AS place, ${dialect.tenantText('walked.tenant')} AS tenant, walked.ends_later
    FROM (${walk(table, index, states)}) AS walked
   WHERE walked.tenant IS NOT NULL
   LIMIT ${states.length * (TENANTS_AT_MOST + 1)}`;
}

/** Tenants that have entries in these states, with the ends of their times. Walks: the index, loosely. */
function walk(
  { name, mapping, readyAt }: JobsTable,
  index: JobsIndex,
  states: readonly string[],
  condition = '',
): string {
  const state = quoteName(mapping.state);
  const tenant = quoteName(mapping.tenant);
  const time = quoteName(readyAt.column);
  const ends = index.byReadyAt
    ? `, MIN(${time}) AS ${time}, COALESCE(MAX(${time}) > ${nowOf(readyAt)}, 1) + 0 AS ends_later`
    : ', 0 AS ends_later';
  const [first, second] = index.leads === 'state' ? [state, tenant] : [tenant, state];
  return `
    SELECT ${state}, ${tenant} AS tenant${ends}
      FROM ${name} FORCE INDEX FOR GROUP BY (${quoteName(index.name)})
     WHERE ${state} IN (${states.map(text).join(', ')})${condition}
     GROUP BY ${first}, ${second}`;
}

const nowOf = ({ type }: JobsTable['readyAt']): string =>
  type === 'timestamp' ? 'NOW(6)' : 'UTC_TIMESTAMP(6)';

const tenantValue = (tenant: string, type: string): string =>
  isBinary(type) ? `x'${tenant}'` : text(tenant);

export interface Glance {
  state: string;
  most: number;
  /** Whether a time orders the entries. */
  isTimed: boolean;
  /** The first and the last tenant, in the index's order. */
  from: string;
  to: string;
  tenantType: string;
}

/**
 * What a glance at each tenant's entries of one state tells: `told` is 'due' where the first `most` entries are, 'later' where not
 * all of them are, 'untimed' where the first has no time, else how many of all are due, and how many there are. Of a state that no
 * time orders all are due. Walks: the index, loosely, and of each tenant `most` entries and one row.
 *
 * No condition on the time stands inside, as it bounds nothing: an entry's tenant is not known before, so no range is read.
 */
export function glance(
  dialect: Dialect,
  table: JobsTable,
  index: JobsIndex,
  { state, most, isTimed, from, to, tenantType }: Glance,
): string {
  const { name, mapping, readyAt } = table;
  const column = quoteName(readyAt.column);
  const time = `glanced.${column}`;
  const of = (what: string, rest: string) => `(
           SELECT ${what} FROM ${name} AS glanced FORCE INDEX (${quoteName(index.name)})
            WHERE glanced.${quoteName(mapping.tenant)} = walked.tenant AND glanced.${quoteName(mapping.state)} = ${text(state)} ${rest})`;
  const tenant = quoteName(mapping.tenant);
  const within = ` AND ${tenant} >= ${tenantValue(from, tenantType)} AND ${tenant} <= ${tenantValue(to, tenantType)}`;
  const isDue = `${time} <= ${nowOf(readyAt)}`;
  const nth = `LIMIT 1 OFFSET ${most - 1}`;
  const told = isTimed
    ? [
        ...(readyAt.nullable ? [of(`IF(${time} IS NULL, 'untimed', NULL)`, `ORDER BY ${time} LIMIT 1`)] : []),
        of(`IF(${isDue}, 'due', 'later')`, `ORDER BY ${time} ${nth}`),
        of(`CONCAT(SUM(${isDue}), ' ', COUNT(*))`, ''),
      ]
    : [of(`'due'`, nth), of(`CONCAT(COUNT(*), ' ', COUNT(*))`, '')];
  const created = `glanced.${quoteName(mapping.createdAt)}`;
  const createdMs = dialect
    .ms(quoteName(mapping.createdAt))
    .replace(quoteName(mapping.createdAt), () => created);
  return `
  SELECT ${dialect.tenantText('walked.tenant')} AS tenant, walked.ends_later, COALESCE(${told.join(', ')}) AS told,
         ${isTimed ? dialect.number(dialect.ms(column)) : 'NULL'} AS ready_ms,
         ${isTimed ? of(dialect.number(createdMs), `ORDER BY ${time} LIMIT 1`) : 'NULL'} AS created_ms,
         ${isTimed ? `IF(walked.ends_later, ${of(`${time} > ${nowOf(readyAt)}`, `ORDER BY ${time} DESC ${nth}`)}, 0)` : '0'} AS full_later
    FROM (${walk(table, index, [state], within)}) AS walked
   WHERE walked.tenant IS NOT NULL
   LIMIT ${TENANTS_AT_MOST + 1}`;
}

/** Running jobs of all tenants in one state, as looks at each. Walks: the index, `atMost` entries with their rows. */
export function runningOfAll(
  dialect: Dialect,
  { name, mapping }: JobsTable,
  index: JobsIndex,
  { state, atMost }: { state: string; atMost: number },
): string {
  const tenant = quoteName(mapping.tenant);
  return `
  SELECT ${dialect.tenantText('tenant')} AS tenant, ${Number.MAX_SAFE_INTEGER} + 0e0 AS most,
         ${counts(dialect, mapping, 'running')}
    FROM (SELECT ${tenant} AS tenant, ${jobColumns(dialect, mapping, 'running', `'running'`)}
            FROM ${name} FORCE INDEX (${quoteName(index.name)})
           WHERE ${quoteName(mapping.state)} = ${text(state)} AND ${tenant} IS NOT NULL
           LIMIT ${atMost}) AS jobs
   GROUP BY tenant`;
}

/**
 * The optimiser's estimates of how many jobs of each group are due, in their order. Reads no rows: InnoDB looks at a few pages of
 * the index.
 */
export function dueEstimates(
  table: JobsTable,
  index: JobsIndex,
  { groups: asked, tenantType }: { groups: readonly Group[]; tenantType: string },
): string {
  const { name, mapping, readyAt } = table;
  const states = liveStates(mapping);
  return `EXPLAIN${asked
    .map(
      ({ place, tenant }) => `
  SELECT 1 FROM ${name} FORCE INDEX (${quoteName(index.name)})
   WHERE ${quoteName(mapping.tenant)} = ${tenantValue(tenant, tenantType)}
     AND ${quoteName(mapping.state)} = ${text(states[place] ?? '')} AND ${quoteName(readyAt.column)} <= ${nowOf(readyAt)}`,
    )
    .join('\n  UNION ALL')}`;
}

/** The counts of these groups, in statements of bearable size. Walks: the index, at most as many entries a look as are asked for. */
export function heads(
  dialect: Dialect,
  table: JobsTable,
  index: JobsIndex,
  { groups: asked, tenantType, most }: { groups: readonly Group[]; tenantType: string; most: number },
): string[] {
  const states = liveStates(table.mapping);
  const looks = asked.flatMap(({ place, tenant, ends_later }) =>
    probes(table)
      .filter(({ state, rows }) => state === states[place] && (ends_later || rows !== 'later'))
      .map((probe) => head(dialect, table, index, { probe, id: tenant, tenantType, most })),
  );
  const statements: string[] = [];
  for (let at = 0; at < looks.length; at += LOOKS_PER_STATEMENT) {
    statements.push(looks.slice(at, at + LOOKS_PER_STATEMENT).join('\n  UNION ALL'));
  }
  return statements;
}

interface HeadOf {
  probe: Probe;
  id: string;
  tenantType: string;
  most: number;
}

// Forced, so that no plan walks another index past other tenants' rows.
function head(
  dialect: Dialect,
  table: JobsTable,
  index: JobsIndex,
  { probe, id, tenantType, most }: HeadOf,
): string {
  const { name, mapping, readyAt } = table;
  const time = quoteName(readyAt.column);
  const now = nowOf(readyAt);
  const rows = {
    any: '',
    'without-ready-at': ` AND ${time} IS NULL`,
    due: ` AND ${time} <= ${now} ORDER BY ${time}`,
    later: ` AND ${time} > ${now}`,
  }[probe.rows];
  return `
  (SELECT ${text(id)} AS tenant, ${most} + 0e0 AS most,
         ${counts(dialect, mapping, probe.look)}
    FROM (SELECT ${jobColumns(dialect, mapping, probe.look, `'${probe.class}'`)}
            FROM ${name} FORCE INDEX (${quoteName(index.name)})
           WHERE ${quoteName(mapping.tenant)} = ${tenantValue(id, tenantType)}
             AND ${quoteName(mapping.state)} = ${text(probe.state)}${rows}
           LIMIT ${most}) AS jobs)`;
}
