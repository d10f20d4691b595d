// From a configured connection to its source, with the password found only when it is needed.
import type { ConnectionSettings } from '../contract/settings.ts';
import { HeadwayError } from '../contract/errors.ts';
import { PostalSource } from './sources/postal/postal-source.ts';
import type { Source } from './sources/source.ts';
import { resolveSecret } from './settings/resolve-secret.ts';
import type { SecretStore } from './settings/secrets.ts';

/** The database password of a connection; null when it names none. */
export async function databasePassword(
  connection: ConnectionSettings,
  secrets: SecretStore,
): Promise<string | null> {
  const { password } = connection.database;
  if (password === undefined) return null;
  const from = { environment: process.env, store: secrets };
  return resolveSecret(password, `the database password of ${connection.name}`, from);
}

/**
 * The source of a connection. A missing secret fails the calls with `secret-missing`, like a database that cannot
 * be reached, and is looked for again at the next call.
 */
export function openSource(connection: ConnectionSettings, secrets: SecretStore): Source {
  let opened: PostalSource | null = null;
  const open = async (): Promise<PostalSource> => {
    const password = await databasePassword(connection, secrets);
    opened ??= new PostalSource({
      database: connection.database,
      postal: connection.postal,
      password,
      now: Date.now,
    });
    return opened;
  };
  const close = async (): Promise<void> => {
    const closing = opened;
    opened = null;
    await closing?.[Symbol.asyncDispose]();
  };
  /** A refused password may be mended in the store meanwhile: the next call looks it up again. */
  const call = async <T>(ask: (source: PostalSource) => Promise<T>): Promise<T> => {
    try {
      return await ask(await open());
    } catch (error) {
      if (error instanceof HeadwayError && error.code === 'authentication-failed') await close();
      throw error;
    }
  };
  return {
    probe: (signal) => call((source) => source.probe(signal)),
    tenants: (signal) => call((source) => source.tenants(signal)),
    snapshot: (signal) => call((source) => source.snapshot(signal)),
    [Symbol.asyncDispose]: close,
  };
}
