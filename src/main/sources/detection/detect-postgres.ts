// The queues of a PostgreSQL database.
import type { DetectedQueue, Detection } from '../../../contract/detection.ts';
import { HeadwayError, type ErrorCode } from '../../../contract/errors.ts';
import type { DatabaseSettings } from '../../../contract/settings.ts';
import { quotePgName } from '../postgres-errors.ts';
import type { PostgresSession } from '../postgres-session.ts';
import { postgresTableRow, versionRow } from './catalogue-rows.ts';
import { detectionOf, STATE_COLUMN, WORKER_COLUMN } from './detection-notes.ts';
import type { FoundTable } from './found-table.ts';
import * as sql from './postgres-catalogue-sql.ts';
import { detected, recognise, type Recognised } from './recognise.ts';
import { signatureTables } from './signatures.ts';
import { z } from 'zod';

/** Versions read of one database: each is a statement. */
const VERSIONS = 100;

const OF_THE_TABLE: ReadonlySet<ErrorCode> = new Set([
  ...(['schema-mismatch', 'grant-missing', 'budget-exceeded', 'internal'] as const),
]);

/** Looks once at the catalogue, then at the version of each system found. Needs no grant to say what is there. */
export async function detectPostgres(
  session: PostgresSession,
  settings: Pick<DatabaseSettings, 'user'>,
  signal: AbortSignal,
): Promise<Detection> {
  await session.rows(z.unknown(), sql.withoutCompiler, signal);
  const rows = await session.rows(postgresTableRow, sql.tables, signal, [
    signatureTables('postgres'),
    STATE_COLUMN,
    WORKER_COLUMN,
  ]);
  const tables = rows
    .slice(0, sql.TABLES_AT_MOST)
    .map(({ schema, name, kind, comment, hides_rows, columns }): FoundTable => ({
      schema,
      name,
      kind: kind === 'r' || kind === 'p' ? 'table' : kind === 'f' ? 'other' : 'view',
      columns,
      hidesRows: hides_rows,
      comment,
    }));
  const recognised = recognise(tables, 'postgres');
  const systems: DetectedQueue[] = [];
  for (const each of recognised) {
    const version = systems.length < VERSIONS ? await versionOf(session, each, signal) : null;
    systems.push(withGrant(detected(each, version), settings.user));
  }
  return detectionOf({
    server: `PostgreSQL ${session.version}`,
    database: 'postgres',
    tables,
    more: rows.length > sql.TABLES_AT_MOST,
    recognised,
    systems,
    notes: [],
  });
}

/** Null where it keeps none, or it may not be read. */
async function versionOf(
  session: PostgresSession,
  { signature: { version }, schema, tables }: Recognised,
  signal: AbortSignal,
): Promise<number | null> {
  if (version === null || schema === null) return null;
  const table = tables.get(version.table);
  if (version.read === null) return /^\d{1,4}$/.test(table?.comment ?? '') ? Number(table?.comment) : null;
  if (table === undefined || !table.columns.every(({ readable }) => readable)) return null;
  try {
    const read = sql.version(schema, version.table, version.read);
    return (await session.row(versionRow, read, signal)).version;
  } catch (error) {
    // Whatever this table is, it is no list of versions that may be read: the rest is still worth telling.
    const isOfTheTable = error instanceof HeadwayError && OF_THE_TABLE.has(error.code) && !session.lost;
    if (isOfTheTable) return null;
    throw error;
  }
}

/** What may not be read can be granted. */
function withGrant(queue: DetectedQueue, user: string): DetectedQueue {
  if (queue.schema === null || !queue.problems.some((problem) => problem.includes('may not read')))
    return queue;
  const [schema, role] = [quotePgName(queue.schema), quotePgName(user)];
  return {
    ...queue,
    problems: queue.problems.map((problem) =>
      problem.includes('may not read')
        ? `${problem} An administrator runs: GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${role};`
        : problem,
    ),
  };
}
