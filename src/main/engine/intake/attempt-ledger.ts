// What /metrics counts for as long as the process lives. The engine's own report speaks of the last minute and hour; a
// scraper wants numbers that only go up, and does the subtraction itself.
import type { ErrorClass } from '../../../core/error-class.ts';

/** Upper bounds in seconds: from a quick call to the longest job that the shipped timeouts allow. */
export const DURATION_BOUNDS_S = [
  0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1_800, 3_600,
] as const;

export interface DurationCounts {
  /** One count a bound, and one for what is longer than all. */
  counts: number[];
  /** Seconds. */
  sum: number;
}

interface KindCounts {
  results: Map<'done' | ErrorClass, number>;
  wait: DurationCounts;
  run: DurationCounts;
}

/** What of an attempt is counted. Durations in ms. */
export interface CountedAttempt {
  kind: string;
  waitMs: number;
  runMs: number;
  /** Null when it succeeded. */
  errorClass: ErrorClass | null;
}

/** Attempts by kind and result, with their waits and runs. Grows with the kinds, never with the jobs. */
export class AttemptLedger {
  readonly #kinds = new Map<string, KindCounts>();

  add({ kind, waitMs, runMs, errorClass }: CountedAttempt): void {
    let counts = this.#kinds.get(kind);
    if (!counts) {
      counts = { results: new Map(), wait: noDurations(), run: noDurations() };
      this.#kinds.set(kind, counts);
    }
    const result = errorClass ?? 'done';
    counts.results.set(result, (counts.results.get(result) ?? 0) + 1);
    observe(counts.wait, waitMs / 1000);
    observe(counts.run, runMs / 1000);
  }

  /** By kind, in the order in which they were first seen. */
  get kinds(): ReadonlyMap<string, Readonly<KindCounts>> {
    return this.#kinds;
  }
}

const noDurations = (): DurationCounts => ({
  counts: new Array<number>(DURATION_BOUNDS_S.length + 1).fill(0),
  sum: 0,
});

function observe(durations: DurationCounts, seconds: number): void {
  let i = 0;
  while (i < DURATION_BOUNDS_S.length && seconds > (DURATION_BOUNDS_S[i] ?? Infinity)) i++;
  durations.counts[i] = (durations.counts[i] ?? 0) + 1;
  durations.sum += seconds;
}
