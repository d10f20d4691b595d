import { expect, test } from 'vitest';
import { sumTallies } from './sum-tallies.ts';

test('rates add up over different watched times', () => {
  const sum = sumTallies([
    { count: 10, coveredMs: 1_000 },
    { count: 30, coveredMs: 10_000 },
  ]);
  expect(sum.count).toBe(40);
  expect(sum.count / sum.coveredMs).toBeCloseTo(0.01 + 0.003, 12);
});

test('nothing watched covers nothing; watched silence covers its time', () => {
  expect(sumTallies([])).toEqual({ count: 0, coveredMs: 0 });
  expect(sumTallies([{ count: 0, coveredMs: 0 }])).toEqual({ count: 0, coveredMs: 0 });
  expect(
    sumTallies([
      { count: 0, coveredMs: 4_000 },
      { count: 0, coveredMs: 9_000 },
    ]),
  ).toEqual({
    count: 0,
    coveredMs: 4_000,
  });
});
