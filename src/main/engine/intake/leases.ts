import type { Claim } from '../job.ts';

/** A claim in another program's hands. */
export interface Lease {
  /** Without its payload: nobody needs it here any more. */
  claim: Claim;
  /** When it was handed over and when it is over, local ms. */
  sinceMs: number;
  untilMs: number;
}

/** Which jobs other programs hold, and until when. */
export class Leases {
  readonly #byId = new Map<number, Lease>();
  readonly #perKind = new Map<string, number>();

  get size(): number {
    return this.#byId.size;
  }

  /** Jobs of the kind that are in somebody's hands. */
  of(kind: string): number {
    return this.#perKind.get(kind) ?? 0;
  }

  add(claim: Claim, sinceMs: number, leaseMs: number): void {
    this.restore({ claim: { ...claim, payload: undefined }, sinceMs, untilMs: sinceMs + leaseMs });
  }

  /** Takes out the lease that (id, fence) names; null when it is over. */
  remove(id: number, fence: number): Lease | null {
    const lease = this.#byId.get(id);
    if (lease?.claim.fence !== fence) return null;
    this.#byId.delete(id);
    this.#count(lease, -1);
    return lease;
  }

  /** Puts in what is not there, or what `remove` took out. */
  restore(lease: Lease): void {
    this.#byId.set(lease.claim.id, lease);
    this.#count(lease, 1);
  }

  /** Takes out every lease that is over at `nowMs`. */
  removeExpired(nowMs: number): Lease[] {
    const expired: Lease[] = [];
    for (const lease of this.#byId.values()) if (lease.untilMs <= nowMs) expired.push(lease);
    return expired.filter((lease) => this.remove(lease.claim.id, lease.claim.fence));
  }

  /** Takes out all. */
  removeAll(): Lease[] {
    return this.removeExpired(Infinity);
  }

  #count({ claim }: Lease, change: number): void {
    this.#perKind.set(claim.kind, this.of(claim.kind) + change);
  }
}
