// The database server is killed under load and started again in place, three times: nothing that was claimed is lost,
// every job is done at least once.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { systemClock, type Clock } from '../../src/main/engine/clock.ts';
import type { EngineKind } from '../../src/main/engine/engine-parts.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import type { Store } from '../../src/main/engine/stores/store.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import { until } from '../harness/until.ts';
import { miscounts, openStore, rowsOf, startJobsDb } from './engine-mariadb-fixture.ts';

let db: MariaDb;
beforeAll(async () => {
  db = await startJobsDb({ flushLogAtCommit: 1 });
});
afterAll(() => db[Symbol.asyncDispose]());

const JOBS = 6_000;

/** Beats come twice a second and not every ten seconds, so that what a lost commit claimed is soon given back. */
const hasty: Clock = {
  ...systemClock,
  after: (ms, fire) => systemClock.after(ms >= 5_000 ? ms / 20 : ms, fire),
};

function engineOn(store: Store, owner: string, done: Map<number, number>, problems: string[]): Engine {
  const { handler: _, ...policy } = jobKindSchema.parse({
    kind: 'mail',
    handler: { type: 'command', command: ['unused'] },
  });
  const kind: EngineKind = {
    policy,
    handler: {
      kind: 'mail',
      runsIn: 'engine',
      run: async ({ id }) => {
        await sleep(1);
        done.set(id, (done.get(id) ?? 0) + 1);
      },
    },
  };
  return new Engine(
    {
      store,
      clock: hasty,
      owner,
      random: Math.random,
      memory: () => ({ rssBytes: 1, limitBytes: 1_000 }),
      onAttempt: () => undefined,
      onProblem: (problem) => problems.push(problem.message),
    },
    [kind],
    { workers: 10, order: 'fair', tenants: {} },
  );
}

it('goes on after kill -9 of the server, without a loss and without a job that nobody ever gives back', async () => {
  await using first = await openStore(db);
  await using second = await openStore(db);
  const done = new Map<number, number>();
  const problems: string[] = [];
  const engines = [engineOn(first, 'one', done, problems), engineOn(second, 'two', done, problems)];
  const [engine] = engines;
  const ids: number[] = [];
  for (let from = 0; from < JOBS; from += 500)
    for (const { id } of (await engine?.enqueue(
      Array.from({ length: 500 }, (_, i) => ({
        tenantId: `t${(from + i) % 30}`,
        kind: 'mail',
        payload: i,
      })),
    )) ?? [])
      ids.push(id);
  for (const each of engines) await each.start();
  try {
    for (const share of [0.15, 0.4, 0.7]) {
      await until(() => done.size > JOBS * share, `${share} of the jobs were not done`);
      await db.kill();
      await sleep(100);
      await db.start();
    }
    const left = async () =>
      Number((await rowsOf(db, 'SELECT COUNT(*) AS jobs FROM headway_job'))[0]?.['jobs']);
    await until(async () => (await left()) === 0, 'jobs were left behind', 40_000);
  } finally {
    await Promise.all(engines.map((each) => each.stop(1_000)));
  }
  expect(ids).toHaveLength(JOBS);
  expect(ids.filter((id) => !done.has(id))).toEqual([]);
  expect(problems.length).toBeGreaterThan(0);
  expect(await miscounts(db)).toEqual([]);
  expect(await rowsOf(db, 'SELECT id FROM headway_owner')).toEqual([]);
}, 90_000);
