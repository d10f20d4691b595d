// How late this thread's event loop is: an engine whose loop is blocked starts and settles nothing, whatever its workers do.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { EngineReport } from '../../contract/engine-report.ts';

/** Finer would wake an idle engine more often. */
const RESOLUTION_MS = 50;
const NANOSECONDS = 1e6;

export class LoopDelay implements Disposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #sinceMs = -Infinity;

  begin(): void {
    this.#histogram.enable();
  }

  /** Of the last minute or so: it begins anew with the first look after a minute. */
  read(nowMs: number): EngineReport['loopDelay'] {
    const ms = (nanoseconds: number): number =>
      // What the histogram sees is the whole interval, and nothing (or not a number) before the first.
      this.#histogram.count === 0 ? 0 : Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS);
    const { max } = this.#histogram;
    const delay = {
      p50Ms: ms(this.#histogram.percentile(50)),
      p99Ms: ms(this.#histogram.percentile(99)),
      maxMs: ms(max),
    };
    if (nowMs - this.#sinceMs >= 60_000) {
      this.#histogram.reset();
      this.#sinceMs = nowMs;
    }
    return delay;
  }

  [Symbol.dispose](): void {
    this.#histogram.disable();
  }
}
