// The statements of a poll of a mapped table in MySQL and MariaDB, with the index each walks.
import { quoteName } from '../../mysql-errors.ts';
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
import { isBinary, text } from './mysql-sql.ts';

/** Looks at tenants that one statement takes. */
const LOOKS_PER_STATEMENT = 200;

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
