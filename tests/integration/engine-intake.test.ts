// The engine over HTTP as another program meets it: real sockets, a real engine, a store in memory.
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { HeadwayError } from '../../src/contract/errors.ts';
import { engineReportSchema, jobRecordSchema } from '../../src/contract/engine-report.ts';
import { until } from '../harness/until.ts';
import { type FixtureOptions, startIntake, TOKEN } from './engine-intake-fixture.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});
const start = async (options?: FixtureOptions) => stack.use(await startIntake(options));

interface Claims {
  claims: { id: number; fence: number; tenant: string; payload: unknown; leaseSeconds: number }[];
}

/** A socket that sends what it is given and keeps what it gets, at its own pace. */
async function rawClient(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  stack.defer(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}
const head = (line: string, ...headers: string[]): string =>
  [`${line} HTTP/1.1`, 'Host: engine', `Authorization: Bearer ${TOKEN}`, ...headers, '', ''].join('\r\n');

describe('who may ask', () => {
  it('is who knows the token; health is for everybody', async () => {
    const { ask, push } = await start();
    for (const token of [null, 'wrong', `${TOKEN}x`]) {
      const reply = await ask('/status', { token });
      expect([reply.status, reply.headers['www-authenticate']]).toEqual([401, 'Bearer']);
      expect(reply.json()).toMatchObject({ error: { code: 'unauthorized' } });
    }
    expect((await push({ kind: 'mail', tenant: 'a', payload: 1 }, { Authorization: 'Basic x' })).status).toBe(
      401,
    );
    expect((await ask('/health', { token: null })).json()).toEqual({ state: 'working' });
  });

  it('gets 404 for what is not there, 405 for the wrong verb, 415 for what is not read', async () => {
    const { ask } = await start();
    expect((await ask('/nothing')).status).toBe(404);
    expect((await ask('/jobs/12345')).status).toBe(404);
    const wrong = await ask('/jobs', { method: 'GET' });
    expect([wrong.status, wrong.headers['allow']]).toEqual([405, 'POST']);
    expect((await ask('/status', { method: 'DELETE' })).headers['allow']).toBe('GET, HEAD');
    expect((await ask('/status', { method: 'HEAD' })).status).toBe(200);
    const form = await ask('/jobs', {
      method: 'POST',
      body: 'a=b',
      headers: { 'Content-Type': 'text/plain' },
    });
    expect([form.status, form.headers['accept-post']]).toEqual([
      415,
      'application/json, application/x-ndjson',
    ]);
    const zipped = await ask('/jobs', {
      method: 'POST',
      body: 'x',
      headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
    });
    expect(zipped.status).toBe(415);
  });
});

describe('one job', () => {
  it('is stored, run, and known by its id', async () => {
    const { push, ask, ran } = await start();
    const reply = await push({ kind: 'mail', tenant: 'a', payload: { to: 'ü📦' } });
    expect(reply.status).toBe(201);
    expect(reply.json()).toEqual({ id: 1, fresh: true });
    expect(reply.headers['location']).toBe('/jobs/1');
    await until(() => ran.includes('mail {"to":"ü📦"}'), 'the job did not run');
    await until(async () => (await ask('/jobs/1')).text.includes('"recent":[{'));
    const later = await push({
      kind: 'mail',
      tenant: 'a',
      payload: 2,
      at: '2199-01-01T00:00:00Z',
      priority: 7,
    });
    const { id } = later.json() as { id: number };
    const { job } = (await ask(`/jobs/${id}`)).json() as { job: unknown };
    expect(jobRecordSchema.parse(job)).toMatchObject({ state: 'delayed', priority: 7, tenantId: 'a' });
  });

  it('is enqueued once for a key, in the header or the body', async () => {
    const { push } = await start();
    const job = { kind: 'mail', tenant: 'a', payload: 1 };
    const first = await push(job, { 'Idempotency-Key': 'order-7' });
    const again = await push({ ...job, key: 'order-7' });
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.json()).toEqual({ ...(first.json() as object), fresh: false });
    expect((await push({ ...job, key: 'x' }, { 'Idempotency-Key': 'y' })).status).toBe(400);
  });

  it.each([
    ['{"kind":"mail","tenant":"a"}', 400, 'payload', /payload is missing/],
    ['{"kind":"mail","payload":1}', 400, 'tenant', /tenant is missing/],
    ['{"kind":"mail","tenant":"a","payload":1,"prio":1}', 400, 'prio', /prio is not known here/],
    ['{"kind":"nope","tenant":"a","payload":1}', 400, 'kind', /no kind "nope"/],
    ['{"kind":"mail"', 400, undefined, /the body is no JSON/],
    ['', 400, undefined, /the body is no JSON/],
    [`{"kind":"small","tenant":"a","payload":"${'x'.repeat(2_000)}"}`, 413, 'payload', /kind small allows/],
  ])('is refused with the name of its field: %.60s', async (body, status, field, words) => {
    const { ask, store } = await start();
    const reply = await ask('/jobs', {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json' },
    });
    const { error } = reply.json() as { error: { message: string; details?: { field?: string } } };
    expect([reply.status, error.details?.field]).toEqual([status, field]);
    expect(error.message).toMatch(words);
    expect((await store.depths(0)).tenants).toEqual([]);
  });

  it('sent at the same time as others shares their transaction, and gets its own answer', async () => {
    const calls: number[] = [];
    const { push } = await start({
      overrides: {
        enqueue: async (jobs) => {
          calls.push(jobs.length);
          await new Promise((resolve) => setTimeout(resolve, 20));
          if (jobs.some(({ payload }) => payload === 7)) throw new HeadwayError('conflict', 'it drains');
          return jobs.map(({ payload }) => ({ id: Number(payload), fresh: true }));
        },
      },
    });
    const replies = await Promise.all(
      Array.from({ length: 40 }, (_, i) => push({ kind: 'mail', tenant: 'a', payload: i })),
    );
    expect(replies.map(({ status }) => status)).toEqual(replies.map((_, i) => (i === 7 ? 409 : 201)));
    expect(calls.length).toBeLessThan(20);
  });

  it('that waits for others of its call is put into no call with strangers', async () => {
    const { push, ran } = await start();
    const [parent, child] = await Promise.all([
      push({ kind: 'parent', tenant: 'a', payload: 1, at: '2199-01-01T00:00:00Z' }),
      push({ kind: 'child', tenant: 'a', payload: 2 }),
    ]);
    expect([parent.status, child.status]).toEqual([201, 201]);
    await until(() => ran.includes('child 2'), 'the child waited for a stranger');
  });
});

