// Part of the conformance suite: what goes in, and comes out again as it was.
import { describe, expect, it } from 'vitest';
import {
  claim,
  claimOne,
  depthOf,
  ending,
  finish,
  job,
  put,
  settle,
  T,
  type StoreFixture,
} from './store-conformance-acts.ts';
import { DEFAULT_MAX_ATTEMPTS, IDEMPOTENCY_KEPT_MS } from './store.ts';

export function enqueuePromises({ make }: StoreFixture): void {
  describe('enqueue', () => {
    it('gives back what was enqueued, as it was', async () => {
      await using store = await make();
      const payload = {
        text: 'päckchen 📦 \u0000 \ud800 "\'\\',
        list: [1, null, true, 1e300],
        deep: { empty: {} },
      };
      const [id] = await put(store, [job('a', { payload, maxAttempts: 3, priority: 7, batchId: 'night' })]);
      expect(await claim(store, 1, { nowMs: T + 5 })).toEqual([
        {
          id,
          fence: expect.any(Number) as number,
          tenantId: 'a',
          kind: 'mail',
          payload: JSON.parse(JSON.stringify(payload)) as unknown,
          priority: 7,
          batchId: 'night',
          attempt: 1,
          maxAttempts: 3,
          createdAtMs: T,
          readyAtMs: T,
          claimedAtMs: T + 5,
        },
      ]);
      expect(await claim(store, 1)).toEqual([]);
    });

    it('fills in what was left out', async () => {
      await using store = await make();
      const [id = 0] = await put(store, [job('a')], T + 0.75);
      expect(await store.job(id)).toEqual({
        id,
        tenantId: 'a',
        kind: 'mail',
        state: 'ready',
        priority: 0,
        batchId: null,
        attempts: 0,
        maxAttempts: DEFAULT_MAX_ATTEMPTS,
        createdAtMs: T,
        readyAtMs: T,
        claimedAtMs: null,
        owner: null,
        payloadBytes: 10,
        waitsFor: [],
        failedAttempts: [],
      });
    });

    it('gives ids in the order of the call, above all earlier ones', async () => {
      await using store = await make();
      const ids = [
        ...(await put(
          store,
          Array.from({ length: 300 }, (_, i) => job(`t${i % 7}`, { payload: i })),
        )),
        ...(await put(store, [job('a'), job('b')])),
      ];
      expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
      const claims = await claim(store, 300);
      expect(claims.map(({ payload }) => payload)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    });

    it.each([
      ['nothing', undefined],
      ['a function', () => 0],
      ['a bigint', { count: 1n }],
      [
        'a circle',
        (() => {
          const circle: { self?: unknown } = {};
          circle.self = circle;
          return circle;
        })(),
      ],
    ])(
      'refuses the whole batch for a payload that is no JSON data (%s), and names the row',
      async (_, payload) => {
        await using store = await make();
        await expect(
          store.enqueue([job('a', { idempotencyKey: 'k' }), job('b', { payload })], T),
        ).rejects.toMatchObject({
          code: 'bad-request',
          message: expect.stringMatching(/\b1\b/) as string,
        });
        expect((await store.depths(1)).tenants).toEqual([]);
        expect(await store.enqueue([job('a', { idempotencyKey: 'k' })], T)).toMatchObject([{ fresh: true }]);
      },
    );

    it('takes an empty list', async () => {
      await using store = await make();
      expect(await store.enqueue([], T)).toEqual([]);
    });

    it('enqueues one job an idempotency key, also after the job is done', async () => {
      await using store = await make();
      const keyed = job('a', { idempotencyKey: 'order-7' });
      const [first, second] = await store.enqueue([keyed, { ...keyed, tenantId: 'b' }], T);
      expect(first?.fresh).toBe(true);
      expect(second).toEqual({ id: first?.id, fresh: false });
      await finish(store, first?.id ?? 0);
      expect(await store.enqueue([keyed], T + 1)).toEqual([{ id: first?.id, fresh: false }]);
      expect(
        (await store.depths(1)).tenants.map(({ tenantId, arrivalsTotal }) => [tenantId, arrivalsTotal]),
      ).toEqual([['a', 1]]);
    });

    it('tells keys apart that differ in case or trailing spaces, and remembers them for a day', async () => {
      await using store = await make();
      const keys = ['key', 'KEY', 'key ', 'kéy', "k'; --"];
      const all = keys.map((idempotencyKey) => job('a', { idempotencyKey }));
      const first = await store.enqueue(all, T);
      expect(first.map(({ fresh }) => fresh)).toEqual(keys.map(() => true));
      expect(await store.enqueue(all, T + IDEMPOTENCY_KEPT_MS - 1)).toEqual(
        first.map(({ id }) => ({ id, fresh: false })),
      );
      const later = await store.enqueue(all, T + 2 * IDEMPOTENCY_KEPT_MS);
      expect(later.map(({ fresh }) => fresh)).toEqual(keys.map(() => true));
    });

    it('keeps payload bytes and shows as much of a payload as was asked for', async () => {
      await using store = await make();
      const payload = { text: 'ä📦'.repeat(50) };
      const [id = 0] = await put(store, [job('a', { payload })]);
      const text = JSON.stringify(payload);
      expect((await store.job(id))?.payloadBytes).toBe(Buffer.byteLength(text));
      expect(JSON.parse((await store.payload(id, 1_000)) ?? '')).toEqual(payload);
      const shortened = (await store.payload(id, 20)) ?? '';
      expect(Array.from(shortened).length).toBeLessThanOrEqual(20);
      expect(shortened.length).toBeGreaterThan(10);
      expect(text.replaceAll(' ', '').startsWith(shortened.replaceAll(' ', ''))).toBe(true);
      expect(await store.payload(id + 1, 10)).toBeNull();
      expect(await store.job(id + 1)).toBeNull();
    });

    it('hands over no more than 16 MB of payloads beyond the first claim, and the rest later', async () => {
      await using store = await make();
      const payload = 'x'.repeat(10 * 1024 * 1024);
      for (const tenantId of ['a', 'b', 'c']) await store.enqueue([job(tenantId, { payload })], T);
      const sizes: number[] = [];
      for (let seen = 0; seen < 3;) {
        const claims = await claim(store, { a: 1, b: 1, c: 1 });
        if (claims.length === 0) throw new Error('a job was never handed over');
        expect(claims.every((one) => one.payload === payload)).toBe(true);
        await settle(
          store,
          claims.map((one) => ending(one, 'done')),
        );
        sizes.push(claims.length);
        seen += claims.length;
      }
      expect(Math.max(...sizes)).toBeLessThan(3);
    });

    it('makes delayed jobs ready when their time has come, and says when the next one comes', async () => {
      await using store = await make();
      const [late, early] = await put(store, [
        job('a', { readyAtMs: T + 19.5 }),
        job('a', { readyAtMs: T + 10 }),
      ]);
      expect(await claim(store, 2)).toEqual([]);
      expect(await store.promoteDue(T + 5)).toBe(T + 10);
      expect(await claim(store, 2, { nowMs: T + 5 })).toEqual([]);
      expect(await store.promoteDue(T + 19.9)).toBe(T + 20);
      expect(await store.promoteDue(T + 30)).toBeNull();
      const claims = await claim(store, { a: 2 }, { nowMs: T + 31 });
      expect(claims.map(({ id, readyAtMs }) => [id, readyAtMs])).toEqual([
        [early, T + 10],
        [late, T + 20],
      ]);
    });

    it('takes a time that has passed as now', async () => {
      await using store = await make();
      await store.enqueue([job('a', { readyAtMs: T - 60_000 })], T);
      expect(await claimOne(store)).toMatchObject({ readyAtMs: T, createdAtMs: T });
      expect((await depthOf(store, 'a'))?.arrivalsTotal).toBe(1);
    });
  });
}
