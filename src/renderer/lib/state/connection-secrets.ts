// New secrets of a connection's form: each gets a key of its own in the secret store.
import type { SecretRef } from '../../../contract/secret-ref.ts';
import type { ConnectionFields, SecretFields } from './connection-form.ts';

/** Collects new secrets and gives each a key of its own. */
export class SecretVault {
  readonly secrets: Record<string, string> = {};
  readonly #id: string;
  readonly #taken: Set<string>;

  constructor(id: string, fields: ConnectionFields) {
    this.#id = id;
    const kept = [fields.password, ...fields.logHosts.flatMap((host) => [host.passphrase, host.password])];
    this.#taken = new Set(
      kept.flatMap(({ kept: ref }) => (ref !== null && 'stored' in ref ? [ref.stored] : [])),
    );
  }

  /** Where the secret is found from now on; null when there is none. */
  keep({ kept, value }: SecretFields, name: string): SecretRef | null {
    if (value === '') return kept;
    const key = kept !== null && 'stored' in kept ? kept.stored : this.#freeKey(`${this.#id}.${name}`);
    this.secrets[key] = value;
    return { stored: key };
  }

  #freeKey(wanted: string): string {
    let key = wanted;
    for (let count = 2; this.#taken.has(key); count += 1) key = `${wanted}.${count}`;
    this.#taken.add(key);
    return key;
  }
}
