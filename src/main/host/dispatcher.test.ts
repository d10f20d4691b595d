import { describe, expect, test } from 'vitest';
import { methods, streams, type MethodHandlers, type StreamHandlers } from '../../contract/api.ts';
import { HeadwayError } from '../../contract/errors.ts';
import type { HostMessage } from '../../contract/protocol.ts';
import { Dispatcher } from './dispatcher.ts';
import type { HostLimits, HostTimers, HostTransport } from './host-transport.ts';

const absent = () => Promise.reject(new HeadwayError('not-found', 'not here'));
/** Handlers that find nothing, but for those given. */
function handlers(given: { methods?: Partial<MethodHandlers>; streams?: Partial<StreamHandlers> }) {
  const all = (names: object) => Object.fromEntries(Object.keys(names).map((name) => [name, absent]));
  return {
    // Complete by construction: every name of the contract has a handler.
    methods: { ...all(methods), ...given.methods } as MethodHandlers,
    streams: { ...all(streams), ...given.streams } as StreamHandlers,
  };
}

class FakeTimers implements HostTimers {
  #nowMs = 0;
  #due: { atMs: number; run: () => void }[] = [];
  nowMs = () => this.#nowMs;
  after = (delayMs: number, run: () => void) => {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#due.push(timer);
    return () => void (this.#due = this.#due.filter((due) => due !== timer));
  };
  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#due.filter((due) => due.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#due = this.#due.filter((due) => due !== next);
      this.#nowMs = next.atMs;
      next.run();
    }
    this.#nowMs = untilMs;
  }
}

class FakeWindow implements HostTransport {
  got: HostMessage[] = [];
  buffered = 0;
  closedBecause: string | null = null;
  say: (message: unknown) => void = () => undefined;
  goAway: () => void = () => undefined;
  send(message: HostMessage): void {
    this.got.push(message);
  }
  onMessage(listener: (message: unknown) => void): void {
    this.say = listener;
  }
  onClose(listener: () => void): void {
    this.goAway = listener;
  }
  bufferedBytes(): number {
    return this.buffered;
  }
  close(reason: string): void {
    this.closedBecause = reason;
    this.goAway();
  }
  get errors() {
    return this.got.flatMap((message) => (message.t === 'error' ? [message.error] : []));
  }
}

