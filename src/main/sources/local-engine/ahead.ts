// Who stands ahead of a tenant's oldest ready job in the engine's claim order, for either order.
import { behind } from '../../../core/behind.ts';
import { exact } from '../../../core/count.ts';
import type { TenantSample } from '../../../core/sample.ts';
import type { EngineReading, EngineTenant } from './engine-reader.ts';

type Behind = TenantSample['behind'];
/** What is known of the queues, and the order that they are worked in. */
type Queues = Pick<EngineReading, 'order' | 'tenants' | 'cursor' | 'frontEndId'>;

/** As many owners are named as core/behind.ts names. */
const OWNERS = 3;

/** Null when the tenant has nothing ready. */
export function ahead(tenant: EngineTenant, reading: Queues): Behind {
  return reading.order === 'first-come' ? aheadById(tenant.tenantId, reading) : aheadInTurns(tenant, reading);
}

function aheadById(tenantId: string, { tenants, frontEndId }: Queues): Behind {
  const heads = tenants.map((tenant) => ({
    tenantId: tenant.tenantId,
    readyKeys: tenant.frontIds,
    unseenAfter: frontEndId,
    oldestKey: tenant.oldestReady?.id ?? null,
    whole: null,
  }));
  return behind(heads, tenantId);
}

/** One job of each tenant whose turn comes first: at most one turn of the circle. */
function aheadInTurns({ tenantId, oldestReady }: EngineTenant, { tenants, cursor }: Queues): Behind {
  if (oldestReady === null) return null;
  const isPast = (id: string): boolean => cursor !== null && id <= cursor;
  const comesFirst = (id: string): boolean => (isPast(id) === isPast(tenantId) ? id < tenantId : !isPast(id));
  const others = tenants.filter((other) => other.oldestReady !== null && comesFirst(other.tenantId));
  return {
    ahead: exact(others.length),
    tenants: others.slice(0, OWNERS).map((other) => ({ tenantId: other.tenantId, share: 1 / others.length })),
  };
}
