// What the alert rules see of a connection after each poll: one value per metric and scope.
import type { AlertScope, Metric } from '../../core/alert.ts';
import type { TenantRow } from '../../contract/live.ts';
import type { TenantTracker } from './tenant-tracker.ts';

/** `value` null: the metric exists but was not measured now. Missing data is never zero. */
export interface Observation {
  metric: Metric;
  scope: AlertScope;
  value: number | null;
  cause: string | null;
}

const flag = (condition: boolean): number => (condition ? 1 : 0);

export function tenantObservations(
  tracker: TenantTracker,
  row: TenantRow,
  { nowMs, canary }: { nowMs: number; canary: boolean },
): Observation[] {
  const scope: AlertScope = { kind: 'tenant', id: row.id, name: row.name };
  const cause = row.cause?.text ?? null;
  const { view } = tracker;
  const at = (metric: Metric, value: number | null, why = cause): Observation => ({
    metric,
    scope,
    value: view === null ? null : value,
    cause: why,
  });
  const { slowestStage: slowest } = tracker.timingFigures(nowMs);
  const oldestRunningAtMs = view?.sample.oldestRunningAtMs ?? null;
  const observations = [
    at('lag', row.lagMs),
    at('depth', row.ready.value),
    at('staleLocks', row.stale.value, null),
    at('stalled', flag(row.status === 'stalled')),
    at('stuck', flag(row.status === 'stuck'), null),
    at('runningFor', oldestRunningAtMs === null || view === null ? 0 : view.atMs - oldestRunningAtMs, null),
  ];
  // Rules on logs stay silent for a tenant without logs: there is nothing missing, there never was any.
  if (row.errorRate !== null) observations.push(at('errorRate', row.errorRate, null));
  if (slowest !== null) observations.push(at('stageP95', slowest.p95Ms, `stage ${slowest.stage}`));
  if (canary)
    observations.push(at('canary', row.lagMs === null ? null : row.lagMs + (tracker.latestRunMs ?? 0)));
  return observations;
}

export interface ConnectionFigures {
  /** For how long it has not answered; 0 while it does. */
  unreachableMs: number;
  /** For how long the workers have owed a sign; null when not known. */
  workersSilentMs: number | null;
  /** Over the last hour; null under 10 attempts. */
  successRate: number | null;
  error: string | null;
}

export function connectionObservations(
  connection: { id: string; name: string },
  figures: ConnectionFigures,
): Observation[] {
  const scope: AlertScope = { kind: 'connection', id: connection.id, name: connection.name };
  const observations: Observation[] = [
    { metric: 'unreachable', scope, value: figures.unreachableMs, cause: figures.error },
    { metric: 'workersSeen', scope, value: figures.workersSilentMs, cause: null },
  ];
  if (figures.successRate !== null)
    observations.push({ metric: 'successRate', scope, value: figures.successRate, cause: null });
  return observations;
}
