// Settings through the whole backend: changed in the window, changed by hand, and broken by hand, while it runs. The
// tests are one story and run in order.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallInput } from '../../src/contract/api.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader, fillQueue, type Reader } from '../harness/postal-schema.ts';
import { tempDir } from '../harness/temp.ts';
import { refusal, soon, TestBackend } from './backend-fixture.ts';

const stack = new AsyncDisposableStack();
const SECRET = 'sesam-öffne-dich';
let folder: string;
let db: MariaDb;
let reader: Reader;
let backend: TestBackend;

beforeAll(async () => {
  folder = stack.use(await tempDir('backend')).path;
  db = stack.use(await startMariaDb());
  const postal = await createPostal(db, {
    servers: [
      { id: 3, name: 'mailflow' },
      { id: 4, name: 'shop' },
    ],
  });
  reader = await createReader(postal, 'headway', SECRET);
  await fillQueue(postal, { rows: 20, servers: [4], oldestAgeMs: 60_000 });
  const text = '// Mine, by hand.\n{\n  "version": 1, // the only one\n}\n';
  await writeFile(join(folder, 'settings.json'), text);
  backend = await TestBackend.start(folder);
});
afterAll(async () => {
  await backend[Symbol.asyncDispose]();
  await stack.disposeAsync();
});

const settingsText = () => readFile(join(folder, 'settings.json'), 'utf8');
const storedSecrets = () => readFile(join(folder, 'secrets.json'), 'utf8');
const edit = async (change: (text: string) => string) => {
  await writeFile(join(folder, 'settings.json'), change(await settingsText()));
};
const database = () => ({
  host: db.host,
  port: db.port,
  user: reader.user,
  database: 'postal',
  password: { stored: 'mail.database' },
});
const draft = (changes: object = {}): CallInput<'connections.save'>['connection'] => ({
  id: 'mail',
  name: 'Mail',
  kind: 'postal',
  database: database(),
  pollSeconds: 0.25,
  windowSeconds: 2,
  ...changes,
});
const ids = async () => {
  const { snapshot, leave } = await backend.follow('connections', {});
  leave();
  return snapshot.map(({ id }) => id);
};
const notices = async () => {
  const { snapshot, leave } = await backend.follow('notices', {});
  leave();
  return snapshot;
};

