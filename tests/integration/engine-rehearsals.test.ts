// The incidents on real parts, some times faster than in the window: as the incident was shows the trouble, the cure
// ends it, and nothing is left behind.
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Incident } from '../../src/contract/rehearsal.ts';
import { seededRandom } from '../../src/core/seeded-random.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import { Rehearsal } from '../../src/main/engine/rehearsal.ts';
import { asItWas, cured } from '../../src/main/engine/rehearsals/incident-play.ts';
import { incidents } from '../../src/main/engine/rehearsals/index.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';
import type { Attempt } from '../../src/main/engine/workers/attempt.ts';
import { createHandler } from '../../src/main/engine/workers/handlers/create-handler.ts';
import { Executors } from '../../src/main/engine/workers/handlers/executors.ts';
import { tempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';

/** Of durations; the third is looked at by what looks at processes once a second. */
const PACES: Record<Incident, number> = { 1: 0.2, 2: 0.2, 3: 0.5, 4: 0.2 };
const signal = new AbortController().signal;

async function play(incident: Incident, how: 'as it was' | 'cured') {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempDir('rehearsal'));
  const executors = stack.use(new Executors(systemClock, 1));
  const pace = PACES[incident];
  const attempts: Attempt[] = [];
  const notes: string[] = [];
  const problems: Error[] = [];
  const rehearsal = new Rehearsal({
    clock: systemClock,
    owner: 'rehearsal',
    random: seededRandom(1),
    memory: () => ({ rssBytes: 0, limitBytes: 1 }),
    folder: folder.path,
    pace,
    openStore: (file) => SqliteStore.open({ file, fresh: true }),
    handler: (kind) =>
      createHandler(kind, {
        folder: folder.path,
        secret: () => Promise.reject(new Error('there is no secret')),
        clock: systemClock,
        executors,
      }),
    onAttempt: (attempt) => attempts.push(attempt),
    onChange: () => undefined,
    onNote: (text) => notes.push(text),
    onProblem: (problem) => problems.push(problem),
  });
  stack.defer(() => rehearsal.stop());
  const switches = how === 'cured' ? cured(incidents[incident]) : asItWas(incidents[incident]);
  await rehearsal.start(incident, switches);
  const owned = stack.move();
  return {
    pace,
    rehearsal,
    folder: folder.path,
    attempts,
    notes,
    sample: () => rehearsal.sample(),
    view: () => rehearsal.admin((admin) => admin.view(signal)),
    cure: () => rehearsal.change({ switches: cured(incidents[incident]) }),
    /** Of the tenant that waits longest, in the window's time, ms. */
    lagMs: async () => {
      const { tenants, atMs } = await rehearsal.sample();
      const ages = tenants.map(({ oldestReady }) => (oldestReady ? atMs - oldestReady.readyAtMs : 0));
      return Math.max(...ages) / pace;
    },
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
      expect(problems).toEqual([]);
    },
  };
}

/** Processes whose command line names `text`. */
async function processesWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(text));
}

describe('the rehearsal of incident 2', () => {
  it('lets every queue wait behind a slow consumer when answers are whole, and none when they are streamed', async () => {
    await using run = await play(2, 'as it was');
    const slowestMs = () => Math.max(0, ...run.attempts.map(({ runMs }) => runMs / run.pace));
    await until(() => slowestMs() > 3_000, 'no pop was held up by the slow consumer');
    await until(async () => (await run.lagMs()) > 6_000, 'no queue came to lag');
    expect(run.attempts.every(({ failure }) => failure === null)).toBe(true);

    await run.cure();
    await until(
      () => run.notes.some((note) => note.includes('has its 16 MB')),
      'the slow consumer never ended',
    );
    await until(async () => (await run.lagMs()) < 2_000, 'the lag did not go', 30_000);
    run.attempts.length = 0;
    await run.rehearsal.act();
    await until(
      () => run.notes.filter((note) => note.includes('has its 16 MB')).length === 2,
      'the slow consumer never ended again',
    );
    expect(run.attempts.length).toBeGreaterThan(5);
    expect(slowestMs()).toBeLessThan(2_000);
  });
});

