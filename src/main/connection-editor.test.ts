import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../contract/errors.ts';
import {
  postalConnectionSchema,
  settingsSchema,
  type ConnectionSettings,
  type PostalConnection,
  type Settings,
} from '../contract/settings.ts';
import { ConnectionEditor } from './connection-editor.ts';

const logHost = (auth: object) => ({
  host: 'web',
  user: 'deploy',
  auth,
  inputs: [{ kind: 'file', path: '/var/log/worker.log' }],
});

function connection(id: string, changes: Record<string, unknown> = {}): PostalConnection {
  const database = { host: 'db', user: 'headway', database: 'postal', password: { stored: `${id}.db` } };
  return postalConnectionSchema.parse({ id, name: id, kind: 'postal', database, ...changes });
}

function setUp(connections: ConnectionSettings[] = [], stored: Record<string, string> = {}) {
  let current: Settings = settingsSchema.parse({ version: 1, connections });
  const secrets = new Map(Object.entries(stored));
  /** What was changed, in order. */
  const log: string[] = [];
  const refusal = { error: null as HeadwayError | null };
  const settings = {
    get current() {
      return current;
    },
    update(change: (settings: Settings) => Settings) {
      if (refusal.error !== null) return Promise.reject(refusal.error);
      current = settingsSchema.parse(change(structuredClone(current)));
      log.push('settings');
      return Promise.resolve(current);
    },
  };
  const store = {
    description: 'in memory',
    get: (key: string) => Promise.resolve(secrets.get(key) ?? null),
    set: (key: string, value: string) => {
      log.push(`set ${key}`);
      secrets.set(key, value);
      return Promise.resolve();
    },
    delete: (key: string) => {
      log.push(`delete ${key}`);
      secrets.delete(key);
      return Promise.resolve();
    },
  };
  return { editor: new ConnectionEditor(settings, store), settings, secrets, log, refusal };
}

describe('ConnectionEditor', () => {
  it('stores secrets before the settings that name them', async () => {
    const { editor, settings, secrets, log } = setUp();
    await editor.save(connection('a'), { 'a.db': 'geheim' });
    expect(log).toEqual(['set a.db', 'settings']);
    expect(secrets.get('a.db')).toBe('geheim');
    expect(settings.current.connections).toEqual([connection('a')]);
    expect(JSON.stringify(settings.current)).not.toContain('geheim');
  });

  it('replaces the connection of the same id in its place, and keeps a secret that is not given again', async () => {
    const { editor, settings, secrets } = setUp([connection('a'), connection('b')], { 'a.db': 'old' });
    await editor.save(connection('a', { name: 'New name' }), {});
    expect(settings.current.connections.map(({ id, name }) => [id, name])).toEqual([
      ['a', 'New name'],
      ['b', 'b'],
    ]);
    expect(secrets.get('a.db')).toBe('old');
  });

  it('forgets secrets that are named no longer: of the database, of a key, of a log host', async () => {
    const before = connection('a', {
      logHosts: [
        logHost({ kind: 'key', file: '~/.ssh/id', passphrase: { stored: 'a.key' } }),
        logHost({ kind: 'password', password: { stored: 'a.ssh' } }),
        logHost({ kind: 'agent' }),
      ],
    });
    const stored = { 'a.db': '1', 'a.key': '2', 'a.ssh': '3', other: '4' };
    const { editor, secrets } = setUp([before], stored);
    const database = { ...before.database, password: { env: 'PASSWORD' } };
    await editor.save({ ...before, database, logHosts: before.logHosts.slice(1, 2) }, {});
    expect([...secrets.keys()]).toEqual(['a.ssh', 'other']);
    await editor.remove('a');
    expect([...secrets.keys()]).toEqual(['other']);
  });

  it('keeps a secret that another connection still names', async () => {
    const shared = { host: 'db', user: 'headway', database: 'postal', password: { stored: 'shared' } };
    const { editor, secrets } = setUp(
      [connection('a', { database: shared }), connection('b', { database: shared })],
      { shared: '1' },
    );
    await editor.remove('a');
    expect(secrets.has('shared')).toBe(true);
    await editor.remove('b');
    expect(secrets.has('shared')).toBe(false);
  });

  it('refuses a secret that the connection does not name, without storing any', async () => {
    const { editor, secrets, log } = setUp();
    await expect(editor.save(connection('a'), { 'a.db': '1', stray: 'geheim' })).rejects.toMatchObject({
      code: 'settings-invalid',
      message: 'The connection does not name a secret "stray".',
    });
    expect(secrets.size).toBe(0);
    expect(log).toEqual([]);
  });

  it('refuses the id of this computer', async () => {
    const { editor, log } = setUp();
    await expect(editor.save(connection('this-computer'), {})).rejects.toMatchObject({
      code: 'settings-invalid',
    });
    expect(log).toEqual([]);
  });

  it('leaves no secret behind when the settings refuse the connection', async () => {
    const { editor, secrets, refusal } = setUp([connection('a')], { 'a.db': 'old' });
    refusal.error = new HeadwayError('settings-invalid', 'settings.json:3:1 comma expected');
    await expect(editor.save(connection('b'), { 'b.db': '1' })).rejects.toBe(refusal.error);
    expect([...secrets.keys()]).toEqual(['a.db']);
    await expect(editor.remove('a')).rejects.toBe(refusal.error);
    expect([...secrets.keys()]).toEqual(['a.db']);
  });

  it('names the id that is not there', async () => {
    const { editor } = setUp([connection('a')]);
    expect(editor.get('a')).toEqual(connection('a'));
    const absent = { code: 'not-found', message: 'There is no connection "b" in the settings.' };
    expect(() => editor.get('b')).toThrow(expect.objectContaining(absent));
    await expect(editor.remove('b')).rejects.toMatchObject(absent);
  });

  it('changes only what is given of a rule, and of one connection only', async () => {
    const { editor, settings } = setUp([connection('a'), connection('b')]);
    await editor.changeRule('a', 'lag', { warning: 60, forSeconds: 5 });
    await editor.changeRule('a', 'depth', { enabled: false });
    await editor.changeRule('a', 'lag', { warning: null, critical: 120 });
    await editor.changeRule('this-computer', 'lag', { warning: 7 });
    expect(settings.current.connections.map(({ alerts }) => alerts)).toEqual([
      { lag: { warning: null, critical: 120, forSeconds: 5 }, depth: { enabled: false } },
      {},
    ]);
    expect(settings.current.thisComputer).toEqual({ enabled: true, alerts: { lag: { warning: 7 } } });
    expect(settings.current.alerts).toEqual({});
    await expect(editor.changeRule('c', 'lag', {})).rejects.toMatchObject({ code: 'not-found' });
  });
});
