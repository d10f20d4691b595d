// Files that only their owner may read: written whole or not at all, read only while they are private.
import { open, realpath, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';

/**
 * Replaces a file so that a crash leaves the old text or the new, never a part: temporary file beside it, fsync,
 * rename, fsync of the folder. Mode 0600. A symbolic link stays one; its target is replaced.
 * `stillWanted` is asked just before the rename; when it says no, nothing is changed and false is returned.
 */
export async function writePrivateFile(
  path: string,
  text: string,
  stillWanted: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<boolean> {
  const target = await realpath(path).catch(() => path);
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.${counter++}.tmp`);
  try {
    {
      await using file = await open(temporary, 'wx', 0o600);
      await file.writeFile(text);
      await file.sync();
    }
    if (!(await stillWanted())) return false;
    await rename(temporary, target);
    await syncFolder(dirname(target));
    return true;
  } catch (error) {
    throw new HeadwayError('storage-failed', `Cannot write ${path}: ${reason(error)}`, { cause: error });
  } finally {
    await rm(temporary, { force: true });
  }
}
let counter = 0;

/** A rename is on disk only when its folder is. Windows cannot open folders and needs no such thing. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using folder = await open(path, 'r');
  await folder.sync();
}

/**
 * The text of a file that holds a secret, null when there is no such file. Refused with 'secret-missing' when
 * others can read it (POSIX; Windows has no such bits), when it cannot be read, or when it is over 64 kB.
 */
export async function readPrivateFile(path: string): Promise<string | null> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return null;
    throw new HeadwayError('secret-missing', `Cannot read the secret file ${path}: ${reason(error)}`, {
      cause: error,
    });
  }
  await using opened = file;
  const { mode, size } = await opened.stat();
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    const bits = (mode & 0o777).toString(8).padStart(4, '0');
    throw new HeadwayError(
      'secret-missing',
      `The secret file ${path} can be read by others (mode ${bits}). Run: chmod 600 '${path.replaceAll("'", `'\\''`)}'`,
      { details: { file: path } },
    );
  }
  if (size > 65_536) {
    throw new HeadwayError(
      'secret-missing',
      `The secret file ${path} holds ${size} bytes; expected under 64 kB`,
    );
  }
  return await opened.readFile('utf8');
}

export const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));