describe('rows', () => {
  const good = { kind: 'mail', tenant: 'a', payload: 1 };

  it('are enqueued all', async () => {
    const { pushRows, ran } = await start();
    const rows = Array.from({ length: 500 }, (_, payload) => ({ ...good, payload }));
    const reply = await pushRows(rows);
    expect(reply.status).toBe(201);
    const { jobs } = reply.json() as { jobs: { id: number; fresh: boolean }[] };
    expect(jobs.map(({ id }) => id)).toEqual(rows.map((_, i) => i + 1));
    await until(() => ran.length === 500);
  });

  it('or none, and the bad one is named', async () => {
    const { pushRows, store } = await start();
    for (const [bad, words] of [
      ['{"kind":"mail",', 'row 2: it is no JSON'],
      [{ ...good, priority: 'high' }, 'row 2: priority cannot be used'],
      [{ ...good, kind: 'nope' }, 'row 2: there is no kind "nope"'],
    ] as const) {
      const reply = await pushRows([good, bad, good]);
      expect(reply.status).toBe(400);
      expect(reply.json()).toMatchObject({
        error: { message: expect.stringContaining(words) as string, details: { row: '2' } },
      });
    }
    expect((await pushRows([])).status).toBe(400);
    expect((await store.depths(0)).tenants).toEqual([]);
  });

  it('or each on its own, every one answered in order', async () => {
    const { pushRows, ran } = await start();
    const reply = await pushRows(
      [good, 'x', { ...good, kind: 'nope' }, { ...good, payload: 2 }],
      '/jobs?each=true',
    );
    expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/x-ndjson']);
    const answers = reply.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(answers).toEqual([
      { row: 1, id: 1, fresh: true },
      {
        row: 2,
        error: {
          code: 'bad-request',
          message: expect.stringMatching(/^row 2: it is no JSON/) as string,
          retryable: false,
          details: { row: '2' },
        },
      },
      { row: 3, error: expect.objectContaining({ details: { row: '3', field: 'kind' } }) as unknown },
      { row: 4, id: 2, fresh: true },
    ]);
    await until(() => ran.length === 2);
  });

  it('sent again with the same key are not enqueued twice', async () => {
    const { pushRows } = await start();
    const rows = [good, good];
    const first = await pushRows(rows, '/jobs', { 'Idempotency-Key': 'import-1' });
    const again = await pushRows(rows, '/jobs', { 'Idempotency-Key': 'import-1' });
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.json()).toEqual({
      jobs: [
        expect.objectContaining({ id: 1, fresh: false }),
        expect.objectContaining({ id: 2, fresh: false }),
      ],
    });
  });

  it('wait for rows above them', async () => {
    const { pushRows, ran } = await start();
    await pushRows([
      { ...good, payload: 'first' },
      { ...good, payload: 'second', priority: 100, dependsOn: [{ row: 1 }] },
    ]);
    await until(() => ran.length === 2);
    expect(ran).toEqual(['mail "first"', 'mail "second"']);
  });
});

