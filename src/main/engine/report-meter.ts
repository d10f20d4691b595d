// What an engine has done: counted as its attempts are settled, in all and by kind. Memory is bounded by the number of kinds.
import type { KindReport } from '../../contract/engine-report.ts';
import { type ErrorClass, errorClassSchema } from '../../core/error-class.ts';
import { SlidingCount, SlidingSketch } from './report-window.ts';
import type { Attempt } from './workers/attempt.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** Percentiles are of the last five minutes, failure ratios of the last hour. */
const PERCENTILES = { slices: 5, sliceMs: MINUTE };
const HOUR = { slices: 60, sliceMs: MINUTE };
/** Under so many attempts there is no ratio. */
const ENOUGH = 10;

/** Finished are all that ended, failed ones too. */
class Flow {
  finished = 0;
  failed = 0;
  readonly #finished = new SlidingCount(60, SECOND);
  readonly #failed = new SlidingCount(60, SECOND);

  add(nowMs: number, isFailed: boolean): void {
    this.finished += 1;
    this.#finished.add(nowMs);
    if (!isFailed) return;
    this.failed += 1;
    this.#failed.add(nowMs);
  }

  lastMinute(nowMs: number): { finished: number; failed: number } {
    return { finished: this.#finished.sum(nowMs), failed: this.#failed.sum(nowMs) };
  }
}

class KindMeter {
  readonly flow = new Flow();
  readonly wait = new SlidingSketch(PERCENTILES.slices, PERCENTILES.sliceMs);
  readonly run = new SlidingSketch(PERCENTILES.slices, PERCENTILES.sliceMs);
  readonly finished = new SlidingCount(HOUR.slices, HOUR.sliceMs);
  readonly failed = new SlidingCount(HOUR.slices, HOUR.sliceMs);
  readonly errors = new Map<ErrorClass, number>();
}

type MeteredKind = Pick<
  KindReport,
  'finishedPerMinute' | 'failedPerMinute' | 'failureRatio' | 'wait' | 'run' | 'errors'
>;

export class ReportMeter {
  readonly #flow = new Flow();
  readonly #kinds = new Map<string, KindMeter>();

  add({ claim, waitMs, runMs, failure }: Attempt, nowMs: number): void {
    this.#flow.add(nowMs, failure !== null);
    const kind = this.#kind(claim.kind);
    kind.flow.add(nowMs, failure !== null);
    kind.wait.add(nowMs, waitMs);
    kind.run.add(nowMs, runMs);
    kind.finished.add(nowMs);
    if (failure === null) return;
    kind.failed.add(nowMs);
    kind.errors.set(failure.class, (kind.errors.get(failure.class) ?? 0) + 1);
  }

  /** Attempts that ended since the engine was made, and a second of the last minute. */
  all(nowMs: number): { finishedTotal: number; failedTotal: number; finishedPerS: number } {
    const { finished, failed } = this.#flow;
    const finishedPerS = this.#flow.lastMinute(nowMs).finished / 60;
    return { finishedTotal: finished, failedTotal: failed, finishedPerS };
  }

  kind(name: string, nowMs: number): MeteredKind {
    const { flow, wait, run, finished, failed, errors } = this.#kind(name);
    const { finished: finishedPerMinute, failed: failedPerMinute } = flow.lastMinute(nowMs);
    const attempts = finished.sum(nowMs);
    return {
      finishedPerMinute,
      failedPerMinute,
      failureRatio: attempts < ENOUGH ? null : failed.sum(nowMs) / attempts,
      wait: wait.percentiles(nowMs),
      run: run.percentiles(nowMs),
      errors: Object.fromEntries(errorClassSchema.options.flatMap((name) => countOf(errors, name))),
    };
  }

  /** Forgets what is no longer declared. */
  keepOnly(kinds: ReadonlySet<string>): void {
    for (const name of this.#kinds.keys()) if (!kinds.has(name)) this.#kinds.delete(name);
  }

  #kind(name: string): KindMeter {
    let meter = this.#kinds.get(name);
    if (meter === undefined) {
      meter = new KindMeter();
      this.#kinds.set(name, meter);
    }
    return meter;
  }
}

function countOf(errors: ReadonlyMap<ErrorClass, number>, name: ErrorClass): [ErrorClass, number][] {
  const count = errors.get(name);
  return count === undefined ? [] : [[name, count]];
}
