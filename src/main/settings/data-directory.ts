// The settings room: where Headway keeps its files, the settings a person may edit by hand, and the secrets
// that must never stand in them. This file: the folder they all live in.
import { mkdir } from 'node:fs/promises';
import { posix, win32 } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';

/**
 * The user data folder: HEADWAY_DATA where set, else the system's place for application data.
 * XDG_DATA_HOME counts only when absolute, as the XDG Base Directory specification demands.
 */
export function dataDirectory(
  environment: Record<string, string | undefined>,
  platform: NodeJS.Platform,
  home: string,
): string {
  const path = platform === 'win32' ? win32 : posix;
  const own = environment['HEADWAY_DATA'];
  if (own !== undefined && own !== '') return path.resolve(own);
  if (platform === 'darwin') return path.join(home, 'Library', 'Application Support', 'Headway');
  if (platform === 'win32')
    return path.join(environment['LOCALAPPDATA'] ?? path.join(home, 'AppData', 'Local'), 'Headway');
  const xdg = environment['XDG_DATA_HOME'];
  return path.join(
    xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(home, '.local', 'share'),
    'headway',
  );
}

/** Creates the folder, open to its owner only. A folder that is there keeps its mode: a person chose it. */
export async function ensureDataDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new HeadwayError(
      'storage-failed',
      `Cannot create the data folder ${path}: ${error instanceof Error ? error.message : String(error)}. Set HEADWAY_DATA to a folder you can write to.`,
      { cause: error },
    );
  }
}
