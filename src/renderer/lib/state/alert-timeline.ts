// The last day of alerts as lanes, one a rule: spans of time in a state, from the changes of state.
import type { Alert, AlertEvent, AlertState, Metric, Severity } from '../../../core/alert.ts';

export interface AlertSpan {
  alertId: string;
  fromMs: number;
  toMs: number;
  state: AlertState;
  severity: Severity | null;
  text: string;
}
export interface AlertLane {
  ruleId: Metric;
  title: string;
  spans: AlertSpan[];
}

/**
 * Lanes between `fromMs` and `toMs`, for rules in which something happened. `events` stand oldest first; an alert
 * whose beginning is older than the events is known from `alerts`.
 */
export function alertLanes(
  events: readonly AlertEvent[],
  alerts: readonly Alert[],
  titles: ReadonlyMap<Metric, string>,
  fromMs: number,
  toMs: number,
): AlertLane[] {
  const lanes = new Map<Metric, AlertLane>();
  const open = new Map<string, AlertEvent>();
  const add = (ruleId: Metric, span: AlertSpan): void => {
    if (span.state === 'normal' || span.toMs <= fromMs || span.fromMs >= toMs) return;
    const lane = lanes.get(ruleId) ?? { ruleId, title: titles.get(ruleId) ?? ruleId, spans: [] };
    lanes.set(ruleId, lane);
    lane.spans.push({ ...span, fromMs: Math.max(span.fromMs, fromMs), toMs: Math.min(span.toMs, toMs) });
  };
  const close = (event: AlertEvent, untilMs: number): void =>
    add(event.ruleId, {
      alertId: event.alertId,
      fromMs: event.atMs,
      toMs: untilMs,
      state: event.to,
      severity: event.severity,
      text: event.summary,
    });

  for (const event of events) {
    const before = open.get(event.alertId);
    if (before !== undefined) close(before, event.atMs);
    open.set(event.alertId, event);
  }
  for (const event of open.values()) close(event, toMs);
  for (const alert of alerts) {
    if (open.has(alert.id)) continue;
    const { id: alertId, sinceMs, state, severity } = alert;
    const text = `${alert.ruleTitle}: ${alert.scope.name} ${state}`;
    add(alert.ruleId, { alertId, fromMs: sinceMs, toMs, state, severity, text });
  }
  return [...lanes.values()].sort((a, b) => (a.title < b.title ? -1 : 1));
}
