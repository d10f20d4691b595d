import { describe, expect, it } from 'vitest';
import { decades } from '../chart/density.ts';
import { sizeRows } from './size-rows.ts';

describe('sizes as a table', () => {
  it('joins size cells, leaves out those of none, and counts every record', () => {
    const rows = sizeRows(
      {
        records: 110,
        isWhole: true,
        sizeEdges: [1, 10, 100, 1_000, 10_000],
        msEdges: [1, 10, 100, 1_000],
        density: [
          [60, 0, 0],
          [0, 30, 10],
          [0, 0, 0],
          [0, 0, 10],
        ],
        fit: null,
        slowest: [],
      },
      4,
    );
    expect(rows).toEqual([
      { fromBytes: 1, toBytes: 10, records: 60, p50Ms: 10, p95Ms: 10 },
      { fromBytes: 10, toBytes: 100, records: 40, p50Ms: 100, p95Ms: 1_000 },
      { fromBytes: 1_000, toBytes: 10_000, records: 10, p50Ms: 1_000, p95Ms: 1_000 },
    ]);
  });

  it('labels an axis with powers of ten, as many as have room', () => {
    expect(decades([0.9, 12_000], 10)).toEqual([1, 10, 100, 1_000, 10_000]);
    expect(decades([1, 1e9], 4)).toEqual([1, 1e3, 1e6, 1e9]);
    expect(decades([2, 5], 4)).toEqual([]);
  });
});
