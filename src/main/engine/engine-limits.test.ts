import { describe, expect, it } from 'vitest';
import { sleep } from './clock.ts';
import { depthOf, engineFixture, jobs, kindOf, RUN_MS, tuned } from './engine-fixture.ts';
import type { VirtualClock } from './virtual-clock.ts';
import { type Handler, JobError } from './workers/handler.ts';

const takes =
  (clock: VirtualClock, ms = RUN_MS): Handler['run'] =>
  (_job, { signal }) =>
    sleep(clock, ms, signal);
const kindReport = ({ engine }: ReturnType<typeof engineFixture>, kind: string) =>
  engine.report().kinds.find((report) => report.kind === kind);

describe('limits of a kind', () => {
  it('concurrency: so many at once, while other kinds use the workers', async () => {
    const fixture = engineFixture({
      tuning: { workers: 6 },
      kinds: (clock) => [kindOf('mail', takes(clock)), kindOf('scan', takes(clock), { concurrency: 2 })],
    });
    const { engine, clock, attempts } = fixture;
    await engine.enqueue([...jobs('a', 6, { kind: 'scan' }), ...jobs('a', 8)]);
    await engine.start();
    await clock.advance(0);
    expect(kindReport(fixture, 'scan')).toMatchObject({
      running: 2,
      limit: 2,
      heldBy: 'as many run as its concurrency allows: 2',
    });
    expect(kindReport(fixture, 'mail')).toMatchObject({ running: 4, limit: null, heldBy: null });
    await clock.advance(3 * RUN_MS);
    expect(attempts).toHaveLength(14);
    await engine.stop(0);
  });

  it('rate: so many starts in a time, evenly after the first ones, without a poll', async () => {
    const fixture = engineFixture({
      tuning: { workers: 5 },
      kinds: (clock) => [kindOf('mail', takes(clock, 1), { rate: { starts: 3, perSeconds: 3 } })],
    });
    const { engine, clock, attempts } = fixture;
    await engine.enqueue(jobs('a', 6));
    await engine.start();
    await clock.advance(10);
    expect(attempts).toHaveLength(3);
    expect(kindReport(fixture, 'mail')?.heldBy).toMatch(
      /^its rate allows the next start at 2023-11-14T22:13:21Z$/,
    );
    await clock.advance(1_000);
    expect(attempts).toHaveLength(4);
    await clock.advance(2_000);
    expect(attempts).toHaveLength(6);
    await engine.stop(0);
    expect(clock.pending).toBe(0);
  });

  it('rate: a failure that says when to come again stops the kind until then', async () => {
    let isBusy = true;
    const fixture = engineFixture({
      kinds: (clock) => [
        kindOf('call', () =>
          isBusy
            ? Promise.reject(new JobError('rate-limit', 'too many calls', { retryAfterMs: 60_000 }))
            : Promise.resolve(),
        ),
        kindOf('mail', takes(clock)),
      ],
    });
    const { engine, clock, attempts } = fixture;
    await engine.enqueue([...jobs('a', 2, { kind: 'call' }), ...jobs('a', 2)]);
    await engine.start();
    await clock.advance(10);
    isBusy = false;
    await engine.enqueue(jobs('a', 5, { kind: 'call' }));
    await clock.advance(59_000);
    expect(attempts.filter(({ claim }) => claim.kind === 'call')).toHaveLength(2);
    expect(attempts.filter(({ claim }) => claim.kind === 'mail')).toHaveLength(2);
    expect(kindReport(fixture, 'call')?.heldBy).toBe(
      'the other side limits the rate until 2023-11-14T22:14:20Z',
    );
    // Those that were refused come again after that moment, each with its own jitter.
    await clock.advance(10_000);
    expect(attempts.filter(({ claim }) => claim.kind === 'call')).toHaveLength(2 + 5 + 2);
    await engine.stop(0);
  });

  it('quota: the kind waits for the reset', async () => {
    let calls = 0;
    const fixture = engineFixture({
      tuning: { workers: 1 },
      kinds: () => [
        kindOf('call', () => {
          calls += 1;
          return calls === 1
            ? Promise.reject(new JobError('quota', 'monthly limit', { retryAfterMs: 3_600_000 }))
            : Promise.resolve();
        }),
      ],
    });
    const { engine, clock } = fixture;
    await engine.enqueue(jobs('a', 4, { kind: 'call' }));
    await engine.start();
    await clock.advance(3_599_000);
    expect(calls).toBe(1);
    expect(kindReport(fixture, 'call')).toMatchObject({
      heldBy: 'its quota is used up until 2023-11-14T23:13:20Z',
      errors: { quota: 1 },
    });
    await clock.advance(1_000 + 300_000);
    expect(calls).toBe(5);
    await engine.stop(0);
  });

  it('breaker: opens for every kind that shares the dependency, tries one call, and closes again', async () => {
    let isDown = true;
    const calls: string[] = [];
    const call: Handler['run'] = ({ kind }) => {
      calls.push(kind);
      return isDown ? Promise.reject(new Error('connect ECONNREFUSED')) : Promise.resolve();
    };
    const breaker = { dependency: 'ai', minimumCalls: 4, openSeconds: 30 };
    const fixture = engineFixture({
      kinds: (clock) => [
        kindOf('embed', call, { breaker }),
        kindOf('extract', call, { breaker }),
        kindOf('mail', takes(clock)),
      ],
    });
    const { engine, clock, attempts } = fixture;
    const once = { maxAttempts: 1 };
    await engine.enqueue([
      ...jobs('a', 20, { kind: 'embed', ...once }),
      ...jobs('b', 20, { kind: 'extract', ...once }),
    ]);
    await engine.enqueue(jobs('c', 3));
    await engine.start();
    await clock.advance(29_000);
    expect(calls.length).toBeGreaterThanOrEqual(4);
    expect(calls.length).toBeLessThanOrEqual(6);
    const before = calls.length;
    expect(engine.report().breakers).toMatchObject([{ dependency: 'ai', state: 'open' }]);
    expect(kindReport(fixture, 'extract')).toMatchObject({
      breaker: 'ai',
      limit: 0,
      heldBy: expect.stringMatching(/^the breaker of "ai" is open until /) as string,
    });
    expect(attempts.filter(({ claim }) => claim.kind === 'mail')).toHaveLength(3);
    // One trial, which fails; then thirty seconds more.
    await clock.advance(2_000);
    expect(calls).toHaveLength(before + 1);
    isDown = false;
    await clock.advance(31_000);
    expect(calls).toHaveLength(40);
    expect(engine.report().breakers[0]?.history.map(({ value }) => value)).toEqual([
      'open',
      'half-open',
      'open',
      'half-open',
      'closed',
    ]);
    await engine.stop(0);
    expect(clock.pending).toBe(0);
  });

  it('breaker: a job that is at fault itself does not open it', async () => {
    const { engine, clock } = engineFixture({
      kinds: () => [
        kindOf('call', () => Promise.reject(new JobError('permanent', 'no such user')), {
          breaker: { dependency: 'ai', minimumCalls: 2 },
        }),
      ],
    });
    await engine.enqueue(jobs('a', 20, { kind: 'call' }));
    await engine.start();
    await clock.advance(100);
    expect(engine.report()).toMatchObject({ breakers: [{ state: 'closed' }], failedTotal: 20 });
    await engine.stop(0);
  });

  it('throttle: begins where it is told to and learns', async () => {
    let fails = true;
    const fixture = engineFixture({
      tuning: { workers: 50 },
      kinds: (clock) => [
        kindOf(
          'sync',
          async (job, context) => {
            await takes(clock)(job, context);
            if (fails) throw new Error('503');
          },
          { throttle: {} },
        ),
      ],
    });
    const { engine, clock } = fixture;
    await engine.enqueue(jobs('a', 400, { kind: 'sync', maxAttempts: 1 }));
    await engine.start();
    await clock.advance(0);
    expect(kindReport(fixture, 'sync')).toMatchObject({ running: 15, limit: 15 });
    await clock.advance(10 * RUN_MS);
    expect(kindReport(fixture, 'sync')).toMatchObject({ limit: 5, running: 5 });
    fails = false;
    await clock.advance(30 * RUN_MS);
    const report = kindReport(fixture, 'sync');
    expect(report?.limit).toBeGreaterThan(5);
    expect(report?.throttle).toMatchObject({ minimum: 5, maximum: 25 });
    expect(report?.throttle?.history.length).toBeGreaterThan(5);
    await engine.stop(0);
  });
});

