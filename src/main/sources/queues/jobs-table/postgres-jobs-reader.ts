// A mapped table of jobs in PostgreSQL.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { JobsMapping } from '../../../../contract/settings.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
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
} from './jobs-table.ts';
import { jobsTableCapabilities } from './capabilities.ts';
import { tableJobDetail, tableJobs, tableLocks, type LookDatabase } from './job-looks.ts';
import type { LookTable } from './look-sql.ts';
import { JobsPoll } from './jobs-poll.ts';
import { knownStates, readyColumn, TENANTS_AT_MOST, wholeTable, type JobsTable } from './mapping-sql.ts';
import * as sql from './postgres-sql.ts';
import { postgresPoll } from './postgres-poll.ts';
import { countedRow, tenantSamples } from './tenant-samples.ts';
import { sampleValues, watchedTable } from './watched.ts';

const relationRow = z.object({ kind: z.string(), oid: z.string(), hides_rows: z.boolean() });
const columnRow = z.object({
  name: z.string(),
  type: z.string(),
  nullable: z.boolean(),
  readable: z.boolean(),
});
const sampleRow = z.object({
  tenant: z.string().nullable(),
  kind: z.string().nullable(),
  batch: z.string().nullable(),
});
const indexRow = z.object({
  name: z.string(),
  columns: z.string().transform((json) => z.array(z.string().nullable()).parse(JSON.parse(json))),
  ascending: z.boolean(),
});
const clockRow = z.object({ now_ms: z.number() });
const stateRow = z.object({ state: z.string() });
const tenantRow = z.object({ tenant: z.string() });

const notTables: Record<string, string> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  c: 'a composite type',
  S: 'a sequence',
};

/**
 * Looks at the table that the mapping describes. Rejects with `schema-mismatch` where it is no table, a mapped column
 * is absent or the states do not fit their column, and with `grant-missing` where the account may not read it.
 */
