// Part of the conformance suite: what a person stops, looks at and repairs.
import { describe, expect, it } from 'vitest';
import {
  ANY,
  claim,
  depthOf,
  ending,
  idsOf,
  job,
  kill,
  put,
  settle,
  statesOf,
  T,
  tenantsOf,
  type StoreFixture,
} from './store-conformance-acts.ts';
import type { Hold, HoldScope, Store } from './store.ts';
import type { NewJob } from '../job.ts';

const held = (tenantId: string | null, kind: string | null, mode: Hold['mode'] = 'pause'): Hold => ({
  tenantId,
  kind,
  mode,
  by: 'ann',
  reason: 'a flood of "mail" 📦',
  sinceMs: T,
});
const sync: Partial<NewJob> = { kind: 'sync' };

/** Enqueues jobs and sends them all to the dead set; the message is the cause and a number. */
async function bury(
  store: Store,
  dead: [tenantId: string, kind: string, cause: string][],
): Promise<number[]> {
  const ids = await put(
    store,
    dead.map(([tenantId, kind]) => job(tenantId, { kind })),
  );
  const claims = await claim(store, dead.length);
  for (const [i, one] of claims.entries()) {
    const cause = dead[i]?.[2] ?? '';
    await settle(store, [ending(one, 'dead', T, { cause, message: `${cause} ${i}`, class: 'permanent' })], {
      nowMs: T + i,
    });
  }
  return ids;
}

