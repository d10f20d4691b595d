// Where the window is, as a path: the same under http://127.0.0.1:PORT/ and headway://app/.

import type { AlertScope } from '../../../core/alert.ts';

/** The parts of an engine's view, in their order. */
export const engineSections = ['now', 'dead', 'blocked', 'recent', 'engines'] as const;
export type EngineSection = (typeof engineSections)[number];

export type Route =
  | { view: 'home' }
  | { view: 'overview'; connectionId: string }
  /** `query`: `from` and `to` in epoch ms when its charts are to show a piece of the past. */
  | { view: 'tenant'; connectionId: string; tenantId: string; query?: Record<string, string> }
  | { view: 'logs'; connectionId: string; query: Record<string, string> }
  | { view: 'timing'; connectionId: string; query: Record<string, string> }
  | { view: 'engine'; connectionId: string; section: EngineSection }
  | { view: 'job'; connectionId: string; jobId: number }
  | { view: 'alerts' }
  | { view: 'connections'; connectionId: string | null }
  | { view: 'settings'; section: 'window' | 'jobs' };

/** The route of a path with its query; an unknown path is home. */
export function parseRoute(path: string): Route {
  const url = new URL(path, 'headway://app/');
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const [head, id, section, item] = parts.map(decode);
  if (head === 'alerts') return { view: 'alerts' };
  if (head === 'settings') return { view: 'settings', section: id === 'jobs' ? 'jobs' : 'window' };
  if (head === 'connections') return { view: 'connections', connectionId: id ?? null };
  if (head === 'connection' && id !== undefined) {
    if (section === 'tenant' && item !== undefined)
      return {
        view: 'tenant',
        connectionId: id,
        tenantId: item,
        ...(url.search === '' ? {} : { query: Object.fromEntries(url.searchParams) }),
      };
    if (section === 'jobs' && item !== undefined && /^\d{1,15}$/.test(item))
      return { view: 'job', connectionId: id, jobId: Number(item) };
    if (section === 'engine')
      return {
        view: 'engine',
        connectionId: id,
        section: engineSections.find((known) => known === item) ?? 'now',
      };
    if (section === 'logs' || section === 'timing')
      return { view: section, connectionId: id, query: Object.fromEntries(url.searchParams) };
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
      return `/connection/${encodeURIComponent(route.connectionId)}/tenant/${encodeURIComponent(route.tenantId)}${search(route.query ?? {})}`;
    case 'logs':
    case 'timing':
      return `/connection/${encodeURIComponent(route.connectionId)}/${route.view}${search(route.query)}`;
    case 'engine':
      return `/connection/${encodeURIComponent(route.connectionId)}/engine${route.section === 'now' ? '' : `/${route.section}`}`;
    case 'job':
      return `/connection/${encodeURIComponent(route.connectionId)}/jobs/${route.jobId}`;
    case 'connections':
      return route.connectionId === null
        ? '/connections'
        : `/connections/${encodeURIComponent(route.connectionId)}`;
    case 'settings':
      return route.section === 'jobs' ? '/settings/jobs' : '/settings';
    case 'alerts':
      return '/alerts';
  }
}

function search(fields: Record<string, string>): string {
  const query = new URLSearchParams(fields).toString();
  return query === '' ? '' : `?${query}`;
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