function serve(given: Parameters<typeof handlers>[0], limits: Partial<HostLimits> = {}) {
  const timers = new FakeTimers();
  const window = new FakeWindow();
  const logged: object[] = [];
  const logger = { warn: () => undefined, error: (fields: object) => void logged.push(fields) };
  const dispatcher = new Dispatcher({ ...handlers(given), logger, timers, limits });
  dispatcher.serve(window);
  return { timers, window, logged, dispatcher };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A `rehearsal` stream in the test's hand; its snapshot is null. */
function handStream() {
  type Handler = StreamHandlers['rehearsal'];
  let sink: Parameters<Handler>[1] | null = null;
  let signal: AbortSignal | null = null;
  const snapshot = Promise.withResolvers<null>();
  const handler: Handler = (_params, given, aborted) => {
    sink = given;
    signal = aborted;
    return snapshot.promise;
  };
  return {
    handler,
    giveSnapshot: () => {
      snapshot.resolve(null);
      return settled();
    },
    emit: (delta: unknown) => sink?.emit(delta as never),
    fail: (error: unknown) => sink?.fail(error),
    aborted: () => signal?.aborted,
  };
}

describe('calls', () => {
  test('the handler gets the parsed input, the window gets what the contract names and no more', async () => {
    const inputs: unknown[] = [];
    const { window } = serve({
      methods: {
        'hostKeys.accept': (input) => {
          inputs.push(input);
          return Promise.resolve({});
        },
        'app.info': () => {
          const info = {
            version: '1',
            node: '24',
            platform: 'linux',
            dataDirectory: '/d',
            settingsFile: '/s',
          };
          return Promise.resolve({ ...info, secrets: 'a file', startedAtMs: 5, password: 'hunter2' });
        },
      },
    });
    const input = { host: 'h', port: 22, fingerprint: 'f' };
    window.say({ t: 'call', id: 1, method: 'hostKeys.accept', input });
    window.say({ t: 'call', id: 2, method: 'app.info', input: {} });
    await settled();
    expect(inputs).toEqual([input]);
    expect(window.got).toHaveLength(2);
    expect(JSON.stringify(window.got)).not.toContain('hunter2');
  });

  test.each([
    [{ t: 'call', id: 7, method: 'connections.get', input: { id: 5 } }, 'id'],
    [{ t: 'call', id: 7, method: 'rehearsal.set', input: { order: 'fair', workers: 99 } }, 'workers'],
    [{ t: 'subscribe', id: 7, stream: 'tenant', params: { connectionId: 'c' } }, 'tenantId'],
    [{ t: 'call', id: 7, method: 'connections.destroy', input: {} }, 'connections.destroy'],
    [{ t: 'call', id: 7, method: 'toString', input: {} }, 'toString'],
    [{ t: 'subscribe', id: 7, stream: '__proto__', params: {} }, '__proto__'],
    [{ t: 'shout', id: 7 }, 't'],
    [{ t: 'call', id: 7, method: 5 }, 'method'],
  ])('%j is a bad request that names %s', async (message, named) => {
    const { window } = serve({});
    window.say(message);
    await settled();
    expect(window.got).toHaveLength(1);
    expect(window.got[0]).toMatchObject({ t: 'error', id: 7, error: { code: 'bad-request' } });
    expect(window.errors[0]?.message).toContain(named);
  });

  test('a bad input never repeats the value, which may be a secret', async () => {
    const { window } = serve({});
    const secrets = { root: { password: 'hunter2' } };
    window.say({ t: 'call', id: 1, method: 'connections.save', input: { connection: {}, secrets } });
    await settled();
    expect(window.errors[0]?.code).toBe('bad-request');
    expect(JSON.stringify(window.got)).not.toContain('hunter2');
  });

  test('an expected failure travels as data; a bug is logged and travels without its stack', async () => {
    const bug = new TypeError('x is not a function');
    const { window, logged } = serve({
      methods: {
        'rehearsal.act': () => Promise.reject(bug),
        'alerts.acknowledge': () =>
          Promise.reject(new HeadwayError('not-found', 'no such alert', { details: { a: 'b' } })),
      },
    });
    window.say({ t: 'call', id: 1, method: 'alerts.acknowledge', input: { alertId: 'a' } });
    window.say({ t: 'call', id: 2, method: 'rehearsal.act', input: {} });
    await settled();
    expect(window.errors[0]).toEqual({
      code: 'not-found',
      message: 'no such alert',
      retryable: false,
      details: { a: 'b' },
    });
    expect(window.errors[1]?.code).toBe('internal');
    expect(JSON.stringify(window.errors)).not.toContain('dispatcher.test');
    expect(logged).toEqual([{ err: bug, name: 'rehearsal.act' }]);
  });

  test('a message that is not of the protocol ends the line', () => {
    const { window, dispatcher } = serve({});
    window.say('hello');
    expect(window.closedBecause).toBe('not the Headway protocol');
    expect(dispatcher.clients).toBe(0);
  });

  test('cancel, the end of the line and the end of the host abort what runs, and nothing is answered', async () => {
    const signals: AbortSignal[] = [];
    const { window, dispatcher } = serve({
      methods: {
        'rehearsal.act': (_input, signal) => {
          signals.push(signal);
          return new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(new Error('aborted'))),
          );
        },
      },
    });
    window.say({ t: 'call', id: 1, method: 'rehearsal.act', input: {} });
    window.say({ t: 'cancel', id: 1 });
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
    window.say({ t: 'call', id: 2, method: 'rehearsal.act', input: {} });
    window.goAway();
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
    const other = new FakeWindow();
    dispatcher.serve(other);
    other.say({ t: 'call', id: 1, method: 'rehearsal.act', input: {} });
    dispatcher.close('stopping');
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true, true]);
    expect(other.closedBecause).toBe('stopping');
    await settled();
    expect([...window.got, ...other.got]).toEqual([]);
  });

  test('calls at once are bounded; a cancelled one counts until its handler is done', async () => {
    const { window } = serve(
      { methods: { 'rehearsal.act': () => new Promise(() => undefined) } },
      { runningHandlers: 2 },
    );
    for (const id of [1, 2, 3]) window.say({ t: 'call', id, method: 'rehearsal.act', input: {} });
    window.say({ t: 'cancel', id: 1 });
    window.say({ t: 'call', id: 4, method: 'rehearsal.act', input: {} });
    await settled();
    expect(window.got.map(({ id }) => id)).toEqual([3, 4]);
    expect(window.errors[0]).toMatchObject({ code: 'budget-exceeded', retryable: true });
  });

  test('an id in use is refused', async () => {
    const { window } = serve({ methods: { 'rehearsal.act': () => new Promise(() => undefined) } });
    window.say({ t: 'call', id: 1, method: 'rehearsal.act', input: {} });
    window.say({ t: 'subscribe', id: 1, stream: 'rehearsal', params: {} });
    await settled();
    expect(window.errors[0]?.message).toContain('id: 1');
  });

  test('a window that asks and does not read is let go', async () => {
    const { window } = serve({}, { deafBytes: 1_000 });
    window.buffered = 1_001;
    window.say({ t: 'ping', id: 1 });
    await settled();
    expect(window.closedBecause).toContain('does not read');
  });
});

