// The database that a form's fields name, whether or not the rest of the form is filled in. Pure.
import { databaseDraftSchema, type DatabaseDraft, type DetectedQueue } from '../../../contract/detection.ts';
import { queueSystems } from '../../../contract/queue-systems.ts';
import { databaseTypeIn, readDatabase, type ConnectionFields } from './connection-form.ts';
import { SecretVault } from './connection-secrets.ts';

/** Null while host, port, user or database is missing, and for a file. */
export function databaseDraftOf(fields: ConnectionFields): DatabaseDraft | null {
  if (fields.kind === 'engine' && fields.storeType === 'sqlite') return null;
  const vault = new SecretVault('draft', [fields.password]);
  const database = { type: databaseTypeIn(fields), ...readDatabase(fields, vault) };
  const parsed = databaseDraftSchema.safeParse({ database, secrets: vault.secrets });
  return parsed.success ? parsed.data : null;
}

/** "app.jobs", as a mapping names a table that was found. */
export const tableOf = ({ schema, table }: DetectedQueue): string =>
  schema === null ? (table ?? '') : `${schema}.${table ?? ''}`;

/** The kind of connection that watches what was found. */
export const kindOf = ({ system }: DetectedQueue): ConnectionFields['kind'] =>
  system === 'postal' || system === 'engine' ? system : 'queue';

/** Turns the form to what was found; its database stays as it is. */
export function useQueue(fields: ConnectionFields, queue: DetectedQueue): void {
  const { system, schema } = queue;
  // Read before the kind changes: it decides what the database is.
  const type = databaseTypeIn(fields);
  fields.kind = kindOf(queue);
  if (system === 'engine') fields.storeType = type;
  if (system === 'engine' || system === 'postal') return;
  fields.queue.system = system;
  fields.queue.databaseType = type;
  if (system === 'jobs-table') fields.queue.mapping.table = tableOf(queue);
  else fields.queue.schema = schema === null || schema === queueSystems[system].schema ? '' : schema;
}
