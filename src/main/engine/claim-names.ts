// Under which name an engine claims. When the store fails during an exchange nobody knows whether its claims were made; if
// they were, they are this engine's in the store and in nobody's hands. So the engine goes on under a new name: the old one
// lives until what is known to be its own is settled, then it leaves, and what was lost is reclaimed like a dead engine's.
import type { Settlement } from './job.ts';

type ClaimRef = Settlement['claim'];

export class ClaimNames {
  readonly #first: string;
  #current: string;
  #count = 1;
  /** Claims that are still theirs. */
  readonly #former = new Map<string, Set<ClaimRef>>();

  constructor(owner: string) {
    this.#first = this.#current = owner;
  }

  get current(): string {
    return this.#current;
  }

  /** Those that must be heard. */
  get all(): string[] {
    return [this.#current, ...this.#former.keys()];
  }

  /** Former names without a claim: they may leave. */
  get done(): string[] {
    return [...this.#former].flatMap(([name, claims]) => (claims.size === 0 ? name : []));
  }

  /** A new name for what is claimed from now on; `open` are the claims that are not settled. */
  renew(open: Iterable<ClaimRef>): void {
    const held = new Set(open);
    for (const claims of this.#former.values()) for (const claim of claims) held.delete(claim);
    this.#former.set(this.#current, held);
    this.#count += 1;
    this.#current = `${this.#first}~${this.#count}`;
  }

  of(claim: ClaimRef): string {
    for (const [name, claims] of this.#former) if (claims.has(claim)) return name;
    return this.#current;
  }

  settled(claim: ClaimRef): void {
    for (const claims of this.#former.values()) claims.delete(claim);
  }

  /** It has left. */
  forget(name: string): void {
    this.#former.delete(name);
  }
}
