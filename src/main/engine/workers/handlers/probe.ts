// The health check of a script: run before it, at most once a minute, and shared by all jobs of the kind. While it fails
// no job is spent on a script that is known to be sick.
import type { Clock } from '../../clock.ts';
import { JobError } from '../handler.ts';

/** So long an answer of the probe counts, good or bad. */
export const PROBE_COUNTS_MS = 60_000;

export class Probe {
  readonly #clock: Clock;
  readonly #check: () => Promise<void>;
  #running: Promise<void> | null = null;
  #last: { atMs: number; failure: JobError | null } | null = null;

  /** `check` rejects with a JobError when the script is sick; it must end by itself. */
  constructor(clock: Clock, check: () => Promise<void>) {
    this.#clock = clock;
    this.#check = check;
  }

  /** Its last answer still counts and is good. */
  get fresh(): boolean {
    return this.#last !== null && this.#last.failure === null && this.#age() < PROBE_COUNTS_MS;
  }

  /**
   * Resolves when the script is well. Rejects with why it is not, and when it is looked at again; or with the signal's
   * reason: the check then goes on for the other jobs.
   */
  async pass(signal: AbortSignal): Promise<void> {
    if (this.#last === null || this.#age() >= PROBE_COUNTS_MS) {
      this.#running ??= this.#run();
      await unless(signal, this.#running);
    }
    const failure = this.#last?.failure;
    if (!failure) return;
    const retryAfterMs = Math.max(0, PROBE_COUNTS_MS - this.#age());
    const { stderrTail } = failure;
    throw new JobError(failure.class, failure.message, {
      retryAfterMs,
      cause: failure,
      ...(stderrTail !== null && { stderrTail }),
    });
  }

  #age(): number {
    return this.#clock.now() - (this.#last?.atMs ?? 0);
  }

  async #run(): Promise<void> {
    try {
      await this.#check();
      this.#last = { atMs: this.#clock.now(), failure: null };
    } catch (error) {
      if (!(error instanceof JobError)) throw error;
      this.#last = { atMs: this.#clock.now(), failure: error };
    } finally {
      this.#running = null;
    }
  }
}

/** Settles as `work` does, or rejects with the signal's reason as soon as it aborts. */
function unless(signal: AbortSignal, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
