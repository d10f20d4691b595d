// The store's time on this computer: the local clock plus what the store's is ahead. Machines that share a store agree on
// it, so that a job is due, silent or late for all of them at the same moment.
import type { Clock } from './clock.ts';
import type { Store } from './stores/store.ts';

export class StoreClock implements Clock {
  readonly #local: Clock;
  #offsetMs = 0;

  constructor(local: Clock) {
    this.#local = local;
  }

  /** How far the store's clock is ahead of the local one, ms; off by half a round trip at most. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  now(): number {
    return this.#local.now() + this.#offsetMs;
  }

  after(ms: number, fire: () => void): () => void {
    return this.#local.after(ms, fire);
  }

  breathe(): Promise<void> {
    return this.#local.breathe();
  }

  /** Reads the store's clock. A store that nobody shares has no other clock than this computer's. */
  async measure(store: Pick<Store, 'time' | 'exclusive'>): Promise<void> {
    if (store.exclusive) return;
    const askedMs = this.#local.now();
    const storeMs = await store.time();
    const middleMs = (askedMs + this.#local.now()) / 2;
    this.#offsetMs = Math.round(storeMs - middleMs);
  }
}
