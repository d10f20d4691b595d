// The alerts room: from observations to alerts that people are told of, once. The rules of an alert's life are
// core's (alert-machine.ts). This file: the alerts of one connection, one per rule and scope, made only once a
// condition holds: a thousand tenants in order cost a look-up each and no memory.
import {
  acknowledgeAlert,
  episodeOf,
  levelOf,
  restoreAlert,
  stepAlert,
  type AlertProgress,
  type Observation as Observed,
} from '../../core/alert-machine.ts';
import type { Alert, AlertEvent, AlertRule, AlertScope, Metric, Severity } from '../../core/alert.ts';
import { alertSummary } from '../../core/alert-summary.ts';

/** One value that the rules judge. Null: the metric exists but was not measured now. */
export interface Observation {
  metric: Metric;
  scope: AlertScope;
  value: number | null;
  /** Headline of why it is so, for the alert's line; null when there is none. */
  cause: string | null;
  /** Why it could not be evaluated; left out when it could. */
  error?: string | null;
}

/** What one evaluation changed. An event has no place in the timeline yet. */
export interface Changes {
  /** Alerts to be shown anew; those that are normal are over. */
  changed: Alert[];
  events: Omit<AlertEvent, 'seq'>[];
  /** Those of `events` that a person should be told of now. */
  notify: Set<Omit<AlertEvent, 'seq'>>;
  /** Alerts whose change a restart must know of. */
  toKeep: Alert[];
}

interface Live {
  alert: Alert;
  rule: AlertRule;
  progress: AlertProgress;
  /** When the windows last got its value. */
  shownAtMs: number;
  observedIn: number;
}
interface Scope {
  /** Metrics that have had a value: a metric that never had one is not missing. */
  measured: Set<Metric>;
  /** Not normal. */
  alerts: Map<Metric, Live>;
  /** The evaluation that last saw the scope. */
  seenIn: number;
  /** Since when it has not been seen; null while it is. */
  absentSinceMs: number | null;
}

/** A scope that is gone for this long is gone for good: a tenant may miss from one poll. */
const GONE_AFTER_MS = 60_000;
/** The value of a standing alert is shown anew this often, and of so many alerts at once. */
const SHOW_EVERY_MS = 5_000;
const MAX_SHOWN = 200;

export class WatchedConnection {
  readonly #id: string;
  #name = '';
  /** By kind and id of the scope. */
  readonly #scopes = new Map<AlertScope['kind'], Map<string, Scope>>();
  /** Scopes with alerts; all that has to be looked at besides what is observed. */
  readonly #troubled = new Set<Scope>();
  #round = 0;

  constructor(id: string) {
    this.#id = id;
  }