export function operatorPromises({ make, another }: StoreFixture): void {
  describe('holds', () => {
    // What can still be claimed of a:mail, a:sync, b:mail, b:sync.
    const scopes: [string, HoldScope, string[], string[]][] = [
      ['a tenant', { tenantId: 'a', kind: null }, ['b mail', 'b sync'], ['b']],
      ['a kind', { tenantId: null, kind: 'mail' }, ['a sync', 'b sync'], ['a', 'b']],
      ['a kind of a tenant', { tenantId: 'a', kind: 'mail' }, ['a sync', 'b mail', 'b sync'], ['a', 'b']],
      ['the whole store', { tenantId: null, kind: null }, [], []],
    ];
    it.each(scopes)('stop claims of %s, and no others', async (_, scope, claimable, ready) => {
      for (const what of [9, { a: 9, b: 9 }]) {
        await using store = await make();
        await put(store, [job('a'), job('a', sync), job('b'), job('b', sync)]);
        await store.hold(held(scope.tenantId, scope.kind));
        expect(
          (await store.ready({ after: null, limit: 9, eligible: ANY })).map((one) => one.tenantId),
        ).toEqual(ready);
        const claims = await claim(store, what);
        expect(claims.map(({ tenantId, kind }) => `${tenantId} ${kind}`).sort()).toEqual(claimable);
        expect((await depthOf(store, 'a'))?.arrivalsTotal).toBe(2);
        // Paused: what is new is taken and waits.
        await put(store, [job(scope.tenantId ?? 'a', { kind: scope.kind ?? 'mail' })]);
        expect(await claim(store, what)).toEqual([]);
        expect(await store.unhold(scope)).toBe(true);
        expect(await claim(store, what)).toHaveLength(5 - claimable.length);
      }
    });

    it.each(scopes)(
      'that drain %s refuse new jobs, and no others; what is stored is worked off',
      async (_, scope) => {
        await using store = await make();
        const stored = [job('a'), job('a', sync), job('b'), job('b', sync)];
        await put(store, stored);
        await store.hold(held(scope.tenantId, scope.kind, 'drain'));
        for (const tenantId of ['a', 'b'])
          for (const kind of ['mail', 'sync']) {
            const enqueued = store.enqueue([job(tenantId, { kind })], T);
            const refused =
              (scope.tenantId === null || scope.tenantId === tenantId) &&
              (scope.kind === null || scope.kind === kind);
            if (refused) await expect(enqueued).rejects.toMatchObject({ code: 'conflict' });
            else expect(await enqueued).toHaveLength(1);
          }
        await expect(
          store.enqueue(
            [job('c', { kind: 'report' }), job(scope.tenantId ?? 'a', { kind: scope.kind ?? 'mail' })],
            T,
          ),
        ).rejects.toMatchObject({ code: 'conflict' });
        expect(await depthOf(store, 'c')).toBeUndefined();
        // Those from before, and those that were not refused.
        const ready = (await store.depths(0)).tenants.reduce((sum, tenant) => sum + tenant.ready.value, 0);
        expect(ready).toBeGreaterThanOrEqual(stored.length);
        expect(await claim(store, { a: 9, b: 9 })).toHaveLength(ready);
      },
    );

    it('of one scope replace each other and stand beside those of other scopes', async () => {
      await using store = await make();
      expect(await store.holds()).toEqual([]);
      await store.hold(held('a', null));
      await store.hold(held('a', 'mail'));
      await store.hold(held('A', null));
      await store.hold(held(null, null, 'drain'));
      await store.hold({ ...held('a', null, 'drain'), reason: 'anew', sinceMs: T + 1 });
      const holds = await store.holds();
      expect(holds).toHaveLength(4);
      expect(holds).toContainEqual({ ...held('a', null, 'drain'), reason: 'anew', sinceMs: T + 1 });
      expect(holds).toContainEqual(held('a', 'mail'));
      expect(await store.unhold({ tenantId: null, kind: 'mail' })).toBe(false);
      expect(await store.unhold({ tenantId: 'a', kind: null })).toBe(true);
      expect(await store.unhold({ tenantId: 'a', kind: null })).toBe(false);
      expect(await store.holds()).toHaveLength(3);
      // A hold is no tenant.
      expect((await store.depths(0)).tenants).toEqual([]);
    });

    it('leave what runs alone, and count what is held as ready', async () => {
      await using store = await make();
      await put(store, [job('a'), job('a')]);
      const [running] = await claim(store, 1);
      await store.hold(held('a', null));
      if (!running) throw new Error('nothing claimed');
      expect(await settle(store, [ending(running, 'done')])).toEqual([true]);
      expect(await depthOf(store, 'a')).toMatchObject({ ready: { value: 1 }, running: { value: 0 } });
    });

    it('hold from the moment they resolve, for every engine', async () => {
      await using store = await make();
      await using second = another ? await another(store) : null;
      const other = second ?? store;
      await put(
        store,
        Array.from({ length: 60 }, (_, i) => job(i % 2 ? 'a' : 'b')),
      );
      let heldNow = false;
      const work = async (owner: string) => {
        for (let i = 0; i < 12; i++) {
          const after = heldNow;
          const claims = await claim(other, { a: 1, b: 1 }, { owner });
          if (after) expect(tenantsOf(claims)).not.toContain('a');
        }
      };
      await Promise.all([
        work('one'),
        work('two'),
        store.hold(held('a', null)).then(() => {
          heldNow = true;
        }),
      ]);
      expect(tenantsOf(await claim(other, { a: 1, b: 1 }))).not.toContain('a');
    });
  });

  describe('the dead set', () => {
    const seven: [string, string, string][] = [
      ['a', 'mail', '550 unknown'],
      ['a', 'mail', '550 unknown'],
      ['b', 'mail', '550 unknown'],
      ['a', 'sync', '550 unknown'],
      ['a', 'mail', '550 UNKNOWN'],
      ['b', 'sync', 'refused'],
      ['b', 'sync', 'refused'],
    ];

    it('is told by kind and cause, largest first', async () => {
      await using store = await make();
      await bury(store, seven);
      const groups = await store.deadGroups(9);
      expect(groups.map(({ kind, cause, count, lastAtMs }) => [kind, cause, count, lastAtMs])).toEqual([
        ['mail', '550 unknown', 3, T + 2],
        ['sync', 'refused', 2, T + 6],
        ...groups
          .slice(2)
          .map(({ kind, cause }) => [kind, cause, 1, cause === '550 unknown' ? T + 3 : T + 4]),
      ]);
      expect(groups).toHaveLength(4);
      expect(groups[0]).toMatchObject({
        class: 'permanent',
        example: expect.stringMatching(/^550 unknown [012]$/) as string,
      });
      expect(await store.deadGroups(1)).toHaveLength(1);
    });

    it('is looked through page by page, filtered', async () => {
      await using store = await make();
      const ids = await bury(store, seven);
      const page = async (filter: Parameters<Store['deadJobs']>[0], afterId = 0, limit = 9) =>
        (await store.deadJobs(filter, afterId, limit)).map(({ id }) => ids.indexOf(id));
      expect(await page({})).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(await page({}, ids[1], 3)).toEqual([2, 3, 4]);
      expect(await page({ tenantId: 'b' })).toEqual([2, 5, 6]);
      expect(await page({ kind: 'mail', cause: '550 unknown' })).toEqual([0, 1, 2]);
      expect(await page({ kind: 'mail', cause: '550 unknown' }, ids[0], 1)).toEqual([1]);
      expect(await page({ cause: '550 unknown', tenantId: 'a' })).toEqual([0, 1, 3]);
      expect(await page({ ids: [ids[6] ?? 0, ids[2] ?? 0, 999_999] })).toEqual([2, 6]);
      expect(await page({ ids: [] })).toEqual([]);
      expect(await page({ tenantId: 'B' })).toEqual([]);
      expect((await store.deadJobs({}, 0, 1))[0]).toEqual(await store.job(ids[0] ?? 0));
    });

    it('is requeued by filter, lowest ids first, up to the limit, attempts anew', async () => {
      await using store = await make();
      const ids = await bury(store, seven);
      await put(store, [job('z')]);
      expect(await store.requeue({ kind: 'mail', cause: '550 unknown' }, 2, T + 99)).toBe(2);
      expect(await statesOf(store, ids.slice(0, 3))).toEqual(['ready', 'ready', 'dead']);
      expect(await store.job(ids[0] ?? 0)).toMatchObject({
        attempts: 0,
        readyAtMs: T + 99,
        createdAtMs: T,
        failedAttempts: [{ attempt: 1 }],
      });
      expect(await claim(store, { a: 1 }, { nowMs: T + 100 })).toMatchObject([{ id: ids[0], attempt: 1 }]);
      expect(await store.requeue({ ids }, 99, T + 99)).toBe(5);
      expect(await store.requeue({}, 99, T + 99)).toBe(0);
      expect(await store.deadGroups(9)).toEqual([]);
      expect(await depthOf(store, 'b')).toMatchObject({
        ready: { value: 3 },
        dead: { value: 0 },
        attemptsTotal: 3,
      });
    });

    it('is discarded by filter up to the limit', async () => {
      await using store = await make();
      const ids = await bury(store, seven);
      const [ready = 0] = await put(store, [job('a')]);
      expect(await store.discard({ ids: [ready] }, 9, T)).toBe(0);
      expect(await store.discard({ tenantId: 'b' }, 2, T)).toBe(2);
      expect(await store.discard({ kind: 'mail' }, 99, T)).toBe(3);
      expect(await statesOf(store, [...ids, ready])).toEqual([
        null,
        null,
        null,
        'dead',
        null,
        null,
        'dead',
        'ready',
      ]);
      expect(await depthOf(store, 'a')).toMatchObject({
        dead: { value: 1 },
        arrivalsTotal: 5,
        attemptsTotal: 4,
      });
    });
  });

  describe('blocked jobs', () => {
    const waits = (row: number, tenantId: string, more: Partial<NewJob> = {}) =>
      job(tenantId, { dependsOn: [{ row }], ...more });
    /** Two dead ones, four that wait. */
    const family = async (store: Store) => {
      const ids = await put(store, [
        job('a'),
        job('b'),
        waits(0, 'a'),
        waits(1, 'b', sync),
        waits(2, 'a', sync),
        waits(3, 'b'),
      ]);
      for (const id of ids.slice(0, 2)) await kill(store, id);
      return ids;
    };

    it('are looked through page by page, with the dead one that is to blame', async () => {
      await using store = await make();
      const ids = await family(store);
      const page = async (filter: Parameters<Store['blockedJobs']>[0], afterId = 0, limit = 9) =>
        (await store.blockedJobs(filter, afterId, limit)).map((one) => [
          ids.indexOf(one.job.id),
          ids.indexOf(one.ancestorId),
        ]);
      expect(await page({})).toEqual([
        [2, 0],
        [3, 1],
        [4, 0],
        [5, 1],
      ]);
      expect(await page({}, ids[2], 2)).toEqual([
        [3, 1],
        [4, 0],
      ]);
      expect(await page({ tenantId: 'b', kind: 'sync' })).toEqual([[3, 1]]);
      expect(await page({ ids: [ids[5] ?? 0, ids[0] ?? 0] })).toEqual([[5, 1]]);
      expect(await page({ cause: '451' })).toEqual([]);
      expect((await store.blockedJobs({}, 0, 1))[0]?.job).toEqual(await store.job(ids[2] ?? 0));
    });

    it('are released and cancelled up to the limit, lowest ids first', async () => {
      await using store = await make();
      const ids = await family(store);
      expect(await store.unblock({}, 'release', 1, T)).toBe(1);
      expect(await statesOf(store, ids)).toEqual(['dead', 'dead', 'ready', 'blocked', 'waiting', 'blocked']);
      expect(await store.unblock({ tenantId: 'b', kind: 'sync' }, 'cancel', 9, T)).toBe(1);
      expect(await statesOf(store, ids)).toEqual(['dead', 'dead', 'ready', 'dead', 'waiting', 'blocked']);
      expect(await store.unblock({}, 'release', 9, T + 3)).toBe(1);
      expect(idsOf(await claim(store, 9))).toEqual([ids[2], ids[5]]);
      expect(await store.unblock({}, 'cancel', 9, T)).toBe(0);
    });

    it('that wait for their own time go on waiting for it', async () => {
      await using store = await make();
      const ids = await put(store, [job('a'), waits(0, 'a', { readyAtMs: T + 1_000 })]);
      await kill(store, ids[0] ?? 0);
      await store.unblock({}, 'release', 9, T + 5);
      expect(await store.job(ids[1] ?? 0)).toMatchObject({ state: 'delayed', readyAtMs: T + 1_000 });
    });
  });
}
