// What a table must be to be read as jobs, whatever the database: its columns, its index, and what to tell about it.
import { HeadwayError } from '../../../../contract/errors.ts';
import type { JobsMapping } from '../../../../contract/settings.ts';
import { knownStates, readyColumn, TENANTS_AT_MOST, type JobsIndex } from './mapping-sql.ts';

/** Values of the state column that are looked for, rows looked at where no index lists them, and values that are named. */
export const STATES_LOOKED_FOR = 50;
export const ROWS_LOOKED_AT = 10_000;
const STATES_NAMED = 5;

export interface Column {
  type: string;
  nullable: boolean;
  /** Whether this account may read it. */
  readable: boolean;
}

/** "app.jobs" as its schema and table; the schema is null where none is named. */
export function tableParts(table: string): { schema: string | null; table: string } {
  const dot = table.indexOf('.');
  return dot < 0 ? { schema: null, table } : { schema: table.slice(0, dot), table: table.slice(dot + 1) };
}

/** The columns that the reader reads. Others of the mapping must exist too. */
export function readColumns(mapping: JobsMapping): string[] {
  const { tenant, state, createdAt, readyAt, startedAt, heartbeatAt, lockedBy } = mapping;
  return [...new Set([tenant, state, createdAt, readyAt, startedAt, heartbeatAt, lockedBy])].filter(isNamed);
}

const isNamed = (name: string | undefined): name is string => name !== undefined;

function timeColumns({ createdAt, readyAt, startedAt, heartbeatAt }: JobsMapping): string[] {
  return [...new Set([createdAt, readyAt, startedAt, heartbeatAt])].filter(isNamed);
}

/** Every column that the mapping names, with what it is named for. */
function mappedColumns(mapping: JobsMapping): { column: string; use: string }[] {
  const { maxAttempts, table: _table, states: _states, staleAfterSeconds: _seconds, ...columns } = mapping;
  const named = Object.entries({
    ...columns,
    ...(typeof maxAttempts === 'string' ? { maxAttempts } : {}),
  });
  return named.flatMap(([use, column]) => (typeof column === 'string' ? [{ column, use }] : []));
}

/** Rejects with `schema-mismatch` where a mapped column is not there, or no time where one is needed. */
export function checkColumns(
  mapping: JobsMapping,
  columns: ReadonlyMap<string, Column>,
  isTime: (type: string) => boolean,
): void {
  const absent = mappedColumns(mapping).filter(({ column }) => !columns.has(column));
  if (absent.length > 0) {
    const names = absent.map(({ column, use }) => `${column} (${use})`).join(', ');
    throw mismatch(
      `Table ${mapping.table} has no column ${names}. It was renamed or dropped, or the mapping names it wrongly: correct the mapping of this connection. Its columns are ${[...columns.keys()].join(', ')}.`,
    );
  }
  for (const name of timeColumns(mapping)) {
    const type = columns.get(name)?.type ?? '';
    if (!isTime(type)) {
      throw mismatch(
        `Column ${name} of table ${mapping.table} is of type ${type}, and a time is needed. Map a column that holds a date with time.`,
      );
    }
  }
}

export const mismatch = (message: string, cause?: unknown): HeadwayError =>
  new HeadwayError('schema-mismatch', message, { cause });

/** The index that serves best: by state first, as it leaves out tenants whose jobs are all done, and by time after. */
export function servingIndex(
  mapping: JobsMapping,
  indexes: readonly { name: string; columns: readonly (string | null)[] }[],
): JobsIndex | null {
  const candidates = indexes.flatMap(({ name, columns: [first, second, third] }): JobsIndex[] => {
    const byReadyAt = third === readyColumn(mapping);
    if (first === mapping.state && second === mapping.tenant) return [{ name, leads: 'state', byReadyAt }];
    if (first === mapping.tenant && second === mapping.state) return [{ name, leads: 'tenant', byReadyAt }];
    return [];
  });
  const rank = ({ leads, byReadyAt }: JobsIndex) => (byReadyAt ? 2 : 0) + (leads === 'state' ? 1 : 0);
  return candidates.sort((a, b) => rank(b) - rank(a))[0] ?? null;
}

