// Claims that wait in the engine: how many, for how long, and what a person sees of them.
import { describe, expect, it } from 'vitest';
import { sleep } from './clock.ts';
import { depthOf, engineFixture, jobs, kindOf, tuned } from './engine-fixture.ts';
import type { Hold } from './stores/store.ts';

const hold = (scope: Partial<Hold>): Hold => ({
  tenantId: null,
  kind: null,
  mode: 'pause',
  by: 'anna',
  reason: 'incident',
  sinceMs: 0,
  ...scope,
});

/**
 * Two workers that have learned that jobs take 1 ms, with 3 claims in hand beyond them; then "slow" jobs hold the workers
 * and the claims wait.
 */
async function withBuffer() {
  const fixture = engineFixture({
    kinds: (clock) => [
      kindOf('mail', ({ tenantId }, { signal }) => sleep(clock, tenantId === 'a' ? 1 : 10_000, signal)),
    ],
  });
  const { engine, clock } = fixture;
  await engine.enqueue(jobs('a', 30));
  await engine.start();
  await clock.advance(30);
  await engine.enqueue(jobs('b', 20));
  await clock.advance(0);
  return fixture;
}

describe('the buffer of claims', () => {
  it('is empty until it is known how fast jobs are', async () => {
    const { engine, clock } = engineFixture({
      kinds: (at) => [kindOf('mail', (_job, { signal }) => sleep(at, 1, signal))],
    });
    await engine.enqueue(jobs('a', 100));
    await engine.start();
    await clock.advance(5);
    expect(engine.report().buffered).toBe(0);
    await clock.advance(20);
    expect(engine.report().buffered).toBeGreaterThan(0);
    await engine.stop(0);
  });

  it('stays empty for slow jobs, whoever waits', async () => {
    const { engine, clock } = engineFixture();
    await engine.enqueue(jobs('a', 100));
    await engine.start();
    for (let i = 0; i < 40; i++) {
      await clock.advance(100);
      expect(engine.report().buffered).toBe(0);
    }
    await engine.stop(0);
  });

  it('shows what waits in it as ready', async () => {
    const { engine, store } = await withBuffer();
    const { buffered } = engine.report();
    expect(buffered).toBeGreaterThan(0);
    expect(await depthOf(store, 'b')).toMatchObject({ running: { value: 2 + buffered } });
    const snapshot = await engine.snapshot(50);
    expect(snapshot.busy).toBe(2);
    const shown = snapshot.tenants.find(({ tenantId }) => tenantId === 'b');
    expect(shown).toMatchObject({ ready: { value: 18 }, running: { value: 2 } });
    expect(shown?.oldestReady?.id).toBe(33);
    expect(shown?.frontIds).toEqual(Array.from({ length: 18 }, (_, i) => 33 + i));
    await engine.stop(0);
  });

  it('gives back what has waited over two seconds, and is careful from then on', async () => {
    const { engine, clock, store } = await withBuffer();
    expect(engine.report().buffered).toBeGreaterThan(0);
    await clock.advance(2_000);
    expect(engine.report().buffered).toBe(0);
    expect(await depthOf(store, 'b')).toMatchObject({ ready: { value: 18 }, running: { value: 2 } });
    await clock.advance(5_000);
    expect(engine.report().buffered).toBe(0);
    await engine.stop(0);
  });

  it('is given back at once when the engine stops, while what runs may finish', async () => {
    const { engine, clock, store } = await withBuffer();
    const stopped = engine.stop(30_000);
    await clock.advance(0);
    expect(await depthOf(store, 'b')).toMatchObject({ ready: { value: 18 }, running: { value: 2 } });
    await clock.advance(10_000);
    await stopped;
    expect(await depthOf(store, 'b')).toMatchObject({
      ready: { value: 18 },
      running: { value: 0 },
      attemptsTotal: 2,
    });
    expect(clock.pending).toBe(0);
  });
});