  get alerts(): Alert[] {
    return [...this.#troubled].flatMap((scope) => [...scope.alerts.values()].map(({ alert }) => alert));
  }

  /** The gravest severity that fires and how many alerts do. */
  get standing(): { firing: number; worst: Severity | null } {
    let firing = 0;
    let worst: Severity | null = null;
    for (const scope of this.#troubled) {
      for (const { alert } of scope.alerts.values()) {
        if (alert.state !== 'firing') continue;
        firing++;
        if (worst !== 'critical') worst = alert.severity;
      }
    }
    return { firing, worst };
  }

  /** Goes on with an alert of an earlier run. */
  restore(alert: Alert, rule: AlertRule): void {
    const progress = restoreAlert(alert);
    if (progress.state === 'normal') return;
    this.#name = alert.connectionName;
    const scope = this.#scope(alert.scope);
    scope.measured.add(alert.ruleId);
    const { state, sinceMs } = progress;
    this.#put(scope, {
      alert: { ...alert, state, sinceMs },
      rule,
      progress,
      shownAtMs: 0,
      observedIn: 0,
    });
  }

  /**
   * Judges everything observed at `nowMs`. `inhibited`: the connection cannot be reached, which explains whatever
   * else is wrong, so that only that is told.
   */
  evaluate(
    name: string,
    rules: readonly AlertRule[],
    observations: readonly Observation[],
    nowMs: number,
    inhibited: boolean,
  ): Changes {
    this.#name = name;
    this.#round++;
    const changes: Changes = { changed: [], events: [], notify: new Set(), toKeep: [] };
    const byId = new Map(rules.map((rule) => [rule.id, rule]));
    for (const observation of observations) {
      const scope = this.#scope(observation.scope);
      scope.seenIn = this.#round;
      const rule = byId.get(observation.metric);
      if (rule === undefined) continue;
      const quiet = inhibited && observation.metric !== 'unreachable';
      const live = this.#liveFor(scope, rule, observation, nowMs, quiet);
      if (live === null) continue;
      live.observedIn = this.#round;
      live.rule = rule;
      this.#step(scope, live, observation, nowMs, quiet, changes);
    }
    for (const scope of this.#troubled) this.#unobserved(scope, byId, nowMs, inhibited, changes);
    this.#sweep(observations.length);
    return changes;
  }

  /** Ends every alert: the connection is not watched any more. Nobody is told, somebody took it away. */
  endAll(nowMs: number): Changes {
    const changes: Changes = { changed: [], events: [], notify: new Set(), toKeep: [] };
    for (const scope of this.#troubled) {
      for (const live of scope.alerts.values())
        this.#end(scope, live, nowMs, 'is not watched any more', changes);
    }
    changes.notify.clear();
    return changes;
  }

  /** The alert as acknowledged; null when it is not known or has nothing to acknowledge. */
  acknowledge(alertId: string, by: string, nowMs: number): Alert | null {
    for (const scope of this.#troubled) {
      for (const live of scope.alerts.values()) {
        if (live.alert.id !== alertId) continue;
        if (episodeOf(live.progress) === null) return null;
        live.progress = acknowledgeAlert(live.progress, by, nowMs);
        live.alert = { ...live.alert, acknowledged: { by, atMs: nowMs } };
        return live.alert;
      }
    }
    return null;
  }

  /** The alert that an observation concerns; null when it is normal and stays so. */
  #liveFor(
    scope: Scope,
    rule: AlertRule,
    observation: Observation,
    nowMs: number,
    quiet: boolean,
  ): Live | null {
    const { metric, value } = observation;
    const failed = observation.error ?? null;
    if (value !== null) scope.measured.add(metric);
    const live = scope.alerts.get(metric);
    if (live !== undefined) return live;
    if (!rule.enabled) return null;
    if (failed === null) {
      if (value === null ? quiet || !scope.measured.has(metric) : levelOf(value, rule) === null) return null;
    }
    return {
      alert: {
        id: `${this.#id}/${metric}/${observation.scope.kind}/${observation.scope.id}`,
        ruleId: metric,
        ruleTitle: rule.title,
        connectionId: this.#id,
        connectionName: this.#name,
        scope: observation.scope,
        state: 'normal',
        severity: null,
        unit: rule.unit,
        value,
        threshold: null,
        sinceMs: nowMs,
        firedAtMs: null,
        acknowledged: null,
        cause: observation.cause,
        error: failed,
      },
      rule,
      progress: { state: 'normal', sinceMs: nowMs },
      shownAtMs: nowMs,
      observedIn: 0,
    };
  }

  #step(
    scope: Scope,
    live: Live,
    observation: Observation,
    nowMs: number,
    inhibited: boolean,
    changes: Changes,
  ): void {
    const { rule } = live;
    const { next, change, notice } = stepAlert(live.progress, observed(observation, inhibited), rule, nowMs);
    const { value } = observation;
    const episode = episodeOf(next);
    const level = value === null || next.state !== 'pending' ? null : levelOf(value, rule);
    const severity = change?.severity ?? episode?.severity ?? level;
    live.progress = next;
    if (change === null && nowMs - live.shownAtMs < SHOW_EVERY_MS && live.alert.value === value) return;
    live.alert = {
      ...live.alert,
      ruleTitle: rule.title,
      connectionName: this.#name,
      scope: observation.scope,
      state: next.state,
      severity,
      value,
      threshold: severity === null ? null : rule[severity],
      sinceMs: next.sinceMs,
      firedAtMs: episode?.firedAtMs ?? (next.state === 'normal' ? live.alert.firedAtMs : null),
      acknowledged: episode?.acknowledged ?? null,
      cause: observation.cause,
      error: next.state === 'error' ? next.message : null,
    };
    if (change !== null) {
      this.#tell(live, { from: change.from, to: change.to, atMs: nowMs, notify: notice !== null }, changes);
    } else if (nowMs - live.shownAtMs >= SHOW_EVERY_MS && changes.changed.length < MAX_SHOWN) {
      changes.changed.push(live.alert);
      live.shownAtMs = nowMs;
    }
    if (next.state === 'normal') this.#drop(scope, live);
    else this.#put(scope, live);
  }

  /** Alerts that nothing was observed of: of a scope that is gone, or of a metric it does not yield now. */
  #unobserved(
    scope: Scope,
    rules: ReadonlyMap<Metric, AlertRule>,
    nowMs: number,
    inhibited: boolean,
    changes: Changes,
  ): void {
    const present = scope.seenIn === this.#round;
    if (present) scope.absentSinceMs = null;
    // A connection that cannot be reached shows no tenants; that does not mean that there are none.
    else if (!inhibited) scope.absentSinceMs ??= nowMs;
    const gone = scope.absentSinceMs !== null && nowMs - scope.absentSinceMs >= GONE_AFTER_MS;
    for (const live of scope.alerts.values()) {
      if (live.observedIn === this.#round) continue;
      const rule = rules.get(live.alert.ruleId) ?? live.rule;
      if (gone) this.#end(scope, live, nowMs, 'is gone', changes);
      else if (present && episodeOf(live.progress) === null && !inhibited) {
        // Never fired, and the metric is not to be had: there is nothing to wait for.
        this.#end(scope, live, nowMs, 'is not measured any more', changes);
      } else if (present || !rule.enabled) {
        live.rule = rule;
        const { scope: of, ruleId, cause } = live.alert;
        this.#step(scope, live, { metric: ruleId, scope: of, value: null, cause }, nowMs, inhibited, changes);
      }
    }
  }

  #end(scope: Scope, live: Live, nowMs: number, why: string, changes: Changes): void {
    const from = live.alert.state;
    const told = episodeOf(live.progress)?.told != null;
    live.alert = { ...live.alert, state: 'normal', sinceMs: nowMs };
    const summary = `${live.alert.scope.name} ${why}; its alert "${live.alert.ruleTitle}" ends`;
    this.#tell(live, { from, to: 'normal', atMs: nowMs, notify: told, summary }, changes);
    this.#drop(scope, live);
  }

  #tell(
    live: Live,
    event: Pick<AlertEvent, 'from' | 'to' | 'atMs'> & { notify: boolean; summary?: string },
    changes: Changes,
  ): void {
    const { id, ruleId, connectionId, scope, severity, value } = live.alert;
    const { from, to, atMs } = event;
    const summary =
      event.summary ?? alertSummary({ ...live.alert, rule: live.rule, name: scope.name, state: to });
    const told = { atMs, alertId: id, ruleId, connectionId, scope, from, to, severity, value, summary };
    changes.events.push(told);
    if (event.notify) changes.notify.add(told);
    changes.changed.push(live.alert);
    changes.toKeep.push(live.alert);
    live.shownAtMs = atMs;
  }

  #scope({ kind, id }: AlertScope): Scope {
    let ofKind = this.#scopes.get(kind);
    if (ofKind === undefined) {
      ofKind = new Map<string, Scope>();
      this.#scopes.set(kind, ofKind);
    }
    let scope = ofKind.get(id);
    if (scope === undefined) {
      scope = { measured: new Set(), alerts: new Map(), seenIn: 0, absentSinceMs: null };
      ofKind.set(id, scope);
    }
    return scope;
  }

  #put(scope: Scope, live: Live): void {
    scope.alerts.set(live.alert.ruleId, live);
    this.#troubled.add(scope);
  }

  #drop(scope: Scope, live: Live): void {
    scope.alerts.delete(live.alert.ruleId);
    if (scope.alerts.size === 0) this.#troubled.delete(scope);
  }

  /** Forgets scopes that are gone, once there are many: tenants may come and go for months. */
  #sweep(observed: number): void {
    for (const ofKind of this.#scopes.values()) {
      if (ofKind.size <= observed + 1000) continue;
      for (const [id, scope] of ofKind) {
        if (scope.seenIn !== this.#round && scope.alerts.size === 0) ofKind.delete(id);
      }
    }
  }
}

function observed({ value, error }: Observation, inhibited: boolean): Observed {
  if (error != null) return { kind: 'error', message: error, inhibited };
  return value === null ? { kind: 'missing', inhibited } : { kind: 'value', value, inhibited };
}
