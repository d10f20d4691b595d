import { describe, expect, it } from 'vitest';
import { jobKindSchema } from '../../../contract/job-kinds.ts';
import type { ClaimOrder } from '../../../contract/job-kinds.ts';
import { MemoryStore } from '../stores/memory-store.ts';
import { VirtualClock } from '../virtual-clock.ts';
import type { Attempt } from '../workers/attempt.ts';
import { PullDesk, type PullDeskParts } from './pull-desk.ts';
import type { TakeRequest } from './pull-takers.ts';

const kindOf = (kind: string, more: object = {}) =>
  jobKindSchema.parse({ kind, handler: { type: 'pull' }, ...more });
const kinds = [kindOf('mail', { timeouts: { jobSeconds: 100 } }), kindOf('sync', { concurrency: 2 })];

async function open({
  order = 'fair',
  parts = {},
}: { order?: ClaimOrder; parts?: Partial<PullDeskParts> } = {}) {
  const clock = new VirtualClock();
  const store = new MemoryStore(() => clock.now());
  const attempts: Attempt[] = [];
  const problems: Error[] = [];
  const desk = new PullDesk(
    {
      store,
      clock,
      owner: 'one',
      random: () => 0.5,
      onAttempt: (attempt) => attempts.push(attempt),
      onProblem: (problem) => problems.push(problem),
      ...parts,
    },
    kinds,
    { order, tenants: {} },
  );
  await desk.start();
  const put = (tenants: string, kind = 'mail') =>
    store.enqueue(
      Array.from(tenants, (tenantId) => ({ tenantId, kind, payload: { tenantId }, maxAttempts: 2 })),
      clock.now(),
    );
  const take = (count: number, more: Partial<TakeRequest> = {}) =>
    desk.take({ count, leaseMs: 60_000, waitMs: 0, signal: new AbortController().signal, ...more });
  const states = async (): Promise<object> => {
    const { tenants } = await store.depths(0);
    const sum = (state: 'ready' | 'delayed' | 'running' | 'dead') =>
      tenants.reduce((all, tenant) => all + tenant[state].value, 0);
    return { ready: sum('ready'), delayed: sum('delayed'), running: sum('running'), dead: sum('dead') };
  };
  return { clock, store, desk, attempts, problems, put, take, states };
}
const tenantsOf = (leased: { claim: { tenantId: string } }[]): string =>
  leased.map(({ claim }) => claim.tenantId).join('');
const named = ({ claim: { id, fence } }: { claim: { id: number; fence: number } }) => ({ id, fence });

