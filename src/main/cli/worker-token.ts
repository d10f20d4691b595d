import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';
import { ensureDataDirectory } from '../settings/data-directory.ts';
import { readPrivateFile, writePrivateFile } from '../settings/private-file.ts';

const SHORTEST = 16;

/** The token in a file that only its owner can read; a new one where there is no file. `fresh`: it was made just now. */
export async function tokenOf(file: string): Promise<{ token: string; fresh: boolean }> {
  const known = (await readPrivateFile(file))?.trim();
  if (known === undefined) {
    const token = randomBytes(32).toString('base64url');
    await ensureDataDirectory(dirname(file));
    await writePrivateFile(file, `${token}\n`);
    return { token, fresh: true };
  }
  if (known.length < SHORTEST || /\s/.test(known))
    throw new HeadwayError(
      'settings-invalid',
      `The token file ${file} must hold one word of at least ${SHORTEST} characters. Remove it, and a new token is made.`,
    );
  return { token: known, fresh: false };
}