export async function inspectPostgresJobs(
  session: PostgresSession,
  mapping: JobsMapping,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  await session.rows(z.unknown(), sql.planning, signal);
  const { name, oid, hidesRows } = await findTable(session, mapping, signal);
  const columnRows = await session.rows(columnRow, sql.columns, signal, [oid]);
  const columns = new Map(columnRows.map(({ name: column, ...rest }) => [column, rest]));
  checkColumns(mapping, columns, (type) => /^(timestamp|date)/.test(type));
  const column = readyColumn(mapping);
  const { type, nullable } = columns.get(column) ?? { type: 'timestamp with time zone', nullable: true };
  const indexes = await session.rows(indexRow, sql.indexes, signal, [oid]);
  const table: JobsTable = {
    name,
    mapping,
    readyAt: { column, type, nullable },
    index: servingIndex(
      mapping,
      indexes.filter(({ ascending }) => ascending),
    ),
  };
  await touch(session, table, signal);

  const ddl = (names: readonly string[]) =>
    `CREATE INDEX CONCURRENTLY ON ${name} (${names.map(quotePgName).join(', ')});`;
  const indexDdl = ddl(indexColumns(mapping));
  const found = { mapping, index: table.index, indexDdl };
  const states = await session.rows(
    stateRow,
    sql.someStates(table, STATES_LOOKED_FOR, ROWS_LOOKED_AT),
    signal,
  );
  const { index } = table;
  const listed = index
    ? await session.rows(tenantRow, sql.tenants(table, index, knownStates(mapping)), signal)
    : [];
  const orphans =
    index && columns.get(mapping.tenant)?.nullable === true
      ? await session.rows(z.unknown(), sql.withoutTenant(table), signal)
      : [];
  const warnings = warningsOf({
    ...found,
    withoutZone: readColumns(mapping).filter((each) =>
      /^(timestamp without|date)/.test(columns.get(each)?.type ?? ''),
    ),
    hidesRows,
    states: states.map(({ state }) => state),
    hasJobsWithoutTenant: orphans.length > 0,
    tenants: listed.length,
  });

  const ascending = indexes.filter((each) => each.ascending);
  const readable = new Map([...columns].filter(([, each]) => each.readable));
  const dialect = sql.postgresLooks(columns);
  const look: LookTable = {
    ...{ name, columns: readable, indexes: ascending, dialect },
    mapping: readableMapping(mapping, columns),
  };
  const database = (on: PostgresSession): LookDatabase => ({
    async rows(row, statement, limit) {
      await on.rows(z.unknown(), sql.lookPlanning, limit);
      return on.rows(row, statement, limit);
    },
    indexDdl: ddl,
    isNoValue,
  });
  const tenantType = columns.get(mapping.tenant)?.type ?? 'text';
  const whole = wholeTable(sql.postgresDialect, table);
  const poll = index
    ? new JobsPoll<PostgresSession>(postgresPoll(table, index, tenantType), table)
    : {
        sample: async (on: PostgresSession, limit: AbortSignal) =>
          tenantSamples(await on.rows(countedRow, whole, limit), mapping),
      };

  return {
    system: `Jobs table ${mapping.table}`,
    tenantWord: mapping.tenant,
    warnings,
    capabilities: jobsTableCapabilities(mapping, index),
    claimOrder: null,
    async tenants(on, limit) {
      const statement = index
        ? sql.tenants(table, index, knownStates(mapping))
        : sql.tenantsOfWholeTable(table);
      const rows = await withinBudget(found, () => on.rows(tenantRow, statement, limit));
      return rows.slice(0, TENANTS_AT_MOST).map(({ tenant }) => ({ id: tenant, name: tenant, detail: '' }));
    },
    async sample(on, limit) {
      const read = await withinBudget(found, () => poll.sample(on, limit));
      const { now_ms } = await on.row(clockRow, sql.clock, limit);
      return { databaseTimeMs: now_ms, ...read, kinds: null, rowsRead: null };
    },
    jobs: (on, query, limit) => tableJobs(database(on), look, query, limit),
    job: (on, id, limit) => tableJobDetail(database(on), look, id, limit),
    locks: (on, query, limit) => tableLocks(database(on), look, query, limit),
    async watched(on, limit) {
      const [sample] = await on.rows(sampleRow, sampleValues(look), limit);
      const polled = index ? sql.headsOf(sql.heads(table, index, tenantType), sample?.tenant ?? null) : whole;
      return watchedTable(look, polled, sample ?? { tenant: null, kind: null, batch: null });
    },
  };
}

/** A literal that its column's type has no value for, or none so large. */
function isNoValue(error: unknown): boolean {
  if (!(error instanceof HeadwayError) || error.code !== 'internal') return false;
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && /^22/.test(String(cause.code));
}

async function findTable(
  session: PostgresSession,
  mapping: JobsMapping,
  signal: AbortSignal,
): Promise<{ name: string; oid: string; hidesRows: boolean }> {
  const { schema, table } = tableParts(mapping.table);
  const name = schema === null ? quotePgName(table) : `${quotePgName(schema)}.${quotePgName(table)}`;
  const [relation] = await session.rows(relationRow, sql.relation, signal, [name]);
  if (relation === undefined) {
    throw mismatch(
      `There is no table ${mapping.table}. Check its name in the mapping, with its schema in front ("app.jobs") if it is not on the search path.`,
    );
  }
  const { kind, oid, hides_rows: hidesRows } = relation;
  if (kind !== 'r' && kind !== 'p') {
    throw mismatch(
      `${mapping.table} is ${notTables[kind] ?? 'no table'}, whose rows cannot be walked by an index. Map the table that holds the jobs.`,
    );
  }
  return { name, oid, hidesRows };
}

async function touch(session: PostgresSession, table: JobsTable, signal: AbortSignal): Promise<void> {
  const { mapping } = table;
  try {
    await session.rows(z.unknown(), sql.touch(table, readColumns(mapping), knownStates(mapping)), signal);
  } catch (error) {
    // The server's words for a value that its type does not have come without a code of ours.
    if (!(error instanceof HeadwayError) || error.code !== 'internal') throw error;
    throw mismatch(
      `The states of the mapping do not fit column ${mapping.state} of ${mapping.table}: ${error.message} Correct the states of this connection.`,
      error,
    );
  }
}
