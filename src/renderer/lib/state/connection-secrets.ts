// New secrets of a connection's form: each gets a key of its own in the secret store.
import type { SecretRef } from '../../../contract/secret-ref.ts';

/** A secret is written and never read: what is kept shows only where it comes from. */
export interface SecretFields {
  kept: SecretRef | null;
  /** A new value; empty keeps what is kept. */
  value: string;
}
export const noSecret = (): SecretFields => ({ kept: null, value: '' });

/** Collects new secrets and gives each a key of its own. */
export class SecretVault {
  readonly secrets: Record<string, string> = {};
  readonly #id: string;
  readonly #taken: Set<string>;

  /** `secrets` are all of the form: keys that are kept are not given again. */
  constructor(id: string, secrets: readonly SecretFields[]) {
    this.#id = id;
    this.#taken = new Set(
      secrets.flatMap(({ kept: ref }) => (ref !== null && 'stored' in ref ? [ref.stored] : [])),
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
