// A clock for tests that moves only when it is told to, and plays minutes of the real code in milliseconds.
import { setImmediate as nextMacrotask } from 'node:timers/promises';
import type { Clock } from './clock.ts';

export class VirtualClock implements Clock {
  #nowMs: number;
  #timers: { atMs: number; fire: () => void }[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, fire: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), fire };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  /** Nobody else waits while time stands still. */
  breathe(): Promise<void> {
    return Promise.resolve();
  }

  /** Time passes and nothing is heard of it, as while a computer sleeps: what fell due meanwhile is due afterwards. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Timers that wait now: an idle engine should have next to none. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Fires what falls due within `ms`, in order of time; what each sets off runs to its end before the next. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await nextMacrotask();
    for (;;) {
      const next = this.#timers.reduce<{ atMs: number; fire: () => void } | null>(
        (first, timer) => (first && first.atMs <= timer.atMs ? first : timer),
        null,
      );
      if (!next || next.atMs > untilMs) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
      await nextMacrotask();
    }
    this.#nowMs = untilMs;
  }
}
