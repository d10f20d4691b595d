// How many ready jobs the engine's claim order puts before a tenant's oldest one, and whose they are.
import { exact, type Count } from '../../../core/count.ts';
import type { TenantSample } from '../../../core/sample.ts';
import type { EngineReading, EngineTenant } from './engine-reader.ts';

type Behind = TenantSample['behind'];

/** As many neighbours as a person reads; the shares are of all. */
const NEIGHBOURS = 5;

/** Null when the tenant has nothing ready. */
export function behind(tenant: EngineTenant, reading: EngineReading): Behind {
  const head = tenant.headIds[0];
  if (head === undefined) return null;
  return reading.order === 'fair' ? behindInTurns(tenant, reading) : behindFirstCome(head, reading);
}

/** Lower ids come first. A tenant whose heads are not all seen may have more of them. */
function behindFirstCome(head: number, { tenants }: EngineReading): Behind {
  let kind: Count['kind'] = 'exact';
  const ahead = tenants.map(({ tenantId, ready, headIds }) => {
    if (ready.kind !== 'exact' || ready.value > headIds.length) kind = 'at-least';
    return { tenantId, jobs: headIds.filter((id) => id < head).length };
  });
  return withShares(ahead, kind);
}

/** One job of each tenant whose turn comes first: at most one turn of the circle. */
function behindInTurns({ tenantId }: EngineTenant, { tenants, cursor }: EngineReading): Behind {
  const isPast = (id: string): boolean => cursor !== null && id <= cursor;
  const comesBefore = (id: string): boolean =>
    isPast(id) === isPast(tenantId) ? id < tenantId : !isPast(id);
  const ahead = tenants
    .filter((other) => other.headIds.length > 0 && comesBefore(other.tenantId))
    .map((other) => ({ tenantId: other.tenantId, jobs: 1 }));
  return withShares(ahead, 'exact');
}

function withShares(ahead: { tenantId: string; jobs: number }[], kind: Count['kind']): Behind {
  const value = ahead.reduce((sum, { jobs }) => sum + jobs, 0);
  const tenants = ahead
    .filter(({ jobs }) => jobs > 0)
    .sort((a, b) => b.jobs - a.jobs)
    .slice(0, NEIGHBOURS)
    .map(({ tenantId, jobs }) => ({ tenantId, share: jobs / value }));
  return { ahead: { ...exact(value), kind }, tenants };
}
