import { sumCounts, type Count } from '../../../core/count.ts';
import type { TenantDepth } from '../job.ts';

type DepthState = 'ready' | 'delayed' | 'running' | 'waiting' | 'blocked' | 'dead';

/** One tenant, or the sum of those that got no label of their own. */
export interface LabelledDepth extends Record<DepthState, Count> {
  tenant: string;
  /** Age of the oldest ready job; 0 when none is ready. */
  lagMs: number;
}

/** The name of the rest; a tenant that is really called so is counted with them. */
const OTHER = 'other';

/**
 * The `limit` most late tenants one by one and the rest as one: a scraper keeps a series for every label it ever saw,
 * so their number must not grow with the tenants.
 */
export function labelledDepths(
  tenants: readonly TenantDepth[],
  nowMs: number,
  limit: number,
): LabelledDepth[] {
  const labelled = tenants
    .map((tenant): LabelledDepth => ({
      tenant: tenant.tenantId,
      lagMs: tenant.oldestReady === null ? 0 : Math.max(0, nowMs - tenant.oldestReady.readyAtMs),
      ...depthsOf([tenant]),
    }))
    .sort((a, b) => b.lagMs - a.lagMs || (a.tenant < b.tenant ? -1 : 1));
  const top = labelled.filter(({ tenant }) => tenant !== OTHER).slice(0, limit);
  const shown = new Set(top.map(({ tenant }) => tenant));
  const rest = labelled.filter(({ tenant }) => !shown.has(tenant));
  if (rest.length === 0) return top;
  return [...top, { tenant: OTHER, lagMs: rest[0]?.lagMs ?? 0, ...depthsOf(rest) }];
}

/** All tenants together, state by state. */
export function depthsOf(parts: readonly Readonly<Record<DepthState, Count>>[]): Record<DepthState, Count> {
  const sum = (state: DepthState): Count => sumCounts(parts.map((part) => part[state]));
  return {
    ready: sum('ready'),
    delayed: sum('delayed'),
    running: sum('running'),
    waiting: sum('waiting'),
    blocked: sum('blocked'),
    dead: sum('dead'),
  };
}
