// `headway serve` as an engineer starts and ends it.
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildWindow } from '../harness/build-window.ts';
import { headwayCommand } from '../harness/headway.ts';
import { startMariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader } from '../harness/postal-schema.ts';
import { startProcess, type RunningProcess } from '../harness/process.ts';
import { tempDir } from '../harness/temp.ts';
import { connectionTo, expectNoSecret, headway, secrets } from './cli-fixture.ts';

const stack = new AsyncDisposableStack();
const env = { ...process.env, HEADWAY_TEST_PASSWORD: secrets.right };
let config: string;

beforeAll(async () => {
  const window = join(import.meta.dirname, '..', '..', 'out', 'renderer', 'index.html');
  if (!existsSync(window)) await buildWindow();
  const db = stack.use(await startMariaDb());
  const postal = await createPostal(db, { servers: [{ id: 3, name: 'mailflow' }] });
  const reader = await createReader(postal, 'headway', secrets.right);
  config = join(stack.use(await tempDir('serve-config')).path, 'settings.json');
  await writeFile(config, JSON.stringify({ version: 1, connections: [connectionTo(db, reader)] }));
});
afterAll(() => stack.disposeAsync());

/** Starts the command and waits until it has printed its address. */
async function serve(owner: AsyncDisposableStack, ...args: string[]): Promise<RunningProcess & { url: URL }> {
  const dir = owner.use(await tempDir('serve'));
  const server = owner.use(
    await startProcess({
      ...headwayCommand('serve', '--config', config, '--data', dir.path, ...args),
      env,
      ready: ({ output }) => output.includes('Ctrl-C stops.'),
    }),
  );
  const url = /Headway is at (\S+)/.exec(server.output())?.[1];
  if (url === undefined) throw new Error(server.output());
  return { ...server, url: new URL(url) };
}

const ask = (url: URL | string, cookie?: string) =>
  fetch(url, { redirect: 'manual', headers: cookie === undefined ? {} : { cookie } });

/** Processes whose parent is `pid`. */
async function childrenOf(pid: number): Promise<number[]> {
  const children: number[] = [];
  for (const name of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const status = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The second field is a name in parentheses that may hold anything.
    if (Number(status.slice(status.lastIndexOf(')') + 1).split(' ')[2]) === pid) children.push(Number(name));
  }
  return children;
}

describe('headway serve', () => {
  it('prints its address with a token that signs in one browser, once; without it, nobody', async () => {
    await using owner = new AsyncDisposableStack();
    const { url, output } = await serve(owner, '--port', '0');
    expect(url.hostname).toBe('127.0.0.1');
    expect((await ask(url.origin)).status).toBe(401);
    expect((await ask(`${url.origin}/?token=wrong`)).status).toBe(401);

    const signedIn = await ask(url);
    expect(signedIn.status).toBe(303);
    expect(signedIn.headers.get('location')).toBe('/');
    const cookie = signedIn.headers.get('set-cookie') ?? '';
    expect(cookie).toContain('HttpOnly; SameSite=Strict');
    const page = await ask(url.origin, cookie.split(';')[0]);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<title>Headway</title>');

    expect((await ask(url)).status).toBe(401);
    expectNoSecret(output());
  });

  it('ends in good order by SIGTERM within five seconds, with a page open, and leaves nothing', async () => {
    await using owner = new AsyncDisposableStack();
    const server = await serve(owner, '--port', '0');
    const cookie = (await ask(server.url)).headers.get('set-cookie')?.split(';')[0] ?? '';
    const socket = new WebSocket(`ws://${server.url.host}/ws`, {
      headers: { cookie, origin: server.url.origin },
    });
    owner.defer(() => socket.close());
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error('the page has no line')));
    });
    const children = await childrenOf(server.pid);
    process.kill(server.pid, 'SIGTERM');
    const patience = new AbortController();
    const ended = await Promise.race([
      server.exited,
      sleep(5_000, 'still running', { signal: patience.signal }).catch(() => 'ended'),
    ]);
    patience.abort();
    expect(ended).toEqual({ code: 0, signal: null });
    for (const pid of children) expect(existsSync(`/proc/${pid}`)).toBe(false);
    await expect(ask(server.url.origin)).rejects.toThrow();
    expect(server.output()).not.toMatch(/error/i);
  });

  it('ends in good order when the signal comes while it still starts', async () => {
    await using owner = new AsyncDisposableStack();
    const dir = owner.use(await tempDir('serve'));
    const server = owner.use(
      await startProcess({
        ...headwayCommand('serve', '--config', config, '--data', dir.path, '--port', '0'),
        env,
        // The history is the first thing that it opens.
        ready: () => existsSync(join(dir.path, 'headway.db')),
      }),
    );
    process.kill(server.pid, 'SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });

  it('names a port that is in use', async () => {
    await using owner = new AsyncDisposableStack();
    const blocker = createServer();
    owner.defer(() => void blocker.close());
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const address = blocker.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const dir = owner.use(await tempDir('serve'));
    const { code, stderr, stdout } = await headway(
      ['serve', '--config', config, '--data', dir.path, '--port', String(address.port)],
      { env },
    );
    expect(stderr).toBe(
      `headway: Port ${address.port} of 127.0.0.1 is in use by another program. Give another port, or 0 for a free one.\n`,
    );
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  it('refuses an address that others can reach without TLS', async () => {
    await using owner = new AsyncDisposableStack();
    const dir = owner.use(await tempDir('serve'));
    const args = ['serve', '--config', config, '--data', dir.path, '--port', '0', '--host', '0.0.0.0'];
    const { code, stderr } = await headway(args, { env });
    expect(stderr).toContain('does not serve 0.0.0.0 without TLS');
    expect(code).toBe(2);
  });
});
