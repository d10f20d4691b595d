// Notifications of the browser: asked for by a button, never at load; a click opens what the alert is about.
import type { AlertEvent } from '../../../core/alert.ts';
import { routeOfScope } from './route.ts';
import type { Router } from './route.svelte.ts';

export class WebNotifications {
  /** `unsupported` where the page has none, such as over plain http on another computer. */
  permission = $state<NotificationPermission | 'unsupported'>('unsupported');
  readonly #router: Router;

  constructor(router: Router) {
    this.#router = router;
    if ('Notification' in globalThis && isSecureContext) this.permission = Notification.permission;
  }

  async ask(): Promise<void> {
    if (this.permission === 'default') this.permission = await Notification.requestPermission();
  }

  /** One notification an alert; a newer word on the same alert takes the older one's place. */
  show(events: readonly AlertEvent[]): void {
    if (this.permission !== 'granted') return;
    for (const event of events) {
      const notification = new Notification(event.scope.name, { body: event.summary, tag: event.alertId });
      notification.onclick = () => {
        window.focus();
        this.#router.go(routeOfScope(event.connectionId, event.scope));
        notification.close();
      };
    }
  }
}
