// Finds Solid Queue in a schema of PostgreSQL.
import type { PostgresSession } from '../../postgres-session.ts';
import { hiddenRowsWarnings, postgresIndexes, postgresRelations } from '../postgres-relations.ts';
import type { QueueReader } from '../queue-reader.ts';
import { postgresStatements, sessionSettings } from './postgres-sql.ts';
import { anyRow } from './rows.ts';
import { SolidQueueReader } from './solid-queue-reader.ts';
import { indexWarnings, NEEDED, PREFIX, requireTables, servingIndexes, unknownWarnings } from './tables.ts';

/**
 * Looks for Solid Queue in `schema` and polls it once. Rejects with `schema-mismatch` where it is not there or not whole, with
 * `grant-missing` where the account may not read it.
 */
export async function inspectPostgresSolidQueue(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const relations = await postgresRelations(session, schema, PREFIX, signal);
  requireTables(`Schema ${schema}`, relations);
  const indexes = await postgresIndexes(session, schema, PREFIX, signal);
  await session.rows(anyRow, sessionSettings, signal);
  const serving = servingIndexes(indexes.filter(({ condition }) => condition === null));
  const statements = postgresStatements(schema, serving);
  const reader = new SolidQueueReader<PostgresSession>(statements, relations, [
    ...hiddenRowsWarnings(schema, relations, new Set(Object.keys(NEEDED).map((name) => `${PREFIX}${name}`))),
    ...unknownWarnings(relations),
    ...indexWarnings(serving, statements.ddl),
  ]);
  await reader.sample(session, signal);
  return reader;
}