/** The mapping without what the account may not read, and without which jobs can still be told. */
export function readableMapping(mapping: JobsMapping, columns: ReadonlyMap<string, Column>): JobsMapping {
  const { kind, finishedAt, attempts, maxAttempts, priority, error, payload, batch, ...needed } = mapping;
  const optional = { kind, finishedAt, attempts, maxAttempts, priority, error, payload, batch };
  return {
    ...needed,
    ...Object.fromEntries(
      Object.entries(optional).filter(
        ([, column]) =>
          column !== undefined && (typeof column === 'number' || columns.get(column)?.readable === true),
      ),
    ),
  };
}

/** The columns of the index that would serve. */
export const indexColumns = (mapping: JobsMapping): string[] => [
  mapping.state,
  mapping.tenant,
  readyColumn(mapping),
];

export interface Found {
  mapping: JobsMapping;
  index: JobsIndex | null;
  /** The statement that makes the index that would serve. */
  indexDdl: string;
  /** Time columns without a time zone, that the database does not know the moment of. */
  withoutZone: readonly string[];
  hidesRows: boolean;
  states: readonly string[];
  /** Whether some counted job has no tenant; null when it was not looked for. */
  hasJobsWithoutTenant: boolean;
  /** One more than are watched, where there are more. */
  tenants: number;
}

/** What the engineer should know before trusting the numbers. */
export function warningsOf(found: Found): string[] {
  const { mapping, index, indexDdl } = found;
  const known = new Set(knownStates(mapping));
  const unknown = found.states.filter((state) => !known.has(state));
  const warnings: string[] = [];
  if (found.hidesRows) {
    warnings.push(
      `Row-level security hides rows of ${mapping.table} from this account, so counts may be too low. Give it a policy that shows all rows, or BYPASSRLS.`,
    );
  }
  if (index === null) {
    warnings.push(
      `No index of ${mapping.table} starts with ${mapping.state} and ${mapping.tenant}, so every poll reads the whole table. This one would serve: ${indexDdl}`,
    );
  } else if (!index.byReadyAt) {
    warnings.push(
      `Index ${index.name} is not ordered by ${readyColumn(mapping)}, so the oldest job of a tenant with more than 200 is a bound. This one would make it exact: ${indexDdl}`,
    );
  }
  if (found.withoutZone.length > 0) {
    const are = found.withoutZone.length === 1 ? 'has no time zone; it is' : 'have no time zone; they are';
    warnings.push(`${found.withoutZone.join(', ')} ${are} read as UTC.`);
  }
  if (unknown.length > 0) {
    const named = unknown.slice(0, STATES_NAMED).map((state) => `'${state}'`);
    const more = unknown.length > STATES_NAMED ? ', …' : '';
    warnings.push(
      `Column ${mapping.state} also holds ${named.join(', ')}${more}, which the mapping gives no meaning; such jobs are counted nowhere.`,
    );
  }
  if (found.hasJobsWithoutTenant) {
    warnings.push(`Jobs whose ${mapping.tenant} is null are counted nowhere.`);
  }
  if (found.tenants > TENANTS_AT_MOST) {
    warnings.push(
      `There are more than ${TENANTS_AT_MOST.toLocaleString('en')} different values of ${mapping.tenant}; no more are watched.`,
    );
  }
  return warnings;
}

/** Runs a walk over the whole table; one that takes too long says which index would help. */
export async function withinBudget<T>(
  found: Pick<Found, 'index' | 'indexDdl'>,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof HeadwayError) || error.code !== 'budget-exceeded' || found.index !== null)
      throw error;
    throw new HeadwayError('budget-exceeded', `${error.message} An index would help: ${found.indexDdl}`, {
      retryable: true,
      cause: error,
    });
  }
}
