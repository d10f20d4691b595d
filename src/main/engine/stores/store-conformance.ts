// What every store promises, as a suite that each store's test calls with a way to make one.
import { describe, expect, it } from 'vitest';
import type { Claim, ClaimOrder, NewJob } from '../job.ts';
import type { Store } from './store.ts';

const T = 1_700_000_000_000;
const job = (tenantId: string, more: Partial<NewJob> = {}): NewJob => ({
  tenantId,
  kind: 'mail',
  payload: { to: tenantId },
  ...more,
});
const tenantsOf = (claims: Claim[]): string => claims.map((claim) => claim.tenantId).join('');

/** `make` gives an empty store. */
export function storeConformance(name: string, make: () => Promise<Store>): void {
  describe(`${name} keeps the promises of a store`, () => {
    const claim = (store: Store, limit: number, order: ClaimOrder = 'fair', owner = 'one', nowMs = T) =>
      store.claim({ owner, limit, order, nowMs });
    const depthOf = async (store: Store, tenantId: string) =>
      (await store.depths(100)).tenants.find((tenant) => tenant.tenantId === tenantId);

    it('gives back what was enqueued, as it was', async () => {
      await using store = await make();
      const payload = { text: 'päckchen 📦', list: [1, null, true], deep: { empty: {} } };
      const [enqueued] = await store.enqueue([job('a', { payload, maxAttempts: 3 })], T);
      const [claimed] = await claim(store, 1, 'fair', 'one', T + 5);
      expect(claimed).toEqual({
        id: enqueued?.id,
        fence: 1,
        tenantId: 'a',
        kind: 'mail',
        payload,
        attempt: 1,
        maxAttempts: 3,
        createdAtMs: T,
        readyAtMs: T,
        startedAtMs: T + 5,
      });
      expect(await claim(store, 1)).toEqual([]);
    });

    it('enqueues a batch wholly or not at all', async () => {
      await using store = await make();
      await expect(store.enqueue([job('a'), job('b', { payload: undefined })], T)).rejects.toThrow(/job 1/);
      expect((await store.depths(1)).tenants).toEqual([]);
    });

    it('enqueues one job an idempotency key, also after the job is done', async () => {
      await using store = await make();
      const keyed = job('a', { idempotencyKey: 'order-7' });
      const [first, second] = await store.enqueue([keyed, keyed], T);
      expect(first?.fresh).toBe(true);
      expect(second).toEqual({ id: first?.id, fresh: false });
      const claims = await claim(store, 10);
      expect(claims).toHaveLength(1);
      await store.settle(
        claims.map((c) => ({ claim: c, how: 'done' })),
        T,
      );
      expect(await store.enqueue([keyed], T + 1)).toEqual([{ id: first?.id, fresh: false }]);
      expect((await depthOf(store, 'a'))?.arrivalsTotal).toBe(1);
    });

    it('claims first come first served by id', async () => {
      await using store = await make();
      await store.enqueue([job('b'), job('b'), job('a'), job('b'), job('c')], T);
      expect(tenantsOf(await claim(store, 3, 'first-come'))).toBe('bba');
      expect(tenantsOf(await claim(store, 3, 'first-come'))).toBe('bc');
    });

    it('claims tenant by tenant in the fair order, wraps around, and goes on where it stopped', async () => {
      await using store = await make();
      await store.enqueue([job('b'), job('b'), job('b'), job('a'), job('c'), job('c')], T);
      expect(tenantsOf(await claim(store, 2))).toBe('ab');
      expect((await store.depths(0)).cursor).toBe('b');
      await store.enqueue([job('a')], T);
      expect(tenantsOf(await claim(store, 4))).toBe('cabc');
      expect(tenantsOf(await claim(store, 4))).toBe('b');
    });

    it('serves the oldest of a tenant first, by when it became ready', async () => {
      await using store = await make();
      const [late, early] = await store.enqueue(
        [job('a', { readyAtMs: T + 20 }), job('a', { readyAtMs: T + 10 })],
        T,
      );
      expect(await claim(store, 2)).toEqual([]);
      expect(await store.promoteDue(T + 5)).toBe(T + 10);
      expect(await store.promoteDue(T + 30)).toBeNull();
      expect((await claim(store, 2)).map((c) => c.id)).toEqual([early?.id, late?.id]);
    });

    it('never gives one job to two owners', async () => {
      await using store = await make();
      await store.enqueue(
        Array.from({ length: 40 }, (_, i) => job(`t${i % 4}`)),
        T,
      );
      const batches = await Promise.all(
        Array.from({ length: 8 }, (_, i) => claim(store, 10, i % 2 ? 'fair' : 'first-come', `owner-${i}`)),
      );
      const ids = batches.flat().map((c) => c.id);
      expect(ids).toHaveLength(40);
      expect(new Set(ids).size).toBe(40);
    });

    it('retries at the time given, counts the attempts, and buries', async () => {
      await using store = await make();
      await store.enqueue([job('a')], T);
      const [first] = await claim(store, 1);
      if (!first) throw new Error('nothing claimed');
      expect(await store.settle([{ claim: first, how: 'retry', atMs: T + 100, error: '451' }], T)).toEqual([
        true,
      ]);
      expect((await depthOf(store, 'a'))?.delayed.value).toBe(1);
      expect(await store.promoteDue(T + 100)).toBeNull();
      const [second] = await claim(store, 1, 'fair', 'one', T + 150);
      if (!second) throw new Error('nothing claimed');
      expect(second).toMatchObject({ attempt: 2, readyAtMs: T + 100, createdAtMs: T });
      expect(await store.settle([{ claim: second, how: 'dead', error: '550' }], T)).toEqual([true]);
      expect(await depthOf(store, 'a')).toMatchObject({
        ready: { value: 0 },
        delayed: { value: 0 },
        running: { value: 0 },
        dead: { value: 1 },
        attemptsTotal: 2,
      });
    });

    it('takes a returned job back without counting the attempt', async () => {
      await using store = await make();
      await store.enqueue([job('a')], T);
      const [first] = await claim(store, 1);
      if (!first) throw new Error('nothing claimed');
      expect(await store.settle([{ claim: first, how: 'returned' }], T)).toEqual([true]);
      const [again] = await claim(store, 1);
      expect(again).toMatchObject({ id: first.id, attempt: 1, readyAtMs: T });
      expect((await depthOf(store, 'a'))?.attemptsTotal).toBe(0);
    });

    it('reclaims from a silent owner only, and refuses what the old owner sends in late', async () => {
      await using store = await make();
      await store.beat('dead', T);
      await store.beat('alive', T);
      await store.enqueue([job('a'), job('b')], T);
      const [lost] = await claim(store, 1, 'first-come', 'dead');
      const [kept] = await claim(store, 1, 'first-come', 'alive');
      if (!lost || !kept) throw new Error('nothing claimed');
      await store.beat('alive', T + 1_000);
      const silentSinceMs = T + 500;
      expect(await store.reclaim({ except: 'new', silentSinceMs, nowMs: T + 1_000 })).toBe(1);
      // Refused while nobody has it, and when a new owner has it.
      expect(await store.settle([{ claim: lost, how: 'done' }], T)).toEqual([false]);
      const [again] = await claim(store, 1, 'fair', 'new', T + 1_001);
      expect(again).toMatchObject({ id: lost.id, attempt: 2, readyAtMs: T + 1_000 });
      for (const how of ['done', 'returned'] as const) {
        expect(await store.settle([{ claim: lost, how }], T)).toEqual([false]);
      }
      expect(await store.settle([{ claim: kept, how: 'done' }], T)).toEqual([true]);
      expect((await depthOf(store, 'a'))?.running.value).toBe(1);
      expect((await depthOf(store, 'a'))?.attemptsTotal).toBe(1);
    });

    it('buries a job whose owners keep dying', async () => {
      await using store = await make();
      await store.enqueue([job('a', { maxAttempts: 2 })], T);
      for (const owner of ['first', 'second']) {
        expect(await claim(store, 1, 'fair', owner)).toHaveLength(1);
        expect(await store.reclaim({ except: 'new', silentSinceMs: T, nowMs: T })).toBe(1);
      }
      expect(await depthOf(store, 'a')).toMatchObject({ ready: { value: 0 }, dead: { value: 1 } });
    });

    it('counts exactly what a look at every job would count', async () => {
      await using store = await make();
      await store.enqueue([job('a'), job('a'), job('a'), job('b'), job('a', { readyAtMs: T + 60 })], T);
      await store.enqueue([job('a')], T + 7);
      const [one, two] = await claim(store, 2, 'first-come', 'one', T + 10);
      if (!one || !two) throw new Error('nothing claimed');
      await store.settle([{ claim: one, how: 'done' }], T + 20);
      const { tenants } = await store.depths(1);
      expect(tenants).toEqual([
        {
          tenantId: 'a',
          ready: { value: 2, kind: 'exact' },
          delayed: { value: 1, kind: 'exact' },
          running: { value: 1, kind: 'exact' },
          dead: { value: 0, kind: 'exact' },
          oldestReady: { id: two.id + 1, readyAtMs: T, createdAtMs: T },
          oldestRunningAtMs: T + 10,
          lastStartedAtMs: T + 10,
          arrivalsTotal: 5,
          attemptsTotal: 1,
          frontIds: [two.id + 1],
        },
        expect.objectContaining({ tenantId: 'b', ready: { value: 1, kind: 'exact' }, lastStartedAtMs: null }),
      ]);
    });
  });
}
