// Adds, changes and removes connections: secrets into their store first, then the settings that name them.
import { HeadwayError } from '../contract/errors.ts';
import type { JobKind } from '../contract/job-kinds.ts';
import type { SecretRef } from '../contract/secret-ref.ts';
import {
  BUILT_IN,
  databaseOf,
  LOCAL_ENGINE,
  THIS_COMPUTER,
  type ConnectionSettings,
  type RuleOverride,
  type RuleOverrides,
} from '../contract/settings.ts';
import type { Metric } from '../core/alert.ts';
import type { SecretStore } from './settings/secrets.ts';
import type { OpenSettings } from './settings/settings-origin.ts';

export class ConnectionEditor {
  readonly #settings: Pick<OpenSettings, 'current' | 'update'>;
  readonly #secrets: SecretStore;

  constructor(settings: Pick<OpenSettings, 'current' | 'update'>, secrets: SecretStore) {
    this.#settings = settings;
    this.#secrets = secrets;
  }

  /** Throws `not-found` for an id that settings do not name. */
  get(id: string): ConnectionSettings {
    const connection = this.#settings.current.connections.find((known) => known.id === id);
    if (connection === undefined)
      throw new HeadwayError('not-found', `There is no connection "${id}" in the settings.`);
    return connection;
  }

  /** Adds the connection, or replaces the one with the same id. `secrets` are by their `stored` key. */
  async save(connection: ConnectionSettings, secrets: Readonly<Record<string, string>>): Promise<void> {
    if (BUILT_IN.has(connection.id))
      throw new HeadwayError('settings-invalid', `"${connection.id}" is built in. Choose another id.`);
    const named = new Set(storedKeys(connection));
    const stray = Object.keys(secrets).find((key) => !named.has(key));
    if (stray !== undefined)
      throw new HeadwayError('settings-invalid', `The connection does not name a secret "${stray}".`);
    for (const [key, value] of Object.entries(secrets)) await this.#secrets.set(key, value);
    const before = storedKeys(this.#find(connection.id));
    try {
      await this.#settings.update((settings) => ({
        ...settings,
        connections: settings.connections.some((known) => known.id === connection.id)
          ? settings.connections.map((known) => (known.id === connection.id ? connection : known))
          : [...settings.connections, connection],
      }));
    } finally {
      // After a refusal the new keys are those that nothing names.
      await this.#forget([...before, ...Object.keys(secrets)]);
    }
  }

  async remove(id: string): Promise<void> {
    const connection = this.get(id);
    await this.#settings.update((settings) => ({
      ...settings,
      connections: settings.connections.filter((known) => known.id !== id),
    }));
    await this.#forget(storedKeys(connection));
  }

  /** Changes an alert rule of one connection. */
  async changeRule(id: string, rule: Metric, change: RuleOverride): Promise<void> {
    const changed = (alerts: RuleOverrides): RuleOverrides => ({
      ...alerts,
      [rule]: { ...alerts[rule], ...change },
    });
    if (!BUILT_IN.has(id)) this.get(id);
    await this.#settings.update((settings) => {
      const { thisComputer, localJobs } = settings;
      if (id === THIS_COMPUTER)
        return { ...settings, thisComputer: { ...thisComputer, alerts: changed(thisComputer.alerts) } };
      if (id === LOCAL_ENGINE)
        return { ...settings, localJobs: { ...localJobs, alerts: changed(localJobs.alerts) } };
      const connections = settings.connections.map((known) =>
        known.id === id ? { ...known, alerts: changed(known.alerts) } : known,
      );
      return { ...settings, connections };
    });
  }

  #find(id: string): ConnectionSettings | undefined {
    return this.#settings.current.connections.find((known) => known.id === id);
  }

  /** Forgets secrets that no connection and no kind of job names any more. */
  async #forget(keys: string[]): Promise<void> {
    const { connections, engine } = this.#settings.current;
    const inUse = new Set([...connections.flatMap(storedKeys), ...engine.kinds.flatMap(keysOfKind)]);
    for (const key of keys) if (!inUse.has(key)) await this.#secrets.delete(key);
  }
}

/** The keys of the secret store that a connection names. */
function storedKeys(connection: ConnectionSettings | undefined): string[] {
  if (connection === undefined) return [];
  const refs: (SecretRef | undefined)[] = [
    databaseOf(connection)?.password,
    ...connection.logHosts.map(({ auth }) =>
      auth.kind === 'key' ? auth.passphrase : auth.kind === 'password' ? auth.password : undefined,
    ),
  ];
  return refs.flatMap((ref) => (ref !== undefined && 'stored' in ref ? [ref.stored] : []));
}

/** The keys of the secret store that a kind of job names. */
function keysOfKind({ handler }: JobKind): string[] {
  const values = handler.type === 'command' ? handler.env : handler.type === 'http' ? handler.headers : {};
  return Object.values(values).flatMap((value) =>
    typeof value === 'object' && 'stored' in value ? [value.stored] : [],
  );
}
