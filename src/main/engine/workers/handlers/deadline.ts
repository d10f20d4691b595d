// A time limit within a job: it aborts with the job, or earlier when its own time is up.
import type { Clock } from '../../clock.ts';

export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  /** Its own time was up first. */
  readonly passed: boolean;
}

/** Begins now; without `seconds` it is the outer limits alone. Dispose of it when the work has ended. */
export function deadline(clock: Clock, seconds: number | undefined, ...outer: AbortSignal[]): Deadline {
  const abort = new AbortController();
  let passed = false;
  const takeBack =
    seconds === undefined
      ? null
      : clock.after(seconds * 1000, () => {
          passed = !abort.signal.aborted;
          abort.abort();
        });
  const listeners = outer.map((signal) => {
    const onAbort = (): void => abort.abort(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    return () => signal.removeEventListener('abort', onAbort);
  });
  return {
    signal: abort.signal,
    get passed() {
      return passed;
    },
    [Symbol.dispose]() {
      takeBack?.();
      for (const remove of listeners) remove();
    },
  };
}
