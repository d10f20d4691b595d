// A tenant in time and a quiet head, for tests to change.
import { zero } from '../core/count.ts';
import type { OverviewHead, TenantRow } from './live.ts';

export function tenantRow(changes: Partial<TenantRow> = {}): TenantRow {
  return {
    id: '3',
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
    ready: zero,
    delayed: zero,
    running: zero,
    stale: zero,
    dead: null,
    blocked: null,
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

export function overviewHead(changes: Partial<OverviewHead> = {}): OverviewHead {
  return {
    connection: {
      id: 'mail',
      name: 'Mail',
      kind: 'postal',
      environment: 'production',
      safety: 'read-only',
      tenantWord: 'server',
      state: { kind: 'live', sinceMs: 0 },
      logHosts: [],
      worst: null,
      firing: 0,
      late: 0,
    },
    asOfMs: 1,
    clock: null,
    pollEveryMs: 2_000,
    pollNote: null,
    cost: null,
    workers: { busy: null, total: null, lastSeenMs: null },
    windowMs: 60_000,
    warmingUpMs: 0,
    sparkBucketMs: 60_000,
    claimOrder: null,
    totals: {
      late: 0,
      stalled: 0,
      ok: 0,
      noData: 0,
      worst: null,
      inPerMin: null,
      outPerMin: null,
      timeToEmpty: { kind: 'unknown' },
      ready: zero,
      running: zero,
    },
    ...changes,
  };
}
