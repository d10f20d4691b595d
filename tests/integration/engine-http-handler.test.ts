// Calls over HTTP against a server that answers in every way we know of.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { JobError } from '../../src/main/engine/workers/handler.ts';
import { HttpHandler, type HttpKind } from '../../src/main/engine/workers/handlers/http-handler.ts';
import { freePort } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { aContext, aJob, fastClock, openHandles } from './engine-handler-fixture.ts';

const clock = fastClock(10);
type Answer = (request: IncomingMessage & { text: string }, response: ServerResponse) => void;

let server: Server;
let origin: string;
let answer: Answer;
let connections: Set<Socket>;
let opened: number;
let before: string;
let handlers: HttpHandler[] = [];

beforeEach(async () => {
  before = openHandles();
  connections = new Set();
  opened = 0;
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () =>
      answer(Object.assign(request, { text: Buffer.concat(chunks).toString() }), response),
    );
  });
  server.on('connection', (socket) => {
    opened += 1;
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  for (const handler of handlers) await handler[Symbol.asyncDispose]();
  handlers = [];
  // Its handlers put away, nobody of us is connected.
  await until(() => connections.size === 0, 'a connection is left');
  expect(clock.timers()).toBe(0);
  await new Promise((resolve) => server.close(resolve));
  await until(
    () => openHandles() === before,
    () => `open are ${openHandles()}; before: ${before}`,
    2_000,
  );
});

function handlerOf(settings: object = {}, rest: object = {}): HttpHandler {
  const kind = jobKindSchema.parse({
    kind: 'test',
    handler: { type: 'http', url: `${origin}/jobs?key=hush`, ...settings },
    ...rest,
  });
  const handler = new HttpHandler(kind as typeof kind & HttpKind, {
    secret: () => Promise.resolve('correct horse'),
    clock,
  });
  handlers.push(handler);
  return handler;
}

async function failureOf(handler: HttpHandler, signal?: AbortSignal): Promise<JobError> {
  const error: unknown = await handler.run(aJob({ a: 1 }), aContext(signal).context).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof JobError)) throw new Error('a JobError was expected', { cause: error });
  return error;
}

const answering =
  (status: number, headers: Record<string, string> = {}, body = ''): Answer =>
  (_, response) => {
    response.writeHead(status, headers).end(body);
  };

describe('a call', () => {
  it('sends the payload as JSON with the declared headers, and books connection and answer', async () => {
    let seen: (IncomingMessage & { text: string }) | null = null;
    answer = (request, response) => {
      seen = request;
      response.writeHead(204).end();
    };
    const { context, stages } = aContext();
    await handlerOf({ method: 'PUT', headers: { Authorization: { env: 'X' } } }).run(
      aJob({ to: 'Zoë' }),
      context,
    );
    expect(seen).toMatchObject({ method: 'PUT', url: '/jobs?key=hush', text: '{"to":"Zoë"}' });
    expect(seen).toMatchObject({
      headers: { authorization: 'correct horse', 'content-type': 'application/json' },
    });
    expect(stages).toEqual(['connect', 'response']);
  });

  it('keeps its connection for the next, and opens another when that was closed meanwhile', async () => {
    answer = answering(200, {}, 'ok');
    const handler = handlerOf();
    for (let i = 0; i < 5; i++) await handler.run(aJob(i), aContext().context);
    expect(opened).toBe(1);
    // The server hangs up on the very request that comes in on the kept connection.
    answer = (request, response) => {
      if (connections.size === 1 && opened === 1) request.socket.destroy();
      else response.end();
    };
    await handler.run(aJob(), aContext().context);
    expect(opened).toBe(2);
  });

  it('closes what it keeps when memory is short', async () => {
    answer = answering(200);
    const handler = handlerOf();
    await handler.run(aJob(), aContext().context);
    expect(connections.size).toBe(1);
    handler.recycle();
    await until(() => connections.size === 0, 'the kept connection was not closed');
  });

  it('waits for a slow answer, and reads a long one no further than it must', async () => {
    answer = (_, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (response.write(Buffer.alloc(64 * 1024))) if (response.closed) return;
        response.once('drain', more);
      };
      more();
    };
    await handlerOf().run(aJob(), aContext().context);
  });
});

