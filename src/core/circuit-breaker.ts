// A circuit breaker for one dependency: when most calls fail, it stops calling for a while instead of failing every job.
//
//   closed ──too many of the window's calls failed──▶ open ──its time is up──▶ half-open
//     ▲                                                ▲                          │ one trial call
//     └───────────── the trial succeeded ──────────────┼──────────────────────────┤
//                                                      └──── the trial failed ────┘
// After the circuit breaker of M. Nygard, "Release It!" (2007).

export interface BreakerSettings {
  /** Share of failed calls in the window that opens it, 0 to 1. */
  failureRatio: number;
  /** Under so many calls in the window it is not judged. */
  minimumCalls: number;
  windowMs: number;
  openMs: number;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/** The window is kept in so many slices: memory does not grow with the calls. */
const SLICES = 12;
const HISTORY_KEPT = 50;

interface Slice {
  index: number;
  calls: number;
  failures: number;
}

export class CircuitBreaker {
  readonly #settings: BreakerSettings;
  #state: BreakerState = 'closed';
  #sinceMs: number;
  #trials = 0;
  #slices: Slice[] = [];
  #history: { atMs: number; value: BreakerState }[] = [];

  constructor(settings: BreakerSettings, nowMs: number) {
    this.#settings = settings;
    this.#sinceMs = nowMs;
  }

  state(nowMs: number): BreakerState {
    if (this.#state === 'open' && nowMs >= this.#sinceMs + this.#settings.openMs)
      this.#enter('half-open', nowMs);
    return this.#state;
  }

  /** Calls it lets through now. */
  allows(nowMs: number): number {
    switch (this.state(nowMs)) {
      case 'closed':
        return Infinity;
      case 'open':
        return 0;
      case 'half-open':
        return Math.max(0, 1 - this.#trials);
    }
  }

  /** A call was begun. */
  began(nowMs: number): void {
    if (this.state(nowMs) === 'half-open') this.#trials += 1;
  }

  /** A call ended. One that began before the breaker opened tells nothing about its recovery. */
  ended(ok: boolean, nowMs: number): void {
    switch (this.state(nowMs)) {
      case 'closed': {
        const slice = this.#slice(nowMs);
        slice.calls += 1;
        if (!ok) slice.failures += 1;
        const ratio = this.failureRatio(nowMs);
        if (!ok && ratio !== null && ratio >= this.#settings.failureRatio) this.#enter('open', nowMs);
        break;
      }
      case 'half-open':
        if (this.#trials === 0) break;
        this.#enter(ok ? 'closed' : 'open', nowMs);
        break;
      case 'open':
        break;
    }
  }

  /** A call was given up without an answer; another trial may begin. */
  abandoned(nowMs: number): void {
    if (this.state(nowMs) === 'half-open') this.#trials = Math.max(0, this.#trials - 1);
  }

  /** Of the calls in the window; null under the minimum of calls. */
  failureRatio(nowMs: number): number | null {
    this.#expire(nowMs);
    const calls = this.#slices.reduce((sum, slice) => sum + slice.calls, 0);
    const failures = this.#slices.reduce((sum, slice) => sum + slice.failures, 0);
    return calls < this.#settings.minimumCalls ? null : failures / calls;
  }

  /** When an open one tries again; null unless open. */
  get nextTryAtMs(): number | null {
    return this.#state === 'open' ? this.#sinceMs + this.#settings.openMs : null;
  }

  /** When the present state began. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Its changes, oldest first. */
  get history(): readonly { atMs: number; value: BreakerState }[] {
    return this.#history;
  }

  #enter(state: BreakerState, nowMs: number): void {
    this.#state = state;
    this.#sinceMs = nowMs;
    this.#trials = 0;
    this.#slices = [];
    this.#history = [...this.#history, { atMs: nowMs, value: state }].slice(-HISTORY_KEPT);
  }

  #slice(nowMs: number): Slice {
    const index = Math.floor(nowMs / (this.#settings.windowMs / SLICES));
    const last = this.#slices.at(-1);
    if (last !== undefined && last.index >= index) return last;
    const slice = { index, calls: 0, failures: 0 };
    this.#slices.push(slice);
    return slice;
  }

  #expire(nowMs: number): void {
    const oldest = Math.floor(nowMs / (this.#settings.windowMs / SLICES)) - SLICES;
    const keep = this.#slices.findIndex((slice) => slice.index > oldest);
    if (keep !== 0) this.#slices = keep < 0 ? [] : this.#slices.slice(keep);
  }
}
