import { describe, expect, it } from 'vitest';
import { FIRST_TURN, nextTurn, nextTurns, type TurnCursor } from './fair-order.ts';
import { seededRandom } from './seeded-random.ts';

describe('nextTurn', () => {
  it('gives nobody a turn when nothing is ready', () => {
    expect(nextTurn([], { after: 'a' })).toBeNull();
  });

  it('begins at the lowest key and wraps around after the highest', () => {
    const served: number[] = [];
    let cursor: TurnCursor<number> = FIRST_TURN;
    for (let i = 0; i < 7; i++) {
      const turn = nextTurn([3, 12, 17], cursor);
      if (turn === null) throw new Error('somebody is ready');
      served.push(turn.tenant);
      cursor = turn.cursor;
    }
    expect(served).toEqual([3, 12, 17, 3, 12, 17, 3]);
  });

  it('goes on behind a tenant that has nothing ready any more', () => {
    expect(nextTurn(['a', 'c', 'd'], { after: 'b' })?.tenant).toBe('c');
    expect(nextTurn(['a', 'c'], { after: 'z' })?.tenant).toBe('a');
  });

  it('compares numbers as numbers', () => {
    expect(nextTurn([9, 10], { after: 9 })?.tenant).toBe(10);
  });

  it('survives being written down between two turns', () => {
    const first = nextTurn(['a', 'b'], FIRST_TURN);
    const restored = JSON.parse(JSON.stringify(first?.cursor)) as TurnCursor;
    expect(nextTurn(['a', 'b'], restored)?.tenant).toBe('b');
  });

  it('lets nobody who stays ready wait longer than one round, whatever the others do', () => {
    const random = seededRandom(41);
    const watched = 20;
    let cursor: TurnCursor<number> = FIRST_TURN;
    let sinceServed = 0;
    for (let step = 0; step < 20_000; step++) {
      const ready = Array.from({ length: 41 }, (_, id) => id).filter(
        (id) => id === watched || random() < 0.5,
      );
      const turn = nextTurn(ready, cursor);
      if (turn === null) throw new Error('the watched tenant is ready');
      cursor = turn.cursor;
      sinceServed = turn.tenant === watched ? 0 : sinceServed + 1;
      expect(sinceServed).toBeLessThan(41);
    }
  });
});

describe('nextTurns', () => {
  it('equals asking turn by turn', () => {
    const random = seededRandom(7);
    for (let round = 0; round < 300; round++) {
      const ready = Array.from({ length: Math.floor(random() * 8) }, (_, id) => ({
        tenant: id * 3,
        ready: Math.floor(random() * 5),
      }));
      const start: TurnCursor<number> = { after: random() < 0.1 ? null : Math.floor(random() * 25) };
      const limit = Math.floor(random() * 25);

      const left = new Map(ready.map((entry) => [entry.tenant, entry.ready]));
      const expected: number[] = [];
      let cursor = start;
      while (expected.length < limit) {
        const turn = nextTurn(
          [...left].filter(([, count]) => count > 0).map(([tenant]) => tenant),
          cursor,
        );
        if (turn === null) break;
        expected.push(turn.tenant);
        cursor = turn.cursor;
        left.set(turn.tenant, (left.get(turn.tenant) ?? 0) - 1);
      }
      expect(nextTurns(ready, start, limit)).toEqual({ turns: expected, cursor });
    }
  });

  it('does not let a burst of one tenant push the others back', () => {
    const burst = [
      { tenant: 'edify', ready: 5_000 },
      { tenant: 'mailflow', ready: 1 },
      { tenant: 'shop', ready: 2 },
    ];
    expect(nextTurns(burst, { after: 'edify' }, 5).turns).toEqual([
      'mailflow',
      'shop',
      'edify',
      'shop',
      'edify',
    ]);
  });
});
