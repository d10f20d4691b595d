// Lists, a job's page and the claims of a mapped table: the same for both databases, which differ in their words only.
import type { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import {
  ERROR_CHARS,
  type JobsPage,
  type JobsQuery,
  type LocksPage,
  type LocksQuery,
  type QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import { shownPayload } from '../../../../core/shown-payload.ts';
import {
  detailRow,
  foreignCursor,
  listedRow,
  readCursor,
  tableJob,
  tableLock,
  writeCursor,
} from './look-rows.ts';
import { fieldNames, listJobs, listPlan, oneJob, type ListPlan, type LookTable } from './look-sql.ts';

/** What differs between the databases when a look is taken. */
export interface LookDatabase {
  rows: <S extends z.ZodType>(row: S, sql: string, signal: AbortSignal) => Promise<z.infer<S>[]>;
  /** The statement that makes an index on these columns. */
  indexDdl: (columns: readonly string[]) => string;
  /** Whether the server refused a literal because its column's type has no such value. */
  isNoValue: (error: unknown) => boolean;
}

/** Rejects with `bad-request` for a cursor of another list, or for a tenant that its column cannot hold. */
export async function tableJobs(
  database: LookDatabase,
  table: LookTable,
  { list, tenantId, after, limit }: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  const { mapping } = table;
  if (list === 'blocked') return empty('A mapped table does not tell what jobs wait for.');
  const place = readCursor(list, after);
  const plan = listPlan(table, list, tenantId !== null);
  if (plan.branches.length === 0) return empty(`The mapping names no state of ${list} jobs.`);
  const statement = listJobs(table, plan, { tenantId, place, limit: limit + 1 });
  if (statement === null) throw place === null ? foreignTenant(table, tenantId) : foreignCursor();
  const rows = await withinLook(database, table, plan, async () => {
    try {
      return await database.rows(listedRow, statement, signal);
    } catch (error) {
      if (!database.isNoValue(error)) throw error;
      throw place === null ? foreignTenant(table, tenantId, error) : foreignCursor(error);
    }
  });
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    jobs: shown.map((row) => tableJob(row, mapping)),
    next: rows.length > limit && last ? writeCursor(list, { key: last.place, id: last.id ?? '' }) : null,
    note: plan.wanted === null ? null : unserved(database, table, plan.wanted),
  };
}

export async function tableJobDetail(
  database: LookDatabase,
  table: LookTable,
  id: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  const statement = oneJob(table, id);
  if (statement === null) return null;
  const [row] = await database.rows(detailRow, statement, signal).catch((error: unknown) => {
    if (database.isNoValue(error)) return [];
    throw error;
  });
  if (row === undefined) return null;
  return {
    job: tableJob(row, table.mapping),
    fields: fieldNames(table).map((name, i) => ({ name, value: cut(row[`f${i}`]) })),
    payload: row.payload === null ? null : shownPayload(row.payload, []),
    // A row holds its last error alone.
    attempts: [],
  };
}

export async function tableLocks(
  database: LookDatabase,
  table: LookTable,
  { tenantId, limit }: LocksQuery,
  signal: AbortSignal,
): Promise<LocksPage> {
  const { mapping } = table;
  const { lockedBy, startedAt, heartbeatAt, states, state, staleAfterSeconds } = mapping;
  if (states.running.length === 0 || (lockedBy ?? startedAt ?? heartbeatAt) === undefined)
    return {
      locks: [],
      rule: 'The mapping names no running state, or no column (locked by, started at, heartbeat) that tells of a claim.',
      more: false,
    };

  const plan = listPlan(table, 'running', tenantId !== null);
  const statement = listJobs(table, plan, { tenantId, place: null, limit: limit + 1 });
  if (statement === null) throw foreignTenant(table, tenantId);
  const rows = await withinLook(database, table, plan, async () => {
    try {
      return await database.rows(listedRow, statement, signal);
    } catch (error) {
      throw database.isNoValue(error) ? foreignTenant(table, tenantId, error) : error;
    }
  });
  const values = states.running.map((value) => `'${value}'`).join(' or ');
  const stale =
    heartbeatAt === undefined
      ? 'The mapping names no heartbeat, so that no claim is known to be stale.'
      : `It is stale when its ${heartbeatAt} is older than ${staleAfterSeconds.toLocaleString('en')} s; what the program does then, the table does not tell.`;
  return {
    locks: rows.slice(0, limit).map((row) => tableLock(row, mapping)),
    rule: `A job whose ${state} is ${values} belongs to its worker. ${stale}`,
    more: rows.length > limit,
  };
}

function foreignTenant({ mapping }: LookTable, tenantId: string | null, cause?: unknown): HeadwayError {
  return new HeadwayError(
    'bad-request',
    `"${tenantId ?? ''}" cannot be a value of ${mapping.tenant}, the tenant of ${mapping.table}.`,
    { cause },
  );
}

/** A list that takes too long says which index would help, or that a tenant would. */
async function withinLook<T>(
  database: LookDatabase,
  table: LookTable,
  { wanted, key }: ListPlan,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof HeadwayError) || error.code !== 'budget-exceeded') throw error;
    const why =
      wanted !== null
        ? unserved(database, table, wanted)
        : key.column === null
          ? `The order of this list is of more than one column, so that all of its jobs are read and sorted: ask for one ${table.mapping.tenant}, or map times that are never null.`
          : '';
    throw new HeadwayError('budget-exceeded', `${error.message} ${why}`.trim(), {
      retryable: true,
      cause: error,
    });
  }
}

const unserved = (database: LookDatabase, { mapping }: LookTable, wanted: readonly string[]): string =>
  `No index of ${mapping.table} has these jobs in this order, so each page reads more than it shows. This one would serve: ${database.indexDdl(wanted)}`;

function cut(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  return value.length > ERROR_CHARS ? `${value.slice(0, ERROR_CHARS)}…` : value;
}

const empty = (note: string): JobsPage => ({ jobs: [], next: null, note });
