// The made-up system's alerts: the lag rule over its tenants, and a day of earlier changes.
import type { Alert, AlertEvent, AlertRule, AlertState } from '../../../src/core/alert.ts';
import type { ConnectionSummary, TenantRow } from '../../../src/contract/live.ts';

const MINUTE = 60_000;
const rule = (
  id: AlertRule['id'],
  title: string,
  unit: AlertRule['unit'],
  warning: number | null,
  critical: number | null,
): AlertRule => ({
  id,
  title,
  unit,
  direction: id === 'successRate' || id === 'workersSeen' ? 'below' : 'above',
  warning,
  critical,
  forMs: 10_000,
  keepFiringForMs: 20_000,
  enabled: id !== 'kindFailureRate',
});

/** The shipped defaults, near enough. */
export const syntheticRules: AlertRule[] = [
  rule('lag', 'Oldest ready job', 'ms', 180_000, 300_000),
  rule('depth', 'Queue depth', 'jobs', 100, 500),
  rule('errorRate', 'Error rate', 'ratio', 0.1, 0.2),
  rule('kindFailureRate', 'Failure rate of a kind', 'ratio', 0.15, 0.3),
  rule('stageP95', 'Stage time p95', 'ms', 2_000, 5_000),
  rule('runningFor', 'Job running for', 'ms', 20 * MINUTE, 30 * MINUTE),
  rule('staleLocks', 'Stale locks', 'jobs', 0, null),
  rule('stalled', 'Stalled', 'flag', null, 1),
  rule('stuck', 'Stuck', 'flag', 1, null),
  rule('unreachable', 'Connection unreachable', 'ms', 30_000, 120_000),
  rule('canary', 'Canary end to end', 'ms', 180_000, 300_000),
];

export interface AlertChange {
  changed: Alert[];
  events: AlertEvent[];
  notify: AlertEvent[];
}

export class AlertPlay {
  readonly #alerts = new Map<string, Alert>();
  readonly #events: AlertEvent[] = [];
  readonly #connection: ConnectionSummary;
  readonly #rules: AlertRule[];
  #seq = 0;

  constructor(connection: ConnectionSummary, rules: AlertRule[], random: () => number, nowMs: number) {
    this.#connection = connection;
    this.#rules = rules;
    for (
      let atMs = nowMs - 23 * 60 * MINUTE;
      atMs < nowMs - 20 * MINUTE;
      atMs += 10 * MINUTE + random() * 90 * MINUTE
    )
      this.#episode(atMs, random);
  }

  get alerts(): Alert[] {
    return [...this.#alerts.values()];
  }

  get events(): readonly AlertEvent[] {
    return this.#events;
  }

  acknowledge(alertId: string, atMs: number): Alert | null {
    const alert = this.#alerts.get(alertId);
    if (alert === undefined) return null;
    const next = { ...alert, acknowledged: { by: 'you', atMs } };
    this.#alerts.set(alertId, next);
    return next;
  }

  /** Judges the lag of every row; null when no alert changed. */
  judge(rows: readonly TenantRow[], nowMs: number): AlertChange | null {
    const lag = this.#rules.find(({ id }) => id === 'lag');
    const change: AlertChange = { changed: [], events: [], notify: [] };
    if (lag === undefined) return null;
    for (const row of rows) {
      const id = `${this.#connection.id}/lag/${row.id}`;
      const alert = this.#alerts.get(id);
      const over = lag.enabled && (row.lagMs ?? 0) > (lag.warning ?? Infinity) && row.paused === null;
      const next = nextState(alert, over, lag, nowMs);
      if (next === null) continue;
      const severity = (row.lagMs ?? 0) > (lag.critical ?? Infinity) ? 'critical' : 'warning';
      const stateChanged = next !== (alert?.state ?? 'normal');
      const made: Alert = {
        id,
        ruleId: 'lag',
        ruleTitle: lag.title,
        connectionId: this.#connection.id,
        connectionName: this.#connection.name,
        scope: { kind: 'tenant', id: row.id, name: row.name },
        state: next,
        severity: next === 'recovering' ? (alert?.severity ?? severity) : severity,
        unit: 'ms',
        value: row.lagMs,
        threshold: severity === 'critical' ? lag.critical : lag.warning,
        sinceMs: stateChanged ? nowMs : (alert?.sinceMs ?? nowMs),
        firedAtMs: next === 'firing' && stateChanged ? nowMs : (alert?.firedAtMs ?? null),
        acknowledged: alert?.acknowledged ?? null,
        cause: row.cause?.text ?? null,
        error: null,
      };
      change.changed.push(made);
      if (next === 'normal') this.#alerts.delete(id);
      else this.#alerts.set(id, made);
      if (!stateChanged) continue;
      const event = this.#record(made, alert?.state ?? 'normal', nowMs);
      change.events.push(event);
      if (next === 'firing') change.notify.push(event);
    }
    return change.changed.length === 0 ? null : change;
  }

  #episode(atMs: number, random: () => number): void {
    const about = this.#rules[Math.floor(random() * this.#rules.length)];
    if (about === undefined) return;
    const tenant = String(1 + Math.floor(random() * 9));
    const critical = random() < 0.3;
    const steps: [AlertState, AlertState, number][] = [
      ['normal', 'pending', 0],
      ['pending', 'firing', MINUTE],
      ['firing', 'recovering', (3 + random() * 30) * MINUTE],
      ['recovering', 'normal', 4 * MINUTE],
    ];
    let at = atMs;
    for (const [from, to, after] of steps) {
      at += after;
      this.#events.push({
        seq: this.#seq++,
        atMs: at,
        alertId: `${this.#connection.id}/${about.id}/${tenant}`,
        ruleId: about.id,
        connectionId: this.#connection.id,
        scope: { kind: 'tenant', id: tenant, name: `server ${tenant}` },
        from,
        to,
        severity: critical ? 'critical' : 'warning',
        value: null,
        summary: `${about.title}: server ${tenant} ${to}`,
      });
    }
  }

  #record(alert: Alert, from: AlertState, atMs: number): AlertEvent {
    const { id: alertId, ruleId, connectionId, scope, state: to, severity, value } = alert;
    const summary = `${alert.ruleTitle}: ${scope.name} ${to}`;
    const event = {
      seq: this.#seq++,
      atMs,
      alertId,
      ruleId,
      connectionId,
      scope,
      from,
      to,
      severity,
      value,
      summary,
    };
    this.#events.push(event);
    return event;
  }
}

/** The state after this judgement; null where nothing is and nothing was. */
function nextState(
  alert: Alert | undefined,
  over: boolean,
  lag: AlertRule,
  nowMs: number,
): AlertState | null {
  if (alert === undefined) return over ? 'pending' : null;
  const heldMs = nowMs - alert.sinceMs;
  if (over) return alert.state === 'pending' && heldMs < lag.forMs ? 'pending' : 'firing';
  if (alert.state === 'recovering') return heldMs < lag.keepFiringForMs ? 'recovering' : 'normal';
  return alert.state === 'firing' ? 'recovering' : 'normal';
}
