// The web face over real HTTP and WebSockets: who gets in, what is served, and a client that lives over a restart.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { methods, streams, type MethodHandlers, type StreamHandlers } from '../../src/contract/api.ts';
import { HeadwayError } from '../../src/contract/errors.ts';
import { Dispatcher } from '../../src/main/host/dispatcher.ts';
import { WebFace, type WebFaceOptions } from '../../src/main/host/web-face.ts';
import { createClient, type Client } from '../../src/renderer/lib/client/client.ts';
import { webSocketTransport } from '../../src/renderer/lib/client/web-socket-transport.ts';
import { until } from '../harness/until.ts';

const logger = { warn: () => undefined, error: (fields: object) => console.error(fields) };
const stack: (() => unknown)[] = [];
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'headway-web-'));
  await mkdir(join(directory, 'window', 'assets'), { recursive: true });
  await writeFile(join(directory, 'window', 'index.html'), '<!doctype html><title>Headway</title>');
  await writeFile(join(directory, 'window', 'assets', 'main-1.js'), 'export {};');
  stack.push(() => rm(directory, { recursive: true, force: true }));
});
afterEach(async () => {
  for (const end of stack.splice(0).reverse()) await end();
});

const absent = () => Promise.reject(new HeadwayError('not-found', 'not here'));
const all = (names: object) => Object.fromEntries(Object.keys(names).map((name) => [name, absent]));

async function startFace(
  options: Partial<WebFaceOptions> = {},
  given: { methods?: Partial<MethodHandlers>; streams?: Partial<StreamHandlers> } = {},
) {
  const dispatcher = new Dispatcher({
    // Complete by construction: every name of the contract has a handler.
    methods: { ...all(methods), ...given.methods } as MethodHandlers,
    streams: { ...all(streams), ...given.streams } as StreamHandlers,
    logger,
  });
  const windowDirectory = join(directory, 'window');
  const face = new WebFace({ dispatcher, windowDirectory, dataDirectory: directory, logger, ...options });
  stack.push(() => face.stop());
  await face.start();
  return { face, dispatcher };
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** One request with exactly these headers: fetch would set Host by itself. */
function ask(
  port: number,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** Signs in as a browser does; the cookie to send from then on. */
async function signIn(face: WebFace): Promise<string> {
  const url = new URL(face.url);
  const answer = await ask(face.port, url.pathname + url.search);
  const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0];
  if (answer.status !== 303 || cookie === undefined)
    throw new Error(`sign-in: ${answer.status} ${answer.body}`);
  return cookie;
}

/** The status of an upgrade; 101 is success. */
function upgrade(port: number, headers: Record<string, string>, path = '/ws'): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
    socket.on('open', () => {
      socket.terminate();
      resolve(101);
    });
    socket.on('unexpected-response', (asked, response) => {
      asked.destroy();
      resolve(response.statusCode ?? 0);
    });
    socket.on('error', reject);
  });
}

test('a token is exchanged once for a cookie, and the rest of the path is kept', async () => {
  const { face } = await startFace();
  const { token } = Object.fromEntries(new URL(face.url).searchParams) as { token: string };
  expect((await ask(face.port, '/?token=wrong')).status).toBe(401);
  const first = await ask(face.port, `/connection/postal/tenant/3?range=6h&token=${token}`);
  expect(first.status).toBe(303);
  expect(first.headers.location).toBe('/connection/postal/tenant/3?range=6h');
  const cookie = String(first.headers['set-cookie']);
  expect(cookie).toMatch(
    new RegExp(`^headway-${face.port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict; Max-Age=`),
  );
  expect((await ask(face.port, `/?token=${token}`)).status).toBe(401);
  expect(new URL(face.url).searchParams.get('token')).not.toBe(token);

  const page = await ask(face.port, '/connection/postal/tenant/3', { cookie: cookie.split(';')[0] ?? '' });
  expect(page.status).toBe(200);
  expect(page.body).toContain('<title>Headway</title>');
});

test('without a session there is a page that says how to get in, and nothing of the window', async () => {
  const { face } = await startFace();
  for (const path of ['/', '/assets/main-1.js', '/connection/postal']) {
    const answer = await ask(face.port, path, { cookie: `headway-${face.port}=forged` });
    expect(answer.status).toBe(401);
    expect(answer.body).toContain('Open the address that Headway printed');
    expect(answer.body).not.toContain(directory);
  }
});

