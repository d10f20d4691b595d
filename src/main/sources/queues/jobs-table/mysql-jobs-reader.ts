// A mapped table of jobs in MySQL or MariaDB.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { JobsMapping } from '../../../../contract/settings.ts';
import { quoteName } from '../../mysql-errors.ts';
import type { MysqlSession } from '../../mysql-session.ts';
import type { QueueReader } from '../queue-reader.ts';
import {
  checkColumns,
  indexColumns,
  mismatch,
  readableMapping,
  readColumns,
  ROWS_LOOKED_AT,
  servingIndex,
  STATES_LOOKED_FOR,
  tableParts,
  warningsOf,
  withinBudget,
  type Column,
} from './jobs-table.ts';
import { jobsTableCapabilities } from './capabilities.ts';
import { tableJobDetail, tableJobs, tableLocks, type LookDatabase } from './job-looks.ts';
import { JobsPoll } from './jobs-poll.ts';
import type { LookTable } from './look-sql.ts';
import {
  HEAD_ROWS,
  knownStates,
  liveStates,
  readyColumn,
  TENANTS_AT_MOST,
  wholeTable,
  type JobsTable,
} from './mapping-sql.ts';
import { heads } from './mysql-poll-sql.ts';
import * as sql from './mysql-sql.ts';
import { mysqlPoll } from './mysql-poll.ts';
import { countedRow, tenantSamples } from './tenant-samples.ts';
import { sampleValues, watchedTable } from './watched.ts';

const relationRow = z.object({ kind: z.string() });
const columnRow = z.object({
  name: z.string(),
  type: z.string().transform((type) => type.toLowerCase()),
  nullable: z.number().transform((value) => value !== 0),
  readable: z.number().transform((value) => value !== 0),
});
const sampleRow = z.object({
  tenant: z.string().nullable(),
  kind: z.string().nullable(),
  batch: z.string().nullable(),
});
const indexRow = z.object({
  name: z.string(),
  column_name: z.string().nullable(),
  part: z.number().nullable(),
});
const clockRow = z.object({ now_ms: z.number() });
const stateRow = z.object({ state: z.string() });
const tenantRow = z.object({ tenant: z.string() });
const statusRow = z.object({ Value: z.coerce.number() });

/**
 * Looks at the table that the mapping describes. Rejects with `schema-mismatch` where it is no table or a mapped column
 * is absent, and with `grant-missing` where the account may not read it.
 */
export async function inspectMysqlJobs(
  session: MysqlSession,
  mapping: JobsMapping,
  signal: AbortSignal,
): Promise<QueueReader<MysqlSession>> {
  const { schema, table: bare } = tableParts(mapping.table);
  const name = schema === null ? quoteName(bare) : `${quoteName(schema)}.${quoteName(bare)}`;
  await findTable(session, { mapping, name }, signal);
  const columnRows = await session.rows(columnRow, sql.columns(schema, bare), signal);
  const columns = new Map(columnRows.map(({ name: column, ...rest }) => [column, rest]));
  await touchAbsent(session, { mapping, name, columns }, signal);
  checkColumns(mapping, columns, (type) => /^(timestamp|datetime|date)$/.test(type));

  const column = readyColumn(mapping);
  const { type, nullable } = columns.get(column) ?? { type: 'datetime', nullable: true };
  const indexes = await readIndexes(session, { schema, bare }, signal);
  const index = servingIndex(mapping, indexes);
  const table: JobsTable = { name, mapping, readyAt: { column, type, nullable }, index };
  const tenantType = columns.get(mapping.tenant)?.type ?? '';
  const dialect = sql.mysqlDialect(new Map(columnRows.map((each) => [each.name, each.type])), tenantType);

  const found = { mapping, index, indexDdl: indexDdl(table, columns, indexColumns(mapping)) };
  const looked = sql.someStates(table, STATES_LOOKED_FOR, ROWS_LOOKED_AT);
  const states = await session.rows(stateRow, looked, signal);
  const listAll = index
    ? sql.tenants(dialect, table, index, knownStates(mapping))
    : sql.tenantsOfWholeTable(dialect, table);
  const listed = index ? await session.rows(tenantRow, listAll, signal) : [];
  const orphans =
    index && columns.get(mapping.tenant)?.nullable === true
      ? await session.rows(z.unknown(), sql.withoutTenant(table), signal)
      : [];
  const warnings = warningsOf({
    ...found,
    withoutZone: readColumns(mapping).filter((each) => /^date/.test(columns.get(each)?.type ?? '')),
    hidesRows: false,
    states: states.map(({ state }) => state),
    hasJobsWithoutTenant: orphans.length > 0,
    tenants: listed.length,
  });

  const poll = index
    ? new JobsPoll<MysqlSession>(mysqlPoll({ dialect, table, index, tenantType }), table)
    : {
        sample: async (on: MysqlSession, limit: AbortSignal) =>
          tenantSamples(await on.rows(countedRow, wholeTable(dialect, table), limit), mapping),
      };

  const readable = new Map([...columns].filter(([, each]) => each.readable));
  const look: LookTable = {
    ...{ name, columns: readable, indexes, dialect: sql.mysqlLooks(columns, dialect) },
    mapping: readableMapping(mapping, columns),
  };
  const database = (on: MysqlSession): LookDatabase => ({
    rows: (row, statement, limit) => on.rows(row, statement, limit),
    indexDdl: (names) => indexDdl(table, columns, names, 'headway_list'),
    // What cannot be a value is told before.
    isNoValue: () => false,
  });

  return {
    system: `Jobs table ${mapping.table}`,
    tenantWord: mapping.tenant,
    warnings,
    capabilities: jobsTableCapabilities(mapping, index),
    claimOrder: null,
    async tenants(on, limit) {
      const rows = await withinBudget(found, () => on.rows(tenantRow, listAll, limit));
      return rows.slice(0, TENANTS_AT_MOST).map(({ tenant }) => ({ id: tenant, name: tenant, detail: '' }));
    },
    async sample(on, limit) {
      const before = await handlerReads(on, limit);
      const read = await withinBudget(found, () => poll.sample(on, limit));
      const after = await handlerReads(on, limit);
      const { now_ms } = await on.row(clockRow, sql.clock, limit);
      return { databaseTimeMs: now_ms, ...read, kinds: null, rowsRead: after - before };
    },
    jobs: (on, query, limit) => tableJobs(database(on), look, query, limit),
    job: (on, id, limit) => tableJobDetail(database(on), look, id, limit),
    locks: (on, query, limit) => tableLocks(database(on), look, query, limit),
    async watched(on, limit) {
      const [sample = { tenant: null, kind: null, batch: null }] = await on.rows(
        sampleRow,
        sampleValues(look),
        limit,
      );
      const tenant = sample.tenant ?? '';
      const groups = liveStates(mapping).map((_, place) => ({ place, tenant, ends_later: true }));
      const [polled = wholeTable(dialect, table)] = index
        ? heads(dialect, table, index, { groups, tenantType, most: HEAD_ROWS.most })
        : [];
      return watchedTable(look, polled, sample);
    },
  };
}

