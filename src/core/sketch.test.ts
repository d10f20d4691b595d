import { describe, expect, it } from 'vitest';
import { seededRandom } from './seeded-random.ts';
import { LARGEST, MAX_BUCKETS, QuantileSketch, RELATIVE_ERROR, SMALLEST } from './sketch.ts';

const QUANTILES = [0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1];

function sketchOf(values: number[]): QuantileSketch {
  const sketch = new QuantileSketch();
  for (const value of values) sketch.add(value);
  return sketch;
}

/** The definition: the value of rank floor(q (n − 1)) in ascending order. */
function trueQuantile(values: number[], q: number): number {
  const value = values.toSorted((a, b) => a - b)[Math.floor(q * (values.length - 1))];
  if (value === undefined) throw new Error('no values');
  return value;
}

function expectQuantilesOf(sketch: QuantileSketch, values: number[]): void {
  for (const q of QUANTILES) {
    const expected = trueQuantile(values, q);
    const slack = expected < SMALLEST ? SMALLEST : expected * RELATIVE_ERROR * (1 + 1e-9);
    expect(Math.abs((sketch.quantile(q) ?? NaN) - expected), `q ${q} of ${expected}`).toBeLessThanOrEqual(
      slack,
    );
  }
}

const random = seededRandom(20_190_812);
const gaussian = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const shapes: Record<string, () => number> = {
  uniform: () => random() * 1_000,
  'log-normal over nine decades': () => Math.exp(gaussian() * 4 + 5),
  'pareto tail': () => 10 / (1 - random()) ** 2,
  'whole ms with many zeros': () => Math.floor(random() * 4),
  'two humps': () => (random() < 0.94 ? 20 + gaussian() : 300_000 + gaussian()),
  'tiny and huge': () => (random() < 0.5 ? random() * 1e-4 : 1e8 * (1 + random())),
};

describe('QuantileSketch', () => {
  for (const [name, draw] of Object.entries(shapes)) {
    it(`is within one per cent of the sorted values: ${name}`, () => {
      for (const size of [1, 2, 19, 100, 5_000]) {
        const values = Array.from({ length: size }, () => Math.abs(draw()));
        const sketch = sketchOf(values);
        expect(sketch.count).toBe(size);
        expect(sketch.min).toBe(Math.min(...values));
        expect(sketch.max).toBe(Math.max(...values));
        expectQuantilesOf(sketch, values);
      }
    });
  }

  it('has nothing to say when empty', () => {
    const sketch = new QuantileSketch();
    expect([sketch.count, sketch.min, sketch.max, sketch.quantile(0.5)]).toEqual([0, null, null, null]);
  });

  it('refuses what is not a duration', () => {
    for (const value of [-1, NaN, Infinity])
      expect(() => new QuantileSketch().add(value)).toThrow(RangeError);
  });

  it('never answers beyond the values it saw', () => {
    const sketch = sketchOf([100]);
    for (const q of QUANTILES) expect(sketch.quantile(q)).toBe(100);
  });

  it('answers the same when parts are merged in any grouping', () => {
    const values = Array.from({ length: 3_000 }, () => Math.exp(gaussian() * 3 + 4));
    const parts = Array.from({ length: 10 }, (_, i) => sketchOf(values.filter((_v, j) => j % 10 === i)));
    const merged = new QuantileSketch();
    for (const part of parts.toReversed()) merged.merge(part);
    const whole = sketchOf(values);
    expect(merged.count).toBe(whole.count);
    for (const q of QUANTILES) expect(merged.quantile(q)).toBe(whole.quantile(q));
  });

  it('forgets a part exactly', () => {
    const kept = Array.from({ length: 500 }, () => 50 + random() * 100);
    const gone = Array.from({ length: 500 }, () => random() * 5_000);
    const sketch = sketchOf([...kept, ...gone, 0]);
    sketch.subtract(sketchOf([...gone, 0]));
    expect(sketch.count).toBe(500);
    expectQuantilesOf(sketch, kept);
    sketch.subtract(sketchOf(kept));
    expect([sketch.count, sketch.min, sketch.quantile(0.5)]).toEqual([0, null, null]);
  });

  it('comes back from its bytes as it was', () => {
    for (const values of [
      [],
      [0],
      [0, 0, 7],
      Array.from({ length: 2_000 }, () => Math.exp(gaussian() * 4)),
    ]) {
      const sketch = sketchOf(values);
      const back = QuantileSketch.decode(sketch.encode());
      expect([back.count, back.min, back.max]).toEqual([sketch.count, sketch.min, sketch.max]);
      for (const q of QUANTILES) expect(back.quantile(q)).toBe(sketch.quantile(q));
    }
  });

  it('keeps counts beyond 32 bits in its bytes', () => {
    const sketch = new QuantileSketch();
    sketch.add(12, 2 ** 45);
    expect(QuantileSketch.decode(sketch.encode()).count).toBe(2 ** 45);
  });

  it('reads bytes that lie inside a larger buffer', () => {
    const bytes = sketchOf([5, 6, 7]).encode();
    const larger = new Uint8Array(bytes.length + 8);
    larger.set(bytes, 3);
    expect(QuantileSketch.decode(larger.subarray(3, 3 + bytes.length)).count).toBe(3);
  });

  it('refuses bytes that no sketch wrote', () => {
    const bytes = sketchOf([1, 10, 100]).encode();
    expect(() => QuantileSketch.decode(new Uint8Array())).toThrow(RangeError);
    expect(() => QuantileSketch.decode(bytes.subarray(0, bytes.length - 1))).toThrow(RangeError);
    expect(() => QuantileSketch.decode(bytes.with(0, 9))).toThrow(RangeError);
    expect(() => QuantileSketch.decode(Uint8Array.from([...bytes, 255, 255, 1, 1]))).toThrow(RangeError);
  });

  it('stays bounded whatever it sees', () => {
    const sketch = new QuantileSketch();
    for (let exponent = -320; exponent < 308; exponent += 0.01) sketch.add(10 ** exponent);
    expect(MAX_BUCKETS).toBeLessThan(1_400);
    // Each bucket takes at most two bytes for the step and two for its count here.
    expect(sketch.encode().length).toBeLessThan(MAX_BUCKETS * 4);
    expect(sketch.quantile(1)).toBeGreaterThanOrEqual(LARGEST * (1 - RELATIVE_ERROR));
  });
});
