import { describe, expect, it } from 'vitest';
import { BucketCounts, SketchSeries } from './bucket-counts.ts';
import { seededRandom } from './seeded-random.ts';
import { QuantileSketch } from './sketch.ts';

const random = seededRandom(7);
const anyMs = (): number => (random() < 0.05 ? random() * 5e-4 : Math.exp(random() * 20 - 4));

describe('a series of sketches', () => {
  it('counts as the sketches themselves do, whether given as bytes or as values', () => {
    const series = new SketchSeries();
    const whole = new QuantileSketch();
    for (let slot = 0; slot < 40; slot++) {
      const sketch = new QuantileSketch();
      for (let n = Math.floor(random() * 60); n > 0; n--) {
        const ms = anyMs();
        whole.add(ms);
        if (slot % 2 === 0) sketch.add(ms);
        else series.pushValue(slot, ms);
      }
      if (sketch.count === 0) continue;
      // In the middle of a larger block, as it lies in a chunk.
      const bytes = sketch.encode();
      const block = new Uint8Array([9, 9, 9, ...bytes, 9]);
      series.push(slot, new DataView(block.buffer), 3, 3 + bytes.length);
    }
    const counts = new BucketCounts();
    for (const slot of series.slots) counts.add(series, slot);
    const qs = [0, 0.01, 0.3, 0.5, 0.95, 0.99, 1];
    expect(counts.quantiles(qs)).toEqual(whole.quantiles(qs));
    expect(counts).toMatchObject({ count: whole.count, max: whole.max });
  });

  it('gives every value back within 1 %', () => {
    const values = [0, 0.0004, 0.02, 1, 7, 7, 900, 3e6];
    const series = new SketchSeries();
    for (const value of values) series.pushValue(0, value);
    const counts = new BucketCounts();
    for (const slot of series.slots) counts.add(series, slot);
    const given = counts.values();
    expect(given).toHaveLength(values.length);
    values.forEach((value, i) => {
      expect(Math.abs((given[i] ?? NaN) - value)).toBeLessThanOrEqual(Math.max(0.011 * value, 0.001));
    });
  });

  it('is empty again once cleared', () => {
    const series = new SketchSeries();
    series.pushValue(0, 12);
    const [slot] = series.slots;
    const counts = new BucketCounts();
    if (slot !== undefined) counts.add(series, slot);
    counts.clear();
    expect(counts.quantiles([0.5])).toEqual([]);
    expect(counts.max).toBeNull();
    expect(counts.values()).toEqual([]);
  });

  it('refuses bytes that no sketch wrote', () => {
    const sketch = new QuantileSketch();
    for (const ms of [1, 50, 3000]) sketch.add(ms);
    const bytes = sketch.encode();
    const push = (of: Uint8Array): void =>
      new SketchSeries().push(0, new DataView(of.buffer, of.byteOffset), 0, of.length);
    expect(() => push(bytes)).not.toThrow();
    expect(() => push(bytes.slice(0, 10))).toThrow(RangeError);
    expect(() => push(bytes.slice(0, -1))).toThrow(RangeError);
    expect(() => push(Uint8Array.from(bytes, (byte, i) => (i === 0 ? 99 : byte)))).toThrow(RangeError);
  });
});
