// Engines that share a store, and stores that fail.
import { describe, expect, it } from 'vitest';
import { sleep } from './clock.ts';
import { depthOf, engineFixture, jobs, kindOf, RUN_MS, storeWith } from './engine-fixture.ts';
import type { Settlement } from './job.ts';
import { MemoryStore } from './stores/memory-store.ts';
import type { Store } from './stores/store.ts';
import { VirtualClock } from './virtual-clock.ts';

/** As a database is: others may have it open. */
const shared = (store: Store, changes: Partial<Store> = {}): Store =>
  storeWith(store, { exclusive: false, ...changes });

describe('two engines on one store', () => {
  it('one takes over what the other left when it has been silent for five minutes, and fences it', async () => {
    const alive = new VirtualClock();
    const store = shared(new MemoryStore(() => alive.now()));
    const dying = engineFixture({
      store,
      owner: 'dying',
      kinds: (clock) => [kindOf('mail', (_job, { signal }) => sleep(clock, 900_000, signal))],
    });
    await dying.engine.enqueue(jobs('a', 3));
    await dying.engine.start();
    await dying.clock.advance(0);
    // From here on its clock stands still: it is as good as dead, but does not know.
    const other = engineFixture({ store, clock: alive, owner: 'alive', tuning: { workers: 5 } });
    await other.engine.start();
    await alive.advance(200_000);
    expect(other.attempts).toHaveLength(1);
    await alive.advance(200_000);
    expect(other.attempts).toHaveLength(3);
    const lateEnds = other.attempts.map(({ claim }): Settlement => ({
      claim: { ...claim, fence: 1 },
      how: 'done',
    }));
    const { taken } = await store.exchange({
      owner: 'dying',
      settlements: lateEnds,
      take: null,
      eligible: [],
      cursor: null,
      nowMs: alive.now(),
    });
    expect(taken).toEqual([false, false, false]);
    // Now it wakes, and its late ends are refused.
    await dying.clock.advance(250_000);
    await dying.engine.stop(0);
    expect(dying.attempts).toHaveLength(0);
    expect(dying.problems).toEqual([
      '2 jobs were taken from this engine (1, 2); their late ends were refused',
    ]);
    await other.engine.stop(0);
    expect(await depthOf(store, 'a')).toMatchObject({ ready: { value: 0 }, running: { value: 0 } });
  });

  it('see what the other enqueues and delays, soon while there is work and seldom while there is none', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    let looks = 0;
    const store = shared(memory, {
      ready: (request) => {
        looks += 1;
        return memory.ready(request);
      },
    });
    const { engine, attempts } = engineFixture({ store, clock });
    await engine.start();
    await clock.advance(600_000);
    expect(looks).toBeLessThan(600 / 3);
    await memory.enqueue(jobs('a'), clock.now());
    await memory.enqueue(jobs('a', 1, { readyAtMs: clock.now() + 6_000 }), clock.now());
    await clock.advance(5_000);
    expect(attempts).toHaveLength(1);
    await clock.advance(5_000);
    expect(attempts).toHaveLength(2);
    await engine.stop(0);
    expect(clock.pending).toBe(0);
    expect(await store.owners()).toEqual([]);
  });

  it('share the work, and neither spins where the other was faster', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    let looks = 0;
    // It shows work that somebody else always takes first.
    const store = shared(memory, {
      ready: () => {
        looks += 1;
        return Promise.resolve([{ tenantId: 'a', readyAtLeast: 1 }]);
      },
    });
    const { engine } = engineFixture({ store, clock });
    await engine.start();
    await clock.advance(10_000);
    expect(looks).toBeGreaterThan(5);
    expect(looks).toBeLessThan(60);
    await engine.stop(0);
  });

  it('of one name: the second is refused while the first may live, and may follow it later', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    const store = shared(memory);
    await memory.beat('one', '{}', clock.now() - 4_000);
    const early = engineFixture({ store, clock });
    await expect(early.engine.start()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(
        /^An engine called "one" works on memory already \(it was heard 4 s ago\)/,
      ) as string,
    });
    await early.engine.stop(0);
    // It is not the early one's place to speak for the first.
    expect(await memory.owners()).toMatchObject([{ id: 'one' }]);
    await clock.advance(300_000);
    const late = engineFixture({ store, clock });
    await late.engine.start();
    await late.engine.stop(0);
    expect(await memory.owners()).toEqual([]);
  });

  it('tell the store of themselves every ten seconds', async () => {
    const clock = new VirtualClock();
    const store = shared(new MemoryStore(() => clock.now()));
    const { engine } = engineFixture({ store, clock });
    await engine.start();
    await engine.enqueue(jobs('a', 4));
    await clock.advance(25_000);
    const [owner] = await store.owners();
    expect(owner).toMatchObject({ id: 'one', beatAtMs: clock.now() - 5_000 });
    expect(JSON.parse(owner?.report ?? '')).toMatchObject({
      owner: 'one',
      finishedTotal: 4,
      workersWanted: 2,
    });
    await engine.stop(0);
  });
});

