// The statements of lists and of a job's page on a mapped table, in the words of either database.
import { ERROR_CHARS, type JobList } from '../../../../contract/queue-jobs.ts';
import type { JobsMapping } from '../../../../contract/settings.ts';
import { PAYLOAD_SHOWN_CHARS } from '../../../../core/shown-payload.ts';
import type { Column } from './jobs-table.ts';
import type { Dialect } from './mapping-sql.ts';

/** The words of one database that looks need beside a poll's. Columns are named unquoted. */
export interface LookDialect extends Dialect {
  /** A value of a column as a literal; null for a text that cannot be one. */
  readonly value: (column: string, text: string) => string | null;
  readonly columnText: (column: string) => string;
  /** A time as text that can be compared with it again. */
  readonly plainText: (expression: string) => string;
  /** A whole number as text. */
  readonly wholeText: (expression: string) => string;
  /** The first characters of a column as text. */
  readonly beginning: (column: string, chars: number) => string;
  /** The statement's moment, to be compared with a time column. */
  readonly nowFor: (column: string) => string;
  readonly isNumber: (column: string) => boolean;
  /** Whether an index may cover some rows only. */
  readonly partialIndexes: boolean;
  /** What follows a table's name so that the planner walks this index; may be empty. */
  readonly force: (index: string) => string;
}

/** A mapped table as looks see it. */
export interface LookTable {
  /** Quoted. */
  name: string;
  /** Without columns that the account may not read. */
  mapping: JobsMapping;
  /** Those that may be read, in their order. */
  columns: ReadonlyMap<string, Column>;
  indexes: readonly { name: string; columns: readonly (string | null)[] }[];
  dialect: LookDialect;
}

export type TableList = Exclude<JobList, 'blocked'>;

/** How a list is read. */
export interface ListPlan {
  /** Values of the state column, each with what else a row must meet. */
  branches: readonly { state: string; and: string }[];
  /** What the list is ordered by: a column, or whole epoch ms of the first time that a row has. */
  key: { column: string | null; sql: string };
  direction: 'ASC' | 'DESC';
  /** The index to walk; null when none leads to the rows. */
  index: string | null;
  /** Columns of an index that would serve; null where one has the rows in order, or as near as any could. */
  wanted: readonly string[] | null;
}

export function listPlan(table: LookTable, list: TableList, ofTenant: boolean): ListPlan {
  const { mapping, dialect, indexes } = table;
  const { states, tenant, state } = mapping;
  const key = keyOf(table, list);
  const now = key.column === null ? dialect.nowMs : dialect.nowFor(key.column);
  const each = (values: readonly string[], and = '') => values.map((value) => ({ state: value, and }));
  const branches = {
    ready: () => each(states.ready, ` AND ${key.sql} <= ${now}`),
    delayed: () => [...each(states.ready, ` AND ${key.sql} > ${now}`), ...each(states.delayed)],
    running: () => each(states.running),
    held: () => each(states.held),
    dead: () => each(states.dead),
  }[list]();
  const leads = ofTenant
    ? [
        [state, tenant],
        [tenant, state],
      ]
    : [[state]];
  const leading = (tail: readonly string[]) =>
    indexes.find(({ columns }) =>
      leads.some((lead) => [...lead, ...tail].every((column, i) => columns[i] === column)),
    )?.name ?? null;
  const inOrder = key.column === null ? null : leading([key.column]);
  const near = inOrder ?? leading([]);
  const isServed = key.column === null ? near !== null : inOrder !== null;
  return {
    branches,
    key,
    direction: list === 'dead' ? 'DESC' : 'ASC',
    index: near,
    wanted: isServed ? null : [...(leads[0] ?? []), ...(key.column === null ? [] : [key.column])],
  };
}

/** A column that always has a time can be walked in order; else the first time of several counts, in whole ms. */
function keyOf({ mapping, columns, dialect }: LookTable, list: TableList): ListPlan['key'] {
  const { createdAt, readyAt, startedAt, heartbeatAt, finishedAt } = mapping;
  const ms = (column: string) => dialect.ms(dialect.name(column));
  const firstOf = (chain: readonly (string | undefined)[]): ListPlan['key'] => {
    const named = chain.filter((column) => column !== undefined);
    const [first] = named;
    if (first !== undefined && columns.get(first)?.nullable === false)
      return { column: first, sql: dialect.name(first) };
    return { column: null, sql: `COALESCE(${[...named.map(ms), '0'].join(', ')})` };
  };
  if (list === 'running') return firstOf([startedAt, heartbeatAt, createdAt]);
  if (list === 'dead') return firstOf([finishedAt, heartbeatAt, createdAt]);
  if (readyAt === undefined || readyAt === createdAt) return firstOf([createdAt]);
  const [created, ready] = [ms(createdAt), ms(readyAt)];
  return { column: null, sql: `COALESCE(GREATEST(${created}, ${ready}), ${ready}, ${created}, 0)` };
}

export interface Place {
  /** As `place` of the last row shown. */
  key: string;
  /** The job's id as text. */
  id: string;
}

/**
 * A page of a list. Walks: the plan's index, where that has the list's order a page's entries a state; else all rows in the states
 * (of the tenant), which are sorted. Null where the place's id, or the tenant, cannot be values of their columns.
 */
