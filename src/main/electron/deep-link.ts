/** The scheme of deep links, and of the window's own pages under the host `app`. */
export const SCHEME = 'headway';
export const WINDOW_URL = `${SCHEME}://app`;

const views: ReadonlySet<string> = new Set(['connection', 'connections', 'alerts', 'settings']);

/**
 * The window's path for a link from outside (`headway://connection/postal/tenant/3` → `/connection/postal/tenant/3`),
 * or null when it is none of ours. Only a view is opened by it; nothing is changed, so a hostile link does no harm.
 */
export function deepLinkPath(link: string): string | null {
  if (link.length > 2048 || !URL.canParse(link)) return null;
  const url = new URL(link);
  if (url.protocol !== `${SCHEME}:` || url.username !== '' || url.port !== '') return null;
  const path = url.host === 'app' ? url.pathname : `/${url.host}${url.pathname}`;
  const view = path.split('/')[1] ?? '';
  if (view === '' && url.host === 'app') return '/';
  return views.has(view) ? path + url.search : null;
}

/** The first deep link among a program's arguments; Chromium adds switches of its own around it. */
export function deepLinkIn(argv: readonly string[]): string | null {
  for (const argument of argv) {
    const path = argument.startsWith(`${SCHEME}://`) ? deepLinkPath(argument) : null;
    if (path !== null) return path;
  }
  return null;
}
