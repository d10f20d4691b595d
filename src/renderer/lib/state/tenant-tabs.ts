// The parts of a tenant's view as tabs: the lists that its system knows, with how much is in each.
import type { Capabilities } from '../../../contract/capabilities.ts';
import type { JobList } from '../../../contract/queue-jobs.ts';
import type { TenantRow } from '../../../contract/live.ts';
import { sumCounts } from '../../../core/count.ts';
import type { Count } from '../../../core/count.ts';
import { formatCount } from '../../../core/duration.ts';
import { listNames } from '../format/queue-words.ts';
import type { Route, TenantSection } from './route.ts';

/** Ordered by how often one wants to know. */
const lists: readonly JobList[] = ['ready', 'running', 'delayed', 'dead', 'held', 'blocked'];

export interface TenantTab {
  id: TenantSection;
  name: string;
  route: Route;
  count: string;
  bad: boolean;
  foreign: string | null;
  key: string;
}

/**
 * `abilities`: null while they are not known; then every list is offered. A list that the system does not tell of is
 * left out, unless it is the one that a link led to. Dead jobs are offered even where no poll tells their number:
 * Postal lists them from elsewhere. `foreign`: what a list said when it was found to mean nothing.
 */
export function tenantTabs({
  connectionId,
  tenantId,
  section,
  row,
  abilities,
  foreign,
}: {
  connectionId: string;
  tenantId: string;
  section: TenantSection;
  row: Pick<TenantRow, 'ready' | 'running' | 'delayed' | 'stale' | 'dead' | 'blocked'> | null;
  abilities: Capabilities | null;
  foreign: Readonly<Partial<Record<TenantSection, string>>>;
}): TenantTab[] {
  const told = (fact: keyof Capabilities['facts']): boolean => abilities?.facts[fact].kind !== 'no';
  const known = (id: TenantSection): boolean => {
    if (id === 'charts') return true;
    if (id === 'locks') return told('locks');
    return told('jobs') && (id !== 'blocked' || told('blocked'));
  };
  const counts: Partial<Record<TenantSection, Count | null>> =
    row === null
      ? {}
      : {
          ready: row.ready,
          // Both stand in the list of running jobs.
          running: sumCounts([row.running, row.stale]),
          delayed: row.delayed,
          dead: row.dead,
          blocked: row.blocked,
        };
  const ids: readonly TenantSection[] = ['charts', ...lists, 'locks'];
  return ids
    .filter((id) => id === section || known(id))
    .map((id, index) => {
      const count = counts[id] ?? null;
      const stale = id === 'locks' && row !== null && row.stale.value > 0 ? row.stale : null;
      return {
        id,
        name: id === 'charts' ? 'Charts' : id === 'locks' ? 'Locks' : listNames[id],
        route: { view: 'tenant', connectionId, tenantId, section: id },
        count: stale !== null ? `${formatCount(stale)} stale` : count === null ? '' : formatCount(count),
        bad: stale !== null || (id === 'dead' && (count?.value ?? 0) > 0),
        foreign: foreign[id] ?? null,
        key: String(index + 1),
      };
    });
}
