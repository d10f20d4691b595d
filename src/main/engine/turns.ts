// Whose jobs the next exchange asks for: the scheduler decides among the tenants that the store shows.
import { TurnScheduler, type TenantShares } from '../../core/turn-scheduler.ts';
import type { EngineTuning } from './engine-parts.ts';
import type { Claim } from './job.ts';
import type { Eligible, Exchange, Store } from './stores/store.ts';

type Asked = NonNullable<Exchange['take']>;

export class Turns {
  readonly #store: Store;
  #tuning: EngineTuning;
  /** Made when the store has told where the circle stopped. */
  #scheduler: TurnScheduler | null = null;

  constructor(store: Store, tuning: EngineTuning) {
    this.#store = store;
    this.#tuning = tuning;
  }

  configure(tuning: EngineTuning): void {
    this.#tuning = tuning;
    if (tuning.order !== 'first-come') this.#scheduler?.configure(tuning.order, sharesOf(tuning));
  }

  /** The tenant that had the last turn, to be kept with the claims of `take`. */
  cursorOf(take: Exchange['take']): string | null {
    return take?.order === 'turns' ? (this.#scheduler?.cursor ?? null) : null;
  }

  /** What to ask for with `slots` free; null when nobody has work. */
  async take(slots: number, eligible: Eligible): Promise<{ take: Asked | null; mayHaveMore: boolean }> {
    if (this.#tuning.order === 'first-come') {
      return { take: { order: 'first-come', count: slots }, mayHaveMore: false };
    }
    const scheduler = await this.#open(this.#tuning.order);
    const ready = await this.#store.ready({ ...scheduler.ask(slots), eligible });
    if (ready.length === 0) return { take: null, mayHaveMore: false };
    const takes = scheduler.plan(ready, slots);
    return { take: takes.length === 0 ? null : { order: 'turns', takes }, mayHaveMore: true };
  }

  /** What the store really gave. */
  claimed(take: Asked, claims: readonly Claim[]): void {
    if (take.order !== 'turns') return;
    const counts = new Map(take.takes.map(({ tenantId }) => [tenantId, 0]));
    for (const { tenantId } of claims) counts.set(tenantId, (counts.get(tenantId) ?? 0) + 1);
    for (const [tenantId, count] of counts) this.#scheduler?.claimed(tenantId, count);
  }

  /** A claim came to its end; null: it was given back without having run. */
  ended(tenantId: string, runMs: number | null): void {
    this.#scheduler?.ended(tenantId, runMs);
  }

  async #open(order: 'fair' | 'fair-time'): Promise<TurnScheduler> {
    this.#scheduler ??= new TurnScheduler({
      order,
      shares: sharesOf(this.#tuning),
      cursor: await this.#store.cursor(),
    });
    return this.#scheduler;
  }
}

function sharesOf({ tenants }: EngineTuning): TenantShares {
  return new Map(Object.entries(tenants));
}