describe('an answer', () => {
  it.each([
    [500, {}, 'transient'],
    [503, {}, 'transient'],
    [408, {}, 'transient'],
    [425, {}, 'transient'],
    [400, {}, 'permanent'],
    [401, {}, 'permanent'],
    [403, {}, 'permanent'],
    [404, {}, 'permanent'],
    [422, {}, 'permanent'],
    [304, {}, 'permanent'],
    [429, {}, 'rate-limit'],
    [403, { 'x-ratelimit-reset': '30', 'x-ratelimit-remaining': '0' }, 'quota'],
    [403, { 'x-ratelimit-reset': '30', 'x-ratelimit-remaining': '9' }, 'permanent'],
  ] as const)('%i with %j is %s', async (status, headers, expected) => {
    answer = answering(status, headers);
    expect(await failureOf(handlerOf())).toMatchObject({ class: expected });
  });

  it('of a quota is known by its words', async () => {
    answer = answering(402, {}, '{"error": "Monthly spend limit reached"}');
    expect((await failureOf(handlerOf())).class).toBe('quota');
    answer = answering(429, {}, '{"code": "insufficient_quota"}');
    expect((await failureOf(handlerOf())).class).toBe('quota');
  });

  it('says when to come again', async () => {
    answer = answering(429, { 'retry-after': '90' });
    expect((await failureOf(handlerOf())).retryAfterMs).toBe(90_000);
    answer = answering(503, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() });
    const { retryAfterMs } = await failureOf(handlerOf());
    expect(retryAfterMs).toBeGreaterThan(55_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('is told with its first words and 4 KB of its body, and without secrets or the query', async () => {
    answer = answering(400, {}, `account correct horse is closed\n${'x'.repeat(100_000)}`);
    const error = await failureOf(handlerOf({ headers: { Authorization: { env: 'X' } } }));
    expect(error.message).toBe(`POST ${origin}/jobs answered 400 Bad Request: account [secret] is closed`);
    expect(error.stderrTail?.length).toBeLessThanOrEqual(4096);
    expect(JSON.stringify([error.message, error.stderrTail])).not.toMatch(/correct horse|hush/);
  });
});

describe('a redirect', () => {
  it('is followed on the same server, with method and body where its code says so', async () => {
    const calls: string[] = [];
    answer = (request, response) => {
      calls.push(`${request.method ?? ''} ${request.url ?? ''} ${request.text}`);
      if (calls.length === 1) response.writeHead(307, { location: '/second' }).end();
      else if (calls.length === 2) response.writeHead(303, { location: '/third' }).end();
      else response.end();
    };
    await handlerOf().run(aJob(1), aContext().context);
    expect(calls).toEqual(['POST /jobs?key=hush 1', 'POST /second 1', 'GET /third ']);
  });

  it('is not followed to another server, nor for ever', async () => {
    answer = answering(302, { location: 'http://127.0.0.2:9/' });
    expect(await failureOf(handlerOf())).toMatchObject({
      class: 'permanent',
      message: `POST ${origin}/jobs redirects to another server, http://127.0.0.2:9: declare that address instead`,
    });
    answer = answering(307, { location: '/jobs' });
    expect((await failureOf(handlerOf())).message).toContain('redirects more than 5 times');
  });
});

describe('a server that does not answer', () => {
  it('is named when nobody listens, when it has no address, and when it hangs up', async () => {
    const port = await freePort();
    const refused = await failureOf(handlerOf({ url: `http://127.0.0.1:${port}/x` }));
    expect(refused).toMatchObject({ class: 'transient' });
    expect(refused.message).toBe(
      `POST http://127.0.0.1:${port}/x failed: 127.0.0.1:${port} refused the connection`,
    );
    const unknown = await failureOf(handlerOf({ url: 'http://nowhere.invalid/' }));
    expect(unknown).toMatchObject({ class: 'transient' });
    expect(unknown.message).toContain('nowhere.invalid');
    answer = (request) => request.socket.destroy();
    expect((await failureOf(handlerOf())).message).toContain('broke off the connection');
  });

  it('breaks off in the middle of its answer', async () => {
    answer = (request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('half');
      setTimeout(() => request.socket.destroy(), 20);
    };
    expect(await failureOf(handlerOf())).toMatchObject({ class: 'transient' });
  });

  it('is given up after the time for the request, and with its job', async () => {
    answer = () => undefined;
    const late = await failureOf(handlerOf({}, { timeouts: { jobSeconds: 60, scriptSeconds: 1 } }));
    expect(late).toMatchObject({
      class: 'timeout',
      message: `POST ${origin}/jobs had no answer within 1 s (scriptSeconds)`,
    });
    const job = new AbortController();
    const failed = failureOf(handlerOf(), job.signal);
    await until(() => connections.size > 0);
    job.abort(new JobError('timeout', 'the job took too long'));
    expect((await failed).message).toBe('the job took too long');
  });

  it('holds nobody up who puts the handler away', async () => {
    answer = () => undefined;
    const handler = handlerOf();
    const failed = handler.run(aJob(), aContext().context).catch((error: unknown) => error);
    await until(() => connections.size > 0);
    await handler[Symbol.asyncDispose]();
    expect(String(await failed)).toContain('was closed');
  });
});
