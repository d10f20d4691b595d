// The fair order: tenants in a circle. After a tenant's turn comes the next higher one that has a ready job; after
// the highest, the lowest. So a tenant with work waits for at most one job of each other tenant (incident 1).

/** The oldest ready job of a tenant. */
export interface Head {
  tenantId: string;
  id: number;
}

/** What the circle asks of a store: a walk over its index, never over its backlog. */
export interface ReadyTenants {
  /** The head of the lowest tenant above `tenantId` that has a ready job; of all tenants when it is null. */
  headAbove(tenantId: string | null): Head | null;
}

/** Whose turn it is after `cursor` had the last one; null when no tenant has a ready job. */
export function nextTurn(ready: ReadyTenants, cursor: string | null): Head | null {
  const next = ready.headAbove(cursor);
  return next ?? (cursor === null ? null : ready.headAbove(null));
}