describe('streams', () => {
  const subscribe = { t: 'subscribe', id: 9, stream: 'rehearsal', params: {} };

  test('the snapshot comes first, what was emitted before it after it', async () => {
    const stream = handStream();
    const { window, timers } = serve({ streams: { rehearsal: stream.handler } });
    window.say(subscribe);
    stream.emit('early');
    timers.pass(1_000);
    expect(window.got).toEqual([]);
    await stream.giveSnapshot();
    timers.pass(1_000);
    expect(window.got).toEqual([
      { t: 'snapshot', id: 9, snapshot: null },
      { t: 'delta', id: 9, seq: 1, deltas: ['early'], dropped: 0 },
    ]);
  });

  test('deltas are gathered, at most ten messages a second, numbered from 1', async () => {
    const stream = handStream();
    const { window, timers } = serve({ streams: { rehearsal: stream.handler } });
    window.say(subscribe);
    await stream.giveSnapshot();
    for (let tick = 0; tick < 100; tick += 1) {
      stream.emit(tick);
      timers.pass(10);
    }
    timers.pass(100);
    const deltas = window.got.flatMap((message) => (message.t === 'delta' ? [message] : []));
    expect(deltas.length).toBeLessThanOrEqual(10);
    expect(deltas.map(({ seq }) => seq)).toEqual(deltas.map((_, index) => index + 1));
    expect(deltas.flatMap((message) => message.deltas)).toEqual(
      Array.from({ length: 100 }, (_, tick) => tick),
    );
  });

  test('a slow window holds its own deltas back and gets them when it has caught up', async () => {
    const stream = handStream();
    const { window, timers } = serve({ streams: { rehearsal: stream.handler } });
    window.say(subscribe);
    await stream.giveSnapshot();
    window.buffered = 5 * 1024 * 1024;
    stream.emit('a');
    timers.pass(1_000);
    stream.emit('b');
    timers.pass(1_000);
    expect(window.got).toHaveLength(1);
    window.buffered = 0;
    timers.pass(100);
    expect(window.got[1]).toEqual({ t: 'delta', id: 9, seq: 1, deltas: ['a', 'b'], dropped: 0 });
  });

  test('an overflow drops all and tells by a gap, even when nothing follows', async () => {
    const stream = handStream();
    const { window, timers } = serve({ streams: { rehearsal: stream.handler } });
    window.say(subscribe);
    await stream.giveSnapshot();
    stream.emit('first');
    timers.pass(200);
    window.buffered = 5 * 1024 * 1024;
    for (let i = 0; i < 250; i += 1) stream.emit(i);
    timers.pass(1_000);
    window.buffered = 0;
    timers.pass(100);
    expect(window.got.slice(1)).toEqual([
      { t: 'delta', id: 9, seq: 1, deltas: ['first'], dropped: 0 },
      { t: 'delta', id: 9, seq: 3, deltas: [], dropped: 250 },
    ]);
    stream.emit('again');
    timers.pass(100);
    expect(window.got[3]).toMatchObject({ seq: 4, deltas: ['again'], dropped: 250 });
  });

  test('unsubscribe and the end of the line abort the handler; what it still emits goes nowhere', async () => {
    const stream = handStream();
    const { window, timers } = serve({ streams: { rehearsal: stream.handler } });
    window.say(subscribe);
    await stream.giveSnapshot();
    stream.emit('queued');
    window.say({ t: 'unsubscribe', id: 9 });
    expect(stream.aborted()).toBe(true);
    stream.emit('late');
    stream.fail(new Error('late'));
    timers.pass(1_000);
    expect(window.got).toHaveLength(1);
  });

  test('fail ends the stream with its error; the snapshot that comes after is not sent', async () => {
    const stream = handStream();
    const { window } = serve({ streams: { rehearsal: stream.handler } });
    window.say(subscribe);
    stream.fail(new HeadwayError('not-found', 'connection removed'));
    await stream.giveSnapshot();
    expect(window.got).toEqual([
      { t: 'error', id: 9, error: { code: 'not-found', message: 'connection removed', retryable: false } },
    ]);
    expect(stream.aborted()).toBe(true);
  });

  test('subscriptions are bounded, and room is made by ending one', async () => {
    const { window } = serve({ streams: { rehearsal: () => Promise.resolve(null) } }, { subscriptions: 1 });
    window.say(subscribe);
    await settled();
    window.say({ ...subscribe, id: 10 });
    window.say({ t: 'unsubscribe', id: 9 });
    window.say({ ...subscribe, id: 11 });
    await settled();
    expect(window.got.map(({ t, id }) => [t, id])).toEqual([
      ['snapshot', 9],
      ['error', 10],
      ['snapshot', 11],
    ]);
  });
});
