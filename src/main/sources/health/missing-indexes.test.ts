import { expect, test } from 'vitest';
import { mostUseful, savesEnough, type Saving } from './missing-indexes.ts';

const saving = (
  columns: string,
  saved: number,
  changes: { where?: string; table?: string; why?: string } = {},
): Saving => {
  const { where = null, table = 'jobs', why = columns } = changes;
  return {
    ...{ columns: columns.split(','), where, saved },
    missing: {
      ...{ table, why, ddl: `${table} ${columns} ${where ?? ''}`, rowsNow: saved, rowsThen: 0, sizeBytes: 1 },
      cost: '',
    },
  };
};
const told = (...savings: Saving[]) => mostUseful(savings).map(({ ddl, why }) => [ddl.trim(), why]);

test('each index is told once, the most useful first, with all reasons', () => {
  expect(told(saving('a', 10), saving('b', 30), saving('a', 20, { why: 'more.' }))).toEqual([
    ['jobs b', 'b'],
    ['jobs a', 'more. a'],
  ]);
});

test('one that begins another is left to it, unless table or rows differ', () => {
  expect(told(saving('a', 30), saving('a,b,c', 10), saving('a,b', 20))).toEqual([
    ['jobs a,b,c', 'a,b,c. a. a,b'],
  ]);
  expect(
    told(saving('a', 30), saving('a,b', 10, { where: 'x' }), saving('a,b', 5, { table: 'other' })),
  ).toHaveLength(3);
});

test('a small table, and a small saving, is not worth a word', () => {
  expect(savesEnough({ tableRows: 9_999, rowsNow: 9_999, rowsThen: 1 })).toBe(false);
  expect(savesEnough({ tableRows: 20_000, rowsNow: 900, rowsThen: 1 })).toBe(false);
  expect(savesEnough({ tableRows: 20_000, rowsNow: 20_000, rowsThen: 11_000 })).toBe(false);
  expect(savesEnough({ tableRows: 20_000, rowsNow: 20_000, rowsThen: 10 })).toBe(true);
  expect(savesEnough({ tableRows: 20_000, rowsNow: 20_000, rowsThen: null })).toBe(true);
  expect(savesEnough({ tableRows: 20_000, rowsNow: 500, rowsThen: null })).toBe(false);
});
