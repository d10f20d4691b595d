// The desktop shell: the only folder that knows Electron. Each file takes the pieces of Electron it uses as arguments
// and imports only types; desktop.ts imports the real ones and puts them together.
import type { HandlerDetails, Session, WebContents, WindowOpenHandlerResponse } from 'electron';

/** The window's own pages, and in development those of the dev server. */
export interface OwnPages {
  isOwn(url: string): boolean;
}

export function ownPages(devServerUrl: string | undefined): OwnPages {
  const dev = devServerUrl === undefined ? null : parse(devServerUrl);
  return {
    isOwn(url) {
      const page = parse(url);
      if (page === null) return false;
      // `origin` is "null" for schemes that Node does not know, so the parts are compared.
      if (page.protocol === 'headway:') return page.host === 'app' && page.username === '';
      return dev !== null && page.protocol === dev.protocol && page.host === dev.host;
    },
  };
}

/**
 * Whether a link may be handed to the system's browser: https to a named host, without credentials in it. Everything
 * else could start a program (file:, smb:, ms-…:) or lead to a page that is not what it looks like.
 */
export function isSafeExternal(url: string): boolean {
  const target = parse(url);
  if (target === null || url.length > 2048) return false;
  return (
    target.protocol === 'https:' && target.hostname !== '' && target.username === '' && target.password === ''
  );
}

export interface AppEvents {
  on(event: 'web-contents-created', listener: (event: unknown, contents: ContentsLike) => void): unknown;
}
type ContentsLike = Pick<WebContents, 'setWindowOpenHandler'> & {
  on(
    event: 'will-navigate' | 'will-frame-navigate' | 'will-redirect',
    listener: (details: { url: string; preventDefault(): void }) => void,
  ): unknown;
  on(event: 'will-attach-webview', listener: (event: { preventDefault(): void }) => void): unknown;
};

/** Keeps every page, also those made later, on our own pages. The one door outside is `openExternal`. */
export function lockNavigation(app: AppEvents, pages: OwnPages, openExternal: (url: string) => void): void {
  app.on('web-contents-created', (_event, contents) => {
    const stay = (details: { url: string; preventDefault(): void }) => {
      if (!pages.isOwn(details.url)) details.preventDefault();
    };
    contents.on('will-navigate', stay);
    contents.on('will-frame-navigate', stay);
    contents.on('will-redirect', stay);
    contents.on('will-attach-webview', (event) => event.preventDefault());
    contents.setWindowOpenHandler(({ url }: HandlerDetails): WindowOpenHandlerResponse => {
      if (isSafeExternal(url)) openExternal(url);
      return { action: 'deny' };
    });
  });
}

/** What our own pages may ask for: alerts on the desktop, and to copy a table on a click. Nothing else, nobody else. */
const permitted: ReadonlySet<string> = new Set(['notifications', 'clipboard-sanitized-write']);

export type SessionLike = Pick<
  Session,
  'setPermissionRequestHandler' | 'setPermissionCheckHandler' | 'setDevicePermissionHandler'
>;

export function lockPermissions(session: SessionLike, pages: OwnPages): void {
  session.setPermissionRequestHandler((_contents, permission, callback, details) => {
    callback(permitted.has(permission) && pages.isOwn(details.requestingUrl));
  });
  session.setPermissionCheckHandler((_contents, permission, requestingOrigin) => {
    return permitted.has(permission) && pages.isOwn(requestingOrigin);
  });
  session.setDevicePermissionHandler(() => false);
}

/** Whether a message to the main process comes from the window itself, and not from a frame in it. */
export function isOwnFrame(
  frame: { readonly url: string; readonly parent: unknown },
  pages: OwnPages,
): boolean {
  return frame.parent === null && pages.isOwn(frame.url);
}

function parse(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null;
}