describe('kinds', () => {
  it('that nobody declares are left in the store for an engine that knows them', async () => {
    const { engine, clock, store } = engineFixture();
    await store.enqueue(jobs('a', 1, { kind: 'fax' }), clock.now());
    await engine.start();
    await clock.advance(60_000);
    expect(await depthOf(store, 'a')).toMatchObject({ ready: { value: 1 }, attemptsTotal: 0 });
    await engine.stop(0);
  });

  it('may be added and taken away while it works', async () => {
    const fixture = engineFixture({ kinds: (clock) => [kindOf('mail', takes(clock))] });
    const { engine, clock, store, attempts } = fixture;
    await store.enqueue([...jobs('a', 4), ...jobs('a', 2, { kind: 'fax' })], clock.now());
    await engine.start();
    await clock.advance(0);
    engine.setKinds([kindOf('fax', takes(clock))]);
    await clock.advance(RUN_MS);
    // What ran has finished; nothing more of its kind began.
    expect(attempts.map(({ claim }) => claim.kind)).toEqual(['mail', 'mail']);
    await clock.advance(RUN_MS);
    expect(attempts.slice(2).map(({ claim }) => claim.kind)).toEqual(['fax', 'fax']);
    expect(engine.report().kinds.map(({ kind }) => kind)).toEqual(['fax']);
    expect(await depthOf(store, 'a')).toMatchObject({ ready: { value: 2 }, running: { value: 0 } });
    await expect(engine.enqueue(jobs('a'))).rejects.toMatchObject({ code: 'not-found' });
    await engine.stop(0);
  });

  it('keep what their limits have learned when something else of them changes', async () => {
    const settings = { rate: { starts: 1, perSeconds: 60 } };
    const fixture = engineFixture({ kinds: (clock) => [kindOf('mail', takes(clock), settings)] });
    const { engine, clock, attempts } = fixture;
    await engine.enqueue(jobs('a', 3));
    await engine.start();
    await clock.advance(RUN_MS);
    engine.setKinds([kindOf('mail', takes(clock), { ...settings, priority: 5 })]);
    await clock.advance(50_000);
    expect(attempts).toHaveLength(1);
    await clock.advance(10_000 + RUN_MS);
    expect(attempts).toHaveLength(2);
    await engine.stop(0);
  });
});

