// The engine's log: lines are kept back for a moment and handed over in batches, as a tail of a file would.
import type { Clock } from './clock.ts';
import type { EngineLine } from './engine-messages.ts';
import { type Attempt, timingLine, timingOf } from './workers/attempt.ts';

const HAND_OVER_EVERY_MS = 100;

export class EngineLog {
  readonly #clock: Clock;
  readonly #handOver: (lines: EngineLine[]) => void;
  #lines: EngineLine[] = [];

  constructor(clock: Clock, handOver: (lines: EngineLine[]) => void) {
    this.#clock = clock;
    this.#handOver = handOver;
  }

  attempt(attempt: Attempt): void {
    this.#add('line', attempt.failure === null ? 'info' : 'warn', timingLine(attempt), timingOf(attempt));
  }

  note(text: string): void {
    this.#add('note', 'info', text, null);
  }

  problem(problem: Error): void {
    const because = problem.cause instanceof Error ? `: ${problem.cause.message}` : '';
    this.#add('line', 'error', problem.message + because, null);
  }

  /** Hands over what is kept back. */
  flush(): void {
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length > 0) this.#handOver(lines);
  }

  #add(
    kind: EngineLine['kind'],
    level: EngineLine['level'],
    text: string,
    timing: EngineLine['timing'],
  ): void {
    const nowMs = this.#clock.now();
    if (this.#lines.length === 0) this.#clock.after(HAND_OVER_EVERY_MS, () => this.flush());
    this.#lines.push({ readAtMs: nowMs, atMs: nowMs, kind, level, text, timing, malformedTiming: false });
  }
}