describe('PullDesk', () => {
  it('hands jobs out in turns, over many takes, whoever takes them', async () => {
    const { put, take } = await open();
    await put('aaaaaabbbc');
    expect(tenantsOf(await take(4))).toBe('abca');
    expect(tenantsOf(await take(1)) + tenantsOf(await take(1)) + tenantsOf(await take(9))).toBe('babaaa');
  });

  it('hands them out strictly by id when the order says so', async () => {
    const { put, take } = await open({ order: 'first-come' });
    await put('aabca');
    expect(tenantsOf(await take(3))).toBe('aab');
  });

  it('puts takes and settlements of one moment into one exchange', async () => {
    let exchanges = 0;
    const { store, clock } = await open();
    const counting: PullDeskParts['store'] = {
      ready: (request) => store.ready(request),
      exchange: (request) => {
        exchanges += 1;
        return store.exchange(request);
      },
      promoteDue: (nowMs) => store.promoteDue(nowMs),
      cursor: () => store.cursor(),
      time: () => store.time(),
    };
    const { desk, take } = await open({ parts: { store: counting, clock } });
    await store.enqueue(
      Array.from('abcdefgh', (tenantId) => ({ tenantId, kind: 'mail', payload: 1 })),
      clock.now(),
    );
    const first = (await Promise.all([take(1), take(2), take(1)])).flat();
    expect(exchanges).toBe(1);
    expect(tenantsOf(first)).toBe('abcd');
    const ends = first.map((leased) => ({ ...named(leased), how: 'done' as const, stages: {} }));
    const [taken, more] = await Promise.all([desk.settle(ends), take(3)]);
    expect([taken, tenantsOf(more), exchanges]).toEqual([[true, true, true, true], 'efg', 2]);
  });

  it('counts a settlement once, and refuses those of others', async () => {
    const { desk, put, take, attempts, states, clock } = await open();
    await put('a');
    const [leased] = await take(1);
    if (!leased) throw new Error('nothing to take');
    await clock.advance(250);
    const done = { ...named(leased), how: 'done' as const, stages: { load: 5 } };
    expect(await desk.settle([{ ...done, fence: done.fence + 1 }, done, done])).toEqual([false, true, false]);
    expect(attempts).toMatchObject([
      { claim: { kind: 'mail', tenantId: 'a', attempt: 1 }, runMs: 250, stages: { load: 5 }, failure: null },
    ]);
    expect(await states()).toEqual({ ready: 0, delayed: 0, running: 0, dead: 0 });
    expect(desk.counts).toMatchObject({ done: 1, refused: 2, leased: 0 });
  });

  it('tries a failed job again by its rule, and buries it after the last attempt', async () => {
    const { desk, put, take, states, clock, attempts } = await open();
    await put('a', 'sync');
    const fail = async () => {
      const [leased] = await take(1);
      if (!leased) throw new Error('nothing to take');
      const how = { how: 'failed', class: 'transient', message: '451 later', stages: {} } as const;
      await desk.settle([{ ...named(leased), ...how, retryAfterMs: 7_000 }]);
    };
    await fail();
    expect(await states()).toMatchObject({ delayed: 1, dead: 0 });
    await clock.advance(6_900);
    expect(await states()).toMatchObject({ ready: 0 });
    // Due is 7 s and half of the shipped second of jitter; the desk looks twice a second.
    await clock.advance(1_200);
    expect(await states()).toMatchObject({ ready: 1 });
    await fail();
    expect(await states()).toMatchObject({ delayed: 0, dead: 1 });
    expect(attempts.map(({ failure }) => failure?.cause)).toEqual(['451 later', '451 later']);
  });

  it('takes a job back when its lease runs out, as a timeout, and refuses the late word', async () => {
    const { desk, put, take, states, clock, attempts } = await open();
    await put('ab');
    const leased = await take(2, { leaseMs: 5_000 });
    await clock.advance(4_000);
    expect(await states()).toMatchObject({ running: 2 });
    await clock.advance(2_000);
    expect(await states()).toMatchObject({ running: 0, delayed: 2 });
    expect(attempts.map(({ failure }) => failure?.class)).toEqual(['timeout', 'timeout']);
    expect(await desk.settle(leased.map((l) => ({ ...named(l), how: 'done', stages: {} })))).toEqual([
      false,
      false,
    ]);
    expect(desk.counts).toMatchObject({ expired: 2, refused: 2, done: 0 });
  });

  it('leases no longer than the kind allows a job', async () => {
    const { put, take } = await open();
    await put('a');
    expect(await take(1, { leaseMs: 1_000_000 })).toMatchObject([{ leaseMs: 100_000 }]);
  });

  it('keeps to the concurrency of a kind, over all takers, and to the kinds asked for', async () => {
    const { desk, put, take } = await open();
    await put('aaaa', 'sync');
    await put('b', 'mail');
    expect(tenantsOf(await take(9, { kinds: ['mail'] }))).toBe('b');
    const two = await take(9, { kinds: ['sync'] });
    expect(tenantsOf(two)).toBe('aa');
    expect(await take(9)).toEqual([]);
    await desk.settle(two.slice(0, 1).map((leased) => ({ ...named(leased), how: 'returned' })));
    expect(tenantsOf(await take(9))).toBe('a');
    await expect(take(1, { kinds: ['report'] })).rejects.toMatchObject({ details: { field: 'kinds' } });
  });

  it('obeys a hold', async () => {
    const { store, put, take } = await open();
    await put('ab');
    await store.hold({ tenantId: 'a', kind: null, mode: 'pause', by: 'me', reason: '', sinceMs: 0 });
    expect(tenantsOf(await take(2))).toBe('b');
  });

  it('lets a taker wait for work, and answers with nothing when none comes', async () => {
    const { desk, put, take, clock } = await open();
    const waiting = take(5, { waitMs: 10_000 });
    await clock.advance(1_000);
    await put('ab');
    desk.wake();
    expect(tenantsOf(await waiting)).toBe('ab');
    const inVain = take(5, { waitMs: 2_000 });
    await clock.advance(2_600);
    expect(await inVain).toEqual([]);
  });

  it('gives back at once what was taken for a client that went away', async () => {
    const { put, take, states, clock } = await open();
    const gone = new AbortController();
    const waiting = take(1, { waitMs: 10_000, signal: gone.signal });
    await clock.advance(100);
    gone.abort();
    await put('a');
    await clock.advance(600);
    expect(await waiting).toEqual([]);
    expect(await states()).toMatchObject({ ready: 1, running: 0 });
  });

  it('stops: hands out no more, waits for what is leased, then gives it back', async () => {
    const { desk, put, take, states, clock, attempts } = await open();
    await put('abc');
    const [first, second] = await take(2);
    if (!first || !second) throw new Error('nothing to take');
    const waiting = take(1, { kinds: ['sync'], waitMs: 60_000 });
    const stopped = desk.stop(10_000);
    expect(await waiting).toEqual([]);
    await expect(take(1)).rejects.toMatchObject({ code: 'unreachable', retryable: true });
    await clock.advance(3_000);
    expect(await desk.settle([{ ...named(first), how: 'done', stages: {} }])).toEqual([true]);
    await clock.advance(8_000);
    await stopped;
    // What was given back does not count as an attempt.
    expect(await states()).toEqual({ ready: 2, delayed: 0, running: 0, dead: 0 });
    expect(attempts).toHaveLength(1);
    await expect(desk.settle([{ ...named(second), how: 'done', stages: {} }])).rejects.toThrow();
    expect(clock.pending).toBe(0);
  });

  it('outlives a store that is away: a settlement may be said again while the lease holds', async () => {
    const { store, clock } = await open();
    let away = false;
    const flaky: PullDeskParts['store'] = {
      ready: (request) => store.ready(request),
      exchange: (request) => (away ? Promise.reject(new Error('connection lost')) : store.exchange(request)),
      promoteDue: (nowMs) => store.promoteDue(nowMs),
      cursor: () => store.cursor(),
      time: () => store.time(),
    };
    const { desk, take, problems } = await open({ parts: { store: flaky, clock } });
    await store.enqueue([{ tenantId: 'a', kind: 'mail', payload: 1 }], clock.now());
    const [leased] = await take(1);
    if (!leased) throw new Error('nothing to take');
    away = true;
    const done = { ...named(leased), how: 'done' as const, stages: {} };
    await expect(desk.settle([done])).rejects.toMatchObject({ code: 'unreachable' });
    await expect(desk.settle([done])).rejects.toMatchObject({ code: 'unreachable' });
    expect(problems).toHaveLength(1);
    away = false;
    expect(await desk.settle([done])).toEqual([true]);
  });

  it('costs nothing while nothing is leased', async () => {
    const { clock, put, take, desk } = await open();
    expect(clock.pending).toBe(0);
    await put('a');
    const leased = await take(1);
    await desk.settle(leased.map((l) => ({ ...named(l), how: 'done', stages: {} })));
    await clock.advance(2_000);
    expect(clock.pending).toBe(0);
  });
});
