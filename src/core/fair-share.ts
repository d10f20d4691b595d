// Whether the workers shared their starts fairly among the tenants that had work.

/** One tenant over a window. */
export interface Service {
  tenantId: string;
  /** Jobs of it that were started. */
  starts: number;
  /** Jobs of it that could have been started: those that were, and those ready at the end. */
  demand: number;
}

/** Shares of all starts, 0 to 1. */
export interface FairShare {
  /** starts of the tenant / starts of all. */
  share: number;
  /** What it would have been under equal turns. */
  fairShare: number;
}

/**
 * Each tenant's share of the starts against the share it would have had under equal turns among the tenants with
 * ready work: a tenant takes its turn until its demand is met, the rest is divided among the others
 * (max-min fairness; Bertsekas and Gallager, "Data Networks", 6.5.2). Tenants without demand are left out;
 * empty when nothing was started.
 */
export function fairShares(services: readonly Service[]): Map<string, FairShare> {
  const all = services.reduce((sum, service) => sum + service.starts, 0);
  const shares = new Map<string, FairShare>();
  if (all === 0) return shares;
  const hungry = services
    .filter((service) => demandOf(service) > 0)
    .sort((a, b) => demandOf(a) - demandOf(b));
  let left = all;
  hungry.forEach((service, i) => {
    const turns = Math.min(demandOf(service), left / (hungry.length - i));
    left -= turns;
    shares.set(service.tenantId, { share: service.starts / all, fairShare: turns / all });
  });
  return shares;
}

/**
 * Jain's index of service over demand: (Σx)² / (n Σx²) with x = starts / demand (Jain, Chiu, Hawe: DEC-TR-301,
 * 1984). 1 when every tenant got the same part of what it asked for, 1/n when one got all. Null when nobody
 * asked for anything or nothing was started.
 */
export function jainIndex(services: readonly Service[]): number | null {
  let count = 0;
  let sum = 0;
  let sumOfSquares = 0;
  for (const service of services) {
    const demand = demandOf(service);
    if (demand === 0) continue;
    const met = service.starts / demand;
    count++;
    sum += met;
    sumOfSquares += met * met;
  }
  return sumOfSquares === 0 ? null : sum ** 2 / (count * sumOfSquares);
}

/** Counts read at different moments may disagree; what was started was certainly asked for. */
function demandOf({ starts, demand }: Service): number {
  return Math.max(starts, demand);
}