describe('an engine that was away', () => {
  it('for more than five minutes cuts its jobs short: others may run them', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    const heard: string[] = [];
    let isAway = false;
    const away = (): Promise<never> => Promise.reject(new Error('no route to host'));
    const changing: Partial<Store> = {
      time: () => (isAway ? away() : memory.time()),
      beat: (...args) => (isAway ? away() : memory.beat(...args)),
      ready: (request) => (isAway ? away() : memory.ready(request)),
      exchange: (request) => (isAway ? away() : memory.exchange(request)),
      promoteDue: (nowMs) => (isAway ? away() : memory.promoteDue(nowMs)),
    };
    const store = shared(memory, changing);
    const { engine, problems, attempts } = engineFixture({
      store,
      clock,
      kinds: (at) => [
        kindOf('mail', async (_job, { signal }) => {
          signal.addEventListener('abort', () => heard.push((signal.reason as Error).message));
          await sleep(at, 1_000_000, signal);
        }),
      ],
    });
    await engine.enqueue(jobs('a', 2));
    await engine.start();
    await clock.advance(60_000);
    isAway = true;
    await clock.advance(280_000);
    expect(heard).toEqual([]);
    await clock.advance(40_000);
    expect(heard).toEqual(
      Array(2).fill('this engine was not heard for 5 minutes, so others may have taken its jobs'),
    );
    // One word for the outage, not one for each try.
    expect(problems.filter((problem) => problem.includes('the job store failed'))).toHaveLength(1);
    isAway = false;
    await clock.advance(40_000);
    // Nobody took them meanwhile, so they were given back, and run again.
    expect(attempts).toEqual([]);
    expect(await depthOf(store, 'a')).toMatchObject({ running: { value: 2 }, attemptsTotal: 0 });
    await engine.stop(0);
  });

  it('asleep with its computer, hears of it when it wakes', async () => {
    const clock = new VirtualClock();
    const store = shared(new MemoryStore(() => clock.now()));
    const { engine, problems } = engineFixture({
      store,
      clock,
      kinds: (at) => [kindOf('mail', (_job, { signal }) => sleep(at, 10_000_000, signal))],
    });
    await engine.enqueue(jobs('a', 2));
    await engine.start();
    await clock.advance(60_000);
    clock.jump(3_600_000);
    await clock.advance(10_000);
    expect(problems[0]).toMatch(/^this engine was not heard for 60 minutes.*; 2 were cut short$/);
    await engine.stop(0);
  });
});

describe("the store's clock", () => {
  it('is the one that counts, however wrong the local one is', async () => {
    const clock = new VirtualClock();
    const AHEAD_MS = 90_000;
    const database = (): number => clock.now() + AHEAD_MS;
    const store = shared(new MemoryStore(database));
    const { engine, attempts } = engineFixture({ store, clock });
    await engine.start();
    await engine.enqueue(jobs('a', 1, { readyAtMs: database() + 3_000 }));
    await clock.advance(2_999);
    expect(attempts).toEqual([]);
    await clock.advance(1_000 + RUN_MS);
    expect(attempts[0]).toMatchObject({ waitMs: 0, runMs: RUN_MS });
    expect(attempts[0]?.startedAtMs).toBeGreaterThan(clock.now() + AHEAD_MS - 2_000);
    expect((await store.owners())[0]?.beatAtMs).toBeGreaterThan(clock.now() + AHEAD_MS - 11_000);
    await engine.stop(0);
  });
});

