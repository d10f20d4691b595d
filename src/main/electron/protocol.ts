import type { CustomScheme } from 'electron';
import { windowHeaders } from '../host/window-policy.ts';
import { readWindowFile } from '../host/window-files.ts';
import { SCHEME } from './deep-link.ts';

/**
 * The scheme that the window is served under, to be registered before Electron is ready: with an origin of its own
 * (`standard`) and allowed what https is (`secure`). Pages under file:// would share one origin with all files.
 */
export const windowScheme: CustomScheme = {
  scheme: SCHEME,
  privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true },
};

/** Answers `headway://app/…` from the built window's directory, with the same policy as the web face. */
export function windowProtocol(directory: string): (request: Request) => Promise<Response> {
  return async (request) => {
    const url = new URL(request.url);
    const file =
      url.host === 'app' && request.method === 'GET' ? await readWindowFile(directory, url.pathname) : null;
    if (file === null)
      return new Response('There is no such file.\n', { status: 404, headers: windowHeaders });
    const body = new Uint8Array(file.body);
    return new Response(body, { headers: { ...windowHeaders, 'Content-Type': file.contentType } });
  };
}
