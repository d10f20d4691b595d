// The engine's condition at one moment, as plain data. The store counts every claim as running; those that still wait in
// the engine's buffer are shown as what they are: ready.
import type { Count } from '../../core/count.ts';
import type { ClaimOrder } from '../../contract/job-kinds.ts';
import type { Claim, Depths, TenantDepth } from './job.ts';

export interface EngineSnapshot extends Depths {
  workers: number;
  order: ClaimOrder;
  busy: number;
  /** When the store was read; epoch ms of its clock. */
  atMs: number;
}

/** `depths` with claims that have not started counted as ready. */
export function withBuffered(depths: Depths, buffered: readonly Claim[]): Depths {
  if (buffered.length === 0) return depths;
  const claims = Map.groupBy(buffered, ({ tenantId }) => tenantId);
  const tenants = depths.tenants.map((tenant) => {
    const own = claims.get(tenant.tenantId);
    return own ? withClaims(tenant, own, depths.frontEndId) : tenant;
  });
  return { ...depths, tenants };
}

function withClaims(tenant: TenantDepth, claims: readonly Claim[], frontEndId: number | null): TenantDepth {
  // The store was read a moment ago: what it has not seen claimed is still ready there.
  const moved = Math.min(claims.length, tenant.running.value);
  if (moved === 0) return tenant;
  const running = plus(tenant.running, -moved);
  const front = claims.map(({ id }) => id).filter((id) => frontEndId === null || id <= frontEndId);
  const [first] = claims.toSorted(byAge);
  const { oldestReady } = tenant;
  return {
    ...tenant,
    ready: plus(tenant.ready, moved),
    running,
    oldestReady:
      [first, oldestReady]
        .flatMap((job) => job ?? [])
        .sort(byAge)
        .map(shown)[0] ?? null,
    oldestRunningAtMs: running.value === 0 ? null : tenant.oldestRunningAtMs,
    frontIds: [...new Set([...tenant.frontIds, ...front])].sort((a, b) => a - b),
  };
}

type Waiting = NonNullable<TenantDepth['oldestReady']>;

/** Who has waited longest goes first, among equals the lower id. */
function byAge(a: Waiting, b: Waiting): number {
  return a.readyAtMs - b.readyAtMs || a.id - b.id;
}

function shown({ id, readyAtMs, createdAtMs }: Waiting): Waiting {
  return { id, readyAtMs, createdAtMs };
}

function plus({ value, kind }: Count, more: number): Count {
  return { value: value + more, kind };
}
