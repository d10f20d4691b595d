// Everything the window shares between its views, made once in main.ts and passed by context.
import { createContext } from 'svelte';
import type { ConnectionSummary } from '../../../contract/live.ts';
import { AlertsState } from './alerts.svelte.ts';
import type { LinkState } from '../client/link.ts';
import type { Backend } from './backend.ts';
import { Clock } from './clock.svelte.ts';
import { ConnectionDrafts } from './connection-drafts.ts';
import { ConnectionsState } from './connections.svelte.ts';
import { EngineActions } from './engine-actions.svelte.ts';
import { KindsDraft } from './kinds-draft.svelte.ts';
import { KeyMap } from './keys.svelte.ts';
import { NoticesState } from './notices.svelte.ts';
import { OverviewState } from './overview.svelte.ts';
import { Painter } from './painter.svelte.ts';
import { RehearsalState } from './rehearsal.svelte.ts';
import { Router } from './route.svelte.ts';
import { Theme } from './theme.svelte.ts';
import { WebNotifications } from './web-notifications.svelte.ts';

export class AppState {
  readonly backend: Backend;
  readonly router: Router;
  readonly keys = new KeyMap();
  readonly painter: Painter;
  readonly theme: Theme;
  readonly clock: Clock;
  readonly connections: ConnectionsState;
  readonly drafts: ConnectionDrafts;
  readonly alerts: AlertsState;
  readonly rehearsal: RehearsalState;
  readonly notices: NoticesState;
  readonly notifications: WebNotifications;
  /** The line to the backend; while it is down the views go on showing what was known. */
  link = $state.raw<LinkState>({ kind: 'connecting' });
  overlay = $state<'palette' | 'help' | null>(null);
  /** The overview of the current connection: kept while other views are open, so that coming back is instant. */
  overview = $state.raw<OverviewState | null>(null);
  /** A browser shows its own notifications; in the desktop window the main process does. */
  readonly isDesktop = location.protocol === 'headway:';
  readonly isMac = navigator.platform.startsWith('Mac');
  /** Not state: it is opened and closed by the view that shows it. */
  #kinds: KindsDraft | null = null;
  #lastConnectionId = $state<string | null>(null);

  constructor(backend: Backend, page: Window) {
    this.backend = backend;
    this.router = new Router(page);
    this.theme = new Theme(
      page.document.documentElement,
      page.localStorage,
      page.matchMedia('(prefers-color-scheme: dark)'),
    );
    this.clock = new Clock(page.document);
    this.painter = new Painter({
      request: (callback) => page.requestAnimationFrame(callback),
      cancel: (handle) => page.cancelAnimationFrame(handle),
      now: () => page.performance.now(),
    });
    this.connections = new ConnectionsState(backend);
    this.drafts = new ConnectionDrafts(backend);
    this.alerts = new AlertsState(backend);
    this.rehearsal = new RehearsalState(backend);
    this.notices = new NoticesState(backend);
    this.notifications = new WebNotifications(this.router);
    if (!this.isDesktop) this.alerts.onNotify = (events) => this.notifications.show(events);
  }

  /** The connection in view: the route's, else the last one looked at, else the first. */
  get connectionId(): string | null {
    const { route } = this.router;
    if ('connectionId' in route && route.view !== 'connections') return route.connectionId;
    return this.#lastConnectionId ?? this.connections.list?.[0]?.id ?? null;
  }

  get connection(): ConnectionSummary | undefined {
    return this.connections.get(this.connectionId);
  }

  /** The jobs of this computer under edit. */
  openKinds(): KindsDraft {
    this.#kinds ??= new KindsDraft(this.backend);
    return this.#kinds;
  }

  /** Lets go of them when nothing would be lost. */
  closeKinds(): void {
    if (this.#kinds?.dirty === true) return;
    this.#kinds?.[Symbol.dispose]();
    this.#kinds = null;
  }

  /** A tenant of the connection in view as people call it; its id while that is not known. */
  tenantName(id: string): string {
    return (this.overview?.known === true ? this.overview.row(id)?.name : undefined) ?? id;
  }

  /** A moment of the local clock by the clock of the connection's database, as far as its offset was measured. */
  databaseTime(localMs: number): number {
    return localMs + (this.overview?.head?.clock?.offsetMs ?? 0);
  }

  /** Follows one connection's overview; the one before is let go. */
  watch(connectionId: string | null): void {
    this.#lastConnectionId = connectionId;
    if (this.overview?.connectionId === connectionId) return;
    this.overview?.[Symbol.dispose]();
    this.overview =
      connectionId === null ? null : new OverviewState(this.backend, this.painter, connectionId);
  }
}

/** Changes to the jobs of one connection, under its safety level. */
export function engineActions(app: AppState, connectionId: string): EngineActions {
  return new EngineActions(app.backend, connectionId, () => ({
    byName: app.connections.get(connectionId)?.safety === 'confirm-by-name',
    nameOf: (id) => app.tenantName(id),
  }));
}

const [getApp, setApp] = createContext<AppState>();
export { getApp, setApp };
