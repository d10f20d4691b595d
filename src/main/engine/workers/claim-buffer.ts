// Claims that wait for a free worker, in turn order. The buffer is there so that workers do not wait for the store: it holds
// what they work off during one exchange with it, and no more, because a claim that lies here is out of every other
// tenant's and every other machine's reach.
import type { Claim } from '../job.ts';

/** Never more than this much work beyond the free workers, and never more jobs. */
const LONGEST_LEAD_MS = 100;
const MOST_CLAIMS = 500;
/** Before so many jobs have ended nobody knows how fast they are. */
const KNOWN_AFTER = 20;
/** A claim that has waited longer goes back: jobs turned out slower than they were. */
const LONGEST_WAIT_MS = 2_000;
/** A new time weighs this much in a mean; a slower job more, so that the buffer shrinks at once and grows slowly. */
const WEIGHT = { faster: 0.02, slower: 0.2, exchange: 0.1 };
/** Shorter than any clock here can tell. */
const SHORTEST_MS = 0.01;

export class ClaimBuffer {
  #claims: Claim[] = [];
  /** Claims before it are gone. */
  #head = 0;
  #ended = 0;
  #runMs = 0;
  #exchangeMs = 0;

  get size(): number {
    return this.#claims.length - this.#head;
  }

  /** A job ended after `runMs`. */
  ended(runMs: number): void {
    this.#ended += 1;
    this.#runMs = towards(this.#runMs, runMs, runMs > this.#runMs ? WEIGHT.slower : WEIGHT.faster);
  }

  /** The store took `tookMs` to hand over the last claims. */
  exchanged(tookMs: number): void {
    this.#exchangeMs = towards(this.#exchangeMs, tookMs, WEIGHT.exchange);
  }

  /** Claims to hold beyond free workers: what `workers` work off while the store is asked, and a little more. */
  wanted(workers: number): number {
    if (this.#ended < KNOWN_AFTER) return 0;
    const leadMs = Math.min(LONGEST_LEAD_MS, 1 + this.#exchangeMs);
    return Math.min(MOST_CLAIMS, Math.floor((workers * leadMs) / Math.max(SHORTEST_MS, this.#runMs)));
  }

  push(claim: Claim): void {
    this.#claims.push(claim);
  }

  shift(): Claim | undefined {
    if (this.#head === this.#claims.length) return undefined;
    const claim = this.#claims[this.#head];
    this.#head += 1;
    if (this.#head === this.#claims.length) {
      this.#claims = [];
      this.#head = 0;
    }
    return claim;
  }

  /** When the first claim has waited too long; Infinity when it is empty. */
  get staleAtMs(): number {
    const first = this.#claims[this.#head];
    return first === undefined ? Infinity : first.claimedAtMs + LONGEST_WAIT_MS;
  }

  /** Takes out what has waited too long, and forgets how fast jobs were: it was wrong. */
  takeStale(nowMs: number): Claim[] {
    if (this.staleAtMs > nowMs) return [];
    this.#ended = this.#runMs = 0;
    return this.take(({ claimedAtMs }) => claimedAtMs + LONGEST_WAIT_MS <= nowMs);
  }

  /** Takes out every claim that is meant. */
  take(isMeant: (claim: Claim) => boolean): Claim[] {
    const taken: Claim[] = [];
    const kept: Claim[] = [];
    for (const claim of this.all()) (isMeant(claim) ? taken : kept).push(claim);
    this.#claims = kept;
    this.#head = 0;
    return taken;
  }

  all(): Claim[] {
    return this.#claims.slice(this.#head);
  }
}

function towards(mean: number, value: number, weight: number): number {
  return mean + (value - mean) * weight;
}
