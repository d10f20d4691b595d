// Time that moves only when a test says so.
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from './clock.ts';

interface Sleeper {
  dueMs: number;
  wake: () => void;
}

export class FakeClock implements Clock {
  /** What has really passed; sleepers go by it, whatever the clock on the wall is set to. */
  #passedMs = 0;
  #wallMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(nowMs = 1_700_000_000_000) {
    this.#wallMs = nowMs;
  }

  now = (): number => this.#wallMs + this.#passedMs;

  /** How many wait for time to pass: 0 once everything is stopped. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (ms < 0 || Number.isNaN(ms)) throw new Error(`a sleep of ${ms} ms`);
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        dueMs: this.#passedMs + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', sleeper.wake, { once: true });
    });
  }

  /** Lets everything happen that is due within `ms`, each at its time. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#passedMs + ms;
    for (;;) {
      await settled();
      const next = [...this.#sleepers].sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > untilMs) break;
      this.#passedMs = Math.max(this.#passedMs, next.dueMs);
      next.wake();
    }
    this.#passedMs = untilMs;
    await settled();
  }

  /** Sets the clock without waking anybody, as a correction of the system's time does. */
  set(nowMs: number): void {
    this.#wallMs = nowMs - this.#passedMs;
  }
}

/** Promises that wait for nothing but each other have come to rest. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await turn();
}