test('the window is served with a strict policy; only hashed files may be cached', async () => {
  const { face } = await startFace();
  const cookie = await signIn(face);
  const page = await ask(face.port, '/', { cookie });
  expect(page.headers['cache-control']).toBe('no-store');
  expect(page.headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
  expect(page.headers['x-content-type-options']).toBe('nosniff');
  const script = await ask(face.port, '/assets/main-1.js', { cookie });
  expect(script.headers['cache-control']).toContain('immutable');
  expect(script.headers['content-type']).toBe('text/javascript; charset=utf-8');
  expect((await ask(face.port, '/assets/%2e%2e/%2e%2e/web-access.json', { cookie })).status).toBe(404);
  expect((await ask(face.port, '//example.com/', { cookie })).status).toBe(400);
  expect((await ask(face.port, '/', { cookie }, 'HEAD')).body).toBe('');
});

test('another Host, another Origin and other methods are turned away, session or not', async () => {
  const { face } = await startFace();
  const cookie = await signIn(face);
  const { port } = face;
  expect((await ask(port, '/', { cookie, host: `rebound.example:${port}` })).status).toBe(421);
  expect((await ask(port, '/', { cookie, host: '127.0.0.1:1' })).status).toBe(421);
  expect((await ask(port, '/', { cookie, host: `localhost:${port}` })).status).toBe(200);
  expect((await ask(port, '/', { cookie }, 'POST')).status).toBe(403);
  expect((await ask(port, '/', { cookie, origin: `http://127.0.0.1:${port}` }, 'POST')).status).toBe(405);

  const origin = `http://127.0.0.1:${port}`;
  expect(await upgrade(port, { cookie, origin })).toBe(101);
  expect(await upgrade(port, { cookie, origin: 'http://evil.example' })).toBe(403);
  expect(await upgrade(port, { cookie, origin: `http://localhost:${port}` })).toBe(403);
  expect(await upgrade(port, { cookie })).toBe(403);
  expect(await upgrade(port, { origin })).toBe(401);
  expect(await upgrade(port, { cookie, origin }, '/other')).toBe(404);
  expect(await upgrade(port, { cookie, origin, host: `rebound.example:${port}` })).toBe(421);
});

test('a link from another site is followed once more from here, so that the strict cookie comes along', async () => {
  const { face } = await startFace();
  const fromElsewhere = { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' };
  const linked = await ask(face.port, '/connection/a?q="><script>', fromElsewhere);
  expect(linked.body).toContain('http-equiv="refresh" content="0;url=/connection/a?q=');
  expect(linked.body).not.toContain('<script>');
  const again = await ask(face.port, '/connection/a', { ...fromElsewhere, 'sec-fetch-site': 'same-origin' });
  expect(again.body).toContain('Open the address that Headway printed');
});

test('two faces side by side do not disturb each other, and each ends on its own', async () => {
  const { face: one } = await startFace();
  const { face: two } = await startFace({ dataDirectory: join(directory, 'two') });
  const cookie = `${await signIn(one)}; ${await signIn(two)}`;
  expect((await ask(one.port, '/', { cookie })).status).toBe(200);
  expect((await ask(two.port, '/', { cookie })).status).toBe(200);
  const { port } = one;
  await one.stop();
  await one.stop();
  await expect(ask(port, '/')).rejects.toThrow('ECONNREFUSED');
  expect((await ask(two.port, '/', { cookie })).status).toBe(200);
});

test('an address that others can reach needs TLS; a port in use and an address elsewhere are named', async () => {
  await expect(startFace({ address: '0.0.0.0' })).rejects.toMatchObject({
    code: 'settings-invalid',
    message: expect.stringContaining('0.0.0.0 without TLS') as string,
  });
  const busy = createServer();
  await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
  stack.push(() => busy.close());
  const { port } = busy.address() as { port: number };
  await expect(startFace({ port })).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining(`Port ${port} of 127.0.0.1 is in use`) as string,
  });
  const { face } = await startFace();
  await face.stop();
  const stopped = new WebFace({
    dispatcher: new Dispatcher({ methods: {} as MethodHandlers, streams: {} as StreamHandlers, logger }),
    windowDirectory: directory,
    dataDirectory: directory,
    logger,
  });
  await stopped.stop();
});