export function listJobs(
  table: LookTable,
  plan: ListPlan,
  { tenantId, place, limit }: { tenantId: string | null; place: Place | null; limit: number },
): string | null {
  const { name, mapping, columns, dialect } = table;
  const id = dialect.name(mapping.id);
  const { key, direction, index } = plan;
  const tenant = dialect.name(mapping.tenant);
  const tenantValue = tenantId === null ? null : dialect.value(mapping.tenant, tenantId);
  if (tenantId !== null && tenantValue === null) return null;
  const ofTenant =
    tenantValue !== null
      ? ` AND ${tenant} = ${tenantValue}`
      : columns.get(mapping.tenant)?.nullable === false
        ? ''
        : ` AND ${tenant} IS NOT NULL`;
  const beyond = placeCondition(table, plan, place);
  if (beyond === null) return null;
  const order = (by: string) => `${by} ${direction}, ${id} ${direction}`;
  const raw = shownColumns(table).map(dialect.name).join(', ');
  const from = `${name}${index === null ? '' : dialect.force(index)}`;
  const branches = plan.branches.map(
    ({ state, and }) => `
    (SELECT ${raw}, ${key.sql} AS headway_place
       FROM ${from}
      WHERE ${dialect.name(mapping.state)} = ${dialect.text(state)}${ofTenant}${and}${beyond}
      ORDER BY ${order(key.sql)}
      LIMIT ${limit})`,
  );
  const placeText =
    key.column === null ? dialect.wholeText('headway_place') : dialect.plainText('headway_place');
  return `
  SELECT ${jobColumns(table)}, ${placeText} AS place
    FROM (SELECT * FROM (${branches.join('\n    UNION ALL')}) AS every
           ORDER BY ${order('headway_place')} LIMIT ${limit}) AS page
   ORDER BY page.headway_place ${direction}, page.${id} ${direction}`;
}

function placeCondition(
  { mapping, dialect }: LookTable,
  { key, direction }: ListPlan,
  place: Place | null,
): string | null {
  if (place === null) return '';
  const id = dialect.value(mapping.id, place.id);
  const isNumber = /^-?\d{1,16}$/.test(place.key);
  if (id === null || isNumber !== (key.column === null)) return null;
  const at = isNumber ? place.key : dialect.text(place.key);
  const sign = direction === 'ASC' ? '>' : '<';
  // Written out, as a comparison of pairs is not walked by an index everywhere.
  return ` AND ${key.sql} ${sign}= ${at} AND (${key.sql} ${sign} ${at} OR ${dialect.name(mapping.id)} ${sign} ${id})`;
}

/** The columns that a job is told by. */
function shownColumns({ mapping }: LookTable): string[] {
  const { payload: _, batch: __, table: ___, states: ____, staleAfterSeconds: _____, ...rest } = mapping;
  return [...new Set(Object.values(rest).filter((column) => typeof column === 'string'))];
}

function jobColumns({ mapping, dialect }: LookTable): string {
  const { maxAttempts } = mapping;
  const ms = (column: string | undefined) =>
    dialect.number(column === undefined ? 'NULL' : dialect.ms(dialect.name(column)));
  const number = (column: string | undefined) =>
    dialect.number(column !== undefined && dialect.isNumber(column) ? dialect.name(column) : 'NULL');
  const text = (column: string | undefined) =>
    column === undefined ? 'NULL' : dialect.beginning(column, ERROR_CHARS);
  return `${dialect.columnText(mapping.id)} AS id, ${dialect.columnText(mapping.tenant)} AS tenant,
         ${text(mapping.kind)} AS kind, ${dialect.columnText(mapping.state)} AS state,
         ${ms(mapping.createdAt)} AS created_ms, ${ms(mapping.readyAt)} AS ready_ms, ${ms(mapping.startedAt)} AS started_ms,
         ${ms(mapping.finishedAt)} AS finished_ms, ${ms(mapping.heartbeatAt)} AS beat_ms,
         ${number(mapping.attempts)} AS attempts, ${typeof maxAttempts === 'number' ? dialect.number(String(maxAttempts)) : number(maxAttempts)} AS max_attempts,
         ${number(mapping.priority)} AS priority, ${text(mapping.lockedBy)} AS locked_by, ${text(mapping.error)} AS error,
         ${dialect.number(dialect.nowMs)} AS now_ms`;
}

/** Columns of a row beside its payload, as `f0`, `f1` and so on. */
export const fieldNames = ({ mapping, columns }: LookTable): string[] =>
  [...columns.keys()].filter((column) => column !== mapping.payload);

/** One job, whole. Walks: whichever index the id has. Null where the id cannot be one. */
export function oneJob(table: LookTable, id: string): string | null {
  const { name, mapping, dialect } = table;
  const value = dialect.value(mapping.id, id);
  if (value === null) return null;
  const fields = fieldNames(table).map(
    (column, i) => `${dialect.beginning(column, ERROR_CHARS + 1)} AS f${i}`,
  );
  const payload =
    mapping.payload === undefined ? 'NULL' : dialect.beginning(mapping.payload, PAYLOAD_SHOWN_CHARS + 1);
  return `
  SELECT ${[jobColumns(table), ...fields].join(',\n         ')}, ${payload} AS payload
    FROM ${name}
   WHERE ${dialect.name(mapping.id)} = ${value}
   LIMIT 1`;
}
