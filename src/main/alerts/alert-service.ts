// The alerts room: observations of all connections become alerts, events and notifications. How one alert moves is
// core's (alert-machine.ts); this service holds them all, keeps what a restart must know, and tells followers.
import type { Delta, Snapshot } from '../../contract/api.ts';
import { HeadwayError } from '../../contract/errors.ts';
import {
  acknowledgeAlert,
  episodeOf,
  levelOf,
  restoreAlert,
  stepAlert,
  type AlertProgress,
} from '../../core/alert-machine.ts';
import { alertSummary } from '../../core/alert-summary.ts';
import type { Alert, AlertEvent, AlertRule, AlertScope, Metric, Severity } from '../../core/alert.ts';

/** One metric of one scope as it was found; `value` null: it exists and was not measured. */
export interface AlertObservation {
  metric: Metric;
  scope: AlertScope;
  value: number | null;
  cause: string | null;
}

/** What survives a restart; the history store. */
export interface AlertJournal {
  saveAlerts(alerts: Alert[]): void;
  addAlertEvents(events: AlertEvent[]): void;
}

interface Entry {
  alert: Alert;
  progress: AlertProgress;
}
type Changes = Delta<'alerts'>;
type Connection = { id: string; name: string };

/** Events that a new window is shown; the rest is in the history. */
const RECENT_EVENTS = 500;

export class AlertService {
  readonly #journal: AlertJournal;
  /** Alerts that are not normal, by connection and by id. */
  readonly #entries = new Map<string, Map<string, Entry>>();
  readonly #followers = new Set<(changes: Changes) => void>();
  readonly #onNotify = new Set<(event: AlertEvent) => void>();
  readonly #onWorst = new Set<(worst: Severity | null, firing: number) => void>();
  #events: AlertEvent[];
  #seq: number;
  #worst = '';

  constructor(journal: AlertJournal, kept: { alerts: Alert[]; events: AlertEvent[] }) {
    this.#journal = journal;
    this.#events = kept.events.slice(-RECENT_EVENTS);
    this.#seq = (kept.events.at(-1)?.seq ?? -1) + 1;
    for (const alert of kept.alerts)
      this.#of(alert.connectionId).set(alert.id, { alert, progress: restoreAlert(alert) });
  }

  /**
   * Judges everything that was observed of a connection at one moment. A scope that is not among the observations
   * is gone and its alerts end; a metric that its scope no longer yields is missing data. `inhibited`: the
   * connection itself is in trouble, so of its tenants nobody is told, and none of their alerts begins for want
   * of data.
   */
  evaluate(
    connection: Connection,
    rules: readonly AlertRule[],
    observations: readonly AlertObservation[],
    nowMs: number,
    inhibited: boolean,
  ): void {
    const byMetric = new Map(rules.map((rule) => [rule.id, rule]));
    const entries = this.#of(connection.id);
    const changes: Changes = { changed: [], events: [], notify: [] };
    const seen = new Set<string>();
    const scopes = new Set<string>();
    for (const observation of observations) {
      const rule = byMetric.get(observation.metric);
      if (rule === undefined) continue;
      scopes.add(scopeKey(observation.scope));
      const id = alertId(rule.id, connection.id, observation.scope);
      seen.add(id);
      const quiet = inhibited && observation.scope.kind !== 'connection';
      if (!entries.has(id) && isUneventful(observation.value, rule, quiet)) continue;
      this.#step(connection, rule, observation, { nowMs, inhibited: quiet }, changes);
    }
    for (const [id, { alert }] of entries) {
      const rule = byMetric.get(alert.ruleId);
      if (seen.has(id) || rule === undefined) continue;
      if (scopes.has(scopeKey(alert.scope))) {
        const missing = { metric: rule.id, scope: alert.scope, value: null, cause: alert.cause };
        this.#step(connection, rule, missing, { nowMs, inhibited }, changes);
      } else this.#end(entries, alert, nowMs, changes);
    }
    this.#tell(changes);
  }

  /** Throws `not-found` for an alert that is over or never was. */
  acknowledge(id: string, by: string, nowMs: number): void {
    for (const entries of this.#entries.values()) {
      const entry = entries.get(id);
      if (entry === undefined) continue;
      const progress = acknowledgeAlert(entry.progress, by, nowMs);
      const alert = { ...entry.alert, acknowledged: episodeOf(progress)?.acknowledged ?? null };
      entries.set(id, { alert, progress });
      this.#journal.saveAlerts([alert]);
      this.#tell({ changed: [alert], events: [], notify: [] });
      return;
    }
    throw new HeadwayError('not-found', 'This alert is over; there is nothing to acknowledge.');
  }

  /** Ends the alerts of a connection that is no longer watched. */
  removeConnection(connectionId: string, nowMs: number): void {
    const entries = this.#of(connectionId);
    const changes: Changes = { changed: [], events: [], notify: [] };
    for (const { alert } of [...entries.values()]) this.#end(entries, alert, nowMs, changes);
    this.#entries.delete(connectionId);
    this.#tell(changes);
  }

