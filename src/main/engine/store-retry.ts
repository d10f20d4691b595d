// How often a store that fails is asked again: a second later, then twice as long each time up to half a minute, with
// jitter, so that machines which lost their database together do not come back together.
import type { Clock } from './clock.ts';
import type { StoreHealth } from './store-health.ts';

const RETRY_MS = { first: 1_000, longest: 30_000 };

export interface StoreRetryParts {
  clock: Clock;
  random: () => number;
  health: StoreHealth;
  /** What is tried, in words. */
  doing: string;
  /** The wait is over. */
  again: () => void;
}

export class StoreRetry {
  readonly #parts: StoreRetryParts;
  #failures = 0;
  #takeBack: (() => void) | null = null;

  constructor(parts: StoreRetryParts) {
    this.#parts = parts;
  }

  /** Whether the store is left alone now. */
  get waits(): boolean {
    return this.#takeBack !== null;
  }

  /** The store failed; `again` is called after a while. */
  failed(error: unknown): void {
    const { clock, random, health, doing, again } = this.#parts;
    const longestMs = Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** this.#failures);
    const waitMs = Math.round(longestMs * (0.5 + random() / 2));
    health.failed(doing, error);
    this.#failures = Math.min(this.#failures + 1, 30);
    this.clear();
    this.#takeBack = clock.after(waitMs, () => {
      this.#takeBack = null;
      again();
    });
  }

  /** The store answered. */
  succeeded(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#parts.health.succeeded(this.#parts.doing);
  }

  clear(): void {
    this.#takeBack?.();
    this.#takeBack = null;
  }
}
