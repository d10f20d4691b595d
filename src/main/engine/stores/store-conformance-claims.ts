// Part of the conformance suite: whose jobs are handed over, in which order, and how claims end.
import { describe, expect, it } from 'vitest';
import {
  ANY,
  asked,
  claim,
  claimOne,
  depthOf,
  ending,
  failed,
  idsOf,
  job,
  put,
  settle,
  T,
  tenantsOf,
  type StoreFixture,
} from './store-conformance-acts.ts';
import { FAILED_ATTEMPTS_KEPT, type Store } from './store.ts';

const many = (tenantId: string, count: number) => Array.from({ length: count }, () => job(tenantId));
const only = (kind: string, limit: number | null = null) => [{ kind, limit }];

export function claimPromises({ make, another }: StoreFixture): void {
  describe('claims', () => {
    it('come first come first served by id', async () => {
      await using store = await make();
      await put(store, [job('b'), job('b', { priority: -9 }), job('a', { priority: 9 }), job('b'), job('c')]);
      expect(tenantsOf(await claim(store, 3))).toBe('bba');
      expect(tenantsOf(await claim(store, 3))).toBe('bc');
    });

    it('come in turns: the first of each take in order, then the second of each', async () => {
      await using store = await make();
      await put(store, [...many('a', 4), ...many('b', 1), ...many('c', 3)]);
      expect(tenantsOf(await claim(store, { c: 2, a: 3, b: 2, d: 5 }))).toBe('cabcaa');
      expect(tenantsOf(await claim(store, { a: 9, c: 9 }))).toBe('ac');
    });

    it('take the highest priority of a tenant first, then what became ready first, then the lowest id', async () => {
      await using store = await make();
      const [low, , high, normal, twin] = await put(store, [
        job('a', { priority: -5 }),
        job('a', { priority: 9, readyAtMs: T + 60_000 }),
        job('a', { priority: 9 }),
        job('a'),
        job('a'),
      ]);
      const [elder] = await put(store, [job('a')], T - 1_000);
      expect(idsOf(await claim(store, { a: 3 }))).toEqual([high, elder, normal]);
      expect(idsOf(await claim(store, { a: 3 }))).toEqual([twin, low]);
    });

    it('come in order also after one was taken from the middle', async () => {
      await using store = await make();
      const [second, first, third] = await put(
        store,
        [20, 10, 30].map((ms) => job('a', { readyAtMs: T + ms })),
      );
      await store.promoteDue(T + 30);
      expect(idsOf(await claim(store, 1, { nowMs: T + 30 }))).toEqual([second]);
      expect(idsOf(await claim(store, { a: 9 }, { nowMs: T + 30 }))).toEqual([first, third]);
    });

    it('are of eligible kinds only, also behind others', async () => {
      await using store = await make();
      await put(store, [...many('a', 3), job('a', { kind: 'sync' }), job('b', { kind: 'report' })]);
      for (const what of [9, { a: 9, b: 9 }]) expect(await claim(store, what, { eligible: [] })).toEqual([]);
      expect(await claim(store, { a: 2, b: 2 }, { eligible: only('sync') })).toMatchObject([
        { kind: 'sync' },
      ]);
      expect(await claim(store, 9, { eligible: only('report') })).toMatchObject([{ kind: 'report' }]);
      expect(await claim(store, 9, { eligible: [...only('sync'), ...only('mail')] })).toHaveLength(3);
    });

    it('keep to the limit of a kind, which tenants share in turns', async () => {
      await using store = await make();
      await put(store, [...many('a', 4), ...many('b', 4), job('a', { kind: 'sync' })]);
      expect(tenantsOf(await claim(store, { a: 3, b: 3 }, { eligible: only('mail', 2) }))).toBe('ab');
      expect(await claim(store, 9, { eligible: only('mail', 0) })).toEqual([]);
      const eligible = [...only('mail', 3), ...only('sync')];
      const kinds = (await claim(store, 9, { eligible })).map(({ kind }) => kind);
      expect(kinds).toEqual(['mail', 'mail', 'mail', 'sync']);
    });

    it('are of two owners at once without ever doubling a job', async () => {
      await using store = await make();
      await using other = another ? await another(store) : null;
      await put(
        store,
        Array.from({ length: 120 }, (_, i) => job(`t${i % 4}`)),
      );
      const claimed = new Map<string, number[]>();
      const work = async (on: Store, owner: string, what: Parameters<typeof claim>[1]) => {
        const ids: number[] = [];
        claimed.set(owner, ids);
        // A busy neighbour may leave nothing for a moment (SKIP LOCKED): ask again.
        for (let empty = 0; empty < 5;) {
          const claims = await claim(on, what, { owner });
          if (claims.length === 0) empty++;
          ids.push(...idsOf(claims));
        }
      };
      await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          work(i % 2 && other ? other : store, `owner-${i}`, i % 3 ? { t0: 2, t1: 2, t2: 2, t3: 2 } : 5),
        ),
      );
      const ids = [...claimed.values()].flat();
      expect(ids).toHaveLength(120);
      expect(new Set(ids).size).toBe(120);
    });
  });

  describe('ready tenants', () => {
    const seen = async (store: Store, after: string | null, limit: number, eligible = ANY) => {
      const tenants = await store.ready({ after, limit, eligible });
      for (const { readyAtLeast } of tenants) expect(readyAtLeast).toBeGreaterThanOrEqual(1);
      return tenants.map(({ tenantId }) => tenantId);
    };

    it('are shown around the circle from any place in it', async () => {
      await using store = await make();
      await put(
        store,
        ['d', 'b', 'f', 'b', 'h'].map((tenantId) => job(tenantId)),
      );
      expect(await seen(store, null, 9)).toEqual(['b', 'd', 'f', 'h']);
      expect(await seen(store, 'd', 9)).toEqual(['f', 'h', 'b', 'd']);
      expect(await seen(store, 'e', 3)).toEqual(['f', 'h', 'b']);
      expect(await seen(store, 'h', 1)).toEqual(['b']);
      expect(await seen(store, 'z', 2)).toEqual(['b', 'd']);
      expect(await seen(store, 'a', 0)).toEqual([]);
      for (const { readyAtLeast } of await store.ready({ after: null, limit: 9, eligible: ANY }))
        expect(readyAtLeast).toBeLessThanOrEqual(2);
    });

    it('have work of an eligible kind that is ready', async () => {
      await using store = await make();
      await put(store, [
        job('a'),
        job('b', { readyAtMs: T + 9 }),
        job('c', { kind: 'sync' }),
        job('d'),
        job('d', { kind: 'sync' }),
      ]);
      expect(await seen(store, null, 9)).toEqual(['a', 'c', 'd']);
      expect(await seen(store, null, 9, only('sync'))).toEqual(['c', 'd']);
      expect(await seen(store, 'c', 9, [...only('mail', 1), ...only('report')])).toEqual(['d', 'a']);
      await claim(store, { a: 1, d: 1 }, { eligible: only('mail') });
      expect(await seen(store, null, 9)).toEqual(['c', 'd']);
      expect(await seen(store, null, 9, only('mail'))).toEqual([]);
      await store.promoteDue(T + 9);
      expect(await seen(store, null, 9)).toEqual(['b', 'c', 'd']);
      expect(await seen(store, null, 9, [])).toEqual([]);
    });

    it('are told apart and ordered byte by byte', async () => {
      await using store = await make();
      // U+FF5E stands before U+1F4E6 in UTF-8 and after it in UTF-16, the order of JavaScript's `<`.
      const tenants = [
        ...[
          'A',
          'a',
          'a ',
          'a  b',
          'B',
          'b',
          'ä',
          'Ä',
          'é',
          'e\u0301',
          '～',
          '📦',
          '📦📦',
          "o'hara",
          '"x"',
          '\\',
          '%',
          '_',
          '1',
          '10',
          '2',
        ],
        'x'.repeat(255),
        '📦'.repeat(127),
      ];
      const sorted = [...tenants].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      await put(
        store,
        tenants.map((tenantId) => job(tenantId)),
      );
      expect(await seen(store, null, 99)).toEqual(sorted);
      for (const [i, after] of sorted.entries())
        expect(await seen(store, after, 99)).toEqual([...sorted.slice(i + 1), ...sorted.slice(0, i + 1)]);
      const depths = await store.depths(100);
      expect(new Set(depths.tenants.map(({ tenantId }) => tenantId))).toEqual(new Set(tenants));
      for (const tenantId of ['a ', "o'hara", '📦'])
        expect(await claim(store, { [tenantId]: 5 })).toMatchObject([
          { tenantId, payload: { to: tenantId } },
        ]);
    });

    it('had the last turn as the store remembers it', async () => {
      await using store = await make();
      expect(await store.cursor()).toBeNull();
      await put(store, many('a', 1));
      await claim(store, { a: 1 }, { cursor: 'a 📦' });
      await claim(store, { a: 1 });
      expect(await store.cursor()).toBe('a 📦');
      expect((await store.depths(0)).cursor).toBe('a 📦');
    });
  });

  describe('settlements', () => {
    it('and new claims are one commit', async () => {
      await using store = await make();
      const [done = 0, retried = 0, killed = 0, returned = 0, fresh = 0] = await put(store, many('a', 5));
      const [one, two, three, four] = await claim(store, 4);
      if (!one || !two || !three || !four) throw new Error('too few claims');
      const { taken, claims } = await store.exchange(
        asked(
          { a: 1 },
          {
            nowMs: T + 50,
            settlements: [
              ending(one, 'done'),
              ending(two, 'retry', T + 100),
              ending(three, 'dead'),
              ending({ ...four, fence: four.fence + 1 }, 'returned'),
            ],
          },
        ),
      );
      expect(taken).toEqual([true, true, true, false]);
      expect(idsOf(claims)).toEqual([fresh]);
      expect(await store.job(done)).toBeNull();
      expect(await store.job(retried)).toMatchObject({ state: 'delayed', readyAtMs: T + 100, owner: null });
      expect(await store.job(killed)).toMatchObject({
        state: 'dead',
        attempts: 1,
        claimedAtMs: null,
        owner: null,
      });
      expect(await store.job(returned)).toMatchObject({ state: 'running', owner: 'one', claimedAtMs: T });
      expect(await depthOf(store, 'a')).toMatchObject({
        ready: { value: 0 },
        delayed: { value: 1 },
        running: { value: 2 },
        dead: { value: 1 },
        attemptsTotal: 3,
        arrivalsTotal: 5,
      });
    });

    it('retry at the time given and count the attempts', async () => {
      await using store = await make();
      await put(store, [job('a', { priority: 4, maxAttempts: 9 })]);
      const first = await claimOne(store);
      expect(await settle(store, [ending(first, 'retry', T + 99.5)])).toEqual([true]);
      expect(await claim(store, 1)).toEqual([]);
      expect(await store.promoteDue(T + 100)).toBeNull();
      const second = await claimOne(store, { nowMs: T + 150 });
      expect(second).toMatchObject({
        attempt: 2,
        readyAtMs: T + 100,
        createdAtMs: T,
        priority: 4,
        maxAttempts: 9,
      });
      expect(second.fence).toBeGreaterThan(first.fence);
      // One that is to be tried again at once.
      await settle(store, [ending(second, 'retry', T + 200)], { nowMs: T + 200 });
      expect(await claimOne(store, { nowMs: T + 201 })).toMatchObject({ attempt: 3, readyAtMs: T + 200 });
    });

    it('take a returned job back to its place without counting the attempt', async () => {
      await using store = await make();
      const [first] = await put(store, many('a', 2));
      const claimed = await claimOne(store, { nowMs: T + 5 });
      expect(await settle(store, [ending(claimed, 'returned')], { nowMs: T + 9 })).toEqual([true]);
      expect((await claim(store, { a: 1 }))[0]).toMatchObject({ id: first, attempt: 1, readyAtMs: T });
      expect((await depthOf(store, 'a'))?.attemptsTotal).toBe(0);
    });

    it('of a claim that is no longer its owner’s are refused, and change nothing', async () => {
      await using store = await make();
      const [id = 0] = await put(store, [job('a')]);
      const old = await claimOne(store);
      const every = (of: typeof old) =>
        (['done', 'retry', 'dead', 'returned'] as const).map((how) => ending(of, how, T + 1));
      const refused = [false, false, false, false];

      expect(await settle(store, every(old), { owner: 'two' })).toEqual(refused);
      expect(await settle(store, every({ ...old, fence: old.fence + 1 }))).toEqual(refused);
      expect(await settle(store, every({ ...old, fence: old.fence - 1 }))).toEqual(refused);
      expect(await settle(store, every({ ...old, id: id + 1 }))).toEqual(refused);
      expect(await settle(store, [ending(old, 'returned'), ...every(old)])).toEqual([true, ...refused]);
      const next = await claimOne(store, { nowMs: T + 2 });
      expect(next.fence).toBeGreaterThan(old.fence);
      expect(await settle(store, every(old))).toEqual(refused);
      expect(await store.job(id)).toMatchObject({
        state: 'running',
        claimedAtMs: T + 2,
        attempts: 0,
        failedAttempts: [],
      });
      expect(await settle(store, [ending(next, 'done'), ...every(next)])).toEqual([true, ...refused]);
      expect(await depthOf(store, 'a')).toMatchObject({ running: { value: 0 }, attemptsTotal: 1 });
    });

    it('keep the last ten failed attempts, newest first, as they were told', async () => {
      await using store = await make();
      const [id = 0] = await put(store, [job('a', { maxAttempts: 99 })]);
      const told = [];
      for (let attempt = 1; attempt <= FAILED_ATTEMPTS_KEPT + 2; attempt++) {
        const claimed = await claimOne(store, { nowMs: T + attempt });
        const failure = { class: 'quota' as const, message: `Grüße 📦 ${attempt}`, stderrTail: 'a\n"b"\\' };
        told.unshift(failed(claimed, failure));
        await settle(store, [ending(claimed, 'retry', T + attempt, failure)], { nowMs: T + attempt });
      }
      const record = await store.job(id);
      expect(record).toMatchObject({ state: 'ready', attempts: FAILED_ATTEMPTS_KEPT + 2, maxAttempts: 99 });
      expect(record?.failedAttempts).toEqual(told.slice(0, FAILED_ATTEMPTS_KEPT));
    });
  });
}