describe('a store that fails for a while', () => {
  it('loses no finished job: its end is settled when the store is back', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    let isFull = false;
    const store = storeWith(memory, {
      exchange: (request) =>
        isFull ? Promise.reject(new Error('database or disk is full')) : memory.exchange(request),
    });
    const { engine, attempts, problems } = engineFixture({ store, clock });
    await engine.enqueue(jobs('a', 2));
    await engine.start();
    await clock.advance(0);
    isFull = true;
    await clock.advance(60_000);
    expect(attempts).toHaveLength(0);
    expect(problems).toEqual([
      expect.stringMatching(/^the job store failed while handing over jobs; it is asked again/),
    ]);
    isFull = false;
    await clock.advance(30_000);
    expect(attempts).toHaveLength(2);
    expect(await depthOf(store, 'a')).toMatchObject({
      ready: { value: 0 },
      running: { value: 0 },
      attemptsTotal: 2,
    });
    await engine.stop(0);
    expect(clock.pending).toBe(0);
  });

  it('at the start is asked again', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    let isAway = true;
    const store = storeWith(memory, {
      beat: (...args) => (isAway ? Promise.reject(new Error('connection refused')) : memory.beat(...args)),
    });
    const { engine, attempts, problems } = engineFixture({ store, clock });
    await engine.enqueue(jobs('a', 2));
    await engine.start();
    await clock.advance(5_000);
    expect(problems).toHaveLength(1);
    isAway = false;
    await clock.advance(10_000);
    expect(attempts).toHaveLength(2);
    await engine.stop(0);
    expect(clock.pending).toBe(0);
  });

  it('for good does not keep the engine from stopping', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    let isAway = false;
    const store = storeWith(memory, {
      exchange: (request) => (isAway ? Promise.reject(new Error('gone')) : memory.exchange(request)),
    });
    const { engine } = engineFixture({ store, clock });
    await engine.enqueue(jobs('a', 2));
    await engine.start();
    await clock.advance(0);
    isAway = true;
    const stopped = engine.stop(1_000);
    await clock.advance(5_000);
    await stopped;
    expect(clock.pending).toBe(0);
  });

  it('whose answer was lost: claims that nobody knows of are run all the same', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    let exchanges = 0;
    const store = shared(memory, {
      exchange: async (request) => {
        exchanges += 1;
        const answer = await memory.exchange(request);
        // It was done, and the word of it never came.
        if (exchanges === 2) throw new Error('Connection terminated unexpectedly');
        return answer;
      },
    });
    const { engine, attempts } = engineFixture({ store, clock, tuning: { workers: 4 } });
    await engine.enqueue(jobs('a', 2));
    await engine.start();
    await clock.advance(0);
    await engine.enqueue(jobs('b', 2));
    await clock.advance(0);
    await engine.enqueue(jobs('c', 2));
    await clock.advance(30_000);
    expect(attempts.map(({ claim }) => claim.tenantId).sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
    expect(attempts.filter(({ claim }) => claim.tenantId === 'b').map(({ claim }) => claim.attempt)).toEqual([
      2, 2,
    ]);
    expect((await store.owners()).map(({ id }) => id)).toEqual(['one~2']);
    await engine.stop(0);
    expect(await store.owners()).toEqual([]);
  });
});

describe('a store that takes its time', () => {
  /** Each exchange is done at once, and answered 50 ms later. */
  function slow() {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    const store = storeWith(memory, {
      exchange: async (request) => {
        const answer = await memory.exchange(request);
        await sleep(clock, 50, new AbortController().signal);
        return answer;
      },
    });
    return { ...engineFixture({ store, clock }), memory };
  }

  it('may bring claims after a hold was asked for; those are not started', async () => {
    const { engine, clock, store, attempts } = slow();
    await engine.enqueue(jobs('a', 4));
    await engine.start();
    await clock.advance(10);
    let isHeld = false;
    const hold = engine
      .hold({ tenantId: 'a', kind: null, mode: 'pause', by: 'anna', reason: '', sinceMs: 0 })
      .then(() => (isHeld = true));
    await clock.advance(10);
    expect(isHeld).toBe(false);
    await clock.advance(60);
    await hold;
    const started = (await engine.snapshot(0)).busy;
    await clock.advance(1_000);
    // What began before it was held has finished, and nothing else has begun.
    expect(attempts).toHaveLength(started);
    expect(await depthOf(store, 'a')).toMatchObject({ ready: { value: 4 - started }, running: { value: 0 } });
    await engine.stop(0);
  });

  it('may bring claims after the engine was told to stop; those are given back', async () => {
    const { engine, clock, store, attempts } = slow();
    await engine.enqueue(jobs('a', 4));
    await engine.start();
    await clock.advance(10);
    const stopped = engine.stop(30_000);
    await clock.advance(1_000);
    await stopped;
    expect(attempts).toEqual([]);
    expect(await depthOf(store, 'a')).toMatchObject({
      ready: { value: 4 },
      running: { value: 0 },
      attemptsTotal: 0,
    });
    expect(clock.pending).toBe(0);
  });

  it('and fails when it is asked who has work, is asked again', async () => {
    const clock = new VirtualClock();
    const memory = new MemoryStore(() => clock.now());
    let questions = 0;
    const store = storeWith(memory, {
      ready: (request) => {
        questions += 1;
        return questions === 1 ? Promise.reject(new Error('busy')) : memory.ready(request);
      },
    });
    await memory.enqueue(jobs('a', 2), clock.now());
    const { engine, attempts } = engineFixture({ store, clock });
    await engine.start();
    await clock.advance(5_000);
    expect(attempts).toHaveLength(2);
    await engine.stop(0);
  });
});
