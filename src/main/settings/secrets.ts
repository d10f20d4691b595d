// Where secrets are kept. Electron keeps them in the system's keyring (electron/), headless in a 0600 file.

/** A store of secrets by key. Values never appear in settings, logs, URLs, errors or history. */
export interface SecretStore {
  /** How and how well secrets are kept, in words for the window. */
  readonly description: string;
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
}
