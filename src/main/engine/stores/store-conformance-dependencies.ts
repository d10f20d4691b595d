// Part of the conformance suite: jobs that wait for others.
import { describe, expect, it } from 'vitest';
import {
  claim,
  claimOne,
  depthOf,
  ending,
  finish,
  idsOf,
  job,
  kill,
  put,
  settle,
  statesOf,
  T,
  type StoreFixture,
} from './store-conformance-acts.ts';
import type { NewJob } from '../job.ts';

/** A job that waits for earlier rows of its call. */
const after = (rows: number[], more: Partial<NewJob> = {}) =>
  job('a', { dependsOn: rows.map((row) => ({ row })), ...more });
const afterId = (ids: number[], more: Partial<NewJob> = {}) =>
  job('a', { dependsOn: ids.map((id) => ({ id })), ...more });

const failNothing = (): never => {
  throw new Error('nothing was claimed');
};

export function dependencyPromises({ make }: StoreFixture): void {
  describe('dependencies', () => {
    it('hold a job back until its last parent is done, within a call and on earlier ids', async () => {
      await using store = await make();
      const [early = 0] = await put(store, [job('b')]);
      const [parent = 0, child = 0] = await put(store, [
        job('a'),
        job('a', { dependsOn: [{ row: 0 }, { id: early }, { row: 0 }] }),
      ]);
      expect((await store.job(child))?.waitsFor).toEqual([early, parent]);
      const claims = await claim(store, 9);
      expect(idsOf(claims)).toEqual([early, parent]);
      expect(await depthOf(store, 'a')).toMatchObject({ waiting: { value: 1 }, ready: { value: 0 } });
      await settle(store, [ending(claims[1] ?? failNothing(), 'done')]);
      expect(await store.job(child)).toMatchObject({ state: 'waiting', waitsFor: [early] });
      await settle(store, [ending(claims[0] ?? failNothing(), 'done')]);
      expect(idsOf(await claim(store, { a: 9 }))).toEqual([child]);
    });

    it('free a job at the end of its last parent, from then or from its own time', async () => {
      await using store = await make();
      const [parent = 0, now = 0, later = 0] = await put(store, [
        job('a'),
        after([0]),
        after([0], { readyAtMs: T + 1_000 }),
      ]);
      await finish(store, parent, T + 50);
      expect(await store.job(now)).toMatchObject({
        state: 'ready',
        readyAtMs: T + 50,
        createdAtMs: T,
        waitsFor: [],
      });
      expect(await store.job(later)).toMatchObject({ state: 'delayed', readyAtMs: T + 1_000, waitsFor: [] });
      expect(idsOf(await claim(store, { a: 9 }, { nowMs: T + 51 }))).toEqual([now]);
      expect(await store.promoteDue(T + 1_000)).toBeNull();
      expect(idsOf(await claim(store, 9, { nowMs: T + 1_000 }))).toEqual([later]);
    });

    it('do not wait for what is no longer stored', async () => {
      await using store = await make();
      const [parent = 0] = await put(store, [job('a')]);
      await finish(store, parent);
      const [child = 0] = await put(store, [afterId([parent])]);
      expect(await statesOf(store, [child])).toEqual(['ready']);
    });

    it('run a diamond in its order', async () => {
      await using store = await make();
      const ids = await put(store, [job('a'), after([0]), after([0]), after([1, 2])]);
      const order: number[][] = [];
      for (let step = 0; step < 3; step++) {
        const claims = await claim(store, 9);
        order.push(idsOf(claims));
        await settle(
          store,
          claims.map((one) => ending(one, 'done')),
        );
      }
      expect(order).toEqual([[ids[0]], [ids[1], ids[2]], [ids[3]]]);
      expect((await depthOf(store, 'a'))?.attemptsTotal).toBe(4);
    });

    it('wait through a retry and a return of the parent', async () => {
      await using store = await make();
      const [, child = 0] = await put(store, [job('a'), after([0])]);
      await settle(store, [ending(await claimOne(store), 'retry', T)]);
      await settle(store, [ending(await claimOne(store), 'returned')]);
      expect(await statesOf(store, [child])).toEqual(['waiting']);
    });

    it('follow an idempotency key to its job', async () => {
      await using store = await make();
      const keyed = job('a', { idempotencyKey: 'k' });
      const [parent = 0] = await put(store, [keyed]);
      const [, child = 0] = await put(store, [keyed, after([0])]);
      expect((await store.job(child))?.waitsFor).toEqual([parent]);
    });

    it.each([
      ['itself', 1],
      ['a later row', 2],
      ['a row that is none', -1],
      ['half a row', 0.5],
    ])('on %s are refused with the whole call, naming the row', async (_, row) => {
      await using store = await make();
      await expect(store.enqueue([job('a'), after([row]), job('a')], T)).rejects.toMatchObject({
        code: 'bad-request',
        message: expect.stringMatching(/\b1\b/) as string,
      });
      expect((await store.depths(1)).tenants).toEqual([]);
    });

    it('block what waits for a dead job, and what waits for that', async () => {
      await using store = await make();
      const [parent = 0, child = 0, grandchild = 0, other = 0] = await put(store, [
        job('a'),
        after([0]),
        after([1], { tenantId: 'b', onDeadParent: 'cancel' }),
        job('a'),
      ]);
      await kill(store, parent);
      expect(await statesOf(store, [parent, child, grandchild, other])).toEqual([
        'dead',
        'blocked',
        'blocked',
        'ready',
      ]);
      expect(await depthOf(store, 'a')).toMatchObject({ blocked: { value: 1 }, waiting: { value: 0 } });
      expect(await depthOf(store, 'b')).toMatchObject({ blocked: { value: 1 }, waiting: { value: 0 } });
      expect((await store.blockedJobs({}, 0, 9)).map((one) => [one.job.id, one.ancestorId])).toEqual([
        [child, parent],
        [grandchild, parent],
      ]);
      // The one that is blocked has another parent that ends well: it stays blocked.
      const [late = 0] = await put(store, [afterId([child, other])]);
      expect(await statesOf(store, [late])).toEqual(['blocked']);
      await finish(store, other);
      expect(await store.job(late)).toMatchObject({ state: 'blocked', waitsFor: [child] });
    });

    it('cancel what would rather be cancelled, and so on down', async () => {
      await using store = await make();
      const [parent = 0, child = 0, grandchild = 0, waiter = 0] = await put(store, [
        job('a'),
        after([0], { onDeadParent: 'cancel' }),
        after([1], { onDeadParent: 'cancel' }),
        after([2]),
      ]);
      await kill(store, parent, T + 5);
      expect(await statesOf(store, [parent, child, grandchild, waiter])).toEqual([
        'dead',
        'dead',
        'dead',
        'blocked',
      ]);
      const record = await store.job(grandchild);
      expect(record).toMatchObject({ attempts: 0, waitsFor: [child] });
      expect(record?.failedAttempts).toMatchObject([{ failure: { class: 'permanent' } }]);
      expect(await depthOf(store, 'a')).toMatchObject({ dead: { value: 3 }, attemptsTotal: 1 });
      const cancelledOnes = (await store.deadGroups(9)).find(({ count }) => count === 2);
      expect(cancelledOnes).toMatchObject({ kind: 'mail', class: 'permanent', lastAtMs: T + 5 });
    });

    it('release what would rather go on, but only from the dead one', async () => {
      await using store = await make();
      const [parent = 0, other = 0, alone = 0, both = 0] = await put(store, [
        job('a'),
        job('a'),
        after([0], { onDeadParent: 'release' }),
        after([0, 1], { onDeadParent: 'release' }),
      ]);
      await kill(store, parent, T + 5);
      expect(await store.job(alone)).toMatchObject({ state: 'ready', readyAtMs: T + 5, waitsFor: [] });
      expect(await store.job(both)).toMatchObject({ state: 'waiting', waitsFor: [other] });
    });

    it('on a dead job are refused, cancelled or released at once, as the job would have it', async () => {
      await using store = await make();
      const [dead = 0] = await put(store, [job('a')]);
      await kill(store, dead);
      await expect(store.enqueue([job('b'), afterId([dead])], T)).rejects.toMatchObject({
        code: 'bad-request',
        message: expect.stringMatching(/\b1\b/) as string,
      });
      expect(await depthOf(store, 'b')).toBeUndefined();
      const [released = 0, cancelledOne = 0] = await put(store, [
        afterId([dead], { onDeadParent: 'release' }),
        afterId([dead], { onDeadParent: 'cancel' }),
      ]);
      expect(await statesOf(store, [released, cancelledOne])).toEqual(['ready', 'dead']);
      expect(await depthOf(store, 'a')).toMatchObject({
        arrivalsTotal: 3,
        dead: { value: 2 },
        ready: { value: 1 },
      });
    });

    it('wait again when the dead ancestor is requeued', async () => {
      await using store = await make();
      const ids = await put(store, [job('a'), after([0]), after([1]), after([1, 0])]);
      const [parent = 0, child = 0] = ids;
      await kill(store, parent);
      expect(await statesOf(store, ids)).toEqual(['dead', 'blocked', 'blocked', 'blocked']);
      expect(await store.requeue({ ids: [parent] }, 9, T + 9)).toBe(1);
      expect(await statesOf(store, ids)).toEqual(['ready', 'waiting', 'waiting', 'waiting']);
      expect(await depthOf(store, 'a')).toMatchObject({ waiting: { value: 3 }, blocked: { value: 0 } });
      await finish(store, parent, T + 10);
      await kill(store, child, T + 11);
      expect(await statesOf(store, ids)).toEqual([null, 'dead', 'blocked', 'blocked']);
    });

    it('stay blocked while another ancestor is dead', async () => {
      await using store = await make();
      const [one = 0, two = 0, child = 0, grandchild = 0] = await put(store, [
        job('a'),
        job('a'),
        after([0, 1]),
        after([2]),
      ]);
      await kill(store, one);
      await kill(store, two);
      await store.requeue({ ids: [one] }, 9, T);
      expect(await statesOf(store, [child, grandchild])).toEqual(['blocked', 'blocked']);
      const ancestors = (await store.blockedJobs({}, 0, 9)).map(({ ancestorId }) => ancestorId);
      expect(ancestors).toEqual([two, two]);
      await store.requeue({ ids: [two] }, 9, T);
      expect(await statesOf(store, [child, grandchild])).toEqual(['waiting', 'waiting']);
    });

    it('keep their order when a cancelled family is requeued', async () => {
      await using store = await make();
      const ids = await put(store, [job('a'), after([0], { onDeadParent: 'cancel' })]);
      const [parent = 0, child = 0] = ids;
      await kill(store, parent);
      expect(await statesOf(store, ids)).toEqual(['dead', 'dead']);
      expect(await store.requeue({}, 9, T + 9)).toBe(2);
      expect(await statesOf(store, ids)).toEqual(['ready', 'waiting']);
      await finish(store, parent, T + 10);
      expect(await statesOf(store, [child])).toEqual(['ready']);
    });

    it('of a cancelled job that is requeued alone: blocked while its parent is dead', async () => {
      await using store = await make();
      const ids = await put(store, [job('a'), after([0], { onDeadParent: 'cancel' })]);
      const [parent = 0, child = 0] = ids;
      await kill(store, parent);
      expect(await store.requeue({ ids: [child] }, 9, T + 9)).toBe(1);
      expect(await statesOf(store, ids)).toEqual(['dead', 'blocked']);
      // Its parent is removed: then it is cancelled again, as it would have it.
      expect(await store.discard({ ids: [parent] }, 9, T + 9)).toBe(1);
      expect(await statesOf(store, ids)).toEqual([null, 'dead']);
      expect(await store.requeue({}, 9, T + 10)).toBe(1);
      expect(await statesOf(store, ids)).toEqual([null, 'ready']);
    });

    it('on a discarded job stay blocked until they are released or cancelled by hand', async () => {
      await using store = await make();
      const ids = await put(store, [job('a'), after([0]), after([1]), after([0]), after([3])]);
      const [parent = 0, child = 0, , other = 0] = ids;
      await kill(store, parent);
      expect(await store.discard({}, 9, T)).toBe(1);
      expect(await statesOf(store, ids)).toEqual([null, 'blocked', 'blocked', 'blocked', 'blocked']);
      expect((await store.blockedJobs({ ids: [child] }, 0, 9))[0]?.ancestorId).toBe(parent);
      expect(await store.unblock({ ids: [child] }, 'release', 9, T + 7)).toBe(1);
      expect(await statesOf(store, ids)).toEqual([null, 'ready', 'waiting', 'blocked', 'blocked']);
      expect(await store.job(child)).toMatchObject({ readyAtMs: T + 7, waitsFor: [] });
      expect(await store.unblock({ ids: [other] }, 'cancel', 9, T + 8)).toBe(1);
      expect(await statesOf(store, ids)).toEqual([null, 'ready', 'waiting', 'dead', 'blocked']);
      expect((await store.job(other))?.failedAttempts).toMatchObject([{ failure: { class: 'permanent' } }]);
    });

    it('count a blocked parent that is cancelled once', async () => {
      await using store = await make();
      const ids = await put(store, [job('a'), after([0]), after([1])]);
      const [parent = 0, child = 0] = ids;
      await kill(store, parent);
      expect(await store.unblock({ ids: [child] }, 'cancel', 9, T)).toBe(1);
      expect(await statesOf(store, ids)).toEqual(['dead', 'dead', 'blocked']);
      expect(await store.requeue({}, 9, T)).toBe(2);
      expect(await statesOf(store, ids)).toEqual(['ready', 'waiting', 'waiting']);
    });

    it('release a blocked job whose parent is cancelled, and what waits for it waits again', async () => {
      await using store = await make();
      const ids = await put(store, [
        job('a'),
        after([0]),
        after([1], { onDeadParent: 'release' }),
        after([2]),
        after([3]),
      ]);
      await kill(store, ids[0] ?? 0);
      expect(await statesOf(store, ids)).toEqual(['dead', 'blocked', 'blocked', 'blocked', 'blocked']);
      expect(await store.unblock({ ids: ids.slice(1, 2) }, 'cancel', 9, T + 1)).toBe(1);
      expect(await statesOf(store, ids)).toEqual(['dead', 'dead', 'ready', 'waiting', 'waiting']);
    });

    it('of two thousand on one job are freed, blocked and freed again', async () => {
      await using store = await make();
      const count = 2_000;
      await put(store, [job('a'), ...Array.from({ length: count }, () => after([0]))]);
      const counts = async () => {
        const depth = await depthOf(store, 'a');
        return [depth?.ready.value, depth?.waiting.value, depth?.blocked.value, depth?.dead.value];
      };
      await settle(store, [ending(await claimOne(store), 'dead')]);
      expect(await counts()).toEqual([0, 0, count, 1]);
      await store.requeue({}, 9, T);
      expect(await counts()).toEqual([1, count, 0, 0]);
      await settle(store, [ending(await claimOne(store), 'done')]);
      expect(await counts()).toEqual([count, 0, 0, 0]);
    });
  });
}
