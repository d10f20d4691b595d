import { dirname } from 'node:path';
import type { SafeStorage } from 'electron';
import { z } from 'zod';
import { HeadwayError } from '../../contract/errors.ts';
import { ensureDataDirectory } from '../settings/data-directory.ts';
import { readPrivateFile, writePrivateFile } from '../settings/private-file.ts';
import type { SecretStore } from '../settings/secrets.ts';

export type SafeStorageLike = Pick<
  SafeStorage,
  'isAsyncEncryptionAvailable' | 'getSelectedStorageBackend' | 'encryptStringAsync' | 'decryptStringAsync'
>;

interface SafeStorageOptions {
  safeStorage: SafeStorageLike;
  platform: NodeJS.Platform;
  file: string;
  /** Asks whether to store secrets although they would be weakly protected. Asked once a run at most. */
  consentToWeak: () => Promise<boolean>;
}

const fileSchema = z.strictObject({ version: z.literal(1), values: z.record(z.string(), z.base64()) });

type Protection = 'keyring' | 'weak' | 'none';

/**
 * Secrets encrypted with a key from the system's keyring, in a file only its owner can read. On Linux without a
 * keyring Chromium encrypts with a fixed password (`basic_text`), which hides values from a glance and no more:
 * that is said in `description`, and nothing is stored so without consent.
 */
export class SafeStorageSecrets implements SecretStore {
  readonly description: string;
  readonly #options: SafeStorageOptions;
  readonly #protection: Protection;
  #consent: Promise<boolean> | null = null;
  /** Reads and writes of the file, one after another. */
  #queue: Promise<unknown> = Promise.resolve();

  /** To be called once Electron is ready. */
  static async open(options: SafeStorageOptions): Promise<SafeStorageSecrets> {
    return new SafeStorageSecrets(options, await protectionOf(options.safeStorage, options.platform));
  }

  private constructor(options: SafeStorageOptions, [protection, description]: [Protection, string]) {
    this.#options = options;
    this.#protection = protection;
    this.description = description;
  }

  get(key: string): Promise<string | null> {
    return this.#inTurn(async () => {
      const values = await this.#read();
      const encrypted = values.get(key);
      if (encrypted === undefined) return null;
      const { result, shouldReEncrypt } = await this.#decrypt(key, encrypted);
      if (shouldReEncrypt) await this.#write(values.set(key, await this.#encrypt(result)));
      return result;
    });
  }

  async set(key: string, value: string): Promise<void> {
    await this.#requireConsent();
    await this.#inTurn(async () => {
      const values = await this.#read();
      await this.#write(values.set(key, await this.#encrypt(value)));
    });
  }

  delete(key: string): Promise<void> {
    return this.#inTurn(async () => {
      const values = await this.#read();
      if (values.delete(key)) await this.#write(values);
    });
  }

  async #encrypt(value: string): Promise<string> {
    return (await this.#options.safeStorage.encryptStringAsync(value)).toString('base64');
  }

  async #decrypt(key: string, encrypted: string): Promise<{ result: string; shouldReEncrypt: boolean }> {
    try {
      return await this.#options.safeStorage.decryptStringAsync(Buffer.from(encrypted, 'base64'));
    } catch (error) {
      throw new HeadwayError(
        'secret-missing',
        `The stored secret "${key}" cannot be decrypted: the system's keyring has changed. Enter it again.`,
        { cause: error },
      );
    }
  }

  async #requireConsent(): Promise<void> {
    if (this.#protection === 'keyring') return;
    const elsewhere = 'Name an environment variable or a file for it in the connection instead.';
    if (this.#protection === 'none') {
      throw new HeadwayError(
        'storage-failed',
        `This system offers no encryption, so no secret is stored. ${elsewhere}`,
      );
    }
    this.#consent ??= this.#options.consentToWeak();
    if (await this.#consent) return;
    throw new HeadwayError(
      'storage-failed',
      `The secret was not stored, for lack of a keyring. ${elsewhere}`,
    );
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #read(): Promise<Map<string, string>> {
    const { file } = this.#options;
    const text = await readPrivateFile(file);
    if (text === null) return new Map();
    try {
      return new Map(Object.entries(fileSchema.parse(JSON.parse(text)).values));
    } catch {
      // Not overwritten: a person may still save what is in it.
      throw new HeadwayError(
        'storage-failed',
        `${file} is not a file of secrets. Move it away and enter them again.`,
      );
    }
  }

  async #write(values: ReadonlyMap<string, string>): Promise<void> {
    const { file } = this.#options;
    await ensureDataDirectory(dirname(file));
    const content = { version: 1, values: Object.fromEntries(values) };
    await writePrivateFile(file, `${JSON.stringify(content, null, 2)}\n`);
  }
}

async function protectionOf(
  safeStorage: SafeStorageLike,
  platform: NodeJS.Platform,
): Promise<[Protection, string]> {
  if (!(await safeStorage.isAsyncEncryptionAvailable())) {
    return ['none', 'This system offers no encryption: no secret is stored.'];
  }
  if (platform === 'darwin') return ['keyring', 'Encrypted with a key in the macOS Keychain.'];
  if (platform === 'win32') return ['keyring', 'Encrypted for your Windows account (DPAPI).'];
  const backend = safeStorage.getSelectedStorageBackend();
  if (backend !== 'basic_text' && backend !== 'unknown') {
    return ['keyring', `Encrypted with a key in the system's keyring (${backend}).`];
  }
  return [
    'weak',
    'Weak: no keyring was found (GNOME Keyring or KWallet), so who can read your files can read the secrets.',
  ];
}
