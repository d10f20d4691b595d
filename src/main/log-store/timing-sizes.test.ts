import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SizeTable } from './timing-sizes.ts';

function tableOf(points: readonly (readonly [size: number, ms: number])[]) {
  const table = new SizeTable<number>();
  points.forEach(([size, ms], i) => table.add(size, ms, i));
  return { ...table.result(), slowest: table.slowest };
}
const measure = fc.oneof(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.constantFrom(0, 1, 10, 1_000));

describe('SizeTable', () => {
  it('counts each record in the cell between whose edges it lies', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(measure, measure), { maxLength: 60 }), (points) => {
        const { records, sizeEdges, msEdges, density } = tableOf(points);
        expect(records).toBe(points.length);
        expect(density.flat().reduce((sum, count) => sum + count, 0)).toBe(points.length);
        expect(density.length).toBe(Math.max(0, sizeEdges.length - 1));
        expect(density.length).toBeLessThanOrEqual(36);
        for (const [i, row] of density.entries()) {
          expect(row.length).toBe(msEdges.length - 1);
          const [from = 0, to = 0] = [sizeEdges[i], sizeEdges[i + 1]];
          // What is 0 lies in the first cell; edges are powers, exact to the last digit or so.
          const inside = points.filter(
            ([size]) => (i === 0 || size >= from * (1 + 1e-9)) && size < to * (1 - 1e-9),
          );
          const atMost = points.filter(
            ([size]) => (i === 0 || size >= from * (1 - 1e-9)) && size <= to * (1 + 1e-9),
          );
          const count = row.reduce((sum, each) => sum + each, 0);
          expect(count).toBeGreaterThanOrEqual(inside.length);
          expect(count).toBeLessThanOrEqual(atMost.length);
        }
      }),
    );
  });

  it('keeps the slowest, slowest first', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { maxLength: 120 }), (durations) => {
        const { slowest } = tableOf(durations.map((ms) => [1, ms]));
        const wanted = durations.toSorted((a, b) => b - a).slice(0, 50);
        expect(slowest.map((i) => durations[i])).toEqual(wanted);
      }),
    );
  });

  it('finds the power law that durations follow', () => {
    const points = Array.from({ length: 200 }, (_, i): [number, number] => [
      1_000 + i * 500,
      3 * (1_000 + i * 500) ** 0.5,
    ]);
    const { fit } = tableOf([...points, [0, 5], [5, 0]]);
    expect(fit?.slope).toBeCloseTo(0.5, 9);
    expect(Math.exp(fit?.intercept ?? NaN)).toBeCloseTo(3, 9);
    expect(fit?.r2).toBeCloseTo(1, 9);
  });

  it('fits nothing to few records, or to one size', () => {
    expect(tableOf(Array.from({ length: 19 }, (_, i) => [i + 1, i + 1])).fit).toBeNull();
    expect(tableOf(Array.from({ length: 100 }, (_, i) => [500, i + 1])).fit).toBeNull();
    expect(tableOf([])).toMatchObject({ records: 0, sizeEdges: [], msEdges: [], density: [], fit: null });
  });
});
