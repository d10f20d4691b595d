// Whether a database is Postal's, and which parts of it this account may read.
import { HeadwayError } from '../../../contract/errors.ts';
import type { DatabaseSettings } from '../../../contract/settings.ts';
import { escapeGrantPattern, grantSelect, mysqlErrorCode } from '../mysql-errors.ts';
import type { MysqlSession } from '../mysql-session.ts';
import * as rows from './rows.ts';
import * as sql from './sql.ts';
import type { PostalTable } from './sql.ts';

/** What a session may read, found once per connection. */
export interface PostalAccess {
  /** The index of queued_messages that is ordered by server_id and id. */
  index: string;
  organizations: boolean;
  workerRoles: boolean;
  /** What cannot be shown, and the statement that changes it. */
  warnings: string[];
}

/**
 * Looks at the tables and columns. Rejects with `schema-mismatch` when this is not Postal's main database, with
 * `grant-missing` when the queue or the servers may not be read. Columns beyond the known ones are fine.
 */
export async function inspectSchema(
  session: MysqlSession,
  settings: DatabaseSettings,
  signal: AbortSignal,
): Promise<PostalAccess> {
  const present = new Map<string, Set<string>>();
  for (const column of await session.rows(rows.columnRow, sql.columns, signal)) {
    const names = present.get(column.table_name) ?? new Set();
    present.set(column.table_name, names.add(column.column_name));
  }
  const missing = (table: PostalTable): string[] =>
    sql.NEEDED_COLUMNS[table].filter((name) => !present.get(table)?.has(name));

  for (const table of ['queued_messages', 'servers'] as const) {
    const names = missing(table);
    if (names.length > 0) await explainMissing(session, settings, table, names, signal);
  }
  const [index] = await session.rows(rows.indexRow, sql.serverIdIndex, signal);
  if (index === undefined) {
    throw new HeadwayError(
      'schema-mismatch',
      `queued_messages in ${place(settings)} has no index on server_id alone, so every poll would read the whole queue. Postal's own schema has it: restore it with CREATE INDEX index_queued_messages_on_server_id ON queued_messages (server_id).`,
    );
  }
  const organizations = missing('organizations').length === 0;
  const workerRoles = missing('worker_roles').length === 0;
  const warnings: string[] = [];
  const grant = grantSelect(escapeGrantPattern(settings.database), session.server.account);
  if (!organizations) {
    warnings.push(`Servers are shown without their organisations: organizations cannot be read. ${grant}`);
  }
  if (!workerRoles) {
    warnings.push(`Leaders' heartbeats are not seen: worker_roles cannot be read. ${grant}`);
  }
  return { index: index.index_name, organizations, workerRoles, warnings };
}

/** Columns that information_schema does not list: absent, or not granted? The server tells when they are read. */
async function explainMissing(
  session: MysqlSession,
  settings: DatabaseSettings,
  table: PostalTable,
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  try {
    await session.rows(rows.anyRow, sql.touch(table, names), signal);
  } catch (error) {
    const code = error instanceof HeadwayError ? mysqlErrorCode(error.cause) : '';
    if (code === 'ER_NO_SUCH_TABLE') {
      throw new HeadwayError(
        'schema-mismatch',
        `${place(settings)} has no table ${table}, so it is not Postal's main database. Name that database; by default it is called postal.`,
        { cause: error },
      );
    }
    if (code === 'ER_BAD_FIELD_ERROR') {
      throw new HeadwayError(
        'schema-mismatch',
        `Table ${table} in ${place(settings)} has no column ${names.join(', ')}. Headway knows Postal 3; upgrade Postal, or name its main database.`,
        { cause: error },
      );
    }
    if (code === 'ER_TABLEACCESS_DENIED_ERROR' || code === 'ER_COLUMNACCESS_DENIED_ERROR') {
      const grant = grantSelect(escapeGrantPattern(settings.database), session.server.account);
      throw new HeadwayError(
        'grant-missing',
        `User ${settings.user} may not read ${table} (${names.join(', ')}) in ${place(settings)}. An administrator runs: ${grant}`,
        { cause: error, details: { table, grant } },
      );
    }
    throw error;
  }
}

function place(settings: DatabaseSettings): string {
  return `database ${settings.database} on ${settings.host}:${settings.port}`;
}
