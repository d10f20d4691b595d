import { describe, expect, it } from 'vitest';
import { Engine, type EngineSettings } from './engine.ts';
import type { Settlement } from './job.ts';
import { SqliteStore } from './stores/sqlite-store.ts';
import type { Store } from './stores/store.ts';
import { VirtualClock } from './virtual-clock.ts';
import { type Attempt, timingLine } from './workers/attempt.ts';
import type { Handler } from './workers/handler.ts';
import { sleep, systemClock } from './clock.ts';

const RUN_MS = 100;
const FAIR: EngineSettings = { workers: 2, order: 'fair' };

function set(
  settings: EngineSettings,
  handler: Partial<Handler> = {},
  shared: { store?: Store; clock?: VirtualClock; owner?: string } = {},
) {
  const clock = shared.clock ?? new VirtualClock();
  const store = shared.store ?? SqliteStore.inMemory();
  const attempts: Attempt[] = [];
  const problems: string[] = [];
  const engine = new Engine(
    {
      store,
      clock,
      owner: shared.owner ?? 'one',
      handlers: [
        {
          kind: 'mail',
          timeoutMs: 1_000,
          retryDelayMs: (attempt) => attempt * 500,
          run: (_job, { signal }) => sleep(clock, RUN_MS, signal),
          ...handler,
        },
      ],
      onAttempt: (attempt) => attempts.push(attempt),
      onProblem: (problem) => problems.push(problem.message),
    },
    settings,
  );
  return { engine, clock, store, attempts, problems };
}
const mail = (tenantId: string, count = 1) =>
  Array.from({ length: count }, () => ({ tenantId, kind: 'mail', payload: null }));
const depth = async (store: Store, tenantId: string) =>
  (await store.depths(0)).tenants.find((tenant) => tenant.tenantId === tenantId);

describe('the engine in fair order', () => {
  it('lets no tenant with work wait more than one turn: 1,000 jobs of 10 tenants', async () => {
    const { engine, clock, attempts } = set({ workers: 3, order: 'fair' });
    const tenants = Array.from({ length: 10 }, (_, i) => `tenant-${i}`);
    // Nine tenants with little, one with nine tenths of everything, in one burst before the others.
    await engine.enqueue([
      ...mail('tenant-4', 901),
      ...tenants.slice(5).flatMap((tenant) => mail(tenant, 11)),
    ]);
    await engine.start();
    await clock.advance(RUN_MS / 2);
    await engine.enqueue(tenants.slice(0, 4).flatMap((tenant) => mail(tenant, 11)));
    await clock.advance(1_000 * RUN_MS);
    expect(attempts).toHaveLength(1_000);
    const starts = attempts
      .toSorted((a, b) => a.claim.startedAtMs - b.claim.startedAtMs)
      .map((a) => a.claim.tenantId);
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
    const store = SqliteStore.inMemory();
    const order: string[] = [];
    await store.enqueue(
      ['a', 'b', 'c'].flatMap((tenant) => mail(tenant, 4)),
      clock.now(),
    );
    for (let i = 0; i < 6; i++) {
      const { engine, attempts } = set(
        { workers: 1, order: 'fair' },
        {},
        { store, clock, owner: `run-${i}` },
      );
      await engine.start();
      const stopped = engine.stop(10_000);
      await clock.advance(RUN_MS);
      await stopped;
      order.push(...attempts.map((attempt) => attempt.claim.tenantId));
    }
    expect(order).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });
});

