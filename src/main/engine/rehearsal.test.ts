import { describe, expect, it } from 'vitest';
import type { RehearsalSwitches } from '../../contract/rehearsal.ts';
import { seededRandom } from '../../core/seeded-random.ts';
import { Engine } from './engine.ts';
import { Rehearsal } from './rehearsal.ts';
import { BURST_EVERY_MS, mailHandler, NOISY, WATCHED } from './rehearsal-workload.ts';
import { SqliteStore } from './stores/sqlite-store.ts';
import { VirtualClock } from './virtual-clock.ts';
import type { Attempt } from './workers/attempt.ts';

/** Plays the real engine and rehearsal on virtual time. */
async function play(seed: number, switches: RehearsalSwitches) {
  const store = SqliteStore.inMemory();
  const clock = new VirtualClock();
  const attempts: Attempt[] = [];
  const problems: Error[] = [];
  const engine = new Engine(
    {
      store,
      clock,
      owner: 'rehearsal',
      handlers: [mailHandler(clock)],
      onAttempt: (attempt) => attempts.push(attempt),
      onProblem: (problem) => problems.push(problem),
    },
    switches,
  );
  const rehearsal = new Rehearsal({
    engine,
    clock,
    random: seededRandom(seed),
    switches,
    onChange: () => undefined,
    onNote: () => undefined,
    onProblem: (problem) => problems.push(problem),
  });
  await engine.start();
  rehearsal.start();
  return {
    clock,
    engine,
    rehearsal,
    attempts,
    /** Longest wait of the watched tenant among messages that started since, ms. */
    longestWatchedWaitMs: (sinceMs = 0) =>
      Math.max(
        ...attempts
          .filter(({ claim }) => claim.tenantId === WATCHED.id && claim.startedAtMs >= sinceMs)
          .map((attempt) => attempt.waitMs),
      ),
    lagMs: async () => {
      const { tenants, atMs } = await engine.snapshot(0);
      return Math.max(...tenants.map((t) => (t.oldestReady ? atMs - t.oldestReady.readyAtMs : 0)));
    },
    async [Symbol.asyncDispose]() {
      rehearsal.stop();
      await engine.stop(0);
      await store[Symbol.asyncDispose]();
      expect(problems).toEqual([]);
      expect(clock.pending).toBe(0);
    },
  };
}

const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

describe('the rehearsal of incident 1', () => {
  it('makes mailflow wait for the whole burst with first-come order and two workers', async () => {
    for (const seed of seeds) {
      await using run = await play(seed, { order: 'first-come', workers: 2 });
      await run.clock.advance(60_000);
      const waitMs = run.longestWatchedWaitMs();
      // 300-320 s in the incident, ten times faster.
      expect(waitMs, `seed ${seed}`).toBeGreaterThan(22_000);
      expect(waitMs, `seed ${seed}`).toBeLessThan(36_000);
    }
  });

  it('recovers before the next burst', async () => {
    for (const seed of seeds) {
      await using run = await play(seed, { order: 'first-come', workers: 2 });
      await run.clock.advance(3_000 + BURST_EVERY_MS - 1_000);
      expect(await run.lagMs(), `seed ${seed}`).toBeLessThan(10_000);
    }
  });

  it('lets mailflow wait a few seconds at most with fair order', async () => {
    for (const seed of seeds) {
      await using run = await play(seed, { order: 'fair', workers: 2 });
      await run.clock.advance(180_000);
      expect(run.longestWatchedWaitMs(), `seed ${seed}`).toBeLessThan(5_000);
    }
  });

  it('lets mailflow wait about five seconds at most with ten workers', async () => {
    for (const seed of seeds) {
      await using run = await play(seed, { order: 'first-come', workers: 10 });
      await run.clock.advance(180_000);
      expect(run.longestWatchedWaitMs(), `seed ${seed}`).toBeLessThan(6_000);
    }
  });

  it('takes a switch to fair order in the middle of a burst', async () => {
    await using run = await play(1, { order: 'first-come', workers: 2 });
    await run.clock.advance(15_000);
    const switchedAtMs = run.clock.now();
    expect(run.rehearsal.set({ order: 'fair', workers: 2 })).toMatchObject({ order: 'fair', workers: 2 });
    await run.clock.advance(8_000);
    // The one that had waited longest starts within a turn of the circle; nobody new waits long.
    const { tenants } = await run.engine.snapshot(0);
    const watched = tenants.find((tenant) => tenant.tenantId === WATCHED.id);
    expect(run.longestWatchedWaitMs(switchedAtMs)).toBeLessThan(22_000);
    expect(watched?.ready.value).toBeLessThanOrEqual(1);
    expect(tenants.find((tenant) => tenant.tenantId === NOISY.id)?.ready.value).toBeGreaterThan(20);
  });

  it('repeats its bursts by itself and on demand, and bounds the backlog', async () => {
    await using run = await play(1, { order: 'fair', workers: 2 });
    const noisy = async () =>
      (await run.engine.snapshot(0)).tenants.find((tenant) => tenant.tenantId === NOISY.id);
    await run.clock.advance(3_000);
    expect((await noisy())?.arrivalsTotal).toBeGreaterThanOrEqual(50);
    await run.clock.advance(BURST_EVERY_MS);
    expect((await noisy())?.arrivalsTotal).toBeGreaterThanOrEqual(100);
    for (let i = 0; i < 30; i++) await run.rehearsal.burst();
    expect((await noisy())?.ready.value).toBeLessThanOrEqual(500);
    expect(run.rehearsal.state.nextBurstAtMs).toBe(run.clock.now() + BURST_EVERY_MS);
  });
});
