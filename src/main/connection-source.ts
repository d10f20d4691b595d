// From a configured connection to its source, with the password found only when it is needed.
import {
  databaseOf,
  type ConnectionSettings,
  type EngineConnection,
  type QueueConnection,
} from '../contract/settings.ts';
import { openStoreAt, type StoreAddress } from './engine/stores/open-store.ts';
import type { StoreAccess } from './engine/stores/store-access.ts';
import type { Store } from './engine/stores/store.ts';
import { EngineDatabaseSource } from './sources/engine-database/engine-database-source.ts';
import { openPostal } from './sources/postal/postal-source.ts';
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
  if (connection.kind === 'postal') {
    const { database, postal } = connection;
    const password = () => databasePassword(connection, secrets);
    return openPostal({ database, postal, password, now: Date.now });
  }
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
