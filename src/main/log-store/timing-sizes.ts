// Size against duration: a grid on logarithmic edges, the line that fits best, and the slowest of all.
import type { TimingSizes } from '../../contract/log-search.ts';

const MOST_RECORDS = 1_000_000;
const MOST_SLOWEST = 50;
const MOST_CELLS = 36;
/** Cells in a decade, the finest first that gives few enough of them. */
const PER_DECADE = [12, 6, 4, 3, 2, 1];
const FEWEST_TO_FIT = 20;
/** Less is as good as 0. */
const LEAST = 1e-3;

/** Takes records, the newest first, up to a million; the slowest are kept by `T`, whatever tells where they are. */
export class SizeTable<T> {
  #sizes = new Float64Array(1_024);
  #durations = new Float64Array(1_024);
  #count = 0;
  readonly #slowest: { ms: number; what: T }[] = [];

  get isFull(): boolean {
    return this.#count >= MOST_RECORDS;
  }

  add(sizeBytes: number, ms: number, what: T): void {
    if (this.isFull) return;
    if (this.#count === this.#sizes.length) {
      const length = Math.min(MOST_RECORDS, this.#count * 2);
      this.#sizes = grown(this.#sizes, length);
      this.#durations = grown(this.#durations, length);
    }
    this.#sizes[this.#count] = sizeBytes;
    this.#durations[this.#count] = ms;
    this.#count += 1;
    const last = this.#slowest.at(-1);
    if (this.#slowest.length === MOST_SLOWEST && last !== undefined && ms <= last.ms) return;
    const place = this.#slowest.findIndex((one) => one.ms < ms);
    this.#slowest.splice(place < 0 ? this.#slowest.length : place, 0, { ms, what });
    if (this.#slowest.length > MOST_SLOWEST) this.#slowest.pop();
  }

  /** Slowest first. */
  get slowest(): T[] {
    return this.#slowest.map(({ what }) => what);
  }

  /**
   * What is 0 counts in the lowest cell and for no line: its logarithm is none. The line is ln(ms) = intercept + slope × ln(bytes) by
   * ordinary least squares; null where it is not determined.
   */
  result(): Pick<TimingSizes, 'records' | 'sizeEdges' | 'msEdges' | 'density' | 'fit'> {
    const sizes = this.#sizes.subarray(0, this.#count);
    const durations = this.#durations.subarray(0, this.#count);
    const sizeGrid = new LogGrid(sizes);
    const msGrid = new LogGrid(durations);
    const density = Array.from({ length: sizeGrid.cells }, () => new Array<number>(msGrid.cells).fill(0));
    for (let i = 0; i < this.#count; i += 1) {
      const row = density[sizeGrid.cellOf(sizes[i] ?? 0)];
      const cell = msGrid.cellOf(durations[i] ?? 0);
      if (row !== undefined) row[cell] = (row[cell] ?? 0) + 1;
    }
    return {
      records: this.#count,
      sizeEdges: sizeGrid.edges,
      msEdges: msGrid.edges,
      density,
      fit: fitOf(sizes, durations),
    };
  }
}

/** Whole fractions of decades, from below the least to above the greatest. */
class LogGrid {
  readonly edges: number[];
  readonly #perDecade: number;
  readonly #first: number;

  constructor(values: Float64Array) {
    let least = Infinity;
    let greatest = 0;
    for (const value of values) {
      if (value < LEAST) continue;
      if (value < least) least = value;
      if (value > greatest) greatest = value;
    }
    if (greatest === 0) {
      this.edges = [];
      this.#perDecade = 1;
      this.#first = 0;
      if (values.length > 0) this.edges = [1, 10];
      return;
    }
    const [from, to] = [Math.log10(least), Math.log10(greatest)];
    const cellsAt = (perDecade: number): number =>
      Math.floor(to * perDecade) - Math.floor(from * perDecade) + 1;
    this.#perDecade =
      PER_DECADE.find((each) => cellsAt(each) <= MOST_CELLS) ?? (MOST_CELLS - 2) / (to - from);
    this.#first = Math.floor(from * this.#perDecade);
    const cells = cellsAt(this.#perDecade);
    this.edges = Array.from({ length: cells + 1 }, (_, i) => 10 ** ((this.#first + i) / this.#perDecade));
  }

  get cells(): number {
    return Math.max(0, this.edges.length - 1);
  }

  cellOf(value: number): number {
    const cell = value > 0 ? Math.floor(Math.log10(value) * this.#perDecade) - this.#first : 0;
    return Math.min(this.cells - 1, Math.max(0, cell));
  }
}

function fitOf(sizes: Float64Array, durations: Float64Array): TimingSizes['fit'] {
  let n = 0;
  let [meanX, meanY, xx, xy, yy] = [0, 0, 0, 0, 0];
  for (let i = 0; i < sizes.length; i += 1) {
    const [size = 0, ms = 0] = [sizes[i], durations[i]];
    if (size <= 0 || ms <= 0) continue;
    // Welford's update: the sums of squares stay exact however far the mean is from 0.
    n += 1;
    const [x, y] = [Math.log(size), Math.log(ms)];
    const [dx, dy] = [x - meanX, y - meanY];
    meanX += dx / n;
    meanY += dy / n;
    xx += dx * (x - meanX);
    yy += dy * (y - meanY);
    xy += dx * (y - meanY);
  }
  if (n < FEWEST_TO_FIT || xx <= 1e-12 * n) return null;
  const slope = xy / xx;
  return {
    slope,
    intercept: meanY - slope * meanX,
    r2: yy <= 1e-12 * n ? 1 : Math.min(1, (xy * xy) / (xx * yy)),
  };
}

function grown(values: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length);
  larger.set(values);
  return larger;
}
