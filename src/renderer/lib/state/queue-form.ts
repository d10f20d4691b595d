// What a queue's connection has beside its database, as the form holds it.
import { queueSystems, type DatabaseType, type QueueSystem } from '../../../contract/queue-systems.ts';
import type { QueueConnection } from '../../../contract/settings.ts';
import { emptyMapping, mappingFieldsOf, readMapping } from './jobs-mapping-form.ts';
import type { MappingFields } from './jobs-mapping-form.ts';

export interface QueueFields {
  system: QueueSystem;
  /** Where the system runs on either. */
  databaseType: DatabaseType;
  /** Empty for the usual one. A jobs table names its schema with the table. */
  schema: string;
  mapping: MappingFields;
}

export const emptyQueue = (): QueueFields => ({
  system: 'pg-boss',
  databaseType: 'postgres',
  schema: '',
  mapping: emptyMapping(),
});

export const queueFieldsOf = ({ system, database, schema, mapping }: QueueConnection): QueueFields => ({
  system,
  databaseType: database.type,
  schema: schema ?? '',
  mapping: mapping === undefined ? emptyMapping() : mappingFieldsOf(mapping),
});

/** The database that the queue is in, whatever was chosen for another system before. */
export const queueDatabase = ({ system, databaseType }: QueueFields): DatabaseType =>
  queueSystems[system].databases.includes(databaseType) ? databaseType : queueSystems[system].databases[0];

/** MySQL's schemas are its databases. */
export const hasSchema = (fields: QueueFields): boolean =>
  queueSystems[fields.system].schema !== null && queueDatabase(fields) === 'postgres';

/** The settings that the fields stand for, unchecked. `base` is the connection before. */
export function readQueue(fields: QueueFields, database: object, base: QueueConnection | null): object {
  const schema = fields.schema.trim();
  return {
    kind: 'queue',
    system: fields.system,
    database: { type: queueDatabase(fields), ...database },
    ...(fields.system === 'jobs-table' && { mapping: readMapping(fields.mapping, base?.mapping ?? null) }),
    ...(schema !== '' && hasSchema(fields) && { schema }),
  };
}