describe('when memory is short', () => {
  it('claims less, recycles, stops claiming, and goes on by itself', async () => {
    let rssBytes = 100;
    let recycled = 0;
    const { engine, clock, attempts, problems } = engineFixture({
      tuning: { workers: 4 },
      memory: () => ({ rssBytes, limitBytes: 1_000 }),
      kinds: (at) => [kindOf('mail', takes(at, 1_000), {}, { recycle: () => (recycled += 1) })],
    });
    await engine.enqueue(jobs('a', 100));
    await engine.start();
    await clock.advance(0);
    const busy = async () => (await engine.snapshot(0)).busy;
    expect(await busy()).toBe(4);
    rssBytes = 760;
    await clock.advance(1_000);
    expect(await busy()).toBe(2);
    expect(recycled).toBe(0);
    rssBytes = 810;
    await clock.advance(1_000);
    expect(await busy()).toBe(2);
    expect(recycled).toBe(1);
    rssBytes = 950;
    await clock.advance(1_000);
    expect(await busy()).toBe(0);
    expect(engine.report()).toMatchObject({
      memory: { pressure: 'stop-claiming', rssBytes: 950 },
      kinds: [{ heldBy: 'memory is nearly used up' }],
    });
    expect(problems).toEqual([expect.stringMatching(/^memory is nearly used up/)]);
    const ended = attempts.length;
    await clock.advance(10_000);
    expect(attempts).toHaveLength(ended);
    rssBytes = 100;
    await clock.advance(1_000);
    expect(await busy()).toBe(4);
    engine.configure(tuned({ workers: 2 }));
    await engine.stop(0);
    expect(clock.pending).toBe(0);
  });
});
