import { describe, expect, test } from 'vitest';
import type { ClientMessage, HostMessage } from '../../../contract/protocol.ts';
import { createClient, type Client } from './client.ts';
import type { ClientTimers, TransportEvents } from './client-transport.ts';
import type { LinkState } from './link.ts';

/** Time that passes only by `pass`. */
class FakeTimers implements ClientTimers {
  #nowMs = 1_000_000;
  #due: { atMs: number; run: () => void }[] = [];
  nowMs = () => this.#nowMs;
  random = () => 0;
  after = (delayMs: number, run: () => void) => {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#due.push(timer);
    return () => void (this.#due = this.#due.filter((due) => due !== timer));
  };
  /** Lets time pass; promises settle after each timer. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settled();
      const next = this.#due.filter((due) => due.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#due = this.#due.filter((due) => due !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = untilMs;
  }
  /** A sleep of the computer: time goes on, timers run late. */
  sleep(ms: number): void {
    this.#nowMs += ms;
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A backend that can be reached or not, and answers pings unless it is told to fall silent. */
class FakeBackend {
  reachable = true;
  silent = false;
  attempts = 0;
  sent: ClientMessage[] = [];
  #events: TransportEvents | null = null;

  connect = (events: TransportEvents) => {
    this.attempts += 1;
    if (!this.reachable) return Promise.reject(new Error('connection refused'));
    this.#events = events;
    const transport = {
      send: (message: ClientMessage) => {
        if (message.t === 'ping') {
          if (!this.silent) events.message({ t: 'pong', id: message.id });
        } else this.sent.push(message);
      },
      close: () => undefined,
    };
    return Promise.resolve(transport);
  };
  say(message: HostMessage | object): void {
    this.#events?.message(message);
  }
  drop(): void {
    this.#events?.closed('connection reset');
  }
  /** The newest message of a kind. */
  last<T extends ClientMessage['t']>(t: T): Extract<ClientMessage, { t: T }> {
    const found = this.sent.findLast((message) => message.t === t);
    if (found === undefined) throw new Error(`no ${t} was sent`);
    return found as Extract<ClientMessage, { t: T }>;
  }
}

async function connected() {
  const timers = new FakeTimers();
  const backend = new FakeBackend();
  const client = createClient(backend.connect, { timers });
  await timers.pass(0);
  return { timers, backend, client };
}

function follow(client: Client) {
  const seen: unknown[] = [];
  const end = client.subscribe(
    'rehearsal',
    {},
    {
      snapshot: (snapshot) => seen.push(['snapshot', snapshot]),
      delta: (delta) => seen.push(['delta', delta]),
      error: (error) => seen.push(['error', error.code]),
      status: (status) => seen.push(['status', status]),
    },
  );
  return { seen, end };
}

describe('calls', () => {
  test('a result of the right id settles a call; an error arrives as HeadwayError with its code', async () => {
    const { backend, client } = await connected();
    const first = client.call('rehearsal.act', {});
    const firstId = backend.last('call').id;
    const second = client.call('connections.get', { id: 'none' });
    backend.say({
      t: 'error',
      id: backend.last('call').id,
      error: { code: 'not-found', message: 'no such connection', retryable: false },
    });
    backend.say({ t: 'result', id: firstId, output: {} });
    await expect(first).resolves.toEqual({});
    await expect(second).rejects.toMatchObject({ name: 'HeadwayError', code: 'not-found', retryable: false });
  });

  test('a call made before the first connection waits for it', async () => {
    const timers = new FakeTimers();
    const backend = new FakeBackend();
    const client = createClient(backend.connect, { timers });
    const answer = client.call('rehearsal.act', {});
    expect(backend.sent).toEqual([]);
    await timers.pass(0);
    backend.say({ t: 'result', id: backend.last('call').id, output: {} });
    await expect(answer).resolves.toEqual({});
  });

  test('the loss of the line rejects what is in flight as retryable, and calls during it at once', async () => {
    const { timers, backend, client } = await connected();
    const flying = client.call('rehearsal.act', {});
    backend.drop();
    await expect(flying).rejects.toMatchObject({ code: 'unreachable', retryable: true });
    await expect(client.call('rehearsal.act', {})).rejects.toMatchObject({ code: 'unreachable' });
    backend.sent = [];
    await timers.pass(1_000);
    expect(backend.sent.filter((message) => message.t === 'call')).toEqual([]);
  });

  test('a timeout and an abort both cancel at the host', async () => {
    const { timers, backend, client } = await connected();
    const late = client.call('rehearsal.act', {}, { timeoutMs: 2_000 });
    const lateId = backend.last('call').id;
    const lateRejects = expect(late).rejects.toMatchObject({ code: 'timeout', retryable: true });
    await timers.pass(2_000);
    await lateRejects;
    expect(backend.last('cancel').id).toBe(lateId);

    const controller = new AbortController();
    const unwanted = client.call('rehearsal.act', {}, { signal: controller.signal });
    controller.abort();
    await expect(unwanted).rejects.toMatchObject({ code: 'cancelled' });
    expect(backend.last('cancel').id).toBe(backend.last('call').id);
  });
});

describe('streams', () => {
  test('snapshot, then deltas in order; nothing after the end', async () => {
    const { backend, client } = await connected();
    const { seen, end } = follow(client);
    const { id } = backend.last('subscribe');
    backend.say({ t: 'snapshot', id, snapshot: 'a' });
    backend.say({ t: 'delta', id, seq: 1, deltas: ['b', 'c'], dropped: 0 });
    end();
    backend.say({ t: 'delta', id, seq: 2, deltas: ['d'], dropped: 0 });
    expect(seen).toEqual([
      ['snapshot', 'a'],
      ['status', 'live'],
      ['delta', 'b'],
      ['delta', 'c'],
    ]);
    expect(backend.last('unsubscribe').id).toBe(id);
  });

  test('a gap brings a fresh snapshot, and the lost deltas are counted', async () => {
    const { backend, client } = await connected();
    const { seen } = follow(client);
    const first = backend.last('subscribe').id;
    backend.say({ t: 'snapshot', id: first, snapshot: 'a' });
    backend.say({ t: 'delta', id: first, seq: 2, deltas: ['never shown'], dropped: 201 });
    const second = backend.last('subscribe').id;
    expect(second).not.toBe(first);
    expect(backend.last('unsubscribe').id).toBe(first);
    backend.say({ t: 'delta', id: first, seq: 3, deltas: ['of the old one'], dropped: 201 });
    backend.say({ t: 'snapshot', id: second, snapshot: 'b' });
    backend.say({ t: 'delta', id: second, seq: 1, deltas: ['c'], dropped: 0 });
    expect(seen).toEqual([
      ['snapshot', 'a'],
      ['status', 'live'],
      ['status', 'interrupted'],
      ['snapshot', 'b'],
      ['status', 'live'],
      ['delta', 'c'],
    ]);
    expect(client.dropped).toBe(201);
  });

  test('every stream that was not ended is renewed after a loss', async () => {
    const { timers, backend, client } = await connected();
    const { seen } = follow(client);
    const ended = follow(client);
    ended.end();
    backend.say({ t: 'snapshot', id: backend.last('subscribe').id - 1, snapshot: 'before' });
    backend.sent = [];
    backend.drop();
    await timers.pass(300);
    expect(backend.sent.filter((message) => message.t === 'subscribe')).toHaveLength(1);
    backend.say({ t: 'snapshot', id: backend.last('subscribe').id, snapshot: 'after' });
    expect(seen.at(-2)).toEqual(['snapshot', 'after']);
  });

  test('an error ends the stream for good', async () => {
    const { timers, backend, client } = await connected();
    const { seen } = follow(client);
    const error = { code: 'not-found', message: 'gone', retryable: false };
    backend.say({ t: 'error', id: backend.last('subscribe').id, error });
    expect(seen).toEqual([['error', 'not-found']]);
    backend.sent = [];
    backend.drop();
    await timers.pass(1_000);
    expect(backend.sent).toEqual([]);
  });
});

describe('a stream that ends for a while', () => {
  const error = { code: 'not-found', message: 'changed', retryable: true };

  test('is told and begun again', async () => {
    const { timers, backend, client } = await connected();
    const { seen } = follow(client);
    backend.say({ t: 'error', id: backend.last('subscribe').id, error });
    expect(seen).toEqual([['error', 'not-found']]);
    backend.sent = [];
    await timers.pass(600);
    backend.say({ t: 'snapshot', id: backend.last('subscribe').id, snapshot: 'again' });
    expect(seen.at(-2)).toEqual(['snapshot', 'again']);
  });

  test('stays ended for who has left meanwhile', async () => {
    const { timers, backend, client } = await connected();
    const { end } = follow(client);
    backend.say({ t: 'error', id: backend.last('subscribe').id, error });
    backend.sent = [];
    end();
    await timers.pass(600);
    expect(backend.sent.filter((message) => message.t === 'subscribe')).toEqual([]);
  });
});

describe('the line', () => {
  test('delays grow to 10 s while the backend is away, each with the time of the next try', async () => {
    const timers = new FakeTimers();
    timers.random = () => 0.999_999;
    const backend = new FakeBackend();
    backend.reachable = false;
    const client = createClient(backend.connect, { timers });
    const delays: number[] = [];
    client.onState((state) => {
      if (state.kind === 'reconnecting' && state.nextTryAtMs !== null) {
        expect(state.attempt).toBe(delays.length + 1);
        expect(state.reason).toBe('connection refused');
        delays.push(Math.round(state.nextTryAtMs - timers.nowMs()));
      }
    });
    await timers.pass(40_000);
    expect(delays.slice(0, 7)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    client.close();
    expect(client.state).toEqual({ kind: 'closed' });
    const attempts = backend.attempts;
    await timers.pass(60_000);
    expect(backend.attempts).toBe(attempts);
  });

  test('retryNow does not wait for the next try', async () => {
    const { backend, client } = await connected();
    backend.drop();
    expect(client.state.kind).toBe('reconnecting');
    client.retryNow();
    await settled();
    expect(client.state).toEqual({ kind: 'live' });
  });

  test('a line that answers no ping is given up', async () => {
    const { timers, backend, client } = await connected();
    const kinds: LinkState['kind'][] = [];
    client.onState((state) => kinds.push(state.kind));
    await timers.pass(60_000);
    expect(kinds).toEqual([]);
    backend.silent = true;
    await timers.pass(16_000);
    expect(kinds[0]).toBe('reconnecting');
  });

  test('a computer that slept asks once more before it gives the line up', async () => {
    const { timers, backend, client } = await connected();
    backend.silent = true;
    await timers.pass(6_000);
    timers.sleep(3_600_000);
    backend.silent = false;
    await timers.pass(1_000);
    expect(client.state).toEqual({ kind: 'live' });
    expect(backend.attempts).toBe(1);
  });

  test('a backend that ends each line at once is not hammered', async () => {
    const { timers, backend, client } = await connected();
    client.onState((state) => {
      if (state.kind === 'live') queueMicrotask(() => backend.drop());
    });
    timers.random = () => 0.999_999;
    backend.drop();
    await timers.pass(30_000);
    expect(backend.attempts).toBeLessThan(10);
  });

  test('a message of another protocol drops the line with a word on what to do', async () => {
    const { backend, client } = await connected();
    backend.say({ t: 'something new', id: 1 });
    expect(client.state).toMatchObject({ kind: 'reconnecting', attempt: 1 });
    expect(JSON.stringify(client.state)).toContain('reload the window');
  });
});