describe('the backend and its settings', () => {
  it('opens on this computer when nothing is configured, with the rehearsal running', async () => {
    expect(await ids()).toEqual(['this-computer', 'local-engine']);
    await backend.untilLive('this-computer');
    const overview = await backend.overview('this-computer');
    await expect.poll(() => overview.rows.length, soon).toBe(41);
    overview.leave();
    const rehearsal = await backend.call('rehearsal.set', { switches: { order: 'fair' } });
    expect(rehearsal.switches[0]).toMatchObject({ id: 'order', value: 'fair' });
    await backend.untilLive('local-engine');
    expect(await notices()).toEqual([]);
  });

  it('adds a connection that can be opened at once, with its secret where it belongs', async () => {
    const connections = await backend.follow('connections', {});
    const saved = await backend.call('connections.save', {
      connection: draft(),
      secrets: { 'mail.database': SECRET },
    });
    expect(saved).toEqual({ id: 'mail' });
    const overview = await backend.overview('mail');
    await expect.poll(() => overview.row('4').lagMs ?? 0, soon).toBeGreaterThan(59_000);
    expect(overview.row('4')).toMatchObject({ name: 'shop', ready: { value: 20, kind: 'exact' } });
    expect(connections.deltas.at(-1)?.map(({ id }) => id)).toEqual(['this-computer', 'local-engine', 'mail']);
    expect(overview.failures).toEqual([]);
    overview.leave();
    connections.leave();

    const text = await settingsText();
    expect(text).toContain('// Mine, by hand.');
    expect(text).toContain('// the only one');
    expect(text).not.toContain(SECRET);
    expect(await storedSecrets()).toContain(SECRET);
    expect(JSON.stringify(await backend.call('connections.get', { id: 'mail' }))).not.toContain(SECRET);
  });

  it('tries a new password at once, though the settings stay as they are', async () => {
    const overview = await backend.overview('mail');
    await backend.call('connections.save', {
      connection: draft(),
      secrets: { 'mail.database': 'wrong' },
    });
    await expect.poll(() => backend.stateOf('mail'), soon).toBe('failed');
    // Whoever followed is told to come back.
    expect(overview.failures).toMatchObject([{ code: 'not-found', retryable: true }]);
    await backend.call('connections.save', { connection: draft(), secrets: { 'mail.database': SECRET } });
    await backend.untilLive('mail');
  });

  it('refuses what the settings cannot hold, and leaves them as they are', async () => {
    const before = await settingsText();
    const stray = await refusal(
      backend.call('connections.save', { connection: draft({ id: 'other' }), secrets: { stray: SECRET } }),
    );
    expect(stray.code).toBe('settings-invalid');
    const builtIn = await refusal(
      backend.call('connections.save', { connection: draft({ id: 'this-computer' }) }),
    );
    expect(builtIn.code).toBe('settings-invalid');
    expect((await refusal(backend.call('connections.get', { id: 'other' }))).code).toBe('not-found');
    expect(await settingsText()).toBe(before);
    expect(await ids()).toEqual(['this-computer', 'local-engine', 'mail']);
  });

  it('changes a rule for the next poll, without beginning anything anew', async () => {
    const overview = await backend.overview('mail');
    await expect.poll(() => overview.head.asOfMs, soon).not.toBeNull();
    expect(overview.row('4').severity).toBeNull();
    const alerts = await backend.follow('alerts', {});
    const change = { warning: 30, critical: null, forSeconds: 0 };
    await backend.call('rules.change', { connectionId: 'mail', rule: 'lag', change });
    const rules = await backend.call('rules.list', { connectionId: 'mail' });
    expect(rules.find(({ id }) => id === 'lag')).toMatchObject({ warning: 30_000, critical: null, forMs: 0 });
    await expect.poll(() => overview.row('4').severity, soon).toBe('warning');
    const events = () => alerts.deltas.flatMap((delta) => delta.events);
    await expect
      .poll(() => events().map(({ alertId, to }) => `${alertId} ${to}`), soon)
      .toContain('mail/lag/tenant/4 firing');
    expect(overview.failures).toEqual([]);
    overview.leave();
    alerts.leave();
    const local = await backend.call('rules.list', { connectionId: 'this-computer' });
    expect(local.find(({ id }) => id === 'lag')?.warning).toBe(18_000);
    expect((await refusal(backend.call('rules.list', { connectionId: 'nobody' }))).code).toBe('not-found');
  });

  it('takes over what was edited by hand', async () => {
    const overview = await backend.overview('mail');
    await edit((text) => text.replace('"name": "Mail"', '"name": "Mail (EU)"'));
    const name = async () => {
      const { snapshot, leave } = await backend.follow('connections', {});
      leave();
      return snapshot.find(({ id }) => id === 'mail')?.name;
    };
    await expect.poll(name, soon).toBe('Mail (EU)');
    await backend.untilLive('mail');
    expect(overview.failures).toMatchObject([{ code: 'not-found', retryable: true }]);
    expect(await notices()).toEqual([]);
  });

  it('says what is wrong with a malformed edit, and stays with the settings in force', async () => {
    const good = await settingsText();
    const told = await backend.follow('notices', {});
    const overview = await backend.overview('mail');
    await edit((text) => text.replace('"version": 1,', '"version" 1,'));
    await expect.poll(() => told.deltas.at(-1)?.length, soon).toBe(1);
    const [notice] = told.deltas.at(-1) ?? [];
    expect(notice).toMatchObject({ id: 'settings', severity: 'warning' });
    expect(notice?.text).toMatch(/^settings\.json:3:13 colon expected/);

    expect(await backend.stateOf('mail')).toBe('live');
    expect(overview.failures).toEqual([]);
    const broken = await settingsText();
    const refused = await refusal(
      backend.call('connections.save', {
        connection: draft({ id: 'other', database: { ...database(), password: { stored: 'other' } } }),
        secrets: { other: 'never-kept' },
      }),
    );
    expect(refused.code).toBe('settings-invalid');
    expect(await settingsText()).toBe(broken);
    expect(await storedSecrets()).not.toContain('never-kept');

    await writeFile(join(folder, 'settings.json'), good);
    await expect.poll(() => told.deltas.at(-1), soon).toEqual([]);
    expect(overview.failures).toEqual([]);
    overview.leave();
    told.leave();
  });

  it('removes a connection: its secret, its alerts, and whoever follows it', async () => {
    const overview = await backend.overview('mail');
    const alerts = await backend.follow('alerts', {});
    expect(alerts.snapshot.alerts.map(({ id }) => id)).toContain('mail/lag/tenant/4');
    await backend.call('connections.remove', { id: 'mail' });
    expect(await ids()).toEqual(['this-computer', 'local-engine']);
    expect(overview.failures).toMatchObject([{ code: 'not-found' }]);
    expect((await refusal(backend.overview('mail'))).code).toBe('not-found');
    expect((await refusal(backend.call('connections.remove', { id: 'mail' }))).code).toBe('not-found');
    expect(await storedSecrets()).not.toContain(SECRET);
    const { snapshot, leave } = await backend.follow('alerts', {});
    expect(snapshot.alerts.filter(({ connectionId }) => connectionId === 'mail')).toEqual([]);
    // It was taken away on purpose: nobody is told.
    expect(
      alerts.deltas.flatMap(({ notify }) => notify).filter((each) => each.connectionId === 'mail'),
    ).toEqual([]);
    leave();
    alerts.leave();
  });
});

