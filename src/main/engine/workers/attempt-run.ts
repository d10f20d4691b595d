// An attempt while it runs: what its handler is told, and what is known of it meanwhile. Most jobs never look at their
// signal and name no stage, so both are made when they are first asked for.
import type { Clock } from '../clock.ts';
import type { Claim } from '../job.ts';
import type { HandlerContext } from './handler.ts';

/** Why an attempt was cut short from outside; such an attempt does not count. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

export class AttemptRun implements HandlerContext {
  readonly claim: Claim;
  /** Which worker runs it. */
  readonly workerId: number;
  readonly startedAtMs: number;
  /** From 0 to 1, and with what; null until the handler says so. */
  done: number | null = null;
  note: string | null = null;
  readonly #clock: Clock;
  #stages: Record<string, number> | null = null;
  #abort: AbortController | null = null;
  #isOver = false;

  constructor(claim: Claim, workerId: number, clock: Clock) {
    this.claim = claim;
    this.workerId = workerId;
    this.startedAtMs = clock.now();
    this.#clock = clock;
  }

  /** What it does from now on no longer counts. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** So far, ms by name. */
  get stages(): Record<string, number> {
    return { ...this.#stages };
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** A getter, so that a handler may take it out of the context. */
  get stage(): HandlerContext['stage'] {
    return async (name, part) => {
      const sinceMs = this.#clock.now();
      try {
        return await part();
      } finally {
        const tookMs = Math.max(0, this.#clock.now() - sinceMs);
        this.#stages ??= {};
        this.#stages[name] = (this.#stages[name] ?? 0) + tookMs;
      }
    };
  }

  get progress(): HandlerContext['progress'] {
    return (done, note) => {
      this.done = Math.min(1, Math.max(0, done));
      if (note !== undefined) this.note = note;
    };
  }

  /** It ended, or is given up for `cutBy`: a handler that listens hears why. */
  end(cutBy: Error | null): void {
    this.#isOver = true;
    if (cutBy === null) return;
    this.#abort ??= new AbortController();
    this.#abort.abort(cutBy);
  }
}
