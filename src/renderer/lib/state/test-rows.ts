// A tenant on time, for tests to change.
import { exact } from '../../../core/count.ts';
import type { TenantRow } from '../../../contract/live.ts';

export function tenantRow(changes: Partial<TenantRow> = {}): TenantRow {
  return {
    id: '1',
    name: 'mailflow',
    detail: '',
    status: 'ok',
    statusSinceMs: 0,
    severity: null,
    cause: null,
    lagMs: 0,
    lagBound: 'exact',
    ageMs: null,
    trend: null,
    ready: exact(0),
    delayed: exact(0),
    running: exact(0),
    stale: exact(0),
    arrivalsPerS: null,
    attemptsPerS: null,
    ratesApproximate: false,
    runP95Ms: null,
    errorRate: null,
    timeToEmpty: { kind: 'unknown' },
    behind: null,
    paused: null,
    spark: [],
    ...changes,
  };
}
