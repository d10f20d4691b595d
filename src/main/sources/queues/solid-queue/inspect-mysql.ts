// Finds Solid Queue in a database of MySQL or MariaDB.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { MysqlSession } from '../../mysql-session.ts';
import type { QueueReader } from '../queue-reader.ts';
import * as sql from './mysql-sql.ts';
import { anyRow } from './rows.ts';
import { SolidQueueReader } from './solid-queue-reader.ts';
import { indexWarnings, NEEDED, PREFIX, requireTables, servingIndexes, unknownWarnings } from './tables.ts';

const columnRow = z.object({ table_name: z.string(), column_name: z.string(), is_table: z.number() });
const indexRow = z.object({ table_name: z.string(), name: z.string(), column_name: z.string().nullable() });

/**
 * Looks for Solid Queue in `database` and polls it once. Rejects with `schema-mismatch` where it is not there or not whole, with
 * `grant-missing` where the account may not read it.
 */
export async function inspectMysqlSolidQueue(
  session: MysqlSession,
  database: string,
  signal: AbortSignal,
): Promise<QueueReader<MysqlSession>> {
  const found = await session.rows(columnRow, sql.columns(database), signal);
  const relations = [...Map.groupBy(found, (row) => row.table_name)].map(([name, rows]) => ({
    name,
    isTable: rows.every(({ is_table }) => is_table !== 0),
    columns: rows.map(({ column_name }) => column_name),
  }));
  await touchUnseen(session, database, new Set(relations.map(({ name }) => name)), signal);
  requireTables(`Database ${database}`, relations);
  const indexes = await session.rows(indexRow, sql.indexes(database), signal);
  const serving = servingIndexes(
    [...Map.groupBy(indexes, (row) => `${row.table_name} ${row.name}`).values()].flatMap((parts) => {
      const [first] = parts;
      return first
        ? [
            {
              table: first.table_name,
              name: first.name,
              columns: parts.map(({ column_name }) => column_name),
            },
          ]
        : [];
    }),
  );
  const statements = sql.mysqlStatements(database, serving);
  const reader = new SolidQueueReader<MysqlSession>(statements, relations, [
    ...unknownWarnings(relations),
    ...indexWarnings(serving, statements.ddl),
  ]);
  await reader.sample(session, signal);
  return reader;
}

/** What the account may not see looks absent: asking for it tells which of the two it is. */
async function touchUnseen(
  session: MysqlSession,
  database: string,
  seen: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  for (const name of Object.keys(NEEDED).map((table) => `${PREFIX}${table}`)) {
    if (seen.has(name)) continue;
    try {
      await session.rows(anyRow, sql.touch(database, name), signal);
    } catch (error) {
      // What is really absent is told by name afterwards.
      if (!(error instanceof HeadwayError) || error.code !== 'schema-mismatch') throw error;
    }
  }
}
