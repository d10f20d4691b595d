// Where the window is, as a path: the same under http://127.0.0.1:PORT/ and headway://app/.

import { jobListSchema } from '../../../contract/queue-jobs.ts';
import type { AlertScope } from '../../../core/alert.ts';

/** The parts of an engine's view, in their order. */
export const engineSections = ['now', 'dead', 'blocked', 'recent', 'engines'] as const;
export type EngineSection = (typeof engineSections)[number];

/** The parts of a tenant's view: its past, its jobs by list, its locks. */
export const tenantSections = ['charts', ...jobListSchema.options, 'locks'] as const;
export type TenantSection = (typeof tenantSections)[number];

/** The parts of a database's view. */
export const databaseSections = ['health', 'indexes', 'abilities'] as const;
export type DatabaseSection = (typeof databaseSections)[number];

export type Route =
  | { view: 'home' }
  | { view: 'overview'; connectionId: string }
  /** `query`: `from` and `to` in epoch ms when its charts are to show a piece of the past. */
  | {
      view: 'tenant';
      connectionId: string;
      tenantId: string;
      section?: TenantSection;
      query?: Record<string, string>;
    }
  | { view: 'logs'; connectionId: string; query: Record<string, string> }
  | { view: 'timing'; connectionId: string; query: Record<string, string> }
  | { view: 'engine'; connectionId: string; section: EngineSection }
  | { view: 'job'; connectionId: string; jobId: string }
  | { view: 'database'; connectionId: string; section: DatabaseSection }
  | { view: 'alerts' }
  | { view: 'connections'; connectionId: string | null }
  | { view: 'settings'; section: 'window' | 'jobs' };

/** The route of a path with its query; an unknown path is home. */
export function parseRoute(path: string): Route {
  const url = new URL(path, 'headway://app/');
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const [head, id, section, item, part] = parts.map(decode);
  if (head === 'alerts') return { view: 'alerts' };
  if (head === 'settings') return { view: 'settings', section: id === 'jobs' ? 'jobs' : 'window' };
  if (head === 'connections') return { view: 'connections', connectionId: id ?? null };
  if (head === 'connection' && id !== undefined) {
    if (section === 'tenant' && item !== undefined)
      return {
        view: 'tenant',
        connectionId: id,
        tenantId: item,
        ...tenantPart(part),
        ...(url.search === '' ? {} : { query: Object.fromEntries(url.searchParams) }),
      };
    if (section === 'jobs' && item !== undefined) return { view: 'job', connectionId: id, jobId: item };
    if (section === 'database')
      return {
        view: 'database',
        connectionId: id,
        section: databaseSections.find((known) => known === item) ?? 'health',
      };
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
      return `/connection/${encodeURIComponent(route.connectionId)}/tenant/${encodeURIComponent(route.tenantId)}${route.section === undefined || route.section === 'charts' ? '' : `/${route.section}`}${search(route.query ?? {})}`;
    case 'logs':
    case 'timing':
      return `/connection/${encodeURIComponent(route.connectionId)}/${route.view}${search(route.query)}`;
    case 'engine':
      return `/connection/${encodeURIComponent(route.connectionId)}/engine${route.section === 'now' ? '' : `/${route.section}`}`;
    case 'job':
      return `/connection/${encodeURIComponent(route.connectionId)}/jobs/${encodeURIComponent(route.jobId)}`;
    case 'database':
      return `/connection/${encodeURIComponent(route.connectionId)}/database${route.section === 'health' ? '' : `/${route.section}`}`;
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

/** Charts are what a tenant's view shows by itself. */
function tenantPart(part: string | undefined): { section?: TenantSection } {
  const section = tenantSections.find((known) => known === part) ?? 'charts';
  return section === 'charts' ? {} : { section };
}

/** A part that is no valid escape stands for itself: a mistyped link must not stop the window. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
