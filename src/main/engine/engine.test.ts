import { describe, expect, it, vi } from 'vitest';
import { sleep, systemClock } from './clock.ts';
import { depthOf, engineFixture, jobs, kindOf, RUN_MS, tuned } from './engine-fixture.ts';
import { MemoryStore } from './stores/memory-store.ts';
import { VirtualClock } from './virtual-clock.ts';
import { timingLine } from './workers/attempt.ts';

describe('the engine in fair order', () => {
  it('lets no tenant with work wait more than one turn: 1,000 jobs of 10 tenants', async () => {
    const { engine, clock, attempts } = engineFixture({ tuning: { workers: 3 } });
    const tenants = Array.from({ length: 10 }, (_, i) => `tenant-${i}`);
    // Nine tenants with little, one with nine tenths of everything, in one burst before the others.
    await engine.enqueue([
      ...jobs('tenant-4', 901),
      ...tenants.slice(5).flatMap((tenant) => jobs(tenant, 11)),
    ]);
    await engine.start();
    await clock.advance(RUN_MS / 2);
    await engine.enqueue(tenants.slice(0, 4).flatMap((tenant) => jobs(tenant, 11)));
    await clock.advance(1_000 * RUN_MS);
    expect(attempts).toHaveLength(1_000);
    const starts = attempts
      .toSorted((a, b) => a.startedAtMs - b.startedAtMs)
      .map((attempt) => attempt.claim.tenantId);
    for (const tenant of tenants.filter((name) => name !== 'tenant-4')) {
      const turns = starts.flatMap((name, i) => (name === tenant ? [i] : []));
      const gaps = turns.slice(1).map((turn, i) => turn - (turns[i] ?? 0));
      // Claims of one moment have no order among them: up to 3 workers' worth of play on both sides.
      expect(Math.max(...gaps), tenant).toBeLessThanOrEqual(10 + 2 * 3);
    }
    await engine.stop(0);
  });

  it('goes on in the circle after a restart instead of at the lowest tenant', async () => {
    const clock = new VirtualClock();
    const store = new MemoryStore(() => clock.now());
    const order: string[] = [];
    await store.enqueue(
      ['a', 'b', 'c'].flatMap((tenant) => jobs(tenant, 4)),
      clock.now(),
    );
    for (let i = 0; i < 6; i++) {
      const { engine, attempts } = engineFixture({ store, clock, owner: `run-${i}`, tuning: { workers: 1 } });
      await engine.start();
      await clock.advance(0);
      const stopped = engine.stop(10_000);
      await clock.advance(RUN_MS);
      await stopped;
      order.push(...attempts.map((attempt) => attempt.claim.tenantId));
    }
    expect(order).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  it('changes to first come, first served and back while it works', async () => {
    const { engine, clock, attempts } = engineFixture({ tuning: { workers: 1, order: 'first-come' } });
    await engine.enqueue([...jobs('a', 4), ...jobs('b', 4)]);
    await engine.start();
    await clock.advance(2 * RUN_MS);
    engine.configure(tuned({ workers: 1 }));
    await clock.advance(7 * RUN_MS);
    const tenants = attempts.map(({ claim }) => claim.tenantId).join('');
    // The third began before the change.
    expect(tenants).toMatch(/^aaa(ab|ba)bbb$/);
    await engine.stop(0);
  });

  it('runs no more jobs of a tenant than its cap, and lets others use the workers', async () => {
    const { engine, clock, attempts } = engineFixture({
      tuning: { workers: 4, tenants: { a: { weight: 1, cap: 1 } } },
    });
    await engine.enqueue([...jobs('a', 3), ...jobs('b', 9)]);
    await engine.start();
    await clock.advance(RUN_MS);
    expect(attempts.map(({ claim }) => claim.tenantId).sort()).toEqual(['a', 'b', 'b', 'b']);
    await clock.advance(2 * RUN_MS);
    expect(attempts).toHaveLength(12);
    await engine.stop(0);
  });
});

describe('the workers', () => {
  it('grow at once and shrink by letting what runs finish', async () => {
    const { engine, clock, attempts } = engineFixture();
    await engine.enqueue(jobs('a', 40));
    await engine.start();
    await clock.advance(0);
    expect((await engine.snapshot(0)).busy).toBe(2);
    engine.configure(tuned({ workers: 8 }));
    await clock.advance(0);
    expect((await engine.snapshot(0)).busy).toBe(8);
    engine.configure(tuned({ workers: 1 }));
    await clock.advance(RUN_MS / 2);
    expect((await engine.snapshot(0)).busy).toBe(8);
    expect(engine.report().workers).toHaveLength(8);
    await clock.advance(RUN_MS / 2);
    expect((await engine.snapshot(0)).busy).toBe(1);
    expect(engine.report().workers).toHaveLength(1);
    expect(attempts.map((attempt) => attempt.failure)).toEqual(Array(8).fill(null));
    await engine.stop(0);
  });

  it('measure wait, run and stages, and tell them in one line', async () => {
    const { engine, clock, attempts } = engineFixture({
      tuning: { workers: 1 },
      kinds: (at) => [
        kindOf('mail', async (_job, { stage, signal }) => {
          await stage('load', () => sleep(at, 30, signal));
          for (let i = 0; i < 2; i++) await stage('deliver', () => sleep(at, 20, signal));
          await sleep(at, 5, signal);
        }),
      ],
    });
    await engine.enqueue(jobs('a', 2));
    await engine.start();
    await clock.advance(200);
    expect(attempts).toHaveLength(2);
    expect(attempts[1]).toMatchObject({
      waitMs: 75,
      runMs: 75,
      stages: { load: 30, deliver: 40 },
      failure: null,
    });
    const [, line] = attempts.map(timingLine);
    expect(JSON.parse(line?.replace('[TIMING] ', '') ?? '')).toEqual({
      job_id: 2,
      tenant_id: 'a',
      kind: 'mail',
      attempt: 1,
      start_time: '2023-11-14T22:13:20.075Z',
      wait_ms: 75,
      load_ms: 30,
      deliver_ms: 40,
      total_ms: 75,
      status: 'success',
      error: null,
    });
    await engine.stop(0);
  });

  it('are free again when a job hangs, and try it again later until it is dead', async () => {
    const aborted: unknown[] = [];
    const { engine, clock, store, attempts } = engineFixture({
      tuning: { workers: 1 },
      kinds: () => [
        kindOf(
          'mail',
          // Deaf to its signal, as a hanging script is.
          (_job, { signal }) => {
            signal.addEventListener('abort', () => aborted.push(signal.reason));
            return new Promise(() => undefined);
          },
          { timeouts: { jobSeconds: 1 }, retry: { classes: { timeout: { baseSeconds: 1 } } } },
        ),
      ],
    });
    await engine.enqueue(jobs('a', 1, { maxAttempts: 2 }));
    await engine.start();
    await clock.advance(1_000);
    expect(await depthOf(store, 'a')).toMatchObject({ running: { value: 0 }, delayed: { value: 1 } });
    // Half of the longest wait, as the fixture's chance has it.
    await clock.advance(500 + 1_000);
    expect(await depthOf(store, 'a')).toMatchObject({
      delayed: { value: 0 },
      dead: { value: 1 },
      attemptsTotal: 2,
    });
    expect(attempts.map(({ failure, waitMs }) => [failure?.class, failure?.message, waitMs])).toEqual([
      ['timeout', 'timed out after 1000 ms', 0],
      ['timeout', 'timed out after 1000 ms', 0],
    ]);
    expect(aborted).toHaveLength(2);
    await engine.stop(0);
    expect(clock.pending).toBe(0);
  });

  it('do not hear what a job does after its time was up', async () => {
    const late = Promise.withResolvers<undefined>();
    const { engine, clock, store, attempts } = engineFixture({
      kinds: () => [kindOf('mail', () => late.promise, { timeouts: { jobSeconds: 1 } })],
    });
    await engine.enqueue(jobs('a', 1, { maxAttempts: 1 }));
    await engine.start();
    await clock.advance(1_000);
    late.resolve(undefined);
    await clock.advance(1_000);
    expect(attempts).toHaveLength(1);
    expect((await depthOf(store, 'a'))?.dead.value).toBe(1);
    await engine.stop(0);
  });

  it('judge a failure by its class: a permanent one is not tried again, a transient one is', async () => {
    const { engine, clock, store } = engineFixture({
      kinds: () => [
        kindOf('mail', ({ tenantId }) =>
          Promise.reject(Object.assign(new Error('no'), { status: tenantId === 'wrong' ? 400 : 503 })),
        ),
      ],
    });
    await engine.enqueue([...jobs('wrong'), ...jobs('unlucky')]);
    await engine.start();
    await clock.advance(10);
    expect(await depthOf(store, 'wrong')).toMatchObject({ dead: { value: 1 }, delayed: { value: 0 } });
    expect(await depthOf(store, 'unlucky')).toMatchObject({ dead: { value: 0 }, delayed: { value: 1 } });
    await engine.stop(0);
  });

  it('survive a handler that throws before it returns its promise', async () => {
    const { engine, clock, attempts } = engineFixture({
      kinds: () => [
        kindOf('mail', () => {
          throw new Error('at once');
        }),
      ],
    });
    await engine.enqueue(jobs('a', 1, { maxAttempts: 1 }));
    await engine.start();
    await clock.advance(10);
    expect(attempts[0]?.failure?.message).toBe('at once');
    await engine.stop(0);
  });

  it('start a job when its time has come, without being asked', async () => {
    const { engine, clock, attempts } = engineFixture();
    await engine.start();
    await engine.enqueue(jobs('a', 1, { readyAtMs: clock.now() + 7_000 }));
    await clock.advance(6_999);
    expect((await engine.snapshot(0)).busy).toBe(0);
    await clock.advance(1 + RUN_MS);
    expect(attempts[0]).toMatchObject({ waitMs: 0, runMs: RUN_MS });
    await engine.stop(0);
  });

  it('go on with what a finished job has set free', async () => {
    const { engine, clock, attempts } = engineFixture();
    await engine.enqueue([...jobs('a'), ...jobs('a', 3, { dependsOn: [{ row: 0 }] })]);
    await engine.start();
    await clock.advance(3 * RUN_MS);
    expect(attempts.map(({ claim }) => claim.id)).toEqual([1, 2, 3, 4]);
    await engine.stop(0);
  });
});

describe('a long run of jobs that end at once', () => {
  it('leaves the thread free to hear that it should stop', async () => {
    const clock = Object.assign(new VirtualClock(), { breathe: () => systemClock.breathe() });
    const { engine, store } = engineFixture({
      clock,
      kinds: () => [kindOf('mail', () => Promise.resolve())],
    });
    await engine.enqueue(jobs('a', 200_000));
    await engine.start();
    await new Promise((resolve) => setTimeout(resolve, 1));
    await engine.stop(1_000);
    expect((await depthOf(store, 'a'))?.ready.value).toBeGreaterThan(0);
    expect((await depthOf(store, 'a'))?.running.value).toBe(0);
  });

  it('takes them in batches, with few words to the store', async () => {
    const clock = Object.assign(new VirtualClock(), { breathe: () => systemClock.breathe() });
    const { engine, store, attempts } = engineFixture({
      clock,
      kinds: () => [kindOf('mail', () => Promise.resolve())],
    });
    let exchanges = 0;
    const exchange = store.exchange.bind(store);
    store.exchange = (request) => {
      exchanges += 1;
      return exchange(request);
    };
    await engine.enqueue(['a', 'b', 'c'].flatMap((tenant) => jobs(tenant, 2_000)));
    await engine.start();
    await vi.waitFor(() => expect(attempts).toHaveLength(6_000));
    expect(exchanges).toBeLessThan(100);
    await engine.stop(0);
  });
});

describe('stopping the engine', () => {
  it('finishes what it can within the deadline, gives the rest back uncounted, and starts nothing more', async () => {
    const { engine, clock, store, attempts } = engineFixture({
      tuning: { order: 'first-come' },
      kinds: (at) => [
        kindOf('mail', (job, { signal }) => sleep(at, job.tenantId === 'slow' ? 50_000 : RUN_MS, signal)),
      ],
    });
    await engine.enqueue([...jobs('slow'), ...jobs('quick', 5)]);
    await engine.start();
    await clock.advance(0);
    const stopped = Promise.all([engine.stop(1_000), engine.stop(1_000)]);
    await clock.advance(1_000);
    await stopped;
    expect(attempts.map((attempt) => attempt.claim.tenantId)).toEqual(['quick']);
    expect(await depthOf(store, 'slow')).toMatchObject({
      ready: { value: 1 },
      running: { value: 0 },
      attemptsTotal: 0,
    });
    expect(await depthOf(store, 'quick')).toMatchObject({ ready: { value: 4 }, running: { value: 0 } });
    expect(clock.pending).toBe(0);
  });

  it('is cut short by a second stop without time', async () => {
    const { engine, clock, store } = engineFixture({
      kinds: (at) => [kindOf('mail', (_job, { signal }) => sleep(at, 50_000, signal))],
    });
    await engine.enqueue(jobs('a', 2));
    await engine.start();
    await clock.advance(0);
    const patient = engine.stop(30_000);
    await engine.stop(0);
    await patient;
    expect(await depthOf(store, 'a')).toMatchObject({ ready: { value: 2 }, running: { value: 0 } });
    expect(clock.pending).toBe(0);
  });

  it('is safe before the start, which then does nothing', async () => {
    const { engine, clock } = engineFixture();
    await engine.stop(1_000);
    await engine.start();
    await engine.enqueue(jobs('a'));
    expect((await engine.snapshot(0)).busy).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('is safe while it starts', async () => {
    const { engine, clock, store } = engineFixture();
    await engine.enqueue(jobs('a'));
    const started = engine.start();
    await engine.stop(0);
    await started;
    await clock.advance(60_000);
    expect(await depthOf(store, 'a')).toMatchObject({ ready: { value: 1 }, attemptsTotal: 0 });
    expect(await store.owners()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('leaves an idle engine with no timer at all on a store of its own', async () => {
    const { engine, clock, attempts } = engineFixture();
    await engine.enqueue(jobs('a', 3));
    await engine.start();
    await clock.advance(10_000);
    expect(attempts).toHaveLength(3);
    expect(clock.pending).toBe(0);
    await engine.stop(0);
  });
});
