import { describe, expect, it } from 'vitest';
import { connectionSettingsSchema, databaseOf } from '../../../contract/settings.ts';
import type { ConnectionSettings } from '../../../contract/settings.ts';
import { emptyFields, fieldsOf, idOf, readFields } from './connection-form.ts';
import { applyUrl, MASK } from './connection-url.ts';
import { newInput, newLogHost } from './log-host-form.ts';

const settings: ConnectionSettings = connectionSettingsSchema.parse({
  id: 'prod',
  name: 'Production',
  kind: 'postal',
  database: {
    host: 'db.example.org',
    port: 3307,
    user: 'headway',
    database: 'postal',
    password: { env: 'POSTAL_PASSWORD' },
    tls: { mode: 'verify-ca', caFile: '/ca.pem' },
  },
  environment: 'staging',
  safety: 'confirm',
  logHosts: [
    { host: 'mail-1', user: 'root', auth: { kind: 'agent' }, inputs: [{ kind: 'file', path: '/a.log' }] },
    {
      host: 'mail-2',
      port: 2222,
      user: 'worker',
      auth: { kind: 'key', file: '~/.ssh/id', passphrase: { stored: 'prod.log.mail-2.passphrase' } },
      inputs: [
        { kind: 'docker', container: 'postal-worker' },
        { kind: 'journal', unit: 'postal.service' },
      ],
    },
    {
      host: 'mail-3',
      user: 'worker',
      auth: { kind: 'password', password: { file: '/run/secrets/mail-3' } },
      inputs: [{ kind: 'file', path: '/b.log' }],
    },
  ],
  pollSeconds: 0.5,
  windowSeconds: 30,
  canaryTenants: ['mailflow', '7'],
  postal: { messageDatabasePrefix: 'mail-', staleLockHours: 12 },
  alerts: { lag: { warning: 60, critical: null, enabled: true }, depth: { warning: 500 } },
});

function filled() {
  const fields = emptyFields();
  Object.assign(fields, { name: 'Mail', id: 'mail', host: 'db', user: 'headway' });
  return fields;
}
const databaseIn = (connection: ConnectionSettings | null) =>
  connection === null ? null : databaseOf(connection);

function withHost(login: 'agent' | 'key' | 'password') {
  const fields = filled();
  const host = { ...newLogHost(), host: 'mail-1', user: 'worker', login };
  host.inputs[0] = { ...newInput(), name: '/a.log' };
  fields.logHosts.push(host);
  return { fields, host };
}

describe('settings and fields', () => {
  it('come back as they were', () => {
    const form = readFields(fieldsOf(settings), settings);
    expect(form.problems).toEqual({});
    expect(form.connection).toEqual(settings);
    expect(form.secrets).toEqual({});
  });

  it('make a new connection of what was typed', () => {
    const fields = filled();
    fields.password.value = 's3cret';
    const form = readFields(fields, null);
    expect(form.connection).toMatchObject({
      id: 'mail',
      name: 'Mail',
      kind: 'postal',
      database: { host: 'db', port: 3306, password: { stored: 'mail.database.password' } },
      safety: 'read-only',
      alerts: {},
    });
    expect(form.secrets).toEqual({ 'mail.database.password': 's3cret' });
    expect(JSON.stringify(form.connection)).not.toContain('s3cret');
  });

  it('replace a password from the environment only once another is typed', () => {
    const fields = fieldsOf(settings);
    fields.password.value = 'new';
    const form = readFields(fields, settings);
    expect(databaseIn(form.connection)?.password).toEqual({ stored: 'prod.database.password' });
    fields.password = { kept: null, value: '' };
    expect(databaseIn(readFields(fields, settings).connection)).not.toHaveProperty('password');
  });

  it('write a stored secret under the key it has', () => {
    const fields = fieldsOf(settings);
    const [, second] = fields.logHosts;
    if (second !== undefined) second.passphrase.value = 'open';
    expect(readFields(fields, settings).secrets).toEqual({ 'prod.log.mail-2.passphrase': 'open' });
  });

  it('give two logins of one host a key each', () => {
    const { fields, host } = withHost('password');
    host.password.value = 'one';
    fields.logHosts.push({ ...host, key: -1, user: 'other', password: { kept: null, value: 'two' } });
    expect(readFields(fields, null).secrets).toEqual({
      'mail.log.mail-1.password': 'one',
      'mail.log.mail-1.password.2': 'two',
    });
  });

  it('keep the limits of other rules, and leave no trace of none', () => {
    const fields = fieldsOf(settings);
    fields.lag = { warning: '90', critical: 'off', forSeconds: '', keepFiringForSeconds: '0' };
    expect(readFields(fields, settings).connection?.alerts).toEqual({
      depth: { warning: 500 },
      lag: { enabled: true, warning: 90, critical: null, keepFiringForSeconds: 0 },
    });
    fields.lag = { warning: '', critical: '', forSeconds: '', keepFiringForSeconds: '' };
    const bare = { ...settings, alerts: { lag: { warning: 60 } } };
    expect(readFields(fields, bare).connection?.alerts).toEqual({});
  });
});

