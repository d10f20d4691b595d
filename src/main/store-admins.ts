// The engines that connections of the settings show through their stores, as a person acts upon them.
import type { ConnectionSettings } from '../contract/settings.ts';
import { openEngineStore } from './connection-source.ts';
import { StoreAdmin } from './engine/store-admin.ts';
import type { SecretStore } from './settings/secrets.ts';

export class StoreAdmins implements AsyncDisposable {
  readonly #connections: () => readonly ConnectionSettings[];
  readonly #secrets: SecretStore;
  /** With the settings that each was made from, as text. */
  readonly #admins = new Map<string, { admin: StoreAdmin; madeFrom: string }>();

  /** `connections`: those of the settings now. */
  constructor(connections: () => readonly ConnectionSettings[], secrets: SecretStore) {
    this.#connections = connections;
    this.#secrets = secrets;
  }

  /** Null for a connection that is not of kind `engine`. Made anew when its settings changed. */
  of(connectionId: string): StoreAdmin | null {
    this.#closeOthers();
    const connection = this.#connections().find(({ id }) => id === connectionId);
    if (connection?.kind !== 'engine') return null;
    const known = this.#admins.get(connectionId);
    if (known !== undefined) return known.admin;
    const admin = new StoreAdmin({
      name: connection.name,
      isReadOnly: connection.safety === 'read-only',
      open: (access) => openEngineStore(connection, this.#secrets, access),
    });
    this.#admins.set(connectionId, { admin, madeFrom: JSON.stringify(connection) });
    return admin;
  }

  /** Those of connections that changed or went. */
  #closeOthers(): void {
    const now = new Set(this.#connections().map((connection) => JSON.stringify(connection)));
    for (const [id, { admin, madeFrom }] of this.#admins) {
      if (now.has(madeFrom)) continue;
      this.#admins.delete(id);
      // Closing fails for no reason that anybody could do something about.
      void admin[Symbol.asyncDispose]().catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = [...this.#admins.values()];
    this.#admins.clear();
    for (const { admin } of closing) await admin[Symbol.asyncDispose]();
  }
}
