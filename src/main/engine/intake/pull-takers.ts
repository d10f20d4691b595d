import type { Claim } from '../job.ts';

/** Of one take, and of one exchange: its answer must fit in memory. */
export const MOST_CLAIMS = 1_000;
/** More are answered at once that there is nothing. */
const MOST_WAITING = 1_000;

export interface TakeRequest {
  count: number;
  /** The least of this and the kind's job timeout. */
  leaseMs: number;
  /** How long to wait for the first job when there is none. */
  waitMs: number;
  /** All that are pulled, when left out. */
  kinds?: readonly string[] | undefined;
  /** The taker went away. */
  signal: AbortSignal;
}

export interface Leased {
  claim: Claim;
  leaseMs: number;
}

export interface Taker extends TakeRequest {
  untilMs: number;
  resolve: (leased: Leased[]) => void;
  reject: (error: Error) => void;
}

/** Programs that want jobs: those whose turn it is, and those that found none and wait for some. */
export class Takers {
  #asking: Taker[] = [];
  #waiting: Taker[] = [];

  get asking(): number {
    return this.#asking.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  ask(taker: Taker): void {
    this.#asking.push(taker);
  }

  /** Those that want the same kinds as the first, up to what one exchange may claim. */
  next(): Taker[] {
    const wanted = (taker: Taker): string => taker.kinds?.toSorted().join(' ') ?? '';
    const [first] = this.#asking;
    const chosen: Taker[] = [];
    const others: Taker[] = [];
    let count = 0;
    for (const taker of this.#asking) {
      if (taker.signal.aborted) taker.resolve([]);
      else if (first && wanted(taker) === wanted(first) && count + taker.count <= MOST_CLAIMS) {
        chosen.push(taker);
        count += taker.count;
      } else others.push(taker);
    }
    this.#asking = others;
    return chosen;
  }

  /** There was nothing for it; false when it must be told so now. */
  wait(taker: Taker, nowMs: number): boolean {
    if (nowMs >= taker.untilMs || taker.signal.aborted || this.#waiting.length >= MOST_WAITING) return false;
    this.#waiting.push(taker);
    return true;
  }

  /** Those that wait ask again; false when nobody does. */
  wake(): boolean {
    if (this.#waiting.length === 0) return false;
    this.#asking.push(...this.#waiting.splice(0));
    return true;
  }

  /** Everybody goes home with nothing. */
  dismiss(): void {
    for (const taker of [...this.#asking.splice(0), ...this.#waiting.splice(0)]) taker.resolve([]);
  }
}
