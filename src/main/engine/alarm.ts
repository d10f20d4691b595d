// One timer for everything that has a date: job deadlines, claims that wait too long, a breaker that tries again. It rings
// at the earliest of them; whoever hears it looks what is due. So ten thousand jobs a second arm no timer each.
import type { Clock } from './clock.ts';

/** setTimeout's own limit is 2^31 - 1 ms; a longer wait is taken in steps. */
const LONGEST_WAIT_MS = 3_600_000;

export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #atMs = Infinity;
  #takeBack: (() => void) | null = null;

  /** `ring` may come early: it names what is due by itself and sets the alarm anew. */
  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at `atMs` at the latest. Cheap when it is set to ring earlier anyway. */
  by(atMs: number): void {
    if (atMs >= this.#atMs) return;
    this.clear();
    this.#atMs = atMs;
    const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(0, atMs - this.#clock.now()));
    this.#takeBack = this.#clock.after(waitMs, () => {
      this.#takeBack = null;
      this.#atMs = Infinity;
      this.#ring();
    });
  }

  clear(): void {
    this.#takeBack?.();
    this.#takeBack = null;
    this.#atMs = Infinity;
  }
}
