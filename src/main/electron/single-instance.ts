import { deepLinkIn, deepLinkPath } from './deep-link.ts';

/** What is used of Electron's app. */
export interface InstanceApp {
  requestSingleInstanceLock(): boolean;
  quit(): void;
  on(event: 'second-instance', listener: (event: unknown, argv: string[]) => void): unknown;
  on(event: 'open-url', listener: (event: { preventDefault(): void }, url: string) => void): unknown;
}

/**
 * Makes this the one Headway of the user: a second start brings this one to the front, at the deep link it was given.
 * False when another is running already; then this one is quitting. `show` gets null where no view was asked for.
 */
export function claimSingleInstance(app: InstanceApp, show: (path: string | null) => void): boolean {
  if (!app.requestSingleInstanceLock()) {
    app.quit();
    return false;
  }
  app.on('second-instance', (_event, argv) => show(deepLinkIn(argv)));
  // macOS hands links over by an event, also the one that started the application.
  app.on('open-url', (event, url) => {
    event.preventDefault();
    show(deepLinkPath(url));
  });
  return true;
}
