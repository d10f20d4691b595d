import { describe, expect, it } from 'vitest';
import { connectionSettingsSchema } from '../../../contract/settings.ts';
import type { ConnectionSettings } from '../../../contract/settings.ts';
import { emptyFields, fieldsOf, readFields } from './connection-form.ts';
import type { ConnectionFields } from './connection-form.ts';
import { applyUrl } from './connection-url.ts';
import { auditedMapping } from './jobs-mapping-form.ts';

const database = { type: 'postgres', host: 'db', user: 'headway', database: 'app' };
const queue = (own: object): ConnectionSettings =>
  connectionSettingsSchema.parse({ id: 'jobs', name: 'Jobs', kind: 'queue', database, ...own });
const columns = { table: 'app.jobs', id: 'id', tenant: 'user_id', state: 'status', createdAt: 'created_at' };
const table = queue({
  system: 'jobs-table',
  database: { ...database, type: 'mysql', port: 3307 },
  mapping: {
    ...columns,
    states: { ready: ['new', 'a, b'], running: ['in progress'], done: ['done'] },
    readyAt: 'run_at',
    maxAttempts: 'attempts_allowed',
    staleAfterSeconds: 30,
  },
});

function filled(system: ConnectionFields['queue']['system']): ConnectionFields {
  const fields = emptyFields();
  const typed = { kind: 'queue', name: 'Jobs', id: 'jobs', host: 'db', port: '5432', user: 'headway' };
  Object.assign(fields, typed, { database: 'app' });
  fields.queue.system = system;
  return fields;
}
const mappingIn = (connection: ConnectionSettings | null) =>
  connection?.kind === 'queue' ? connection.mapping : undefined;

describe('a queue', () => {
  it.each([
    queue({ system: 'pg-boss' }),
    queue({ system: 'graphile-worker', schema: 'worker', safety: 'confirm' }),
    queue({
      system: 'jobs-table',
      mapping: { ...columns, states: { ready: ['0'] }, kind: 'kind', maxAttempts: 5 },
    }),
    table,
  ])('comes back as it was', (settings) => {
    expect(readFields(fieldsOf(settings), settings)).toMatchObject({ connection: settings, problems: {} });
    expect(readFields(fieldsOf(settings), settings).connection).toEqual(settings);
  });

  it('has a schema or a mapping, by its system', () => {
    const fields = fieldsOf(table);
    fields.queue.system = 'pg-boss';
    fields.queue.schema = ' jobs ';
    const { connection } = readFields(fields, table);
    expect(connection).toMatchObject({ system: 'pg-boss', schema: 'jobs', database: { type: 'postgres' } });
    expect(connection).not.toHaveProperty('mapping');
    const back = { ...fields, queue: { ...fields.queue, system: 'jobs-table' as const } };
    expect(readFields(back, connection).connection).not.toHaveProperty('schema');
  });

  it('is read from a URL: MySQL holds a jobs table alone', () => {
    const fields = filled('pg-boss');
    expect(applyUrl(fields, 'mysql://u@h/d')).toContain('begins with mysql://');
    expect(applyUrl(fields, 'postgres://u:s3cret@h/d?sslmode=verify-full')).toBeNull();
    expect(readFields(fields, null)).toMatchObject({
      connection: { database: { type: 'postgres', port: 5432, host: 'h', tls: { mode: 'verify-identity' } } },
      secrets: { 'jobs.database.password': 's3cret' },
    });
    fields.queue.system = 'jobs-table';
    fields.queue.mapping = auditedMapping('jobs');
    expect(applyUrl(fields, 'mysql://u@h/d')).toBeNull();
    expect(readFields(fields, null)).toMatchObject({
      connection: { database: { type: 'mysql', port: 3306 } },
    });
  });

  it('says at its own field what is missing', () => {
    expect(readFields({ ...filled('pg-boss'), host: '' }, null).problems).toEqual({
      'database.host': 'Needed',
    });
    const fields = filled('jobs-table');
    Object.assign(fields.queue.mapping, { staleAfterSeconds: 'long', maxAttempts: '0' });
    expect(readFields(fields, null).problems).toEqual({
      'mapping.table': 'Needed',
      'mapping.id': 'Needed',
      'mapping.tenant': 'Needed',
      'mapping.state': 'Needed',
      'mapping.createdAt': 'Needed',
      'mapping.states.ready': 'At least one is needed',
      'mapping.staleAfterSeconds': 'A number is needed',
      'mapping.maxAttempts': 'More than 0',
    });
  });
});

describe('a jobs table', () => {
  it('is filled in as the audited one', () => {
    const fields = filled('jobs-table');
    fields.queue.mapping = auditedMapping('app.jobs');
    expect(mappingIn(readFields(fields, null).connection)).toEqual({
      ...columns,
      kind: 'kind',
      states: {
        ready: ['queued'],
        running: ['processing'],
        delayed: [],
        held: ['paused'],
        dead: ['error'],
        done: ['done', 'cancelled'],
      },
      heartbeatAt: 'updated_at',
      staleAfterSeconds: 600,
      attempts: 'attempts',
      maxAttempts: 3,
      error: 'last_error',
      payload: 'payload',
      batch: 'batch_id',
    });
  });

  it('reads lists and leaves out what is empty', () => {
    const fields = fieldsOf(table);
    fields.queue.mapping.states.ready = ' new,,retry ';
    fields.queue.mapping.readyAt = ' ';
    fields.queue.mapping.maxAttempts = '';
    const mapping = mappingIn(readFields(fields, table).connection);
    expect(mapping?.states).toMatchObject({ ready: ['new', 'retry'], running: ['in progress'] });
    expect(mapping).not.toHaveProperty('readyAt');
    expect(mapping).not.toHaveProperty('maxAttempts');
  });
});