describe('bodies', () => {
  it('over the limit are refused before they are sent', async () => {
    const { port, ask } = await start();
    const socket = await rawClient(port);
    socket.write(
      head(
        'POST /jobs',
        'Content-Type: application/json',
        'Content-Length: 99999999',
        'Expect: 100-continue',
      ),
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer.toString()).not.toContain('100 Continue');
    expect((await ask('/health')).status).toBe(200);
  });

  it('of unknown length are refused as soon as they are over it', async () => {
    const { port } = await start();
    const socket = await rawClient(port);
    let answer = '';
    socket.on('data', (piece: Buffer) => (answer += piece.toString()));
    socket.write(head('POST /jobs', 'Content-Type: application/json', 'Transfer-Encoding: chunked'));
    const piece = Buffer.alloc(1 << 20, 'x');
    for (let i = 0; i < 60 && answer === '' && !socket.destroyed; i++) {
      socket.write(`${piece.length.toString(16)}\r\n`);
      socket.write(piece);
      socket.write('\r\n');
      await until(() => socket.writableLength < 1 << 20 || socket.destroyed || answer !== '');
    }
    await until(
      () => answer.startsWith('HTTP/1.1 413 '),
      () => answer.slice(0, 100),
    );
    await until(() => socket.destroyed, 'the connection was kept');
  });

  it('beyond what may be in flight get 429 and when to come again; the budget comes back', async () => {
    const { port, ask, push } = await start({ limits: { bodyBytes: 1000 } });
    const socket = await rawClient(port);
    socket.write(head('POST /jobs', 'Content-Type: application/json', 'Content-Length: 990'));
    socket.write('{');
    const job = { kind: 'mail', tenant: 'a', payload: 'x'.repeat(50) };
    await until(async () => (await push(job)).status === 429, 'nothing was refused');
    expect((await push(job)).headers['retry-after']).toBe('1');
    expect((await ask('/metrics')).text).toContain('headway_intake_bytes{of="requests"} 990');
    socket.destroy();
    await until(async () => (await push(job)).status === 201, 'the budget was kept');
  });
});

