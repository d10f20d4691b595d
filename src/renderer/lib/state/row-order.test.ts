import { describe, expect, it } from 'vitest';
import { tenantRow } from '../../../contract/plain-rows.ts';
import { exact } from '../../../core/count.ts';
import { seededRandom } from '../../../core/seeded-random.ts';
import { compareRows, movedRows, rowFilter } from './row-order.ts';

const names = (rows: { name: string }[]): string[] => rows.map(({ name }) => name);

describe('order', () => {
  it('puts the worst lag first and the unknown last', () => {
    const rows = [
      tenantRow({ id: '1', name: 'blind', lagMs: null, status: 'no-data' }),
      tenantRow({ id: '2', name: 'late', lagMs: 200_000, status: 'lagging' }),
      tenantRow({ id: '3', name: 'worst', lagMs: 300_000, status: 'lagging' }),
      tenantRow({ id: '4', name: 'fine', lagMs: 0 }),
    ];
    expect(names(rows.sort(compareRows('lag')))).toEqual(['worst', 'late', 'fine', 'blind']);
  });

  it('orders by whole seconds, then by name, so that fractions move nobody; idle tenants come last', () => {
    const rows = [
      tenantRow({ id: '1', name: 'b', lagMs: 1_100 }),
      tenantRow({ id: '2', name: 'a', lagMs: 1_900 }),
      tenantRow({ id: '3', name: 'c', lagMs: 2_000 }),
      tenantRow({ id: '4', name: '0', lagMs: 0, status: 'idle' }),
      tenantRow({ id: '5', name: 'd', lagMs: 900 }),
    ].reverse();
    expect(names(rows.sort(compareRows('lag')))).toEqual(['c', 'a', 'b', 'd', '0']);
  });

  it('orders by the other columns too', () => {
    const rows = [tenantRow({ id: '1', ready: exact(2) }), tenantRow({ id: '2', ready: exact(5) })];
    expect(rows.sort(compareRows('ready')).map(({ id }) => id)).toEqual(['2', '1']);
  });
});

describe('filter', () => {
  it('finds all words anywhere, in any case', () => {
    const row = tenantRow({ id: '17', name: 'Mailflow', detail: 'acme', status: 'lagging' });
    expect(rowFilter('flow ACME', null)?.(row)).toBe(true);
    expect(rowFilter('17', null)?.(row)).toBe(true);
    expect(rowFilter('mailflow globex', null)?.(row)).toBe(false);
    expect(rowFilter('mailflow', 'stalled')?.(row)).toBe(false);
    expect(rowFilter('  ', null)).toBeNull();
  });
});

describe('movedRows', () => {
  it('counts what has to move, not what slides', () => {
    expect(movedRows(['a', 'b', 'c', 'd'], ['a', 'b', 'c', 'd'])).toBe(0);
    expect(movedRows(['a', 'b', 'c', 'd'], ['d', 'a', 'b', 'c'])).toBe(1);
    expect(movedRows(['a', 'b', 'c'], ['c', 'b', 'a'])).toBe(2);
  });

  it('counts new and vanished rows', () => {
    expect(movedRows(['a', 'b'], ['x', 'a', 'b'])).toBe(1);
    expect(movedRows(['a', 'b'], ['a'])).toBe(1);
  });

  it('agrees with trying all subsets', () => {
    const random = seededRandom(7);
    for (let round = 0; round < 60; round += 1) {
      const from = ['a', 'b', 'c', 'd', 'e', 'f'].filter(() => random() < 0.8);
      const to = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].filter(() => random() < 0.8).sort(() => random() - 0.5);
      let kept = 0;
      for (let mask = 0; mask < 1 << to.length; mask += 1) {
        const run = to.filter((_, index) => (mask >> index) & 1).map((id) => from.indexOf(id));
        if (run.every((at, index) => at >= 0 && (index === 0 || at > (run[index - 1] ?? -1))))
          kept = Math.max(kept, run.length);
      }
      const gone = from.length - from.filter((id) => to.includes(id)).length;
      const common = from.length - gone;
      const added = to.length - common;
      expect(movedRows(from, to)).toBe(added + gone + (common - kept));
    }
  });
});
