// Ready counts beyond what a poll reads of each tenant: a few tenants are looked deeper at, the others are remembered.
import { sumCounts, type Count } from '../../../core/count.ts';
import type { TenantSample } from '../../../core/sample.ts';
import type { DepthMemory } from './depth-memory.ts';

export interface LongTenants {
  /** By tenant whose queue is longer than its head: ready jobs that are counted apart from it. */
  long: ReadonlyMap<string, Count>;
  memory: DepthMemory<string>;
  /** Looks deeper at some of them. */
  count: (ids: string[]) => Promise<ReadonlyMap<string, Count>>;
}

/** The tenants with the best count that is known of each. Rejects as `count` does. */
export async function withDeeperCounts(
  tenants: readonly TenantSample[],
  { long, memory, count }: LongTenants,
): Promise<TenantSample[]> {
  const picked = memory.pick([...long.keys()]);
  const counts = picked.length === 0 ? new Map<string, Count>() : await count(picked);
  return tenants.map((tenant) => {
    const id = tenant.tenantId;
    const apart = long.get(id);
    if (apart === undefined) return tenant;
    const counted = counts.get(id);
    if (counted === undefined) return { ...tenant, ...memory.recall(id, tenant) };
    const ready = sumCounts([counted, apart]);
    memory.learn(id, { ready, delayed: tenant.delayed });
    return { ...tenant, ready };
  });
}
