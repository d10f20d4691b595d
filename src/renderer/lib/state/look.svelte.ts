// Something that is read when somebody looks at it, and again every so often while they do.
import { toWireError } from '../../../contract/errors.ts';
import type { WireError } from '../../../contract/errors.ts';

/** A look that fails is tried again after twice as long each time, up to this. */
const SLOWEST_MS = 60_000;

export class Look<T> {
  value = $state.raw<T | null>(null);
  /** True once an answer came; `value` may be null by then, too. */
  known = $state(false);
  loading = $state(false);
  error = $state.raw<WireError | null>(null);
  /** When what is shown was read; epoch ms, local clock. */
  asOfMs = $state<number | null>(null);
  readonly #read: (signal: AbortSignal) => Promise<T>;
  readonly #everyMs: number;
  readonly #now: () => number;
  #readAtMs = -Infinity;
  #failures = 0;
  #reading: AbortController | null = null;

  /** `everyMs`: how often `follow` reads it again; Infinity for what is read on demand alone. */
  constructor(
    read: (signal: AbortSignal) => Promise<T>,
    everyMs: number,
    now: () => number = () => Date.now(),
  ) {
    this.#read = read;
    this.#everyMs = everyMs;
    this.#now = now;
  }

  /**
   * Reads it when its time has come: called with each tick of the clock while it is in view. What failed for a
   * reason that stays (a wrong schema, a missing grant) is read again by hand only.
   */
  follow(): void {
    if (this.loading || this.error?.retryable === false) return;
    const waitMs = Math.max(this.#everyMs, Math.min(SLOWEST_MS, this.#everyMs * 2 ** this.#failures));
    if (this.#now() - this.#readAtMs >= waitMs) void this.load();
  }

  /** Reads it now; a reading under way is dropped. */
  async load(): Promise<void> {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    this.loading = true;
    this.#readAtMs = this.#now();
    try {
      const value = await this.#read(reading.signal);
      if (reading.signal.aborted) return;
      this.value = value;
      this.known = true;
      this.error = null;
      this.asOfMs = this.#now();
      this.#failures = 0;
    } catch (error) {
      if (reading.signal.aborted) return;
      this.error = toWireError(error);
      this.#failures += 1;
    } finally {
      if (this.#reading === reading) this.loading = false;
    }
  }

  /** Drops a reading under way; what is shown stays. */
  cancel(): void {
    this.#reading?.abort();
    this.loading = false;
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}
