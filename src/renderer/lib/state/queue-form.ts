// What a queue's connection has beside its database, as the form holds it.
import type { QueueConnection, QueueSystem } from '../../../contract/settings.ts';
import { emptyMapping, mappingFieldsOf, readMapping } from './jobs-mapping-form.ts';
import type { MappingFields } from './jobs-mapping-form.ts';

export interface QueueFields {
  system: QueueSystem;
  /** Of a jobs table; the others run on PostgreSQL. */
  databaseType: QueueConnection['database']['type'];
  /** Of the others: a jobs table names its schema with the table. */
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
export const queueDatabase = ({ system, databaseType }: QueueFields): QueueFields['databaseType'] =>
  system === 'jobs-table' ? databaseType : 'postgres';

/** The settings that the fields stand for, unchecked. `base` is the connection before. */
export function readQueue(fields: QueueFields, database: object, base: QueueConnection | null): object {
  const schema = fields.schema.trim();
  return {
    kind: 'queue',
    system: fields.system,
    database: { type: queueDatabase(fields), ...database },
    ...(fields.system === 'jobs-table'
      ? { mapping: readMapping(fields.mapping, base?.mapping ?? null) }
      : schema !== '' && { schema }),
  };
}
