// The router: the browser's history is the one memory of where the window was.
import { parseRoute, pathOf } from './route.ts';
import type { Route } from './route.ts';

/** What the router needs of `window`. */
export interface RouterWindow {
  location: { pathname: string; search: string };
  history: {
    pushState(data: unknown, unused: string, url: string): void;
    replaceState: History['replaceState'];
  };
  addEventListener(type: 'popstate', listener: () => void): void;
  removeEventListener(type: 'popstate', listener: () => void): void;
}

export class Router {
  route = $state.raw<Route>({ view: 'home' });
  readonly #window: RouterWindow;
  readonly #read = (): void => {
    this.route = parseRoute(this.#window.location.pathname + this.#window.location.search);
  };

  constructor(window: RouterWindow) {
    this.#window = window;
    this.#read();
    window.addEventListener('popstate', this.#read);
  }

  /** Go to a route; `replace` leaves no step to come back to. */
  go(route: Route, options: { replace?: boolean } = {}): void {
    const path = pathOf(route);
    if (options.replace === true) this.#window.history.replaceState(null, '', path);
    else this.#window.history.pushState(null, '', path);
    this.route = route;
  }

  /** For links: an href that also works in a new tab, and a click that stays in this page. */
  link(route: Route): { href: string; onclick: (event: MouseEvent) => void } {
    return {
      href: pathOf(route),
      onclick: (event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        this.go(route);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#window.removeEventListener('popstate', this.#read);
  }
}