  /** How many alerts of a connection fire, and the gravest of them. */
  standing(connectionId: string): { firing: number; worst: Severity | null } {
    return standingOf(this.#of(connectionId).values());
  }

  follow(listener: (changes: Changes) => void, signal: AbortSignal): Snapshot<'alerts'> {
    this.#followers.add(listener);
    signal.addEventListener('abort', () => this.#followers.delete(listener), { once: true });
    return { alerts: [...this.#all()].map(({ alert }) => alert), events: [...this.#events] };
  }

  onNotify(listener: (event: AlertEvent) => void): void {
    this.#onNotify.add(listener);
  }

  onWorst(listener: (worst: Severity | null, firing: number) => void): void {
    this.#onWorst.add(listener);
  }

  #step(
    connection: Connection,
    rule: AlertRule,
    { scope, value, cause }: AlertObservation,
    { nowMs, inhibited }: { nowMs: number; inhibited: boolean },
    changes: Changes,
  ): void {
    const entries = this.#of(connection.id);
    const id = alertId(rule.id, connection.id, scope);
    const before = entries.get(id);
    const observed = value === null ? { kind: 'missing' as const } : { kind: 'value' as const, value };
    const { next, change, notice } = stepAlert(
      before?.progress ?? { state: 'normal', sinceMs: nowMs },
      { ...observed, inhibited },
      rule,
      nowMs,
    );
    const episode = episodeOf(next);
    const severity = episode?.severity ?? (value === null ? null : levelOf(value, rule)) ?? null;
    const alert: Alert = {
      id,
      ruleId: rule.id,
      ruleTitle: rule.title,
      connectionId: connection.id,
      connectionName: connection.name,
      scope,
      state: next.state,
      severity,
      unit: rule.unit,
      value,
      threshold: severity === null ? (rule.warning ?? rule.critical) : rule[severity],
      sinceMs: next.sinceMs,
      firedAtMs: episode?.firedAtMs ?? null,
      acknowledged: episode?.acknowledged ?? null,
      cause: cause ?? before?.alert.cause ?? null,
      error: next.state === 'error' ? next.message : null,
    };
    if (next.state === 'normal') entries.delete(id);
    else entries.set(id, { alert, progress: next });
    if (next.state !== 'normal' || before !== undefined) changes.changed.push(alert);
    if (change === null) return;
    const event = this.#event(alert, change, nowMs);
    changes.events.push(event);
    if (notice !== null) changes.notify.push(event);
    this.#journal.saveAlerts([alert]);
  }

  /** The scope is gone: whatever was wrong with it no longer is anybody's. */
  #end(entries: Map<string, Entry>, alert: Alert, nowMs: number, changes: Changes): void {
    entries.delete(alert.id);
    const ended: Alert = { ...alert, state: 'normal', sinceMs: nowMs, value: null };
    changes.changed.push(ended);
    changes.events.push(
      this.#event(ended, { from: alert.state, to: 'normal', severity: alert.severity }, nowMs),
    );
    this.#journal.saveAlerts([ended]);
  }

  #event(alert: Alert, change: Pick<AlertEvent, 'from' | 'to' | 'severity'>, atMs: number): AlertEvent {
    const { id, ruleId, ruleTitle, connectionId, scope, value, threshold, cause, error, unit } = alert;
    const summary = alertSummary({
      rule: { id: ruleId, title: ruleTitle, unit },
      name: scope.name,
      state: change.to,
      value,
      threshold,
      cause,
      error,
    });
    return { seq: this.#seq++, atMs, alertId: id, ruleId, connectionId, scope, ...change, value, summary };
  }

  #tell(changes: Changes): void {
    if (changes.events.length > 0) {
      this.#events = [...this.#events, ...changes.events].slice(-RECENT_EVENTS);
      this.#journal.addAlertEvents(changes.events);
    }
    if (changes.changed.length > 0) for (const follower of this.#followers) follower(changes);
    for (const event of changes.notify) for (const listener of this.#onNotify) listener(event);
    const { firing, worst } = standingOf(this.#all());
    if (this.#worst === `${worst ?? ''} ${firing}`) return;
    this.#worst = `${worst ?? ''} ${firing}`;
    for (const listener of this.#onWorst) listener(worst, firing);
  }

  *#all(): Generator<Entry> {
    for (const entries of this.#entries.values()) yield* entries.values();
  }

  #of(connectionId: string): Map<string, Entry> {
    let entries = this.#entries.get(connectionId);
    if (entries === undefined) this.#entries.set(connectionId, (entries = new Map<string, Entry>()));
    return entries;
  }
}

const scopeKey = (scope: AlertScope): string => `${scope.kind}:${scope.id}`;
const alertId = (rule: Metric, connectionId: string, scope: AlertScope): string =>
  `${rule}/${connectionId}/${scopeKey(scope)}`;

/** Nothing to hold for an alert that is normal: most of them, every time. */
function isUneventful(value: number | null, rule: AlertRule, inhibited: boolean): boolean {
  if (!rule.enabled) return true;
  return value === null ? inhibited : levelOf(value, rule) === null;
}

function standingOf(entries: Iterable<Entry>): { firing: number; worst: Severity | null } {
  let firing = 0;
  let worst: Severity | null = null;
  for (const { alert } of entries) {
    if (alert.state !== 'firing') continue;
    firing += 1;
    if (worst !== 'critical') worst = alert.severity;
  }
  return { firing, worst };
}
