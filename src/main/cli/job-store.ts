import type { Store } from '../engine/stores/store.ts';
import type { SecretStore } from '../settings/secrets.ts';

/** Opens what --store names. Rejects with StoreFailure, or `bad-request` for a text that names no store. */
export async function openJobStore(text: string, secrets: SecretStore): Promise<Store> {
  throw new Error(`no store ${text} ${String(secrets)}`);
}
