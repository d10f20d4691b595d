// A limit on starts over time: so many in any span of `perMs`, evenly refilled (token bucket).

export interface RateSettings {
  starts: number;
  perMs: number;
}

export class RateLimit {
  readonly #settings: RateSettings;
  #tokens: number;
  #atMs: number;
  #pausedUntilMs = -Infinity;

  /** Begins full. */
  constructor(settings: RateSettings, nowMs: number) {
    this.#settings = settings;
    this.#tokens = settings.starts;
    this.#atMs = nowMs;
  }

  /** Starts that are free now. */
  available(nowMs: number): number {
    if (nowMs < this.#pausedUntilMs) return 0;
    this.#refill(nowMs);
    // The small addition forgives the rounding of the refill.
    return Math.max(0, Math.floor(this.#tokens + 1e-9));
  }

  /** Uses `count` of them; more than are free are owed. */
  take(count: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens -= count;
  }

  /** When the next start is free; null when one is free now. */
  nextAtMs(nowMs: number): number | null {
    if (this.available(nowMs) > 0) return null;
    const { starts, perMs } = this.#settings;
    const refilledAtMs = this.#atMs + Math.ceil(((1 - this.#tokens) * perMs) / starts);
    return Math.max(this.#pausedUntilMs, refilledAtMs);
  }

  /** The other side said when to come again. A shorter pause does not cut a longer one. */
  pauseUntil(atMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, atMs);
  }

  #refill(nowMs: number): void {
    const { starts, perMs } = this.#settings;
    // A clock that is set back refills nothing.
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#tokens = Math.min(starts, this.#tokens + (passedMs * starts) / perMs);
    this.#atMs = nowMs;
  }
}
