// Streams of messages and periods of an incident: one timer each, by name, all ended together.
import type { Clock } from '../clock.ts';

export class Streams {
  readonly #clock: Clock;
  readonly #onProblem: (what: string, cause: unknown) => void;
  readonly #timers = new Map<string, () => void>();
  #isOpen = true;

  constructor(clock: Clock, onProblem: (what: string, cause: unknown) => void) {
    this.#clock = clock;
    this.#onProblem = onProblem;
  }

  /** Acts again and again, `nextMs` apart; one failure does not end it. */
  every(name: string, nextMs: () => number, act: () => Promise<void>): void {
    this.once(name, nextMs(), () => {
      // Before the act, so that one failure of the store does not end the stream.
      this.every(name, nextMs, act);
      return act();
    });
  }

  /** Acts after `inMs`, in place of what the name stood for before. */
  once(name: string, inMs: number, act: () => Promise<void>): void {
    if (!this.#isOpen) return;
    this.#timers.get(name)?.();
    const fire = (): void => {
      act().catch((cause: unknown) => {
        if (this.#isOpen) this.#onProblem(name, cause);
      });
    };
    this.#timers.set(name, this.#clock.after(inMs, fire));
  }

  end(): void {
    this.#isOpen = false;
    for (const takeBack of this.#timers.values()) takeBack();
    this.#timers.clear();
  }
}

/** Time to the next message of a Poisson stream, ms. */
export function nextArrivalMs(perS: number, random: () => number): number {
  return (-Math.log(1 - random()) / perS) * 1_000;
}

/** One of a list, each as likely. */
export function anyOf<T>(list: readonly [T, ...T[]], random: () => number): T {
  return list[Math.floor(random() * list.length)] ?? list[0];
}