describe('the rehearsal of incident 3', () => {
  it('loses one worker after another to scripts that hang, until timeouts and a limit end them', async () => {
    await using run = await play(3, 'as it was');
    await until(
      async () => (await run.sample()).memory.some(({ usedBytes }) => usedBytes > 60e6),
      'nothing grew',
    );
    for (let i = 0; i < 3; i++) await run.rehearsal.act();
    await until(async () => (await run.lagMs()) > 4_000, 'the documents went on in spite of it');
    const { engines } = await run.view();
    const held = engines.flatMap(({ report }) => report.workers.filter(({ job }) => job !== null));
    expect(held).toHaveLength(4);
    expect(await processesWith(run.folder)).not.toEqual([]);

    await run.cure();
    await until(async () => (await run.lagMs()) < 2_000, 'the documents did not go on');
    const failures = () => run.attempts.flatMap(({ failure }) => (failure ? [failure.class] : []));
    await until(() => failures().includes('timeout'), 'no script ran into its timeout');
    await until(
      () => run.attempts.some(({ failure }) => /memory|MB/.test(failure?.message ?? '')),
      'nothing ran into the memory limit',
    );
    const { memory } = await run.sample();
    expect(memory.every(({ limitBytes }) => limitBytes === 96 * 1024 ** 2)).toBe(true);
    const { folder } = run;
    await run[Symbol.asyncDispose]();
    await until(async () => (await processesWith(folder)).length === 0, 'a script was left behind');
  });
});

describe('the rehearsal of incident 4', () => {
  it('kills every sync within seconds and blocks the four phases behind it when errors are treated alike', async () => {
    await using run = await play(4, 'as it was');
    await until(async () => (await run.view()).totals.dead.value >= 5, 'no sync gave up');
    const { totals, deadGroups } = await run.view();
    expect(totals.blocked.value).toBeGreaterThanOrEqual(4 * 3);
    expect(deadGroups[0]).toMatchObject({ kind: 'sync', class: 'transient' });
  });

  it('rides out the same outage with retries by class, a breaker and a throttle', async () => {
    await using run = await play(4, 'cured');
    const breaker = async () => {
      const { engines } = await run.view();
      return engines[0]?.report.breakers.find(({ dependency }) => dependency === 'sync-service');
    };
    await until(async () => (await breaker())?.state === 'open', 'the breaker did not open');
    const done = () =>
      run.attempts.filter(({ claim, failure }) => claim.kind === 'insight' && !failure).length;
    const before = done();
    await until(
      async () => done() > before + 3 && (await breaker())?.state === 'closed',
      'the phases did not go on after the outage',
    );
    const { totals, engines } = await run.view();
    expect(totals.dead.value).toBe(0);
    expect(totals.blocked.value).toBe(0);
    expect(engines[0]?.report.kinds.find(({ kind }) => kind === 'sync')?.throttle).not.toBeNull();
  });
});

describe('rehearsals', () => {
  it('leave nothing of one incident behind when another is chosen', async () => {
    await using run = await play(3, 'as it was');
    await until(async () => (await processesWith(run.folder)).length > 0, 'no script ran');
    const state = await run.rehearsal.change({ incident: 4 });
    expect(state).toMatchObject({ incident: 4, canaryTenants: [] });
    expect(await processesWith(run.folder)).toEqual([]);
    const { names, tenantWord } = await run.sample();
    expect(tenantWord).toBe('user');
    expect(names).toHaveLength(10);
    await run.rehearsal.change({ incident: 1, switches: { order: 'fair' } });
    expect(await run.sample()).toMatchObject({ order: 'fair', workers: 2, tenantWord: 'server' });
  });
});
