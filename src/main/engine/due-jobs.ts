// Delayed jobs become ready when their time comes. On a store of its own the engine knows when that is; on a shared one
// other machines delay and enqueue jobs too, so it looks again every second, and less often while nothing happens.
import type { StoreClock } from './store-clock.ts';
import type { StoreHealth } from './store-health.ts';
import { StoreRetry } from './store-retry.ts';
import type { Store } from './stores/store.ts';

const LOOK_MS = { first: 1_000, longest: 4_000 };
/** setTimeout's own limit is 2^31 - 1 ms; a longer wait is taken in steps. */
const LONGEST_WAIT_MS = 3_600_000;

export interface DueJobsParts {
  store: Store;
  clock: StoreClock;
  random: () => number;
  /** There may be ready jobs. */
  onDue: () => void;
  health: StoreHealth;
}

export class DueJobs {
  readonly #parts: DueJobsParts;
  readonly #retry: StoreRetry;
  #state: 'idle' | 'open' | 'closed' = 'idle';
  #nextAtMs = Infinity;
  #lookMs = LOOK_MS.first;
  #takeBack: (() => void) | null = null;
  /** What is under way. */
  #look: Promise<void> | null = null;

  constructor(parts: DueJobsParts) {
    this.#parts = parts;
    const { clock, random, health } = parts;
    const again = (): void => this.#begin();
    this.#retry = new StoreRetry({ clock, random, health, doing: 'looking for due jobs', again });
  }

  /** Resolves after the first look. */
  async open(): Promise<void> {
    if (this.#state !== 'idle') return;
    this.#state = 'open';
    this.#begin();
    await this.#look;
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    this.#retry.clear();
    this.#takeBack?.();
    this.#takeBack = null;
    await this.#look;
  }

  /** A job is delayed until then. */
  note(atMs: number): void {
    if (atMs < this.#nextAtMs) this.#waitUntil(atMs);
  }

  /** There was work lately: the next look comes soon. */
  stir(): void {
    this.#lookMs = LOOK_MS.first;
  }

  #begin(): void {
    if (this.#state === 'open') this.#look ??= this.#promote();
  }

  async #promote(): Promise<void> {
    const { store, clock, onDue } = this.#parts;
    try {
      this.#nextAtMs = Infinity;
      const nextMs = await store.promoteDue(clock.now());
      this.#retry.succeeded();
      const lookAtMs = store.exclusive ? Infinity : clock.now() + this.#lookMs;
      this.#lookMs = Math.min(LOOK_MS.longest, this.#lookMs * 2);
      this.#waitUntil(Math.min(nextMs ?? Infinity, lookAtMs, this.#nextAtMs));
      if (this.#isOpen()) onDue();
    } catch (error) {
      if (this.#isOpen()) this.#retry.failed(error);
    } finally {
      this.#look = null;
    }
  }

  #waitUntil(atMs: number): void {
    this.#nextAtMs = atMs;
    this.#takeBack?.();
    this.#takeBack = null;
    if (!this.#isOpen() || this.#retry.waits || atMs === Infinity) return;
    const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(0, atMs - this.#parts.clock.now()));
    this.#takeBack = this.#parts.clock.after(waitMs, () => {
      this.#takeBack = null;
      this.#begin();
    });
  }

  /** A call, so that the compiler does not take the state for what it was before the last await. */
  #isOpen(): boolean {
    return this.#state === 'open';
  }
}