describe('a hold', () => {
  it('starts nothing more of its tenant from the moment it resolves; what runs finishes', async () => {
    const { engine, clock, store, attempts } = await withBuffer();
    expect(engine.report().buffered).toBeGreaterThan(0);
    const before = attempts.length;
    await engine.hold(hold({ tenantId: 'b' }));
    await clock.advance(0);
    expect(await depthOf(store, 'b')).toMatchObject({ ready: { value: 18 }, running: { value: 2 } });
    await engine.enqueue(jobs('a', 3));
    await clock.advance(60_000);
    expect(
      attempts
        .slice(before)
        .map(({ claim }) => claim.tenantId)
        .sort(),
    ).toEqual(['a', 'a', 'a', 'b', 'b']);
    expect(await engine.unhold({ tenantId: 'b', kind: null })).toBe(true);
    await clock.advance(0);
    expect((await engine.snapshot(0)).busy).toBe(2);
    await engine.stop(0);
  });

  it('resolves also while the engine is busy without a pause', async () => {
    const { engine, clock, attempts } = engineFixture();
    await engine.enqueue([...jobs('a', 500), ...jobs('b', 500)]);
    await engine.start();
    await clock.advance(1_000);
    await engine.hold(hold({ kind: 'mail' }));
    const started = attempts.length + (await engine.snapshot(0)).busy;
    await clock.advance(10_000);
    expect(attempts).toHaveLength(started);
    expect(await engine.unhold({ tenantId: null, kind: 'mail' })).toBe(true);
    expect(await engine.unhold({ tenantId: null, kind: 'mail' })).toBe(false);
    await engine.stop(0);
  });

  it('that drains refuses new jobs of its tenant, and of nobody else', async () => {
    const { engine } = engineFixture();
    await engine.hold(hold({ tenantId: 'a', mode: 'drain' }));
    await expect(engine.enqueue(jobs('a'))).rejects.toMatchObject({ code: 'conflict' });
    const answers = await engine.enqueueEach([...jobs('b'), ...jobs('a'), ...jobs('c')]);
    expect(answers).toMatchObject([{ fresh: true }, { code: 'conflict' }, { fresh: true }]);
    await engine.stop(0);
  });
});

describe('the report', () => {
  it('says what was done, by whom and how fast', async () => {
    const { engine, clock } = engineFixture({
      kinds: (at) => [
        kindOf('mail', async ({ tenantId }, { signal, progress }) => {
          progress(0.5, 'half');
          await sleep(at, 100, signal);
          if (tenantId === 'bad') throw new Error('no');
        }),
      ],
    });
    await engine.enqueue([...jobs('a', 30), ...jobs('bad', 10, { maxAttempts: 1 }), ...jobs('z', 1)]);
    await engine.start();
    await clock.advance(2_050);
    const report = engine.report();
    expect(report).toMatchObject({
      owner: 'one',
      state: 'working',
      order: 'fair',
      workersWanted: 2,
      finishedTotal: 40,
      failedTotal: 10,
      finishedPerS: 40 / 60,
      balance: 1,
      memory: { pressure: 'normal' },
      kinds: [
        {
          kind: 'mail',
          running: 1,
          finishedPerMinute: 40,
          failedPerMinute: 10,
          failureRatio: 0.25,
          errors: { transient: 10 },
          run: { count: 40, p50Ms: expect.closeTo(100, 0) as number, maxMs: 100 },
        },
      ],
    });
    const busy = report.workers.find(({ state }) => state === 'busy');
    expect(busy).toMatchObject({
      runsIn: 'engine',
      job: { kind: 'mail', attempt: 1, progress: 0.5, note: 'half' },
    });
    await clock.advance(120_000);
    expect(engine.report()).toMatchObject({
      finishedPerS: 0,
      kinds: [{ finishedPerMinute: 0, failureRatio: 10 / 41 }],
    });
    await engine.stop(0);
    expect(engine.report().state).toBe('stopping');
  });

  it('remembers the last thousand attempts, newest first, without what they carried', async () => {
    const { engine, clock } = engineFixture({
      tuning: { workers: 50 },
      kinds: (at) => [kindOf('mail', (_job, { signal }) => sleep(at, 1, signal))],
    });
    await engine.enqueue(jobs('a', 1_050, { payload: 'much' }));
    await engine.start();
    await clock.advance(1_000);
    expect(engine.recent(2_000)).toHaveLength(1_000);
    expect(engine.recent(1)[0]).toEqual({
      jobId: 1_050,
      kind: 'mail',
      tenantId: 'a',
      attempt: 1,
      startedAtMs: expect.any(Number) as number,
      waitMs: expect.any(Number) as number,
      runMs: 1,
      stages: {},
      error: null,
    });
    expect(engine.recentOf(1_000)).toHaveLength(1);
    expect(engine.recentOf(3)).toEqual([]);
    engine.configure(tuned());
    await engine.stop(0);
  });
});
