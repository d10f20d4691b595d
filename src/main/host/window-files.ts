import { readFile, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

export interface WindowFile {
  body: Buffer;
  contentType: string;
  /** Its name carries a hash of its content, so it may be cached for ever. */
  immutable: boolean;
}

const contentTypes: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

/**
 * The built window's file for a URL path, or null when there is none. `/assets/…` and names with a dot at the top
 * are files; every other path is a view of the window (`/connection/…`) and gets index.html.
 * Nothing outside of `directory` is ever read, also not through a symbolic link.
 */
export async function readWindowFile(directory: string, urlPath: string): Promise<WindowFile | null> {
  const path = decodePath(urlPath);
  if (path === null) return null;
  const isFile = path.startsWith('/assets/') || /^\/[^/]+\.[^/]+$/.test(path);
  const name = isFile ? path : '/index.html';
  const contentType = contentTypes[extname(name).toLowerCase()];
  if (contentType === undefined) return null;
  try {
    const root = await realpath(directory);
    const file = await realpath(join(root, name));
    if (!file.startsWith(root + sep)) return null;
    return { body: await readFile(file), contentType, immutable: path.startsWith('/assets/') };
  } catch (error) {
    // Missing, a directory, or a file used as one: not there. Anything else (no permission) is worth a word.
    if (
      error instanceof Error &&
      'code' in error &&
      ['ENOENT', 'EISDIR', 'ENOTDIR', 'ENAMETOOLONG'].includes(String(error.code))
    )
      return null;
    throw error;
  }
}

/** The decoded path if every segment is a plain name; null for tricks (`..`, NUL, backslash, broken escapes). */
function decodePath(urlPath: string): string | null {
  let path: string;
  try {
    path = decodeURIComponent(urlPath);
  } catch {
    return null;
  }
  if (!path.startsWith('/') || /[\0\\]/.test(path)) return null;
  return path.split('/').includes('..') ? null : path;
}
