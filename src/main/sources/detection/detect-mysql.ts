// The queues of a MySQL or MariaDB database.
import { z } from 'zod';
import type { DetectedQueue, Detection } from '../../../contract/detection.ts';
import { HeadwayError, type ErrorCode } from '../../../contract/errors.ts';
import type { DatabaseSettings } from '../../../contract/settings.ts';
import { understandGrants } from '../grants.ts';
import { escapeGrantPattern, grantSelect, quoteName } from '../mysql-errors.ts';
import type { MysqlSession } from '../mysql-session.ts';
import { grantRow, mysqlTableRow, namedRow, placeRow, versionRow } from './catalogue-rows.ts';
import { detectionOf, STATE_COLUMN, WORKER_COLUMN } from './detection-notes.ts';
import type { FoundTable } from './found-table.ts';
import * as sql from './mysql-catalogue-sql.ts';
import { detected, recognise, type Recognised } from './recognise.ts';
import { signaturesOf, signatureTables } from './signatures.ts';

const OF_THE_TABLE: ReadonlySet<ErrorCode> = new Set([
  ...(['schema-mismatch', 'grant-missing', 'budget-exceeded', 'internal'] as const),
]);

/** Looks once at the catalogue of this database, then at the version of each system found. */
export async function detectMysql(
  session: MysqlSession,
  settings: Pick<DatabaseSettings, 'database'>,
  signal: AbortSignal,
): Promise<Detection> {
  await session.rows(z.unknown(), sql.longLists, signal).catch(() => undefined);
  const statement = sql.tables(signatureTables('mysql'), STATE_COLUMN, WORKER_COLUMN);
  const rows = await session.rows(mysqlTableRow, statement, signal);
  const views = new Set((await session.rows(namedRow, sql.views, signal)).map(({ name }) => name));
  const tables = rows.slice(0, sql.TABLES_AT_MOST).map(({ name, columns }): FoundTable => ({
    schema: null,
    name,
    kind: views.has(name) ? 'view' : 'table',
    columns: columns.map(([column, type, readable]) => ({ name: column, type, readable })),
    hidesRows: false,
    comment: null,
  }));
  const recognised = recognise(tables, 'mysql');
  const systems: DetectedQueue[] = [];
  for (const each of recognised) systems.push(detected(each, await versionOf(session, each, signal)));
  const notes = [
    ...(await grantNotes(session, settings.database, signal)),
    ...(systems.length === 0 ? await elsewhere(session, signal) : []),
  ];
  return detectionOf({
    server: `${session.server.product} ${session.server.version}`,
    database: 'mysql',
    tables,
    more: rows.length > sql.TABLES_AT_MOST,
    recognised,
    systems,
    notes,
  });
}

/** Null where it keeps none, or it may not be read. */
async function versionOf(
  session: MysqlSession,
  { signature: { version }, tables }: Recognised,
  signal: AbortSignal,
): Promise<number | null> {
  if (version === null || version.read === null) return null;
  if (tables.get(version.table)?.columns.some(({ readable }) => readable) !== true) return null;
  try {
    return (await session.row(versionRow, sql.version(version.table, version.read), signal)).version;
  } catch (error) {
    // Whatever this table is, it is no list of versions that may be read: the rest is still worth telling.
    const isOfTheTable = error instanceof HeadwayError && OF_THE_TABLE.has(error.code) && !session.lost;
    if (isOfTheTable) return null;
    throw error;
  }
}

/** A table that is not granted does not show: whether there may be such is told by the grants. */
async function grantNotes(session: MysqlSession, database: string, signal: AbortSignal): Promise<string[]> {
  const lines = await session.rows(grantRow, sql.grants, signal);
  const { reads } = understandGrants(lines.flatMap((line) => Object.values(line)));
  const whole = [`*.*`, `${quoteName(database)}.*`, `${quoteName(escapeGrantPattern(database))}.*`];
  if (reads.some((place) => whole.includes(place) || isPatternOf(place, database))) return [];
  return [
    `This account sees only the tables that are granted to it, one by one; others of ${database} would not be found. An administrator runs: ${grantSelect(escapeGrantPattern(database), session.server.account)}`,
  ];
}

/** Whether a grant's pattern (`postal-%`) covers a database. */
function isPatternOf(place: string, database: string): boolean {
  const pattern = /^`(?<name>(?:[^`]|``)+)`\.\*$/.exec(place)?.groups?.['name']?.replaceAll('``', '`');
  if (pattern === undefined) return false;
  const source = pattern.replaceAll(
    /\\([_%\\])|[_%]|[.*+?^${}()|[\]\\]/g,
    (found, escaped: string | undefined) => {
      if (escaped !== undefined) return escaped === '\\' ? '\\\\' : escaped;
      return found === '%' ? '.*' : found === '_' ? '.' : `\\${found}`;
    },
  );
  return new RegExp(`^${source}$`, 'is').test(database);
}

async function elsewhere(session: MysqlSession, signal: AbortSignal): Promise<string[]> {
  const marks = signaturesOf('mysql').flatMap(({ name, marks: of }) =>
    of.flatMap((mark) => Object.keys(mark).map((table) => ({ name, table }))),
  );
  try {
    const found = await session.rows(placeRow, sql.elsewhere(marks.map(({ table }) => table)), signal);
    return found.map(({ database_name, table_name }) => {
      const system = marks.find(({ table }) => table === table_name)?.name ?? 'A queue';
      return `${system} may be in another database of this server: ${database_name} has a table ${table_name}.`;
    });
  } catch (error) {
    // A server with very many databases: nothing was promised of them.
    if (error instanceof HeadwayError && error.code === 'budget-exceeded') return [];
    throw error;
  }
}
