// Part of the conformance suite: whatever happens to the jobs, a store says what a look at every job would say.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claim, job, put, T, type StoreFixture } from './store-conformance-acts.ts';
import { StoreModel } from './store-conformance-model.ts';
import { modelOperation } from './store-conformance-operations.ts';

export function countPromises({ make, runs }: StoreFixture): void {
  describe('depths', () => {
    it('tell of every tenant what a look at every job would tell', async () => {
      await using store = await make();
      const [one, two, three] = await put(store, [
        job('a'),
        job('a'),
        job('a', { priority: 5 }),
        job('b'),
        job('a', { readyAtMs: T + 60 }),
      ]);
      await claim(store, 1, { nowMs: T + 10 });
      const { tenants, frontEndId } = await store.depths(1);
      expect(tenants.find(({ tenantId }) => tenantId === 'a')).toEqual({
        tenantId: 'a',
        ready: { value: 2, kind: 'exact' },
        delayed: { value: 1, kind: 'exact' },
        running: { value: 1, kind: 'exact' },
        waiting: { value: 0, kind: 'exact' },
        blocked: { value: 0, kind: 'exact' },
        dead: { value: 0, kind: 'exact' },
        // Not the one of highest priority.
        oldestReady: { id: two, readyAtMs: T, createdAtMs: T },
        oldestRunningAtMs: T + 10,
        lastStartedAtMs: T + 10,
        arrivalsTotal: 4,
        attemptsTotal: 0,
        frontIds: [two],
      });
      expect(tenants).toHaveLength(2);
      expect(frontEndId).toBe(two);
      expect(one).toBeLessThan(two ?? 0);
      const all = await store.depths(3);
      expect(all.frontEndId).toBeNull();
      expect(all.tenants.find(({ tenantId }) => tenantId === 'a')?.frontIds).toEqual([two, three]);
    });

    it('and all else agree with a plain model after any sequence of calls', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(modelOperation, { minLength: 1, maxLength: 30, size: 'max' }),
          async (operations) => {
            await using store = await make();
            const model = new StoreModel();
            for (const operation of operations) {
              const expected = await model.apply(operation, store);
              expect(expected.seen, JSON.stringify(operation)).toEqual(expected.wanted);
              expect(await model.depthsOf(store)).toEqual(model.depths());
            }
            expect(await model.recordsOf(store)).toEqual(model.records());
          },
        ),
        { numRuns: runs },
      );
    }, 120_000);
  });
}