describe('the life of the backend', () => {
  it('starts with a malformed file: says so, and watches what needs no settings', async () => {
    const own = stack.use(await tempDir('backend')).path;
    await using other = await TestBackend.start(own, '{ "version": 2 }');
    const { snapshot } = await other.follow('notices', {});
    expect(snapshot).toMatchObject([
      { id: 'settings', text: expect.stringContaining('settings.json:1:3 version: expected 1') as string },
    ]);
    await other.untilLive('this-computer');
    const connections = await other.follow('connections', {});
    await writeFile(
      join(own, 'settings.json'),
      JSON.stringify({
        version: 1,
        connections: [draft({ database: { ...database(), password: undefined } })],
      }),
    );
    await expect
      .poll(() => connections.deltas.at(-1)?.map(({ id }) => id), soon)
      .toEqual(['this-computer', 'local-engine', 'mail']);
    await expect.poll(() => other.stateOf('mail'), soon).toBe('failed');
  });

  it('says after an orderly stop that it was not running, and nothing worse', async () => {
    const own = stack.use(await tempDir('backend')).path;
    const beganMs = Date.now();
    const query = {
      connectionId: 'this-computer',
      tenantId: 'mailflow',
      fromMs: beganMs,
      toMs: beganMs + 600_000,
    };
    {
      await using first = await TestBackend.start(own, { version: 1 });
      await first.untilLive('this-computer');
      const points = async () => (await first.call('history.query', query)).points.length;
      await expect.poll(points, soon).toBeGreaterThan(0);
    }
    await using second = await TestBackend.start(own);
    await second.untilLive('this-computer');
    const { gaps } = await second.call('history.query', query);
    expect(gaps.map(({ reason }) => reason)).toEqual(['Headway was not running']);
    const alerts = await second.follow('alerts', {});
    expect(alerts.snapshot.events.filter(({ ruleId }) => ruleId === 'unreachable')).toEqual([]);
  });
});
