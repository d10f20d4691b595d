// Counts and durations of the last while, at bounded memory: the while is cut into slices, and the oldest slice goes when a
// new one begins.
import type { Percentiles } from '../../contract/engine-report.ts';
import { QuantileSketch } from '../../core/sketch.ts';

/** Under so many observations percentiles are not told. */
const ENOUGH = 20;

/** How often something happened in the last `slices` × `sliceMs`. */
export class SlidingCount {
  readonly #sliceMs: number;
  readonly #slices: number[];
  #index = -Infinity;
  #sum = 0;

  constructor(slices: number, sliceMs: number) {
    this.#sliceMs = sliceMs;
    this.#slices = new Array<number>(slices).fill(0);
  }

  add(nowMs: number): void {
    const place = this.#turnTo(nowMs);
    this.#slices[place] = (this.#slices[place] ?? 0) + 1;
    this.#sum += 1;
  }

  sum(nowMs: number): number {
    this.#turnTo(nowMs);
    return this.#sum;
  }

  /** The place of the slice of `nowMs`; a clock that is set back goes on in the present slice. */
  #turnTo(nowMs: number): number {
    const index = Math.max(this.#index, Math.floor(nowMs / this.#sliceMs));
    const { length } = this.#slices;
    for (let i = Math.max(this.#index + 1, index - length + 1); i <= index; i++) {
      this.#sum -= this.#slices[i % length] ?? 0;
      this.#slices[i % length] = 0;
    }
    this.#index = index;
    return index % length;
  }
}

/** Durations of the last minutes. */
export class SlidingSketch {
  readonly #sliceMs: number;
  readonly #kept: number;
  #slices: { index: number; sketch: QuantileSketch }[] = [];

  constructor(slices: number, sliceMs: number) {
    this.#kept = slices;
    this.#sliceMs = sliceMs;
  }

  add(nowMs: number, valueMs: number): void {
    const index = Math.floor(nowMs / this.#sliceMs);
    let last = this.#slices.at(-1);
    if (last === undefined || last.index < index) {
      last = { index, sketch: new QuantileSketch() };
      this.#slices = [...this.#fresh(index), last];
    }
    last.sketch.add(valueMs);
  }

  percentiles(nowMs: number): Percentiles {
    const all = new QuantileSketch();
    for (const { sketch } of this.#fresh(Math.floor(nowMs / this.#sliceMs))) all.merge(sketch);
    const { count } = all;
    if (count < ENOUGH) return { count, p50Ms: null, p95Ms: null, p99Ms: null, maxMs: null };
    const [p50Ms = null, p95Ms = null, p99Ms = null] = all.quantiles([0.5, 0.95, 0.99]);
    return { count, p50Ms, p95Ms, p99Ms, maxMs: all.max };
  }

  #fresh(index: number): { index: number; sketch: QuantileSketch }[] {
    return this.#slices.filter((slice) => slice.index > index - this.#kept);
  }
}
