import type { ClaimOrder, JobKind } from '../../../contract/job-kinds.ts';
import { type TenantShare, TurnScheduler } from '../../../core/turn-scheduler.ts';
import type { Claim } from '../job.ts';
import type { Eligible, Exchange, Store } from '../stores/store.ts';

export type PullKind = Pick<JobKind, 'kind' | 'retry' | 'timeouts' | 'concurrency'>;

/** Whose pulled jobs go next: the same rules as the engine's, in a circle of their own. */
export class PullTurns {
  readonly #kinds: readonly PullKind[];
  readonly #order: ClaimOrder;
  readonly #scheduler: TurnScheduler;

  /** `cursor`: the tenant after which the circle begins. */
  constructor(
    kinds: readonly PullKind[],
    tuning: { order: ClaimOrder; tenants: Readonly<Record<string, TenantShare>> },
    cursor: string | null,
  ) {
    this.#kinds = kinds;
    this.#order = tuning.order;
    this.#scheduler = new TurnScheduler({
      order: tuning.order === 'fair-time' ? 'fair-time' : 'fair',
      shares: new Map(Object.entries(tuning.tenants)),
      cursor,
    });
  }

  /** Those of `wanted` (all when left out) that may be claimed while `leasedOf` each are in somebody's hands. */
  eligible(wanted: readonly string[] | undefined, leasedOf: (kind: string) => number): Eligible {
    return this.#kinds.flatMap(({ kind, concurrency }) => {
      if (wanted && !wanted.includes(kind)) return [];
      const limit = concurrency === undefined ? null : concurrency - leasedOf(kind);
      return limit !== null && limit <= 0 ? [] : [{ kind, limit }];
    });
  }

  /** Turns for `slots` jobs; null when there is nothing to claim. */
  async plan(store: Pick<Store, 'ready'>, slots: number, eligible: Eligible): Promise<Exchange['take']> {
    if (slots <= 0 || eligible.length === 0) return null;
    if (this.#order === 'first-come') return { order: 'first-come', count: slots };
    const ready = await store.ready({ ...this.#scheduler.ask(slots), eligible });
    const takes = this.#scheduler.plan(ready, slots);
    return takes.length === 0 ? null : { order: 'turns', takes };
  }

  /** What of a plan was really claimed. */
  claimed(take: Exchange['take'], claims: readonly Claim[]): void {
    if (take?.order !== 'turns') return;
    const got = new Map<string, number>();
    for (const { tenantId } of claims) got.set(tenantId, (got.get(tenantId) ?? 0) + 1);
    for (const { tenantId } of take.takes) this.#scheduler.claimed(tenantId, got.get(tenantId) ?? 0);
  }

  /** A claim ended after `runMs`; null: it was not tried. */
  ended(tenantId: string, runMs: number | null): void {
    this.#scheduler.ended(tenantId, runMs);
  }
}
