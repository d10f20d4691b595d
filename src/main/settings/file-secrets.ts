// Secrets without a keyring: one JSON file that only its owner can read.
import { dirname } from 'node:path';
import { z } from 'zod';
import { HeadwayError } from '../../contract/errors.ts';
import { ensureDataDirectory } from './data-directory.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';
import type { SecretStore } from './secrets.ts';

const fileSchema = z.record(z.string(), z.string());

/** A store in a 0600 file. It protects from other users of the machine, not from programs of the same user. */
export class FileSecrets implements SecretStore {
  readonly description: string;
  readonly #path: string;
  /** Changes run one after the other, or two of them would each write without the other's key. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
    this.description = `in the file ${path}, readable by its owner only, not encrypted`;
  }

  async get(key: string): Promise<string | null> {
    return (await this.#read()).get(key) ?? null;
  }

  set(key: string, value: string): Promise<void> {
    return this.#change((secrets) => secrets.set(key, value));
  }

  delete(key: string): Promise<void> {
    return this.#change((secrets) => secrets.delete(key));
  }

  #change(change: (secrets: Map<string, string>) => unknown): Promise<void> {
    const done = this.#last.then(async () => {
      const secrets = await this.#read();
      change(secrets);
      await ensureDataDirectory(dirname(this.#path));
      await writePrivateFile(this.#path, `${JSON.stringify(Object.fromEntries(secrets), null, 2)}\n`);
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #read(): Promise<Map<string, string>> {
    const text = await readPrivateFile(this.#path);
    if (text === null) return new Map();
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // The parser's message quotes the text, and the text holds secrets.
      value = undefined;
    }
    const parsed = fileSchema.safeParse(value);
    if (!parsed.success) {
      throw new HeadwayError(
        'secret-missing',
        `The secret file ${this.#path} is not a JSON object of texts. Repair it, or move it away and enter the secrets again.`,
        { details: { file: this.#path } },
      );
    }
    return new Map(Object.entries(parsed.data));
  }
}