describe('an engine elsewhere', () => {
  const engine = (store: unknown): ConnectionSettings =>
    connectionSettingsSchema.parse({ id: 'jobs', name: 'Jobs', kind: 'engine', store });
  it.each([
    engine({ type: 'sqlite', file: '/var/lib/jobs.db' }),
    engine({ type: 'postgres', database: { host: 'db', user: 'jobs', database: 'jobs' } }),
    engine({ type: 'mysql', database: { host: 'db', port: 3307, user: 'jobs', database: 'jobs' } }),
  ])('comes back as it was', (settings) => {
    expect(readFields(fieldsOf(settings), settings).connection).toEqual(settings);
  });

  it('is read from a URL, whichever store it names', () => {
    const fields = { ...filled(), kind: 'engine' as const };
    expect(applyUrl(fields, 'postgres://jobs:s3cret@db:6432/work')).toBeNull();
    expect(readFields(fields, null)).toMatchObject({
      connection: {
        kind: 'engine',
        store: { type: 'postgres', database: { host: 'db', port: 6432, database: 'work' } },
      },
      secrets: { 'mail.database.password': 's3cret' },
    });
    expect(applyUrl(fields, 'sqlite:/var/lib/jobs.db')).toBeNull();
    expect(readFields(fields, null)).toMatchObject({
      connection: { store: { type: 'sqlite', file: '/var/lib/jobs.db' } },
      // The password of another store does not follow it.
      secrets: {},
    });
  });

  it('says at its own field what is missing', () => {
    const fields = { ...filled(), kind: 'engine' as const, host: '' };
    expect(readFields(fields, null).problems).toEqual({ 'store.database.host': 'Needed' });
    fields.storeType = 'sqlite';
    expect(readFields(fields, null).problems).toEqual({ 'store.file': 'Needed' });
  });
});

describe('problems', () => {
  it('stand at the path of their field', () => {
    const { fields } = withHost('key');
    Object.assign(fields, { name: ' ', id: 'Not An Id', host: '', port: 'x', pollSeconds: '0,1' });
    fields.logHosts[0]?.inputs.push(newInput());
    fields.lag.warning = 'soon';
    const { connection, problems } = readFields(fields, null);
    expect(connection).toBeNull();
    expect(problems).toEqual({
      name: 'Needed',
      id: 'use small letters, digits and hyphens, at most 63',
      'database.host': 'Needed',
      'database.port': 'A number is needed',
      pollSeconds: 'At least 0.25',
      'logHosts.0.auth.file': 'Needed',
      'logHosts.0.inputs.1.path': 'Needed',
      'alerts.lag.warning': 'A number is needed',
    });
  });

  it('name a password that is missing, and an id that is taken', () => {
    const { fields } = withHost('password');
    expect(readFields(fields, null, ['mail']).problems).toEqual({
      id: 'Another connection has this id',
      'logHosts.0.auth.password': 'Needed',
    });
  });
});

describe('applyUrl', () => {
  it('fills the fields and moves the password', () => {
    const fields = filled();
    expect(applyUrl(fields, 'mysql://u:p%23@h:3307/d?ssl-mode=REQUIRED')).toBeNull();
    expect(fields).toMatchObject({
      host: 'h',
      port: '3307',
      user: 'u',
      database: 'd',
      tls: { mode: 'required' },
    });
    expect(fields.password.value).toBe('p#');
    expect(applyUrl(fields, `mysql://u:${MASK}@h2/d`)).toBeNull();
    expect(fields).toMatchObject({ host: 'h2', password: { value: 'p#' } });
  });

  it('leaves the fields alone when it is wrong', () => {
    const fields = filled();
    expect(applyUrl(fields, 'https://h')).toContain('begins with https://');
    expect(fields).toEqual({ ...filled(), logHosts: [] });
  });
});

describe('idOf', () => {
  it.each([
    ['Postal (EU)', 'postal-eu'],
    ['Größe & Wert', 'gro-e-wert'],
    ['  ', ''],
    ['x'.repeat(80), 'x'.repeat(63)],
  ])('makes an id of %s', (name, id) => {
    expect(idOf(name)).toBe(id);
  });
});
