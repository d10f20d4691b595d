// What flowed through a tenant's queue in the last minutes, in bounded memory.
//
// Kept as running totals at points in time: the flow over any stretch is the difference of two points. Each
// tally carries the time in which it was really watched, so that time without knowledge lowers no rate.

/** A count and the time in which it was counted. */
export interface Tally {
  readonly count: number;
  readonly coveredMs: number;
}

/** What one poll adds. A tally that is not known has no covered time. */
export interface FlowStep {
  arrivals: Tally;
  /** Finished attempts. */
  attempts: Tally;
  /** Attempts begun; can be negative for a moment, as two tables are not read at the same instant. */
  starts: Tally;
  /** Time for which `attempts` came from a counter, so that none means none. */
  countedMs: number;
  /** Time for which arrivals or attempts were guessed from differences of samples. */
  approximateMs: number;
}

/** The flow over a stretch of `spanMs`, up to the newest poll. */
export interface Flow extends FlowStep {
  spanMs: number;
}

/** count / covered time per second; null when nothing was watched. */
export function perSecond(tally: Tally): number | null {
  return tally.coveredMs > 0 ? (tally.count * 1_000) / tally.coveredMs : null;
}

/** Nothing counted, and no time in which it was. */
export const UNCOUNTED: Tally = { count: 0, coveredMs: 0 };

const NOTHING: FlowStep = {
  arrivals: UNCOUNTED,
  attempts: UNCOUNTED,
  starts: UNCOUNTED,
  countedMs: 0,
  approximateMs: 0,
};

// One point: its time, then the eight running totals in the order of `toColumns`.
const WIDTH = 9;

/** Running totals of one tenant, at points at least `bucketMs` apart, reaching back `spanMs`. */
export class FlowLedger {
  readonly #bucketMs: number;
  readonly #capacity: number;
  /** A ring of points; the newest is the present one and moves until its bucket is full. */
  readonly #points: Float64Array;
  #pushed = 0;

  constructor(bucketMs: number, spanMs: number) {
    this.#bucketMs = bucketMs;
    // One point beyond the span as the left edge, one that is still moving, one for a broken-off bucket.
    this.#capacity = Math.ceil(spanMs / bucketMs) + 3;
    this.#points = new Float64Array(this.#capacity * WIDTH);
  }

  /** Begins at `atMs` with nothing known of the time before. */
  restart(atMs: number): void {
    this.#points.fill(0);
    this.#points[0] = atMs;
    this.#pushed = 1;
  }

  /** Adds what a poll at `atMs` found since the poll before. Times must ascend, after a `restart`. */
  add(atMs: number, step: FlowStep): void {
    if (this.#pushed === 0) throw new Error('a flow ledger begins with restart');
    const newest = this.#offset(this.#pushed - 1);
    const moving =
      this.#pushed > 1 && this.#at(this.#pushed - 1) - this.#at(this.#pushed - 2) < this.#bucketMs;
    const target = moving ? newest : this.#offset(this.#pushed++);
    toColumns(step).forEach((value, i) => {
      this.#points[target + 1 + i] = (this.#points[newest + 1 + i] ?? 0) + value;
    });
    this.#points[target] = atMs;
  }

  /** The flow from the newest point at or before `overMs` ago, or from the beginning if that is later. */
  over(overMs: number): Flow {
    if (this.#pushed === 0) return { ...NOTHING, spanMs: 0 };
    const newest = this.#pushed - 1;
    const edgeMs = this.#at(newest) - overMs;
    let edge = Math.max(0, this.#pushed - this.#capacity);
    for (let high = newest; edge < high;) {
      const middle = (edge + high + 1) >>> 1;
      if (this.#at(middle) <= edgeMs) edge = middle;
      else high = middle - 1;
    }
    const to = this.#offset(newest);
    const from = this.#offset(edge);
    const column = (i: number) => (this.#points[to + i] ?? 0) - (this.#points[from + i] ?? 0);
    return {
      spanMs: column(0),
      arrivals: { count: column(1), coveredMs: column(2) },
      attempts: { count: column(3), coveredMs: column(4) },
      starts: { count: column(5), coveredMs: column(6) },
      countedMs: column(7),
      approximateMs: column(8),
    };
  }

  #offset(point: number): number {
    return (point % this.#capacity) * WIDTH;
  }

  #at(point: number): number {
    return this.#points[this.#offset(point)] ?? 0;
  }
}

/** The running totals of a point, in the order in which `over` reads them. */
function toColumns({ arrivals, attempts, starts, countedMs, approximateMs }: FlowStep): number[] {
  return [
    arrivals.count,
    arrivals.coveredMs,
    attempts.count,
    attempts.coveredMs,
    starts.count,
    starts.coveredMs,
    countedMs,
    approximateMs,
  ];
}
