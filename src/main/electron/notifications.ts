import type { NotificationConstructorOptions } from 'electron';
import type { AlertEvent } from '../../core/alert.ts';

/** What is used of Electron's Notification. */
export interface NotificationLike {
  on(event: 'click' | 'close', listener: () => void): unknown;
  show(): void;
  close(): void;
}

interface NotificationOptions {
  create: (options: NotificationConstructorOptions) => NotificationLike;
  after: (delayMs: number, run: () => void) => void;
  show: (path: string) => void;
}

/** Events that come together are told together. */
const GATHER_MS = 1_000;
/** More than this at once is one notification: forty tenants late are one incident. */
const MOST_AT_ONCE = 3;
/** Kept so that their clicks still work; the oldest is closed when one more comes. */
const MOST_KEPT = 20;

/** Alerts as desktop notifications. A click opens the window where the alert is. */
export class DesktopNotifications {
  readonly #options: NotificationOptions;
  /** Electron forgets a notification, and its click, that nobody holds. */
  readonly #kept = new Set<NotificationLike>();
  #waiting: AlertEvent[] = [];

  constructor(options: NotificationOptions) {
    this.#options = options;
  }

  notify(event: AlertEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length === 1) this.#options.after(GATHER_MS, () => this.#tell());
  }

  /** A notification that is no alert. */
  say(title: string, body: string): void {
    this.#show({ title, body }, '/');
  }

  #tell(): void {
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length <= MOST_AT_ONCE) {
      for (const event of events) this.#show(alertText(event), alertPath(event));
      return;
    }
    const firing = events.filter(({ to }) => to === 'firing').length;
    const critical = events.some(({ severity, to }) => severity === 'critical' && to === 'firing');
    const title = firing > 0 ? `${firing} alerts fire` : `${events.length} alerts changed`;
    this.#show(
      { title, body: events[0]?.summary ?? '', urgency: critical ? 'critical' : 'normal' },
      '/alerts',
    );
  }

  #show(options: NotificationConstructorOptions, path: string): void {
    const notification = this.#options.create(options);
    this.#kept.add(notification);
    notification.on('click', () => this.#options.show(path));
    notification.on('close', () => this.#kept.delete(notification));
    notification.show();
    if (this.#kept.size <= MOST_KEPT) return;
    const [oldest] = this.#kept;
    oldest?.close();
    if (oldest !== undefined) this.#kept.delete(oldest);
  }
}

function alertText({ to, severity, scope, summary }: AlertEvent): NotificationConstructorOptions {
  const fires = to === 'firing';
  const word = !fires ? 'Over' : severity === 'critical' ? 'Critical' : 'Warning';
  return {
    title: `${word}: ${scope.name}`,
    body: summary,
    urgency: fires && severity === 'critical' ? 'critical' : 'normal',
    silent: !fires,
  };
}

/** The view that shows what an alert is about. */
function alertPath({ connectionId, scope }: Pick<AlertEvent, 'connectionId' | 'scope'>): string {
  const connection = `/connection/${encodeURIComponent(connectionId)}`;
  if (scope.kind === 'tenant') return `${connection}/tenant/${encodeURIComponent(scope.id)}`;
  return scope.kind === 'connection' ? connection : '/alerts';
}
