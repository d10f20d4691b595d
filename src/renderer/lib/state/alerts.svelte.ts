// Alerts that are not normal, and the newest changes of state. A small list: it is replaced on every change.
import type { Alert, AlertEvent, AlertState, Severity } from '../../../core/alert.ts';
import type { Backend } from './backend.ts';

/** The timeline shows a day; more events than this are not drawn. */
const MAX_EVENTS = 5_000;
const stateOrder: Record<AlertState, number> = {
  firing: 0,
  pending: 1,
  recovering: 2,
  error: 3,
  'no-data': 4,
  normal: 5,
};
const severityOrder = (severity: Severity | null): number =>
  severity === 'critical' ? 0 : severity === 'warning' ? 1 : 2;

export class AlertsState {
  /** By severity, then age, the oldest first. */
  alerts = $state.raw<readonly Alert[]>([]);
  /** Newest last. */
  events = $state.raw<readonly AlertEvent[]>([]);
  known = $state(false);
  readonly firing: readonly Alert[] = $derived.by(() =>
    this.alerts.filter((alert) => alert.state === 'firing'),
  );
  readonly worst: Severity | null = $derived.by(() => this.firing[0]?.severity ?? null);
  /** Told of each event that a person should hear of now. */
  onNotify: ((events: readonly AlertEvent[]) => void) | null = null;
  readonly #backend: Backend;
  readonly #all = new Map<string, Alert>();
  readonly #unsubscribe: () => void;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.#unsubscribe = backend.subscribe(
      'alerts',
      {},
      {
        snapshot: ({ alerts, events }) => {
          this.#all.clear();
          this.events = events.slice(-MAX_EVENTS);
          this.known = true;
          this.#take(alerts);
        },
        delta: ({ changed, events, notify }) => {
          if (events.length > 0) this.events = [...this.events, ...events].slice(-MAX_EVENTS);
          if (changed.length > 0) this.#take(changed);
          if (notify.length > 0) this.onNotify?.(notify);
        },
        error: () => undefined,
      },
    );
  }

  /** Somebody owns it: repeats stop. */
  async acknowledge(alertId: string, signal?: AbortSignal): Promise<void> {
    await this.#backend.call('alerts.acknowledge', { alertId }, signal === undefined ? {} : { signal });
  }

  #take(changed: readonly Alert[]): void {
    for (const alert of changed) {
      if (alert.state === 'normal') this.#all.delete(alert.id);
      else this.#all.set(alert.id, alert);
    }
    this.alerts = [...this.#all.values()].sort(
      (a, b) =>
        stateOrder[a.state] - stateOrder[b.state] ||
        severityOrder(a.severity) - severityOrder(b.severity) ||
        a.sinceMs - b.sinceMs ||
        (a.id < b.id ? -1 : 1),
    );
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
