// From a configured connection to its source, with the password found only when it is needed.
import { noDetails } from './sources/not-yet.ts';
import { HeadwayError } from '../contract/errors.ts';
import {
  databaseOf,
  type ConnectionSettings,
  type EngineConnection,
  type PostalConnection,
  type QueueConnection,
} from '../contract/settings.ts';
import { openStoreAt, type StoreAddress } from './engine/stores/open-store.ts';
import type { StoreAccess } from './engine/stores/store-access.ts';
import type { Store } from './engine/stores/store.ts';
import { EngineDatabaseSource } from './sources/engine-database/engine-database-source.ts';
import { PostalSource } from './sources/postal/postal-source.ts';
import { openQueue } from './sources/queues/open-queue.ts';
import type { Source } from './sources/source.ts';
import { resolveSecret } from './settings/resolve-secret.ts';
import type { SecretStore } from './settings/secrets.ts';

/** The database password of a connection; null when it names none. */
export async function databasePassword(
  connection: ConnectionSettings,
  secrets: SecretStore,
): Promise<string | null> {
  const password = databaseOf(connection)?.password;
  if (password === undefined) return null;
  const from = { environment: process.env, store: secrets };
  return resolveSecret(password, `the database password of ${connection.name}`, from);
}

/** Polls and questions of one connection: two at a time at most. */
const STORE_CONNECTIONS = 2;

/** Opens the store of an engine connection; the caller disposes of it. Rejects as the store does, and with `secret-missing`. */
export async function openEngineStore(
  connection: EngineConnection,
  secrets: SecretStore,
  access: StoreAccess,
): Promise<Store> {
  return openStoreAt(await addressOf(connection, secrets), access, STORE_CONNECTIONS);
}

async function addressOf(connection: EngineConnection, secrets: SecretStore): Promise<StoreAddress> {
  const { store } = connection;
  if (store.type === 'sqlite') return store;
  const { password: _, ...database } = store.database;
  return { type: store.type, database, password: await databasePassword(connection, secrets) };
}

/**
 * The source of a connection. A missing secret fails the calls with `secret-missing`, like a database that cannot
 * be reached, and is looked for again at the next call.
 */
export function openSource(connection: ConnectionSettings, secrets: SecretStore): Source {
  if (connection.kind === 'postal') return openPostal(connection, secrets);
  if (connection.kind === 'queue') return openQueueSource(connection, secrets);
  return new EngineDatabaseSource({
    open: () => openEngineStore(connection, secrets, 'look'),
    isShared: connection.store.type !== 'sqlite',
    now: Date.now,
  });
}

/** As openSource; a password that was mended in the store is found at the next session. */
export function openQueueSource(connection: QueueConnection, secrets: SecretStore): Source {
  const { system, schema, mapping } = connection;
  const { password: _, ...database } = connection.database;
  return openQueue({
    connection: { system, schema, mapping, database },
    password: () => databasePassword(connection, secrets),
    now: Date.now,
  });
}

function openPostal(connection: PostalConnection, secrets: SecretStore): Source {
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
    details: noDetails,
    [Symbol.asyncDispose]: close,
  };
}