/** A client over real sockets, with the cookie a browser would send. */
function connect(port: number, cookie: string): Client {
  const origin = `http://127.0.0.1:${port}`;
  const client = createClient(
    webSocketTransport(() => new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { cookie, origin } })),
  );
  stack.push(() => client.close());
  return client;
}

test('a client lives over a restart of the backend: state shown, calls rejected, streams renewed', async () => {
  const rehearsal: StreamHandlers['rehearsal'] = () => Promise.resolve(null);
  const burst = () => Promise.resolve({});
  const before = await startFace({}, { streams: { rehearsal }, methods: { 'rehearsal.act': burst } });
  const { port } = before.face;
  const client = connect(port, await signIn(before.face));
  const kinds: string[] = [];
  client.onState(({ kind }) => kinds.push(kind));
  let snapshots = 0;
  const ignore = () => undefined;
  client.subscribe('rehearsal', {}, { snapshot: () => (snapshots += 1), delta: ignore, error: ignore });
  await until(() => snapshots === 1, 'never: first snapshot');
  await expect(client.call('rehearsal.act', {})).resolves.toEqual({});
  await expect(client.call('connections.get', { id: 'none' })).rejects.toMatchObject({ code: 'not-found' });

  await before.face.stop();
  await until(() => client.state.kind === 'reconnecting', 'never: loss seen');
  expect(client.state).toMatchObject({ attempt: expect.any(Number) as number });
  await expect(client.call('rehearsal.act', {})).rejects.toMatchObject({
    code: 'unreachable',
    retryable: true,
  });
  expect(before.dispatcher.clients).toBe(0);

  // The same data directory, so the session is still good.
  await startFace({ port }, { streams: { rehearsal }, methods: { 'rehearsal.act': burst } });
  await until(() => snapshots === 2, 'never: snapshot after the restart');
  expect(kinds[0]).toBe('live');
  expect(kinds.at(-1)).toBe('live');
  await expect(client.call('rehearsal.act', {})).resolves.toEqual({});
});

test('a window that stops reading loses deltas and is told so; another one loses none', async () => {
  const emits = new Set<(delta: unknown) => void>();
  const rehearsal: StreamHandlers['rehearsal'] = (_params, sink, signal) => {
    const push = (delta: unknown) => sink.emit(delta as never);
    emits.add(push);
    signal.addEventListener('abort', () => emits.delete(push));
    return Promise.resolve(null);
  };
  const { face } = await startFace({}, { streams: { rehearsal } });
  const cookie = await signIn(face);
  const headers = { cookie, origin: `http://127.0.0.1:${face.port}` };
  const slow = new WebSocket(`ws://127.0.0.1:${face.port}/ws`, { headers });
  stack.push(() => slow.terminate());
  const slowGot: { t: string; seq?: number; dropped?: number }[] = [];
  slow.on('message', (data: Buffer) => slowGot.push(JSON.parse(data.toString()) as { t: string }));
  await new Promise((resolve) => slow.once('open', resolve));
  slow.send(JSON.stringify({ t: 'subscribe', id: 1, stream: 'rehearsal', params: {} }));
  await until(() => slowGot.length === 1, 'never: the slow one is subscribed');
  slow.pause();

  const client = connect(face.port, cookie);
  let seen = 0;
  let snapshots = 0;
  const error = () => undefined;
  client.subscribe('rehearsal', {}, { snapshot: () => (snapshots += 1), delta: () => (seen += 1), error });
  await until(() => emits.size === 2 && snapshots === 1, 'never: both are subscribed');

  // 50 MB in all: far over what sockets and the slow window's bound hold.
  const delta = 'x'.repeat(100_000);
  for (let sent = 0; sent < 500; sent += 1) {
    for (const emit of emits) emit(delta);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await until(() => seen === 500, 'never: the fast window has all');
  expect(client.dropped).toBe(0);
  expect(snapshots).toBe(1);

  slow.resume();
  await until(() => (slowGot.at(-1)?.dropped ?? 0) > 200, 'never: the slow window is told');
  const seqs = slowGot.slice(1).map(({ seq }) => seq ?? 0);
  const gap = seqs.findIndex((seq, index) => seq !== index + 1);
  expect(gap).toBeGreaterThan(0);
});