async function findTable(
  session: MysqlSession,
  { mapping, name }: { mapping: JobsMapping; name: string },
  signal: AbortSignal,
): Promise<void> {
  const { schema, table } = tableParts(mapping.table);
  const [relation] = await session.rows(relationRow, sql.relation(schema, table), signal);
  if (relation === undefined) {
    try {
      await session.rows(z.unknown(), sql.touch(name, []), signal);
    } catch (error) {
      if (!(error instanceof HeadwayError) || error.code !== 'schema-mismatch') throw error;
      throw mismatch(
        `There is no table ${mapping.table}. Check its name in the mapping, with its database in front ("app.jobs") if it is another one than the connection's.`,
        error,
      );
    }
  } else if (relation.kind !== 'BASE TABLE') {
    throw mismatch(
      `${mapping.table} is a ${relation.kind.toLowerCase()}, whose rows cannot be walked by an index. Map the table that holds the jobs.`,
    );
  }
}

/** A column that the account may not see looks absent: asking for it tells which of the two it is. */
async function touchAbsent(
  session: MysqlSession,
  { mapping, name, columns }: { mapping: JobsMapping; name: string; columns: ReadonlyMap<string, Column> },
  signal: AbortSignal,
): Promise<void> {
  const unseen = readColumns(mapping).filter((column) => !columns.has(column));
  try {
    await session.rows(
      z.unknown(),
      sql.touch(name, unseen.length > 0 ? unseen : readColumns(mapping)),
      signal,
    );
  } catch (error) {
    // What is really absent is told by name afterwards.
    if (!(error instanceof HeadwayError) || error.code !== 'schema-mismatch') throw error;
  }
}

async function readIndexes(
  session: MysqlSession,
  { schema, bare }: { schema: string | null; bare: string },
  signal: AbortSignal,
): Promise<{ name: string; columns: (string | null)[] }[]> {
  const rows = await session.rows(indexRow, sql.indexes(schema, bare), signal);
  return [...Map.groupBy(rows, (row) => row.name)].map(([name, parts]) => ({
    name,
    // The start of a value orders nothing by the value.
    columns: parts.map(({ column_name: column, part }) => (part === null ? column : null)),
  }));
}

function indexDdl(
  { name }: JobsTable,
  columns: ReadonlyMap<string, Column>,
  names: readonly string[],
  called = 'headway_jobs',
): string {
  const long = names.filter((column) => /text|blob/.test(columns.get(column)?.type ?? ''));
  const first =
    long.length === 0
      ? ''
      : ` (after ${long.join(' and ')} became VARCHAR(255): a text column cannot be indexed whole)`;
  return `CREATE INDEX ${called} ON ${name} (${names.map(quoteName).join(', ')}) ALGORITHM=INPLACE LOCK=NONE;${first}`;
}

async function handlerReads(session: MysqlSession, signal: AbortSignal): Promise<number> {
  const rows = await session.rows(statusRow, sql.handlerReads, signal);
  return rows.reduce((sum, { Value }) => sum + Value, 0);
}
