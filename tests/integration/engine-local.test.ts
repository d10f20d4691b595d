// This computer's own jobs: their settings, their file, what a person may see and do.
import { readFile, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { WireError } from '../../src/contract/errors.ts';
import type { EngineHost } from '../../src/main/engine/engine-host.ts';
import { tempDir } from '../harness/temp.ts';
import { hostOn, localSettings } from './engine-host-fixture.ts';

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const dataDirectory = async (): Promise<string> => stack.use(await tempDir('engine-local')).path;
const soon = { timeout: 15_000, interval: 50 };
const signal = new AbortController().signal;

const command = (kind: string, words: string[], more: object = {}): object => ({
  kind,
  handler: { type: 'command', command: words },
  ...more,
});
/** Writes what it reads into the file `name` in its folder. */
const keep = (kind: string, name: string): object => command(kind, ['sh', '-c', `cat >> ${name}`]);
const file = (folder: string, name: string): Promise<string> =>
  readFile(join(folder, name), 'utf8').catch(() => '');
const enqueue = (host: EngineHost, kind: string, payload: unknown = {}) =>
  host.admin('local').enqueue([{ tenantId: 'ada', kind, payload }]);
const view = (host: EngineHost) => host.admin('local').view(signal);

/** A host that tells what is wrong with the local engine. */
async function started(host: EngineHost): Promise<{ problems: (WireError | null)[] }> {
  const problems: (WireError | null)[] = [];
  host.followLocalProblem((problem) => problems.push(problem), signal);
  await host.start();
  return { problems };
}

describe('the local engine', () => {
  it('runs the kinds of the settings, and others as soon as the settings change', async () => {
    const folder = await dataDirectory();
    await using host = hostOn(folder, { settings: { kinds: [keep('note', 'first.txt')] } });
    await host.start();
    await enqueue(host, 'note', { text: 'one' });
    await vi.waitFor(async () => expect(await file(folder, 'first.txt')).toContain('one'), soon);
    await expect(enqueue(host, 'mail')).rejects.toMatchObject({
      message: expect.stringContaining('mail') as string,
    });

    const kinds = [keep('note', 'second.txt'), keep('mail', 'mail.txt')];
    await host.configure(localSettings(folder, { workers: 3, order: 'fair-time', kinds }));
    await enqueue(host, 'note', { text: 'two' });
    await enqueue(host, 'mail', { text: 'three' });
    await vi.waitFor(async () => {
      expect(await file(folder, 'second.txt')).toContain('two');
      expect(await file(folder, 'mail.txt')).toContain('three');
    }, soon);
    expect(await file(folder, 'first.txt')).not.toContain('two');
    expect(await host.sample('local', signal)).toMatchObject({ workers: 3, order: 'fair-time' });
  });

  it('keeps its jobs over a stop, and finishes what runs within the time it has', async () => {
    const folder = await dataDirectory();
    const slow = command('slow', ['sh', '-c', 'cat > running.txt; sleep 1; mv running.txt ended.txt']);
    const settings = { workers: 1, kinds: [slow], stopSeconds: 20 };
    {
      await using host = hostOn(folder, { settings });
      await host.start();
      await enqueue(host, 'slow', 1);
      await enqueue(host, 'slow', 2);
      await vi.waitFor(async () => expect(await file(folder, 'running.txt')).not.toBe(''), soon);
    }
    expect(await file(folder, 'ended.txt')).toContain('1');
    await using host = hostOn(folder, { settings });
    await host.start();
    await vi.waitFor(async () => expect(await file(folder, 'ended.txt')).toContain('2'), soon);
  });

  it('gives a program the secrets that its kind names, and says which one is missing', async () => {
    const folder = await dataDirectory();
    const call = (kind: string, stored: string): object => ({
      kind,
      handler: {
        type: 'command',
        command: ['sh', '-c', `printf %s "$KEY" > ${kind}.txt`],
        env: { KEY: { stored } },
      },
    });
    await using host = hostOn(folder, {
      settings: { kinds: [call('known', 'api.key'), call('unknown', 'no.key')] },
      secrets: { 'api.key': 'sesam' },
    });
    await host.start();
    await enqueue(host, 'known');
    const [unknown] = await enqueue(host, 'unknown');
    await vi.waitFor(async () => expect(await file(folder, 'known.txt')).toBe('sesam'), soon);
    await vi.waitFor(async () => {
      const { job } = await host.admin('local').job(unknown?.id ?? 0);
      expect(job?.failedAttempts[0]?.failure.message).toMatch(/KEY.*"unknown".*enter it in the form/);
    }, soon);
  });

  it('shows its jobs, the payload redacted, and lets a person hold, requeue and discard', async () => {
    const folder = await dataDirectory();
    const fails = command('fails', ['sh', '-c', 'echo "no such document" >&2; exit 3'], {
      retry: { maxAttempts: 1 },
      redact: ['customer.name'],
    });
    await using host = hostOn(folder, { settings: { kinds: [fails] } });
    await host.start();
    const admin = host.admin('local');
    const [dead] = await enqueue(host, 'fails', {
      customer: { name: 'Ada', size: 3 },
      apiToken: 't0ps3cret',
    });
    await vi.waitFor(async () => expect((await view(host)).totals.dead.value).toBe(1), soon);
    const { deadGroups, store, recent } = await view(host);
    expect(deadGroups).toMatchObject([{ kind: 'fails', count: 1 }]);
    expect(store).toContain('engine.db');
    expect(recent[0]).toMatchObject({ jobId: dead?.id, kind: 'fails' });
    const page = await admin.job(dead?.id ?? 0);
    expect(JSON.parse(page.payload?.text ?? '')).toEqual({
      customer: { name: 'redacted', size: 3 },
      apiToken: 'redacted',
    });
    expect(page.job?.failedAttempts[0]?.failure.stderrTail).toContain('no such document');

    await admin.hold({ tenantId: 'ada', kind: null, mode: 'pause', by: 'bob', reason: 'looking' });
    await enqueue(host, 'fails');
    expect((await view(host)).holds).toMatchObject([{ tenantId: 'ada', by: 'bob', mode: 'pause' }]);
    expect((await host.sample('local', signal)).tenants[0]?.ready.value).toBe(1);
    expect(await admin.unhold({ tenantId: 'ada', kind: null })).toBe(true);
    await vi.waitFor(async () => expect((await view(host)).totals.dead.value).toBe(2), soon);

    await admin.bulk('requeue', { kind: 'fails' });
    await vi.waitFor(async () => {
      const { bulks, totals } = await view(host);
      expect(bulks).toMatchObject([{ what: 'requeue', state: 'done', changed: 2 }]);
      expect(totals.dead.value).toBe(2);
    }, soon);
    await admin.bulk('discard', {});
    await vi.waitFor(async () => expect((await view(host)).totals.dead.value).toBe(0), soon);
    expect(await admin.unhold({ tenantId: 'ada', kind: null })).toBe(false);
    await expect(admin.stopBulk(4_711)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('names a kind that cannot be run, and runs the others', async () => {
    const folder = await dataDirectory();
    const kinds = [command('broken', ['/no/such/program']), keep('note', 'note.txt')];
    await using host = hostOn(folder, { settings: { kinds } });
    const { problems } = await started(host);
    await vi.waitFor(() => expect(problems.at(-1)?.message).toMatch(/"broken".*\/no\/such\/program/), soon);
    await enqueue(host, 'note', 'it works');
    await vi.waitFor(async () => expect(await file(folder, 'note.txt')).toContain('it works'), soon);
    await host.configure(localSettings(folder, { kinds: [keep('note', 'note.txt')] }));
    await vi.waitFor(() => expect(problems.at(-1)).toBeNull(), soon);
  });
});

describe('a file of jobs that cannot be used', () => {
  const refused = async (folder: string, words: RegExp, code: string): Promise<void> => {
    const before = await readFile(join(folder, 'engine.db'));
    await using host = hostOn(folder);
    const { problems } = await started(host);
    expect(problems).toMatchObject([{ code, message: expect.stringMatching(words) as string }]);
    await expect(host.sample('local', signal)).rejects.toMatchObject({ code });
    await expect(view(host)).rejects.toThrow(words);
    // The rehearsal is none the worse.
    expect((await host.sample('rehearsal', signal)).tenants).toHaveLength(41);
    await host.stop();
    expect((await readFile(join(folder, 'engine.db'))).equals(before)).toBe(true);
  };

  it('is left as it is when it is somebody else’s', async () => {
    const folder = await dataDirectory();
    const db = new DatabaseSync(join(folder, 'engine.db'));
    db.exec('CREATE TABLE mine (id INTEGER PRIMARY KEY)');
    db.close();
    await refused(folder, /not a job store of Headway/, 'schema-mismatch');
  });

  it('is left as it is when a newer Headway wrote it, and used again when that is mended', async () => {
    const folder = await dataDirectory();
    {
      await using host = hostOn(folder, {
        settings: { kinds: [command('wait', ['sleep', '300'])], stopSeconds: 0 },
      });
      await host.start();
      await enqueue(host, 'wait');
    }
    const setVersion = (sql: string): number => {
      using db = new DatabaseSync(join(folder, 'engine.db'));
      const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
      db.exec(sql);
      return version;
    };
    const version = setVersion('PRAGMA user_version = 9999');
    await refused(folder, /newer Headway/, 'schema-mismatch');

    await using host = hostOn(folder);
    await started(host);
    setVersion(`PRAGMA user_version = ${version}`);
    await vi.waitFor(async () => expect((await host.sample('local', signal)).tenants).toHaveLength(1), soon);
  });

  it('is left as it is when it is no database at all', async () => {
    const folder = await dataDirectory();
    await writeFile(join(folder, 'engine.db'), 'a shopping list, and no database at all\n'.repeat(200));
    await refused(folder, /no SQLite file|not a database/, 'storage-failed');
  });
});