describe('jobs for other programs', () => {
  const settle = (settlements: unknown[]) => ({
    method: 'POST',
    body: JSON.stringify({ settlements }),
    headers: { 'Content-Type': 'application/json' },
  });

  it('are taken in fair order with a lease, and settled', async () => {
    const { pushRows, ask, ran } = await start();
    await pushRows(Array.from('aaab', (tenant, i) => ({ kind: 'pulled', tenant, payload: { i } })));
    const reply = await ask('/take?n=3&lease=500', { method: 'POST' });
    const { claims } = reply.json() as Claims;
    expect(claims.map(({ tenant, payload, leaseSeconds }) => [tenant, payload, leaseSeconds])).toEqual([
      ['a', { i: 0 }, 100],
      ['b', { i: 3 }, 100],
      ['a', { i: 1 }, 100],
    ]);
    const status = (await ask('/status')).json();
    expect(engineReportSchema.parse(status).kinds.find(({ kind }) => kind === 'pulled')).toMatchObject({
      running: 3,
      heldBy: null,
    });
    const [first, second, third] = claims.map(({ id, fence }) => ({ id, fence }));
    const answers = await ask(
      '/settle',
      settle([
        { ...first, result: 'done', stages: { load: 12 } },
        { ...second, result: 'failed', class: 'permanent', message: 'no such mailbox' },
        { ...third, result: 'returned' },
        { ...first, result: 'done' },
      ]),
    );
    expect(answers.json()).toEqual({ taken: [true, true, true, false] });
    expect((await ask(`/jobs/${second?.id ?? 0}`)).json()).toMatchObject({
      job: {
        state: 'dead',
        failedAttempts: [{ failure: { class: 'permanent', message: 'no such mailbox' } }],
      },
    });
    const left = (await ask('/take?n=9', { method: 'POST' })).json() as Claims;
    expect(left.claims.map(({ payload }) => payload)).toEqual([{ i: 1 }, { i: 2 }]);
    // The engine itself has run none of them.
    expect(ran).toEqual([]);
  });

  it('can be waited for', async () => {
    const { push, ask } = await start();
    const waiting = ask('/take?n=5&wait=30', { method: 'POST' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await push({ kind: 'pulled', tenant: 'a', payload: 'late' });
    expect((await waiting).json()).toMatchObject({ claims: [{ payload: 'late' }] });
  });

  it('of a client that went away while it waited are not taken', async () => {
    const { push, store, desk, port } = await start();
    const socket = await rawClient(port);
    socket.write(head('POST /take?wait=30', 'Content-Length: 0'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await push({ kind: 'pulled', tenant: 'a', payload: 1 });
    await until(async () => (await store.depths(0)).tenants[0]?.ready.value === 1);
    expect(desk.counts.leased).toBe(0);
  });

  it('are refused with the name of what cannot be read', async () => {
    const { ask } = await start();
    for (const [path, field] of [
      ['/take?n=0', 'n'],
      ['/take?n=x', 'n'],
      ['/take?lease=0', 'lease'],
      ['/take?what=1', 'what'],
      ['/take?kinds=mail', 'kinds'],
      ['/take?n=1&n=2', 'n'],
    ] as const) {
      const reply = await ask(path, { method: 'POST' });
      expect([path, reply.status]).toEqual([path, 400]);
      expect(reply.json()).toMatchObject({ error: { details: { field } } });
    }
    const reply = await ask('/settle', settle([{ id: 1, fence: 1, result: 'perhaps' }]));
    expect(reply.json()).toMatchObject({
      error: { code: 'bad-request', details: { field: 'settlements.0.result' } },
    });
  });
});

describe('large answers', () => {
  const payload = 'x'.repeat(2_000_000);

  it('go in pieces, at the pace of their client, and slow nobody else', async () => {
    const { port, pushRows, ask } = await start();
    await pushRows([1, 2, 3, 4].map(() => ({ kind: 'pulled', tenant: 'a', payload })));
    const socket = await rawClient(port);
    socket.pause();
    socket.write(head('POST /take?n=4', 'Content-Length: 0'));
    await until(async () => /headway_pull_leased_jobs 4/.test((await ask('/metrics')).text));
    // Most of it waits here, for nobody else's time.
    await until(
      async () =>
        Number(/headway_intake_bytes\{of="answers"\} (\d+)/.exec((await ask('/metrics')).text)?.[1]) >
        8_000_000,
    );
    expect((await ask('/health')).status).toBe(200);
    let size = 0;
    let largest = 0;
    socket.on('data', (piece: Buffer) => {
      size += piece.length;
      largest = Math.max(largest, piece.length);
    });
    socket.resume();
    await until(
      () => size > 8_000_000,
      () => `only ${size} bytes came`,
    );
    expect(largest).toBeLessThanOrEqual(128 * 1024);
    await until(async () =>
      /headway_intake_bytes\{of="answers"\} [0-9]{1,4}\n/.test((await ask('/metrics')).text),
    );
  });

  it('of a client that never reads end with its connection, and its jobs come back', async () => {
    const { port, pushRows, desk, store } = await start({ limits: { answerMs: 300 } });
    await pushRows([1, 2, 3, 4].map(() => ({ kind: 'pulled', tenant: 'a', payload })));
    const socket = await rawClient(port);
    socket.pause();
    socket.write(head('POST /take?n=4', 'Content-Length: 0'));
    await until(
      () => desk.counts.returned === 4,
      () => JSON.stringify(desk.counts),
    );
    expect((await store.depths(0)).tenants[0]).toMatchObject({ ready: { value: 4 }, running: { value: 0 } });
  });

  it('are bounded in all', async () => {
    const { port, pushRows, ask, desk } = await start({ limits: { answerBytes: 3_000_000 } });
    await pushRows([1, 2, 3, 4].map(() => ({ kind: 'pulled', tenant: 'a', payload })));
    const socket = await rawClient(port);
    socket.pause();
    socket.write(head('POST /take?n=2', 'Content-Length: 0'));
    await until(() => desk.counts.leased === 2);
    const refused = await ask('/take?n=2', { method: 'POST' });
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1']);
    await until(() => desk.counts.returned === 2, 'what was taken for the refused one was kept');
  });
});

describe('what it says of itself', () => {
  it('is the engine’s report, and OpenMetrics text', async () => {
    const { pushRows, ask, ran } = await start();
    await pushRows(
      Array.from({ length: 150 }, (_, i) => ({ kind: 'pulled', tenant: `t"${i}\\`, payload: i })),
    );
    await pushRows([{ kind: 'mail', tenant: 'a', payload: 1 }]);
    await until(() => ran.length === 1);
    engineReportSchema.parse((await ask('/status')).json());
    const metrics = await ask('/metrics');
    expect(metrics.headers['content-type']).toBe(
      'application/openmetrics-text; version=1.0.0; charset=utf-8',
    );
    const lines = metrics.text.split('\n');
    expect(lines.slice(-2)).toEqual(['# EOF', '']);
    const families = new Map<string, string>();
    for (const line of lines.slice(0, -2)) {
      const type = /^# TYPE (\S+) (\S+)$/.exec(line);
      if (type?.[1] && type[2]) {
        // A family comes once, all its lines together.
        expect(families.has(type[1])).toBe(false);
        families.set(type[1], type[2]);
        continue;
      }
      if (line.startsWith('# HELP ')) continue;
      const sample = /^([a-z_]+)(?:\{([a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? -?[0-9.e+-]+$/.exec(line);
      expect([line, sample !== null]).toEqual([line, true]);
      const [family = ''] = [...families.keys()].slice(-1);
      expect(sample?.[1]?.startsWith(family)).toBe(true);
      if (families.get(family) === 'counter') expect(sample?.[1]).toBe(`${family}_total`);
    }
    expect(metrics.text).toContain('headway_jobs{state="ready"} 150');
    expect(metrics.text).toContain('headway_attempts_total{kind="mail",result="done"} 1');
    expect(metrics.text).toContain('headway_wait_seconds_bucket{kind="mail",le="+Inf"} 1');
    expect(metrics.text).toMatch(/headway_intake_requests_total\{route="\/jobs",status="201"\} 2/);
    const tenants = new Set(
      [...metrics.text.matchAll(/headway_tenant_lag_seconds\{tenant="((?:[^"\\]|\\.)*)"\}/g)].map(
        ([, t]) => t,
      ),
    );
    expect(tenants.size).toBe(101);
    expect(tenants.has('other')).toBe(true);
  });

  it('goes on without the store: metrics leave out what it would say', async () => {
    const { ask } = await start({
      overrides: { snapshot: () => Promise.reject(new HeadwayError('unreachable', 'away')) },
    });
    const { status, text } = await ask('/metrics');
    expect([status, text.includes('headway_jobs{')]).toEqual([200, false]);
    expect(text).toContain('headway_workers{state="idle"}');
  });

  it('is an answer even when the store fails, and a log line when we do', async () => {
    const away = new HeadwayError('unreachable', 'the database is away', { retryable: true });
    const { push, pushRows, problems } = await start({
      overrides: {
        enqueue: ([first]) => Promise.reject(first?.payload === 1 ? away : new Error('a bug with a s3cret')),
      },
    });
    const job = { kind: 'mail', tenant: 'a', payload: 1 };
    const refused = await push(job);
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5']);
    const bug = await pushRows([{ ...job, payload: 2 }]);
    expect(bug.status).toBe(500);
    expect(bug.text).not.toContain('s3cret');
    expect(String(problems[0]?.cause)).toContain('s3cret');
  });
});

describe('the stop', () => {
  it('hands out and takes nothing more, lets leases be settled, and ends idle connections', async () => {
    const { port, server, desk, push, ask } = await start();
    const idle = await rawClient(port);
    idle.write(head('GET /health'));
    await once(idle, 'data');
    await push({ kind: 'pulled', tenant: 'a', payload: 1 });
    const { claims } = (await ask('/take', { method: 'POST' })).json() as Claims;
    server.refuseWork();
    const stopped = desk.stop(10_000);
    expect((await push({ kind: 'mail', tenant: 'a', payload: 1 })).status).toBe(503);
    expect((await ask('/take', { method: 'POST' })).status).toBe(503);
    expect((await ask('/health', { token: null })).json()).toEqual({ state: 'stopping' });
    const settled = await ask('/settle', {
      method: 'POST',
      body: JSON.stringify({ settlements: claims.map(({ id, fence }) => ({ id, fence, result: 'done' })) }),
    });
    expect([settled.json(), settled.headers['connection']]).toEqual([{ taken: [true] }, 'close']);
    await stopped;
    const closed = once(idle, 'close');
    await server.stop(5_000);
    await closed;
    await server.stop(0);
    await expect(ask('/health')).rejects.toThrow();
  });

  it('cuts off at its deadline who is still being answered', async () => {
    const { port, server, pushRows, desk } = await start();
    await pushRows([1, 2, 3].map(() => ({ kind: 'pulled', tenant: 'a', payload: 'x'.repeat(4_000_000) })));
    const socket = await rawClient(port);
    socket.pause();
    socket.write(head('POST /take?n=3', 'Content-Length: 0'));
    await until(() => desk.counts.leased === 3);
    await server.stop(100);
    await until(() => desk.counts.leased === 0, 'its jobs were kept');
  });
});
