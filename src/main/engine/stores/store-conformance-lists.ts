// Part of the conformance suite: jobs by state, page by page.
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../core/seeded-random.ts';
import type { JobRecord, JobState, NewJob } from '../job.ts';
import {
  asked,
  claim,
  ending,
  job,
  KINDS,
  put,
  settle,
  T,
  type StoreFixture,
} from './store-conformance-acts.ts';
import { LOOKED_THROUGH, type ListPlace, type Store } from './store.ts';

const STATES: JobState[] = ['ready', 'delayed', 'waiting', 'blocked', 'running', 'dead'];
const TENANTS = ['a', 'A', "o'brien 📦", 'é'];

/** Every page of a list, one after another. */
async function pagesOf(
  store: Store,
  state: JobState,
  tenantId: string | null,
  limit: number,
): Promise<JobRecord[][]> {
  const pages: JobRecord[][] = [];
  let after: ListPlace | null = null;
  do {
    const { jobs, next } = await store.list({ state, tenantId, after, limit });
    expect(jobs.length).toBeLessThanOrEqual(limit);
    pages.push(jobs);
    after = next;
  } while (after !== null && pages.length < 100);
  return pages;
}

/** Jobs of all tenants in every state; answers their ids. */
async function allSorts(store: Store): Promise<number[]> {
  const random = seededRandom(11);
  const one = <V>(of: readonly V[]): V => of[Math.floor(random() * of.length)] as V;
  const some = (count: number, more: () => Partial<NewJob>): NewJob[] =>
    Array.from({ length: count }, () => job(one(TENANTS), { kind: one(KINDS), ...more() }));
  const doomed = await put(
    store,
    some(6, () => ({ priority: 9 })),
    T - 900,
  );
  const claims = (await store.exchange(asked(6, { nowMs: T - 800 }))).claims;
  const children = await put(
    store,
    [
      ...some(9, () => ({ dependsOn: [{ id: one(doomed) }], priority: one([0, 1]) })),
      ...some(1, () => ({ kind: 'mail' })),
      ...some(9, () => ({ dependsOn: [{ row: one([0, 3, 9]) }] })),
    ],
    T - 700,
  );
  // Half of them die, and what waits for those is blocked; the others run on.
  await settle(
    store,
    claims.slice(0, 3).map((one) => ending(one, 'dead', T - 600)),
    { nowMs: T - 600 },
  );
  const plain = await put(
    store,
    some(40, () => ({
      priority: one([-1, 0, 0, 3]),
      // Several of the same moment, and lower ids that are ready later.
      readyAtMs: one([T - 50, T - 40, T - 500, T - 30]),
    })),
    T - 550,
  );
  const later = await put(
    store,
    some(20, () => ({ readyAtMs: T + one([5, 5, 1, 90]) })),
  );
  await store.promoteDue(T);
  for (const nowMs of [T + 3, T + 1])
    await claim(store, Object.fromEntries(TENANTS.map((t) => [t, 2])), { nowMs });
  return [...doomed, ...children, ...plain, ...later];
}

/** By the words of ListRequest. */
function inOrder(jobs: readonly JobRecord[], state: JobState, tenantId: string | null): JobRecord[] {
  const at = (one: JobRecord): number => {
    if (state === 'running') return one.claimedAtMs ?? NaN;
    return state === 'delayed' || (state === 'ready' && tenantId !== null) ? one.readyAtMs : 0;
  };
  return jobs
    .filter((one) => one.state === state && (tenantId === null || one.tenantId === tenantId))
    .sort((a, b) => at(a) - at(b) || a.id - b.id);
}

export function listPromises({ make }: StoreFixture): void {
  describe('lists of jobs', () => {
    it('hold every job of their state and tenant once, in order, whatever the page', async () => {
      await using store = await make();
      const ids = await allSorts(store);
      const records = (await Promise.all(ids.map((id) => store.job(id)))).flatMap((record) => record ?? []);
      expect(new Set(records.map(({ state }) => state))).toEqual(new Set(STATES));
      for (const state of STATES)
        for (const tenantId of [null, ...TENANTS])
          for (const limit of [2, 100]) {
            const wanted = inOrder(records, state, tenantId);
            const pages = await pagesOf(store, state, tenantId, limit);
            expect({ state, tenantId, jobs: pages.flat() }).toEqual({ state, tenantId, jobs: wanted });
            expect(pages).toHaveLength(Math.max(1, Math.ceil(wanted.length / limit)));
          }
    });

    it('and the front are in the order of ids as numbers, also where those get longer', async () => {
      await using store = await make();
      const ids = await put(
        store,
        Array.from({ length: 13 }, () => job('a')),
      );
      expect((await store.depths(11)).tenants[0]?.frontIds).toEqual(ids.slice(0, 11));
      await settle(
        store,
        (await claim(store, 13)).map((one) => ending(one, 'dead')),
      );
      const dead: number[] = [];
      for (let page = await store.deadJobs({}, 0, 2); page.length > 0;) {
        dead.push(...page.map(({ id }) => id));
        page = await store.deadJobs({}, dead.at(-1) ?? 0, 2);
      }
      expect(dead).toEqual(ids);
    });

    it('of a tenant that never had a job are empty', async () => {
      await using store = await make();
      await put(store, [job('a')]);
      for (const state of STATES)
        for (const tenantId of ['nobody', 'a ', 'a\u0000', ''])
          expect(await store.list({ state, tenantId, after: null, limit: 5 })).toEqual({
            jobs: [],
            next: null,
          });
    });

    it('find the jobs of one tenant behind a crowd of others, a bounded part of the crowd a page', async () => {
      await using store = await make();
      const crowd = Array.from({ length: LOOKED_THROUGH }, () =>
        job('crowd', { readyAtMs: T + 10, payload: 0 }),
      );
      await put(store, [...crowd, job('late', { readyAtMs: T + 10 }), job('late', { readyAtMs: T + 20 })]);
      const pages = await pagesOf(store, 'delayed', 'late', 100);
      expect(pages.flat().map(({ tenantId, readyAtMs }) => [tenantId, readyAtMs])).toEqual([
        ['late', T + 10],
        ['late', T + 20],
      ]);
      expect(pages.length).toBeLessThanOrEqual(3);
      expect(
        (await store.list({ state: 'delayed', tenantId: null, after: null, limit: 3 })).jobs,
      ).toHaveLength(3);
    }, 60_000);
  });
}
