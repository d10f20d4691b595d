// From where a secret is found to the secret itself.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';
import type { SecretRef } from '../../contract/secret-ref.ts';
import { readPrivateFile } from './private-file.ts';
import type { SecretStore } from './secrets.ts';

/**
 * The value of a secret. `what` names it in an error: "the password of connection Mail (EU)".
 * Rejects with 'secret-missing', saying how to set it; the message never holds a value.
 */
export async function resolveSecret(
  ref: SecretRef,
  what: string,
  from: { environment: Record<string, string | undefined>; store: SecretStore },
): Promise<string> {
  if ('env' in ref) {
    const value = from.environment[ref.env];
    if (value !== undefined && value !== '') return value;
    throw missing(what, `set the environment variable ${ref.env} and start Headway again`);
  }
  if ('file' in ref) {
    const path = ref.file.startsWith('~/') ? join(homedir(), ref.file.slice(2)) : ref.file;
    const text = await readPrivateFile(path);
    // Editors and `echo` end a file with a newline; a secret that ends with one is not to be had this way.
    const value = text?.replace(/\r?\n$/, '') ?? '';
    if (value !== '') return value;
    throw missing(
      what,
      `write it to the file ${path} (it is ${text === null ? 'not there' : 'empty'}), mode 0600`,
    );
  }
  const value = await from.store.get(ref.stored);
  if (value !== null) return value;
  throw missing(what, 'edit the connection and enter it there');
}

const missing = (what: string, remedy: string): HeadwayError =>
  new HeadwayError('secret-missing', `No value for ${what}: ${remedy}.`);