describe('the workers', () => {
  it('grow at once and shrink by letting what runs finish', async () => {
    const { engine, clock, attempts } = set(FAIR);
    await engine.enqueue(mail('a', 40));
    await engine.start();
    await clock.advance(0);
    expect((await engine.snapshot(0)).busy).toBe(2);
    engine.configure({ workers: 8, order: 'fair' });
    await clock.advance(0);
    expect((await engine.snapshot(0)).busy).toBe(8);
    engine.configure({ workers: 1, order: 'fair' });
    await clock.advance(RUN_MS / 2);
    expect((await engine.snapshot(0)).busy).toBe(8);
    await clock.advance(RUN_MS / 2);
    expect((await engine.snapshot(0)).busy).toBe(1);
    expect(attempts.map((attempt) => attempt.error)).toEqual(Array(8).fill(null));
    await engine.stop(0);
  });

  it('measure wait, run and stages, and tell them in one line', async () => {
    const { engine, clock, attempts } = set(
      { workers: 1, order: 'fair' },
      {
        run: async (_job, { stage, signal }) => {
          await stage('load', () => sleep(clock, 30, signal));
          for (let i = 0; i < 2; i++) await stage('deliver', () => sleep(clock, 20, signal));
          await sleep(clock, 5, signal);
        },
      },
    );
    await engine.enqueue(mail('a', 2));
    await engine.start();
    await clock.advance(200);
    expect(attempts).toHaveLength(2);
    expect(attempts[1]).toMatchObject({
      waitMs: 75,
      runMs: 75,
      stages: { load: 30, deliver: 40 },
      error: null,
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
    const { engine, clock, store, attempts } = set(
      { workers: 1, order: 'fair' },
      {
        // Deaf to its signal, as a hanging script is.
        run: (_job, { signal }) => {
          signal.addEventListener('abort', () => aborted.push(signal.reason));
          return new Promise(() => undefined);
        },
      },
    );
    await engine.enqueue([{ tenantId: 'a', kind: 'mail', payload: null, maxAttempts: 2 }]);
    await engine.start();
    await clock.advance(1_000);
    expect(await depth(store, 'a')).toMatchObject({ running: { value: 0 }, delayed: { value: 1 } });
    await clock.advance(500 + 1_000);
    expect(await depth(store, 'a')).toMatchObject({
      delayed: { value: 0 },
      dead: { value: 1 },
      attemptsTotal: 2,
    });
    expect(attempts.map(({ error, waitMs }) => [error, waitMs])).toEqual([
      ['timed out after 1000 ms', 0],
      ['timed out after 1000 ms', 0],
    ]);
    expect(aborted).toHaveLength(2);
    await engine.stop(0);
    expect(clock.pending).toBe(0);
  });

  it('bury a job of a kind that nobody handles', async () => {
    const { engine, clock, store, attempts } = set(FAIR);
    await engine.enqueue([{ tenantId: 'a', kind: 'fax', payload: null }]);
    await engine.start();
    await clock.advance(10);
    expect(attempts[0]?.error).toBe('no handler for jobs of kind "fax"');
    expect((await depth(store, 'a'))?.dead.value).toBe(1);
    await engine.stop(0);
  });

  it('start a job when its time has come, without being asked', async () => {
    const { engine, clock, attempts } = set(FAIR);
    await engine.start();
    await engine.enqueue([{ tenantId: 'a', kind: 'mail', payload: null, readyAtMs: clock.now() + 7_000 }]);
    await clock.advance(6_999);
    expect((await engine.snapshot(0)).busy).toBe(0);
    await clock.advance(1 + RUN_MS);
    expect(attempts[0]).toMatchObject({ waitMs: 0, runMs: RUN_MS });
    await engine.stop(0);
  });
});

describe('a long run of jobs that end at once', () => {
  it('leaves the thread free to hear that it should stop', async () => {
    const clock = Object.assign(new VirtualClock(), { breathe: () => systemClock.breathe() });
    const { engine, store } = set(FAIR, { run: () => Promise.resolve() }, { clock });
    await engine.enqueue(mail('a', 5_000));
    await engine.start();
    await new Promise((resolve) => setTimeout(resolve, 1));
    await engine.stop(1_000);
    expect((await depth(store, 'a'))?.ready.value).toBeGreaterThan(0);
  });
});

describe('stopping the engine', () => {
  it('finishes what it can within the deadline, gives the rest back uncounted, and starts nothing more', async () => {
    const { engine, clock, store, attempts } = set(
      { workers: 2, order: 'first-come' },
      {
        timeoutMs: 60_000,
        run: (job, { signal }) => sleep(clock, job.tenantId === 'slow' ? 50_000 : RUN_MS, signal),
      },
    );
    await engine.enqueue([...mail('slow'), ...mail('quick', 5)]);
    await engine.start();
    await clock.advance(0);
    const stopped = Promise.all([engine.stop(1_000), engine.stop(1_000)]);
    await clock.advance(1_000);
    await stopped;
    expect(attempts.map((attempt) => attempt.claim.tenantId)).toEqual(['quick']);
    expect(await depth(store, 'slow')).toMatchObject({
      ready: { value: 1 },
      running: { value: 0 },
      attemptsTotal: 0,
    });
    expect(await depth(store, 'quick')).toMatchObject({ ready: { value: 4 }, running: { value: 0 } });
    expect(clock.pending).toBe(0);
  });

  it('is cut short by a second stop without time', async () => {
    const { engine, clock, store } = set(FAIR, {
      timeoutMs: 60_000,
      run: (_job, { signal }) => sleep(clock, 50_000, signal),
    });
    await engine.enqueue(mail('a', 2));
    await engine.start();
    await clock.advance(0);
    const patient = engine.stop(30_000);
    await engine.stop(0);
    await patient;
    expect(await depth(store, 'a')).toMatchObject({ ready: { value: 2 }, running: { value: 0 } });
    expect(clock.pending).toBe(0);
  });

  it('is safe before the start, which then does nothing', async () => {
    const { engine, clock } = set(FAIR);
    await engine.stop(1_000);
    await engine.start();
    await engine.enqueue(mail('a'));
    expect((await engine.snapshot(0)).busy).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('leaves an idle engine with no timer at all on a store of its own', async () => {
    const store = SqliteStore.inMemory();
    // As a file is: nobody else can have it.
    Object.defineProperty(store, 'exclusive', { value: true });
    const { engine, clock } = set(FAIR, {}, { store });
    await engine.enqueue(mail('a', 3));
    await engine.start();
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
    await engine.stop(0);
  });
});

describe('a store that fails for a while', () => {
  it('loses no finished job: its end is settled when the store is back', async () => {
    const store = SqliteStore.inMemory();
    let isFull = false;
    const failing = new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (isFull && name === 'settle') return () => Promise.reject(new Error('database or disk is full'));
        return (value as (...args: unknown[]) => unknown).bind(target);
      },
    });
    const { engine, clock, attempts, problems } = set(FAIR, {}, { store: failing });
    await engine.enqueue(mail('a', 2));
    await engine.start();
    isFull = true;
    await clock.advance(2_500);
    expect(attempts).toHaveLength(0);
    expect(problems[0]).toMatch(/the job store failed; asked again in 1000 ms/);
    isFull = false;
    await clock.advance(5_000);
    expect(attempts).toHaveLength(2);
    expect(await depth(store, 'a')).toMatchObject({
      ready: { value: 0 },
      running: { value: 0 },
      attemptsTotal: 2,
    });
    await engine.stop(0);
  });
});

describe('two engines on one store', () => {
  it('one takes over what the other left when it has been silent for five minutes, and fences it', async () => {
    const store = SqliteStore.inMemory();
    const dying = set(
      FAIR,
      { timeoutMs: 3_600_000, run: (_job, { signal }) => sleep(dying.clock, 900_000, signal) },
      { store, owner: 'dying' },
    );
    await dying.engine.enqueue(mail('a', 3));
    await dying.engine.start();
    await dying.clock.advance(0);
    // From here on its clock stands still: it is as good as dead, but does not know.
    const alive = set({ workers: 5, order: 'fair' }, {}, { store, owner: 'alive' });
    await alive.engine.start();
    await alive.clock.advance(200_000);
    expect(alive.attempts).toHaveLength(1);
    await alive.clock.advance(200_000);
    expect(alive.attempts).toHaveLength(3);
    const lateEnds = alive.attempts.map(({ claim }): Settlement => ({
      claim: { id: claim.id, fence: 1 },
      how: 'done',
    }));
    expect(await store.settle(lateEnds, alive.clock.now())).toEqual([false, false, false]);
    await dying.clock.advance(900_000);
    expect(dying.attempts).toHaveLength(0);
    expect(dying.problems).toHaveLength(2);
    expect(dying.problems[0]).toMatch(/was taken from this engine; its late end was refused/);
    for (const { engine } of [dying, alive]) await engine.stop(0);
  });
});
