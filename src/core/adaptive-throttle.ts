// How many jobs of a kind at once, learned from how they go: over 15 % errors two fewer, under 5 % errors and a mean
// under 10 s one more (the figures of the remedy in incident 4). Judged once a window of attempts, so that one bad
// moment is one step.

export interface ThrottleSettings {
  minimum: number;
  start: number;
  maximum: number;
}

const TOO_MANY_ERRORS = 0.15;
const FEW_ERRORS = 0.05;
const FAST_MS = 10_000;
const STEP = { down: 2, up: 1 };
/** Attempts between two judgements: enough that one failure is less than 5 %. */
const WINDOW = 21;
const HISTORY_KEPT = 50;

export class AdaptiveThrottle {
  readonly #settings: ThrottleSettings;
  #limit: number;
  #ended = 0;
  #failed = 0;
  #runMs = 0;
  #history: { atMs: number; value: number }[] = [];

  constructor(settings: ThrottleSettings) {
    this.#settings = settings;
    this.#limit = settings.start;
  }

  /** Jobs at once, now. */
  get limit(): number {
    return this.#limit;
  }

  /** Its changes, oldest first. */
  get history(): readonly { atMs: number; value: number }[] {
    return this.#history;
  }

  /** An attempt ended after `runMs`. */
  ended(ok: boolean, runMs: number, nowMs: number): void {
    this.#ended += 1;
    this.#runMs += runMs;
    if (!ok) this.#failed += 1;
    if (this.#ended < WINDOW) return;
    const errors = this.#failed / this.#ended;
    const meanMs = this.#runMs / this.#ended;
    this.#ended = this.#failed = this.#runMs = 0;
    if (errors > TOO_MANY_ERRORS) this.#set(this.#limit - STEP.down, nowMs);
    else if (errors < FEW_ERRORS && meanMs < FAST_MS) this.#set(this.#limit + STEP.up, nowMs);
  }

  #set(limit: number, nowMs: number): void {
    const { minimum, maximum } = this.#settings;
    const bounded = Math.min(maximum, Math.max(minimum, limit));
    if (bounded === this.#limit) return;
    this.#limit = bounded;
    this.#history = [...this.#history, { atMs: nowMs, value: bounded }].slice(-HISTORY_KEPT);
  }
}
