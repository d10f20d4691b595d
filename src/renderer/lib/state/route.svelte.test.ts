import { expect, it } from 'vitest';
import { Router } from './route.svelte.ts';

/** A window with a history that can be gone back in. */
function fakeWindow(start: string) {
  const entries = [start];
  const listeners = new Set<() => void>();
  const location = { pathname: '', search: '' };
  const show = (): void => {
    const url = new URL(entries.at(-1) ?? '/', 'http://x');
    location.pathname = url.pathname;
    location.search = url.search;
  };
  show();
  return {
    location,
    entries,
    listeners,
    history: {
      pushState: (_: unknown, __: string, url: string) => {
        entries.push(url);
        show();
      },
      replaceState: (_: unknown, __: string, url?: string | URL | null) => {
        entries[entries.length - 1] = String(url);
        show();
      },
    },
    addEventListener: (_: 'popstate', listener: () => void) => listeners.add(listener),
    removeEventListener: (_: 'popstate', listener: () => void) => listeners.delete(listener),
    back() {
      entries.pop();
      show();
      for (const listener of listeners) listener();
    },
  };
}

it('starts at a deep link, goes on, and comes back with the browser', () => {
  const window = fakeWindow('/connection/a/tenant/3');
  const router = new Router(window);
  expect(router.route).toEqual({ view: 'tenant', connectionId: 'a', tenantId: '3' });
  router.go({ view: 'alerts' });
  expect(router.route).toEqual({ view: 'alerts' });
  expect(window.entries).toEqual(['/connection/a/tenant/3', '/alerts']);
  window.back();
  expect(router.route).toEqual({ view: 'tenant', connectionId: 'a', tenantId: '3' });
});

it('replaces without leaving a step behind, and leaves no listener', () => {
  const window = fakeWindow('/');
  const router = new Router(window);
  router.go({ view: 'overview', connectionId: 'a' }, { replace: true });
  expect(window.entries).toEqual(['/connection/a']);
  router[Symbol.dispose]();
  expect(window.listeners.size).toBe(0);
});

it('leaves a click with a modifier to the browser', () => {
  const router = new Router(fakeWindow('/'));
  const { onclick, href } = router.link({ view: 'alerts' });
  expect(href).toBe('/alerts');
  const click = (changes: object) => {
    const event = { button: 0, metaKey: false, ctrlKey: false, shiftKey: false, stopped: false, ...changes };
    onclick({ ...event, preventDefault: () => (event.stopped = true) } as unknown as MouseEvent);
    return event.stopped;
  };
  expect(click({ ctrlKey: true })).toBe(false);
  expect(router.route.view).toBe('home');
  expect(click({})).toBe(true);
  expect(router.route.view).toBe('alerts');
});
