// Where the window is, as a path: the same under http://127.0.0.1:PORT/ and headway://app/.

import type { AlertScope } from '../../../core/alert.ts';

export type Route =
  | { view: 'home' }
  | { view: 'overview'; connectionId: string }
  | { view: 'tenant'; connectionId: string; tenantId: string }
  | { view: 'logs'; connectionId: string; query: Record<string, string> }
  | { view: 'alerts' }
  | { view: 'connections'; connectionId: string | null }
  | { view: 'settings' };

/** The route of a path with its query; an unknown path is home. */
export function parseRoute(path: string): Route {
  const url = new URL(path, 'headway://app/');
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const [head, id, section, tenantId] = parts.map(decode);
  if (head === 'alerts') return { view: 'alerts' };
  if (head === 'settings') return { view: 'settings' };
  if (head === 'connections') return { view: 'connections', connectionId: id ?? null };
  if (head === 'connection' && id !== undefined) {
    if (section === 'tenant' && tenantId !== undefined) return { view: 'tenant', connectionId: id, tenantId };
    if (section === 'logs')
      return { view: 'logs', connectionId: id, query: Object.fromEntries(url.searchParams) };
    return { view: 'overview', connectionId: id };
  }
  return { view: 'home' };
}

/** The path of a route: the inverse of parseRoute. */
export function pathOf(route: Route): string {
  switch (route.view) {
    case 'home':
      return '/';
    case 'overview':
      return `/connection/${encodeURIComponent(route.connectionId)}`;
    case 'tenant':
      return `/connection/${encodeURIComponent(route.connectionId)}/tenant/${encodeURIComponent(route.tenantId)}`;
    case 'logs': {
      const query = new URLSearchParams(route.query).toString();
      return `/connection/${encodeURIComponent(route.connectionId)}/logs${query === '' ? '' : `?${query}`}`;
    }
    case 'connections':
      return route.connectionId === null
        ? '/connections'
        : `/connections/${encodeURIComponent(route.connectionId)}`;
    case 'alerts':
    case 'settings':
      return `/${route.view}`;
  }
}

/** Where a person looks into what an alert is about. */
export function routeOfScope(connectionId: string, scope: AlertScope): Route {
  return scope.kind === 'tenant'
    ? { view: 'tenant', connectionId, tenantId: scope.id }
    : { view: 'overview', connectionId };
}

/** A part that is no valid escape stands for itself: a mistyped link must not stop the window. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
