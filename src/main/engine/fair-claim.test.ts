import { describe, expect, it } from 'vitest';
import { nextTurns, type ReadyTenant } from '../../core/fair-order.ts';
import { seededRandom } from '../../core/seeded-random.ts';
import { takeTurns, type ReadyAfter } from './fair-claim.ts';

const storeOf =
  (ready: ReadyTenant<string>[]): ReadyAfter =>
  (after, limit) =>
    ready.filter(({ tenant }) => after === null || tenant > after).slice(0, limit);

describe('takeTurns', () => {
  it('gives the turns that the whole circle would give, from a part of it', () => {
    const random = seededRandom(7);
    for (let round = 0; round < 2_000; round++) {
      const ready: ReadyTenant<string>[] = [];
      for (let key = 10; key < 30; key++) {
        if (random() < 0.3) ready.push({ tenant: String(key), ready: 1 + Math.floor(random() * 4) });
      }
      const cursor = { after: random() < 0.1 ? null : String(9 + Math.floor(random() * 22)) };
      const limit = 1 + Math.floor(random() * 12);
      expect(takeTurns(storeOf(ready), cursor, limit)).toEqual(nextTurns(ready, cursor, limit));
    }
  });
});
