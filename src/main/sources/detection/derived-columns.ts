// Columns that a table of jobs lacks and that the database can keep by itself from those it has: a state told by times, and times
// told by seconds. Pure.
import type { DatabaseType } from '../../../contract/queue-systems.ts';
import type { JobsMapping } from '../../../contract/settings.ts';
import { quoteName } from '../mysql-errors.ts';
import { quotePgName } from '../postgres-errors.ts';
import { classOf, columnsFor, type Role } from './column-roles.ts';
import type { LookedColumn, TableLook } from './table-look.ts';

export interface DerivedColumn {
  name: string;
  definition: string;
}

export const DERIVED_STATE = 'headway_state';

export interface DerivedState {
  column: DerivedColumn;
  states: JobsMapping['states'];
  /** "failed_at, locked_at" */
  from: string[];
  tellsRunning: boolean;
}

/** A state told by which of its times are set; null where none of them is kept. */
export function derivedState({ database, columns }: TableLook): DerivedState | null {
  const first = (role: Role) => columnsFor(role, columns)[0];
  const failed = first('failedAt');
  const finished = first('finishedAt');
  const locked = first('lockedAt') ?? first('startedAt');
  const quote = quoteIn(database);
  const parts = [
    { column: finished, word: 'done' },
    { column: failed, word: 'dead' },
    { column: locked, word: 'running' },
  ].filter((part) => part.column !== undefined);
  if (parts.length === 0) return null;
  const when = parts
    .map(({ column, word }) => `WHEN ${quote(column?.name ?? '')} IS NOT NULL THEN '${word}'`)
    .join(' ');
  const expression = `CASE ${when} ELSE 'ready' END`;
  return {
    column: {
      name: DERIVED_STATE,
      definition:
        database === 'postgres'
          ? `text GENERATED ALWAYS AS (${expression}) STORED`
          : `varchar(8) AS (${expression}) VIRTUAL`,
    },
    states: {
      ready: ['ready'],
      running: locked === undefined ? [] : ['running'],
      delayed: [],
      held: [],
      dead: failed === undefined ? [] : ['dead'],
      done: finished === undefined ? [] : ['done'],
    },
    from: parts.map(({ column }) => column?.name ?? ''),
    tellsRunning: locked !== undefined,
  };
}

/** A time column as a mapping can name it: itself, or one told by the seconds that it holds. */
export function timeColumn(
  { database }: TableLook,
  column: LookedColumn,
): { name: string; derived: DerivedColumn | null } {
  if (classOf(column.type) === 'time') return { name: column.name, derived: null };
  const name = `headway_${column.name}`;
  const value = quoteIn(database)(column.name);
  const isMs = holdsMilliseconds(column);
  return {
    name,
    derived: {
      name,
      definition:
        database === 'postgres'
          ? `timestamptz GENERATED ALWAYS AS (to_timestamp(${value}${isMs ? ' / 1000.0' : ''})) STORED`
          : `datetime(3) AS (TIMESTAMPADD(MICROSECOND, ${value} * ${isMs ? '1000' : '1000000'}, '1970-01-01')) VIRTUAL`,
    },
  };
}

/** Seconds since 1970 fit 32 bits until 2038; programs that count milliseconds need more. */
export const holdsMilliseconds = ({ type }: LookedColumn): boolean => /^(bigint|int8)/i.test(type);

/** What an administrator would run, and what it costs. */
export function derivedDoubt({ database, quotedName }: TableLook, derived: readonly DerivedColumn[]): string {
  const quote = quoteIn(database);
  const added = derived.map(({ name, definition }) => `ADD COLUMN ${quote(name)} ${definition}`);
  const cost =
    database === 'postgres'
      ? 'That rewrites the table, which nobody can use meanwhile'
      : 'That takes a moment, in which the table is locked';
  return `The database can keep what is missing by itself, and the mapping below is right once it does. ${cost}; workers that insert without naming their columns would fail. An administrator runs: ALTER TABLE ${quotedName} ${added.join(', ')};`;
}

const quoteIn = (database: DatabaseType) => (database === 'postgres' ? quotePgName : quoteName);
