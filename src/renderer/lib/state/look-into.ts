// Where the evidence of a cause can be looked at, the likeliest place first.
import type { Cause } from '../../../core/cause.ts';
import type { Route } from './route.ts';

export interface Place {
  label: string;
  route: Route;
}

/** Links from a tenant's cause to the views that show its evidence. The database is one of them for every cause it can have. */
export function lookInto(
  cause: Pick<Cause, 'kind'>,
  { connectionId, tenantId }: { connectionId: string; tenantId: string },
): Place[] {
  const database: Place = {
    label: 'Database',
    route: { view: 'database', connectionId, section: 'health' },
  };
  const list = (label: string, section: 'ready' | 'running' | 'locks'): Place => ({
    label,
    route: { view: 'tenant', connectionId, tenantId, section },
  });
  const logs: Place = {
    label: 'Logs',
    route: { view: 'logs', connectionId, query: { filter: `tenant=${tenantId}` } },
  };
  switch (cause.kind) {
    case 'unreachable':
      return [{ label: 'Its settings', route: { view: 'connections', connectionId } }];
    case 'database-blocked':
      return [database, list('Locks', 'locks')];
    case 'stale-locks':
      return [list('Locks', 'locks'), database];
    case 'paused':
    case 'behind-neighbour':
      return [list('Ready jobs', 'ready'), database];
    case 'no-worker':
      return [{ label: 'Logs', route: { view: 'logs', connectionId, query: {} } }, list('Locks', 'locks')];
    case 'workers-saturated':
      return [list('Running jobs', 'running'), database];
    case 'slow-stage':
      return [logs, list('Running jobs', 'running'), database];
    case 'over-capacity':
    case 'unclear':
      return [list('Ready jobs', 'ready'), logs, database];
  }
}
