import { resolve } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';
import { openStoreAt, storeAddress } from '../engine/stores/open-store.ts';
import type { Store } from '../engine/stores/store.ts';
import { readPrivateFile } from '../settings/private-file.ts';
import { StoreFailure } from './exit-codes.ts';

export interface JobStoreOptions {
  /** As it was given: `sqlite:FILE`, `postgres://…`, `mysql://…`. */
  store: string;
  /** Holds the database's password. */
  passwordFile?: string;
}

/** A command line is seen by everybody on the machine; this is not. */
const PASSWORD_VARIABLE = 'HEADWAY_STORE_PASSWORD';

/**
 * Opens what --store names, and sets it up where it is empty. Rejects with `bad-request` for a text that names no store, with
 * `secret-missing` for a password file that cannot be used, and with StoreFailure for a store that cannot.
 */
export async function openJobStore(options: JobStoreOptions): Promise<Store> {
  const address = storeAddress(options.store, await passwordOf(options));
  try {
    return await openStoreAt(address, 'work');
  } catch (cause) {
    throw new StoreFailure('the store cannot be opened', { cause });
  }
}

async function passwordOf({ passwordFile }: JobStoreOptions): Promise<string | null> {
  if (passwordFile === undefined) return process.env[PASSWORD_VARIABLE] ?? null;
  const text = await readPrivateFile(resolve(passwordFile));
  const password = text?.replace(/\r?\n$/, '') ?? '';
  if (password !== '') return password;
  throw new HeadwayError(
    'secret-missing',
    `The password file ${passwordFile} is ${text === null ? 'not there' : 'empty'}. Write the store's password to it, mode 0600.`,
  );
}
