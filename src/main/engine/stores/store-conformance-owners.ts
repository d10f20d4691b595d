// Part of the conformance suite: engines that live, fall silent and are succeeded.
import { describe, expect, it } from 'vitest';
import {
  claim,
  claimOne,
  depthOf,
  ending,
  idsOf,
  job,
  put,
  settle,
  statesOf,
  T,
  type StoreFixture,
} from './store-conformance-acts.ts';

export function ownerPromises({ make, another }: StoreFixture): void {
  describe('owners', () => {
    it('are known by their beats until they leave', async () => {
      await using store = await make();
      expect(await store.owners()).toEqual([]);
      await store.beat('one', '{"state":"working"}', T);
      await store.beat('two', '{"pack":"📦"}', T + 1);
      await store.beat('one', '{"state":"stopping"}', T + 5);
      await store.leave('nobody');
      await using other = another ? await another(store) : null;
      expect((await (other ?? store).owners()).sort((a, b) => a.beatAtMs - b.beatAtMs)).toEqual([
        { id: 'two', beatAtMs: T + 1, report: '{"pack":"📦"}' },
        { id: 'one', beatAtMs: T + 5, report: '{"state":"stopping"}' },
      ]);
      await store.leave('two');
      expect((await store.owners()).map(({ id }) => id)).toEqual(['one']);
    });

    it('lose their jobs when they fall silent, and only then; what they send in late is refused', async () => {
      await using store = await make();
      await using second = another ? await another(store) : null;
      const other = second ?? store;
      await store.beat('silent', '{}', T);
      await other.beat('alive', '{}', T);
      await put(store, [job('a'), job('b'), job('c')]);
      const lost = await claimOne(store, { owner: 'silent', nowMs: T + 2 });
      const kept = await claimOne(other, { owner: 'alive' });
      const own = await claimOne(other, { owner: 'new' });
      await other.beat('alive', '{}', T + 1_000);
      const request = { except: 'new', silentSinceMs: T + 500, nowMs: T + 1_000 };
      expect(await other.reclaim(request)).toBe(1);
      expect(await other.reclaim(request)).toBe(0);

      // Refused while nobody has it, and when a new owner has it.
      expect(await settle(store, [ending(lost, 'done')], { owner: 'silent' })).toEqual([false]);
      const again = await claimOne(other, { owner: 'new', nowMs: T + 1_001 });
      expect(again).toMatchObject({ id: lost.id, attempt: 2, readyAtMs: T + 1_000 });
      for (const how of ['done', 'returned', 'dead', 'retry'] as const)
        expect(await settle(store, [ending(lost, how)], { owner: 'silent' })).toEqual([false]);
      expect(await settle(store, [ending(kept, 'done')], { owner: 'alive' })).toEqual([true]);
      expect(await settle(store, [ending(own, 'done')], { owner: 'new' })).toEqual([true]);
      expect(await depthOf(store, 'a')).toMatchObject({ running: { value: 1 }, attemptsTotal: 1 });
      expect((await store.job(lost.id))?.failedAttempts).toEqual([
        {
          attempt: 1,
          owner: 'silent',
          startedAtMs: T + 2,
          waitMs: 2,
          runMs: 998,
          stages: {},
          failure: expect.objectContaining({ class: 'transient' }) as object,
        },
      ]);
    });

    it('that never beat are silent', async () => {
      await using store = await make();
      await put(store, [job('a')]);
      await claimOne(store, { owner: 'mute' });
      expect(await store.reclaim({ except: 'new', silentSinceMs: T - 1, nowMs: T + 3 })).toBe(1);
      expect(await claim(store, 1, { owner: 'new', nowMs: T + 3 })).toMatchObject([{ attempt: 2 }]);
    });

    it('that keep dying with a job bury it at its last attempt, with what waits for it', async () => {
      await using store = await make();
      const ids = await put(store, [job('a', { maxAttempts: 2 }), job('a', { dependsOn: [{ row: 0 }] })]);
      for (const owner of ['first', 'second']) {
        expect(idsOf(await claim(store, 9, { owner }))).toEqual([ids[0]]);
        expect(await store.reclaim({ except: 'new', silentSinceMs: T, nowMs: T })).toBe(1);
      }
      expect(await statesOf(store, ids)).toEqual(['dead', 'blocked']);
      expect(await depthOf(store, 'a')).toMatchObject({
        ready: { value: 0 },
        dead: { value: 1 },
        attemptsTotal: 2,
      });
      expect(await store.deadGroups(9)).toMatchObject([{ kind: 'mail', class: 'transient', count: 1 }]);
    });

    it('share one clock', async () => {
      await using store = await make();
      const before = Date.now();
      const at = await store.time();
      // The servers of the tests run on this machine.
      expect(at).toBeGreaterThanOrEqual(before - 2_000);
      expect(at).toBeLessThanOrEqual(Date.now() + 2_000);
    });
  });
}
