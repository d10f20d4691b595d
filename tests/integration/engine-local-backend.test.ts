// The two engines through the whole backend, as a window sees them.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempDir } from '../harness/temp.ts';
import { refusal, soon, TestBackend } from './backend-fixture.ts';

const stack = new AsyncDisposableStack();
let folder: string;
let backend: TestBackend;

const SETTINGS = `// Jobs of this laptop.
{
  "version": 1,
  "engine": {
    "stopSeconds": 0,
    "kinds": [
      // keeps what it is given
      { "kind": "note", "handler": { "type": "command", "command": ["sh", "-c", "cat >> notes.txt"] } },
    ],
  },
}
`;

beforeAll(async () => {
  folder = stack.use(await tempDir('engine-backend')).path;
  backend = stack.use(await TestBackend.start(folder, SETTINGS));
});
afterAll(() => stack.disposeAsync());

const notes = (): Promise<string> => readFile(join(folder, 'notes.txt'), 'utf8').catch(() => '');
const LOCAL = { connectionId: 'local-engine' };
const whole = { ...LOCAL, tenantId: null, kind: null };

describe('the engines behind the backend', () => {
  it('show the local jobs as a connection of its own, with a view that follows changes', async () => {
    await backend.untilLive('local-engine');
    const engine = await backend.follow('engine', LOCAL);
    expect(engine.snapshot).toMatchObject({ place: 'local', problem: null });
    expect(engine.snapshot.engines[0]?.report.kinds.map(({ kind }) => kind)).toEqual([
      'note',
      'headway.bulk',
    ]);
    const { id } = await backend.call('engine.enqueue', {
      ...LOCAL,
      kind: 'note',
      tenantId: 'ada',
      payload: 'one',
    });
    await expect.poll(notes, soon).toContain('one');
    await expect.poll(() => engine.deltas.at(-1)?.recent[0]?.jobId, soon).toBe(id);
    engine.leave();
    const overview = await backend.overview('local-engine');
    await expect.poll(() => overview.rows.map(({ name }) => name), soon).toEqual(['ada']);
    overview.leave();
  });

  it('pause by hand, say who and why, and go on', async () => {
    await backend.call('engine.hold', { ...whole, mode: 'pause', reason: 'maintenance' });
    const overview = await backend.overview('local-engine');
    await expect.poll(() => overview.row('ada').paused?.reason, soon).toBe('maintenance');
    await backend.call('engine.enqueue', { ...LOCAL, kind: 'note', tenantId: 'ada', payload: 'two' });
    const engine = await backend.follow('engine', LOCAL);
    expect(engine.snapshot.holds).toMatchObject([{ mode: 'pause', reason: 'maintenance' }]);
    expect(engine.snapshot.holds[0]?.by).not.toBe('');
    expect(await notes()).not.toContain('two');
    expect(await backend.call('engine.unhold', whole)).toEqual({ held: true });
    await expect.poll(notes, soon).toContain('two');
    engine.leave();
    overview.leave();
  });

  it('take other kinds from the window, with what a person wrote kept in the file', async () => {
    const settings = await backend.call('engine.settings', {});
    const [note] = settings.kinds;
    if (!note) throw new Error('there is no kind');
    const shout = {
      ...note,
      kind: 'shout',
      handler: { type: 'command' as const, command: ['sh', '-c', 'tr a-z A-Z >> notes.txt'] },
    };
    await backend.call('engine.saveSettings', { ...settings, kinds: [note, shout] });
    const text = await readFile(join(folder, 'settings.json'), 'utf8');
    expect(text).toContain('// Jobs of this laptop.');
    expect(text).toContain('// keeps what it is given');
    await expect
      .poll(
        () =>
          backend
            .call('engine.enqueue', { ...LOCAL, kind: 'shout', tenantId: 'bob', payload: 'three' })
            .catch(() => null),
        soon,
      )
      .not.toBeNull();
    await expect.poll(notes, soon).toContain('THREE');
    const circle = { ...note, dependsOn: ['note'] };
    await expect(backend.call('engine.saveSettings', { ...settings, kinds: [circle] })).rejects.toThrow(
      'kinds wait for each other: note → note',
    );
  });

  it('say what is no engine, and which kind is unknown', async () => {
    expect((await refusal(backend.call('engine.job', { connectionId: 'nobody', id: 1 }))).code).toBe(
      'not-found',
    );
    const unknown = await refusal(
      backend.call('engine.enqueue', { ...LOCAL, kind: 'sing', tenantId: 'ada', payload: 1 }),
    );
    expect(unknown.message).toContain('sing');
  });

  it('play another incident as another system: its tenants, its thresholds, nothing of the last', async () => {
    await backend.untilLive('this-computer');
    const before = await backend.overview('this-computer');
    await expect.poll(() => before.rows.length, soon).toBe(41);
    const rehearsal = await backend.call('rehearsal.set', { incident: 4 });
    expect(rehearsal.incident).toBe(4);
    // Whoever followed is told to come back.
    await expect.poll(() => before.failures, soon).toMatchObject([{ code: 'not-found', retryable: true }]);
    await expect.poll(() => backend.stateOf('this-computer'), soon).toBe('live');
    const after = await backend.overview('this-computer');
    await expect.poll(() => after.rows.map(({ name }) => name), soon).toContain('ada');
    expect(after.rows).toHaveLength(10);
    expect(after.head.connection.tenantWord).toBe('user');
    const lag = async (connectionId: string) =>
      (await backend.call('rules.list', { connectionId })).find(({ id }) => id === 'lag')?.warning;
    expect(await lag('this-computer')).toBe(18_000);
    expect(await lag('local-engine')).toBe(180_000);
    await backend.call('rehearsal.act', {});
    const engine = await backend.follow('engine', { connectionId: 'this-computer' });
    await expect.poll(() => engine.deltas.at(-1)?.totals.dead.value ?? 0, soon).toBeGreaterThan(0);
    engine.leave();
    after.leave();
    await backend.call('rules.change', {
      ...LOCAL,
      rule: 'lag',
      change: { warning: 60 },
    });
    expect(await lag('local-engine')).toBe(60_000);
  });

  it('tell of a file that cannot be used in a notice, while the rehearsal plays', async () => {
    const other = stack.use(await tempDir('engine-backend')).path;
    await writeFile(join(other, 'engine.db'), 'no database\n'.repeat(1_000));
    await using second = await TestBackend.start(other, { version: 1 });
    const { snapshot, leave } = await second.follow('notices', {});
    leave();
    expect(snapshot).toMatchObject([
      { id: 'local-engine', text: expect.stringContaining('engine.db') as string },
    ]);
    await second.untilLive('this-computer');
    await expect.poll(() => second.stateOf('local-engine'), soon).toBe('unreachable');
  });
});
