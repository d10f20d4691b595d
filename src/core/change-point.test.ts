import { describe, expect, it } from 'vitest';
import { placeOf, SketchSeries } from './bucket-counts.ts';
import { changePoint, changeRatio, MIN_ON_A_SIDE } from './change-point.ts';
import { seededRandom } from './seeded-random.ts';

type Slots = number[][];

function seriesOf(slots: Slots): SketchSeries {
  const series = new SketchSeries();
  slots.forEach((values, tMs) => {
    for (const value of values) series.pushValue(tMs, value);
  });
  return series;
}

const p95 = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(0.95 * (values.length - 1))] ?? NaN;
const near = (value: number, ratio: number): [number, number] => [value * (1 - ratio), value * (1 + ratio)];

const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
const enough = (...sides: number[][][]): boolean =>
  sides.every((side) => side.flat().length >= MIN_ON_A_SIDE);

/** Every split tried as the definition says, from the values themselves. */
function bruteForce(slots: Slots): { split: number; gain: number } | null {
  const places = slots.map((values) => values.map(placeOf)).filter((values) => values.length > 0);
  // Slots in a row with twenty at least, the last with what is left.
  const groups: number[][] = [[]];
  for (const slot of places) {
    if ((groups.at(-1)?.length ?? 0) >= MIN_ON_A_SIDE) groups.push([]);
    groups.at(-1)?.push(...slot);
  }
  const rest = (groups.at(-1)?.length ?? 0) < MIN_ON_A_SIDE ? (groups.pop() ?? []) : [];
  groups.at(-1)?.push(...rest);
  const mean = (part: number[][]): number =>
    sum(part.map((group) => group.length * Math.max(placeOf(1), p95(group)))) / part.flat().length;
  const levels = groups
    .map((_, at) => [groups.slice(0, at), groups.slice(at)] as const)
    .filter((sides) => enough(...sides))
    .map(([a, b]) => ({ a: mean(a), b: mean(b), weight: a.flat().length * b.flat().length }))
    .sort((x, y) => (y.a - y.b) ** 2 * y.weight - (x.a - x.b) ** 2 * x.weight)[0];
  if (levels === undefined) return null;
  const middle = Math.floor((levels.a + levels.b) / 2);
  const likelihood = (part: number[][]): number => {
    const all = part.flat();
    const slow = all.filter((place) => place > middle).length;
    return sum([slow, all.length - slow].map((n) => (n === 0 ? 0 : n * Math.log(n / all.length))));
  };
  const all = slots.map((values) => values.map(placeOf));
  return (
    slots
      .map((values, split) => ({ values, split, sides: [all.slice(0, split), all.slice(split)] as const }))
      .filter(({ values, sides }) => values.length > 0 && enough(...sides))
      .map(({ split, sides: [a, b] }) => ({ split, gain: likelihood(a) + likelihood(b) - likelihood(all) }))
      .sort((x, y) => y.gain - x.gain)[0] ?? null
  );
}

describe('the moment a p95 changed', () => {
  it('finds a planted step where it is, from what to what', () => {
    const random = seededRandom(3);
    for (let round = 0; round < 30; round++) {
      const at = 5 + Math.floor(random() * 50);
      const factor = random() < 0.5 ? 13 : 1 / 13;
      const slots = Array.from({ length: 60 }, (_, slot) =>
        Array.from({ length: 5 + Math.floor(random() * 4) }, () => {
          const ms = 180 * Math.exp(random() - 0.5);
          return slot < at ? ms : ms * factor;
        }),
      );
      const found = changePoint(seriesOf(slots));
      expect(found?.atMs).toBe(at);
      const [before, after] = [p95(slots.slice(0, at).flat()), p95(slots.slice(at).flat())];
      expect(found?.fromMs).toBeGreaterThanOrEqual(near(before, 0.011)[0]);
      expect(found?.fromMs).toBeLessThanOrEqual(near(before, 0.011)[1]);
      expect(found?.toMs).toBeGreaterThanOrEqual(near(after, 0.011)[0]);
      expect(found?.toMs).toBeLessThanOrEqual(near(after, 0.011)[1]);
    }
  });

  it('finds when only the slowest tenth became slow', () => {
    const slots = Array.from({ length: 60 }, (_, slot) =>
      Array.from({ length: 20 }, (_unused, n) => (slot >= 41 && n % 10 === 0 ? 4_000 : 100 + n)),
    );
    expect(changePoint(seriesOf(slots))?.atMs).toBe(41);
  });

  it('agrees with every split tried one by one, on whatever data', () => {
    const random = seededRandom(11);
    let found = 0;
    for (let round = 0; round < 60; round++) {
      const [at, factor] = [Math.floor(random() * 30), 1 + random() ** 3 * 10];
      const slots = Array.from({ length: 30 }, (_, slot) =>
        Array.from({ length: Math.floor(random() * 12) }, () => {
          const ms = 50 * Math.exp(3 * (random() - 0.5));
          return slot < at ? ms : ms * factor;
        }),
      );
      const [change, best] = [changePoint(seriesOf(slots)), bruteForce(slots)];
      if (change === null) {
        // Only for want of evidence, or because the change is small.
        const split = best?.split ?? 0;
        const ratio = changeRatio({
          fromMs: p95(slots.slice(0, split).flat()),
          toMs: p95(slots.slice(split).flat()),
        });
        expect((best?.gain ?? 0) <= 15 || ratio < 1.23).toBe(true);
        continue;
      }
      found++;
      expect(change.atMs).toBe(best?.split);
    }
    expect(found).toBeGreaterThan(10);
  });

  it('says nothing of chance, of few, of what is the same, and of what nobody notices', () => {
    const random = seededRandom(5);
    for (let round = 0; round < 200; round++) {
      const noise = Array.from({ length: 96 }, () =>
        Array.from({ length: Math.floor(random() * 20) }, () => Math.exp(random() * 8)),
      );
      expect(changePoint(seriesOf(noise))).toBeNull();
    }
    const step = (each: number, from: number, to: number): Slots =>
      Array.from({ length: 20 }, (_, slot) => Array.from({ length: each }, () => (slot < 10 ? from : to)));
    expect(changePoint(seriesOf(step(2, 100, 900)))?.atMs).toBe(10);
    expect(changePoint(seriesOf(step(1, 100, 900)))).toBeNull();
    expect(changePoint(seriesOf(step(5, 100, 100)))).toBeNull();
    expect(changePoint(seriesOf(step(5, 100, 110)))).toBeNull();
    expect(changePoint(seriesOf(step(5, 0.01, 0.9)))).toBeNull();
    expect(changePoint(new SketchSeries())).toBeNull();
  });

  it('counts a fall like a rise', () => {
    expect(changeRatio({ fromMs: 200, toMs: 2_000 })).toBeCloseTo(10);
    expect(changeRatio({ fromMs: 2_000, toMs: 200 })).toBeCloseTo(10);
    expect(changeRatio({ fromMs: 0, toMs: 2 })).toBeCloseTo(2);
  });
});
