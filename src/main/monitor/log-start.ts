// Tells what a log held already from what is new in it: a tail begins with the last lines there are, so that the
// window is not empty, and the attempts in them finished minutes or days ago.
import type { ParsedLine } from '../logs/log-events.ts';

/** What was there already comes within this time of the input's first sign of life. */
const CONTEXT_MS = 3_000;

export class LogStart {
  readonly #sinceMs: number;
  readonly #liveSinceMs = new Map<string, number>();

  /** `sinceMs`: when the watching began; what happened before was never news, or was told then. */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  /** The input is read from now on; only the first time counts, for a reconnect goes on where it was. */
  live(label: string, nowMs: number): void {
    if (!this.#liveSinceMs.has(label)) this.#liveSinceMs.set(label, nowMs);
  }

  /**
   * When a line of an input happened, local clock: by its own time while the log begins, when it was read after
   * that. A worker's clock or zone may be wrong, and must not make all of its lines old.
   */
  timeOf(label: string, line: ParsedLine, nowMs: number): number {
    if (!this.mayBeOld(label, nowMs)) return nowMs;
    return Math.min(nowMs, finishedAtMs(line) ?? nowMs);
  }

  /** Whether what comes now may have been in the log when its input began: in a log that was read before, lines of then. */
  mayBeOld(label: string, nowMs: number): boolean {
    return nowMs - (this.#liveSinceMs.get(label) ?? nowMs) <= CONTEXT_MS;
  }

  isNews(atMs: number): boolean {
    return atMs >= this.#sinceMs;
  }
}

/** A log's own stamps are often of whole seconds; the attempt's are finer. */
function finishedAtMs({ atMs, timing }: ParsedLine): number | null {
  return timing?.startedAtMs == null ? atMs : timing.startedAtMs + timing.totalMs;
}
