// What can be done from everywhere.
import type { AppState } from './app-state.svelte.ts';
import type { Action } from './keys.svelte.ts';

export function frameActions(app: AppState): Action[] {
  const atConnection = (run: (connectionId: string) => void) => () => {
    if (app.connectionId !== null) run(app.connectionId);
  };
  const go = (id: string, key: string, label: string, run: () => void): Action => ({
    id,
    key,
    label,
    group: 'Go to',
    run,
  });
  return [
    {
      id: 'palette',
      key: 'Mod+k',
      label: 'Find an action or a tenant',
      group: 'Everywhere',
      run: () => (app.overlay = app.overlay === 'palette' ? null : 'palette'),
    },
    { id: 'help', key: '?', label: 'Show the keys', group: 'Everywhere', run: () => (app.overlay = 'help') },
    {
      id: 'pause',
      key: 'r',
      label: 'Pause or resume refresh',
      group: 'Everywhere',
      run: () => app.painter.toggle(Date.now()),
    },
    {
      id: 'theme',
      key: null,
      label: 'Change colours: system, dark, light',
      group: 'Everywhere',
      run: () => app.theme.next(),
    },
    { id: 'back', key: 'Escape', label: 'Back', group: 'Everywhere', run: () => back(app) },
    go(
      'overview',
      'g o',
      'Overview',
      atConnection((connectionId) => app.router.go({ view: 'overview', connectionId })),
    ),
    go(
      'logs',
      'g l',
      'Logs',
      atConnection((connectionId) => app.router.go({ view: 'logs', connectionId, query: {} })),
    ),
    go(
      'timing',
      'g t',
      'Timing',
      atConnection((connectionId) => app.router.go({ view: 'timing', connectionId, query: {} })),
    ),
    go(
      'engine',
      'g e',
      'Engine',
      atConnection((connectionId) => app.router.go({ view: 'engine', connectionId, section: 'now' })),
    ),
    go(
      'database',
      'g d',
      'Database',
      atConnection((connectionId) => app.router.go({ view: 'database', connectionId, section: 'health' })),
    ),
    ...(['indexes', 'abilities'] as const).map((section) => ({
      id: `database-${section}`,
      key: null,
      label: section === 'indexes' ? 'Index advice' : "Abilities of the connection's system",
      group: 'Go to',
      run: atConnection((connectionId) => app.router.go({ view: 'database', connectionId, section })),
    })),
    go('alerts', 'g a', 'Alerts', () => app.router.go({ view: 'alerts' })),
    go('connections', 'g c', 'Connections', () => app.router.go({ view: 'connections', connectionId: null })),
    go('settings', 'g s', 'Settings', () => app.router.go({ view: 'settings', section: 'window' })),
    go('settings-jobs', 'g j', 'Jobs of this computer', () =>
      app.router.go({ view: 'settings', section: 'jobs' }),
    ),
  ];
}

/** Out of the field first, then up to the overview. */
function back(app: AppState): void {
  const { activeElement } = document;
  if (activeElement instanceof HTMLInputElement || activeElement instanceof HTMLTextAreaElement)
    activeElement.blur();
  else if (app.router.route.view !== 'overview' && app.connectionId !== null)
    app.router.go({ view: 'overview', connectionId: app.connectionId });
}
