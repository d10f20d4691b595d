// What the alert rules see of a connection after each poll: one value per metric and scope.
import { workerMemoryRatio } from '../../core/alert-rules.ts';
import type { AlertScope, Metric } from '../../core/alert.ts';
import type { SourceSample } from '../../core/sample.ts';
import type { TenantRow } from '../../contract/live.ts';
import type { TenantView } from '../../core/tenant-window.ts';
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
  { nowMs, canary, hasDeadSet }: { nowMs: number; canary: boolean; hasDeadSet: boolean },
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
  const observations = [
    at('lag', row.lagMs),
    at('depth', row.ready.value),
    at('staleLocks', row.stale.value, null),
    at('runningFor', view === null ? null : runningForMs(view), null),
  ];
  // A window that is not full proves neither; a 0 would end an alert that a gap only interrupted.
  if (row.status !== 'warming-up') {
    observations.push(at('stalled', flag(row.status === 'stalled')));
    observations.push(at('stuck', flag(row.status === 'stuck'), null));
  }
  if (hasDeadSet) observations.push(at('deadSet', view?.sample.dead?.value ?? null, null));
  // Rules on logs stay silent for a tenant without logs: there is nothing missing, there never was any.
  if (row.errorRate !== null) observations.push(at('errorRate', row.errorRate, null));
  if (slowest !== null) observations.push(at('stageP95', slowest.p95Ms, `stage ${slowest.stage}`));
  if (canary)
    observations.push(at('canary', row.lagMs === null ? null : row.lagMs + (tracker.latestRunMs ?? 0)));
  return observations;
}

/** Age of the oldest start among what runs, ms; 0 while nothing runs. A worker's clock may be ahead. */
function runningForMs({ atMs, sample }: TenantView): number {
  return sample.oldestRunningAtMs === null ? 0 : Math.max(0, atMs - sample.oldestRunningAtMs);
}

/** What a source tells of its kinds of jobs and of its workers, where it does. */
export function sourceObservations({ kinds, workerMemory }: SourceSample): Observation[] {
  const observations: Observation[] = [];
  const add = (metric: Metric, scope: AlertScope, value: number | null) => {
    // Too few attempts, or no limit to measure by: nothing is missing.
    if (value !== null) observations.push({ metric, scope, value, cause: null });
  };
  for (const { kind, failureRatio } of kinds ?? [])
    add('kindFailureRate', { kind: 'kind', id: kind, name: kind }, failureRatio);
  for (const { id, rssBytes, limitBytes } of workerMemory ?? [])
    add('workerMemory', { kind: 'worker', id, name: id }, workerMemoryRatio(rssBytes, limitBytes));
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
