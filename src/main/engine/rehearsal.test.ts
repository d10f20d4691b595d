import { describe, expect, it } from 'vitest';
import type { Rehearsal as RehearsalState } from '../../contract/rehearsal.ts';
import { seededRandom } from '../../core/seeded-random.ts';
import { Rehearsal } from './rehearsal.ts';
import { BURST_EVERY_MS, NOISY, WATCHED } from './rehearsals/mail-workload.ts';
import { MemoryStore } from './stores/memory-store.ts';
import { VirtualClock } from './virtual-clock.ts';
import type { Attempt } from './workers/attempt.ts';

/** Plays the real engine and the first incident on virtual time. */
async function play(seed: number, switches: { order: 'first-come' | 'fair'; workers: '2' | '10' }) {
  const clock = new VirtualClock();
  const attempts: Attempt[] = [];
  const problems: Error[] = [];
  const states: RehearsalState[] = [];
  const rehearsal = new Rehearsal({
    clock,
    owner: 'rehearsal',
    random: seededRandom(seed),
    memory: () => ({ rssBytes: 0, limitBytes: 1 }),
    folder: '/nowhere',
    openStore: () => new MemoryStore(() => clock.now()),
    handler: () => {
      throw new Error('incident 1 needs no handler but its own');
    },
    onAttempt: (attempt) => attempts.push(attempt),
    onChange: (state) => states.push(state),
    onNote: () => undefined,
    onProblem: (problem) => problems.push(problem),
  });
  await rehearsal.start(1, switches);
  return {
    clock,
    rehearsal,
    attempts,
    states,
    /** Longest wait of the watched tenant among messages that started since, ms. */
    longestWatchedWaitMs: (sinceMs = 0) =>
      Math.max(
        ...attempts
          .filter(({ claim, startedAtMs }) => claim.tenantId === WATCHED.id && startedAtMs >= sinceMs)
          .map((attempt) => attempt.waitMs),
      ),
    lagMs: async () => {
      const { tenants, atMs } = await rehearsal.sample();
      return Math.max(...tenants.map((t) => (t.oldestReady ? atMs - t.oldestReady.readyAtMs : 0)));
    },
    tenant: async (id: string) => (await rehearsal.sample()).tenants.find((tenant) => tenant.tenantId === id),
    async [Symbol.asyncDispose]() {
      await rehearsal.stop();
      expect(problems).toEqual([]);
      expect(clock.pending).toBe(0);
    },
  };
}

const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

describe('the rehearsal of incident 1', () => {
  it('makes mailflow wait for the whole burst with first-come order and two workers', async () => {
    for (const seed of seeds) {
      await using run = await play(seed, { order: 'first-come', workers: '2' });
      await run.clock.advance(60_000);
      const waitMs = run.longestWatchedWaitMs();
      // 300-320 s in the incident, ten times faster.
      expect(waitMs, `seed ${seed}`).toBeGreaterThan(22_000);
      expect(waitMs, `seed ${seed}`).toBeLessThan(36_000);
    }
  });

  it('recovers before the next burst', async () => {
    for (const seed of seeds) {
      await using run = await play(seed, { order: 'first-come', workers: '2' });
      await run.clock.advance(3_000 + BURST_EVERY_MS - 1_000);
      expect(await run.lagMs(), `seed ${seed}`).toBeLessThan(10_000);
    }
  });

  it('lets mailflow wait a few seconds at most with fair order', async () => {
    for (const seed of seeds) {
      await using run = await play(seed, { order: 'fair', workers: '2' });
      await run.clock.advance(180_000);
      expect(run.longestWatchedWaitMs(), `seed ${seed}`).toBeLessThan(5_000);
    }
  });

  it('lets mailflow wait about five seconds at most with ten workers', async () => {
    for (const seed of seeds) {
      await using run = await play(seed, { order: 'first-come', workers: '10' });
      await run.clock.advance(180_000);
      expect(run.longestWatchedWaitMs(), `seed ${seed}`).toBeLessThan(6_000);
    }
  });

  it('takes a switch to fair order in the middle of a burst', async () => {
    await using run = await play(1, { order: 'first-come', workers: '2' });
    await run.clock.advance(15_000);
    const switchedAtMs = run.clock.now();
    const state = await run.rehearsal.change({ switches: { order: 'fair' } });
    expect(state.switches.map(({ id, value }) => [id, value])).toEqual([
      ['order', 'fair'],
      ['workers', '2'],
    ]);
    await run.clock.advance(8_000);
    // The one that had waited longest starts within a turn of the circle; nobody new waits long.
    expect(run.longestWatchedWaitMs(switchedAtMs)).toBeLessThan(22_000);
    expect((await run.tenant(WATCHED.id))?.ready.value).toBeLessThanOrEqual(1);
    expect((await run.tenant(NOISY.id))?.ready.value).toBeGreaterThan(20);
  });

  it('repeats its bursts by itself and on demand, and bounds the backlog', async () => {
    await using run = await play(1, { order: 'fair', workers: '2' });
    await run.clock.advance(3_000);
    expect((await run.tenant(NOISY.id))?.arrivalsTotal).toBeGreaterThanOrEqual(50);
    await run.clock.advance(BURST_EVERY_MS);
    expect((await run.tenant(NOISY.id))?.arrivalsTotal).toBeGreaterThanOrEqual(100);
    for (let i = 0; i < 30; i++) await run.rehearsal.act();
    expect((await run.tenant(NOISY.id))?.ready.value).toBeLessThanOrEqual(500);
    expect(run.states.at(-1)?.nextAtMs).toBe(run.clock.now() + BURST_EVERY_MS);
  });

  it('refuses a switch or a value that it does not have, and goes on as it was', async () => {
    await using run = await play(1, { order: 'fair', workers: '2' });
    await expect(run.rehearsal.change({ switches: { speed: '9' } })).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringContaining('no switch "speed"') as string,
    });
    await expect(run.rehearsal.change({ switches: { workers: '3' } })).rejects.toThrow(
      '"2" or "10", not "3"',
    );
    expect(await run.rehearsal.sample()).toMatchObject({ workers: 2, order: 'fair' });
  });

  it('says why an incident cannot begin, and plays another one when asked', async () => {
    await using run = await play(1, { order: 'fair', workers: '2' });
    // It needs a handler that this stage does not have.
    await expect(run.rehearsal.change({ incident: 4 })).rejects.toThrow('no handler but its own');
    await expect(run.rehearsal.sample()).rejects.toThrow('no handler but its own');
    expect(await run.rehearsal.change({ incident: 1 })).toMatchObject({ incident: 1 });
    expect(await run.rehearsal.sample()).toMatchObject({ workers: 2, order: 'first-come' });
  });
});
