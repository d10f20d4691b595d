// The alerts of all connections: evaluated, kept, and handed to whoever follows them.
import type { Snapshot, Delta } from '../../contract/api.ts';
import { HeadwayError } from '../../contract/errors.ts';
import { shippedRules } from '../../core/alert-rules.ts';
import type { Alert, AlertEvent, AlertRule, Severity } from '../../core/alert.ts';
import { WatchedConnection, type Changes, type Observation } from './watched-connection.ts';

export type { Observation } from './watched-connection.ts';

/** Where alerts and their events are kept over a restart. */
export interface AlertKeeper {
  saveAlerts(alerts: Alert[]): void;
  addAlertEvents(events: AlertEvent[]): void;
}

export interface Standing {
  firing: number;
  worst: Severity | null;
}

/** The newest events that are shown to a window that opens. */
const MAX_EVENTS = 500;
const nothing: Standing = { firing: 0, worst: null };

export class AlertService {
  readonly #keeper: AlertKeeper;
  readonly #connections = new Map<string, WatchedConnection>();
  readonly #standings = new Map<string, Standing>();
  readonly #followers = new Set<(delta: Delta<'alerts'>) => void>();
  readonly #notified = new Set<(event: AlertEvent) => void>();
  readonly #worst = new Set<(worst: Severity | null, firing: number) => void>();
  #events: AlertEvent[];
  #nextSeq: number;

  /** `kept`: what the keeper was given in earlier runs; people know of it and are not told again. */
  constructor(keeper: AlertKeeper, kept: { alerts: readonly Alert[]; events: readonly AlertEvent[] }) {
    this.#keeper = keeper;
    this.#events = kept.events.slice(-MAX_EVENTS);
    this.#nextSeq = kept.events.reduce((next, { seq }) => Math.max(next, seq + 1), 1);
    const rules = new Map(shippedRules().map((rule) => [rule.id, rule]));
    for (const alert of kept.alerts) {
      const rule = rules.get(alert.ruleId);
      if (rule !== undefined) this.#connection(alert.connectionId).restore(alert, rule);
    }
    for (const [id, connection] of this.#connections) this.#standings.set(id, connection.standing);
  }

  /**
   * Judges one connection by its rules at `nowMs`. `observations` hold every scope there is; one that is left out
   * for a minute is gone and its alerts end. `inhibited`: the connection cannot be reached, so that only that is
   * told of, and nothing is taken to be gone.
   */
  evaluate(
    connection: { id: string; name: string },
    rules: readonly AlertRule[],
    observations: readonly Observation[],
    nowMs: number,
    inhibited: boolean,
  ): void {
    const watched = this.#connection(connection.id);
    this.#publish(connection.id, watched.evaluate(connection.name, rules, observations, nowMs, inhibited));
  }

  /** Somebody owns the alert: repeats stop. Throws 'not-found' when it is over or has not fired. */
  acknowledge(alertId: string, by: string, nowMs: number): void {
    for (const [id, connection] of this.#connections) {
      const alert = connection.acknowledge(alertId, by, nowMs);
      if (alert === null) continue;
      this.#publish(id, { changed: [alert], events: [], notify: new Set(), toKeep: [alert] });
      return;
    }
    throw new HeadwayError(
      'not-found',
      'The alert is over, or it has not fired: there is nothing to acknowledge.',
    );
  }

  /** The connection is not watched any more: its alerts end, nobody is told. */
  removeConnection(id: string, nowMs: number): void {
    const watched = this.#connections.get(id);
    if (watched === undefined) return;
    const changes = watched.endAll(nowMs);
    this.#connections.delete(id);
    this.#publish(id, changes);
  }

  /** Ids of the connections that alerts are known of, also from earlier runs. */
  get connectionIds(): string[] {
    return [...this.#connections.keys()];
  }

  /** What fires on one connection. Cheap: it is asked on every change of its summary. */
  standing(connectionId: string): Standing {
    return this.#standings.get(connectionId) ?? nothing;
  }

  /** Alerts that are not normal, and the newest events, newest last. */
  snapshot(): Snapshot<'alerts'> {
    return {
      alerts: [...this.#connections.values()].flatMap(({ alerts }) => alerts),
      events: [...this.#events],
    };
  }

  /** The snapshot, then every change until the signal aborts. */
  follow(emit: (delta: Delta<'alerts'>) => void, signal: AbortSignal): Snapshot<'alerts'> {
    add(this.#followers, emit, signal);
    return this.snapshot();
  }

  /** Told of each event that a person should be told of now. Without a signal: for good. */
  onNotify(listener: (event: AlertEvent) => void, signal?: AbortSignal): void {
    add(this.#notified, listener, signal);
  }

  /** Told the gravest severity that fires anywhere and how many alerts do, now and on every change. */
  onWorst(listener: (worst: Severity | null, firing: number) => void, signal?: AbortSignal): void {
    add(this.#worst, listener, signal);
    const { worst, firing } = this.#overall();
    listener(worst, firing);
  }

  #connection(id: string): WatchedConnection {
    let connection = this.#connections.get(id);
    if (connection === undefined) {
      connection = new WatchedConnection(id);
      this.#connections.set(id, connection);
    }
    return connection;
  }

  #publish(connectionId: string, { changed, events, notify, toKeep }: Changes): void {
    if (changed.length === 0) return;
    const numbered = events.map((event) => ({
      told: notify.has(event),
      event: { ...event, seq: this.#nextSeq++ },
    }));
    const delta: Delta<'alerts'> = {
      changed,
      events: numbered.map(({ event }) => event),
      notify: numbered.filter(({ told }) => told).map(({ event }) => event),
    };
    this.#events = [...this.#events, ...delta.events].slice(-MAX_EVENTS);
    if (toKeep.length > 0) this.#keeper.saveAlerts(toKeep);
    if (delta.events.length > 0) this.#keeper.addAlertEvents(delta.events);
    const before = this.#overall();
    this.#standings.set(connectionId, this.#connections.get(connectionId)?.standing ?? nothing);
    const after = this.#overall();
    for (const follower of this.#followers) follower(delta);
    for (const event of delta.notify) for (const listener of this.#notified) listener(event);
    if (before.firing === after.firing && before.worst === after.worst) return;
    for (const listener of this.#worst) listener(after.worst, after.firing);
  }

  #overall(): Standing {
    let { firing, worst } = nothing;
    for (const standing of this.#standings.values()) {
      firing += standing.firing;
      if (worst !== 'critical') worst = standing.worst ?? worst;
    }
    return { firing, worst };
  }
}

function add<T>(listeners: Set<T>, listener: T, signal?: AbortSignal): void {
  if (signal?.aborted === true) return;
  listeners.add(listener);
  signal?.addEventListener('abort', () => listeners.delete(listener), { once: true });
}
