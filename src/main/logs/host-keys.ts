// Which servers are trusted: asks the known_hosts files, and writes down what a person accepted.
import { appendFile, chmod, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';
import {
  fingerprint,
  judgeHostKey,
  keyTypeOf,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts,
  type KnownHost,
} from './known-hosts.ts';

export interface HostKeysOptions {
  /** Files that are read and never written, such as `~/.ssh/known_hosts`. A missing file is an empty one. */
  readOnlyFiles: string[];
  /** Headway's own file; read too, and written with mode 0600. */
  ownFile: string;
}

/** Unknown keys wait here until someone accepts them by their fingerprint. */
export class HostKeys {
  #options: HostKeysOptions;
  #pending = new Map<string, Buffer>();
  #acceptedListeners = new Set<(host: string, port: number) => void>();

  constructor(options: HostKeysOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the key (its blob) is on file for the host.
   * @throws HeadwayError `host-key-unknown` with details {host, port, keyType, fingerprint}, or `host-key-changed`.
   */
  async check(host: string, port: number, key: Buffer): Promise<void> {
    const verdict = judgeHostKey(await this.#read(), host, port, key.toString('base64'));
    if (verdict.is === 'known') return;
    const details = {
      host,
      port: String(port),
      keyType: keyTypeOf(key.toString('base64')),
      fingerprint: fingerprint(key),
    };
    const name = knownHostName(host, port);
    switch (verdict.is) {
      case 'unknown':
        this.#pending.set(name, key);
        throw new HeadwayError(
          'host-key-unknown',
          `${name} shows a ${details.keyType} key that is not known yet: ${details.fingerprint}. ` +
            `Compare the fingerprint with the server's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then trust it.`,
          { details },
        );
      case 'changed':
        throw new HeadwayError(
          'host-key-changed',
          `${name} shows another key than the one on file: ${details.fingerprint}. Either the server was ` +
            `set up anew or someone stands in between. Ask its administrator for the fingerprint; when it is right, ` +
            `remove ${verdict.place} and connect again.`,
          { details: { ...details, place: verdict.place } },
        );
      case 'revoked':
        throw new HeadwayError(
          'host-key-changed',
          `${name} shows a key that ${verdict.place} marks as revoked: ${details.fingerprint}. ` +
            `Do not log in; ask the server's administrator.`,
          { details: { ...details, place: verdict.place } },
        );
    }
  }

  /** Types of the keys on file for a host; ask the server for these first. */
  async knownTypes(host: string, port: number): Promise<string[]> {
    return knownKeyTypes(await this.#read(), host, port);
  }

  /**
   * Remembers the key that was last refused as unknown.
   * @throws HeadwayError `not-found` when nothing waits for the host, `host-key-changed` when the waiting key has
   * another fingerprint, `storage-failed` when the file cannot be written.
   */
  async accept(host: string, port: number, expectedFingerprint: string): Promise<void> {
    const name = knownHostName(host, port);
    const key = this.#pending.get(name);
    if (key === undefined) {
      throw new HeadwayError(
        'not-found',
        `No key of ${name} waits for an answer. Test the connection again.`,
      );
    }
    if (fingerprint(key) !== expectedFingerprint) {
      throw new HeadwayError(
        'host-key-changed',
        `${name} has shown another key since: ${fingerprint(key)}. Compare it again before you trust it.`,
      );
    }
    const file = this.#options.ownFile;
    const encoded = key.toString('base64');
    try {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await appendFile(file, `${name} ${keyTypeOf(encoded)} ${encoded}\n`, { mode: 0o600 });
      await chmod(file, 0o600);
    } catch (cause) {
      throw new HeadwayError('storage-failed', `Cannot write ${file}: ${reason(cause)}`, { cause });
    }
    this.#pending.delete(name);
    for (const listener of this.#acceptedListeners) listener(host, port);
  }

  /** Tells who waits for a host that its key was accepted. Returns how to stop listening. */
  onAccepted(listener: (host: string, port: number) => void): () => void {
    this.#acceptedListeners.add(listener);
    return () => this.#acceptedListeners.delete(listener);
  }

  async #read(): Promise<KnownHost[]> {
    const files = [...this.#options.readOnlyFiles, this.#options.ownFile];
    const texts = await Promise.all(
      files.map((file) =>
        readFile(file, 'utf8').catch((cause: unknown) => {
          if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return '';
          throw new HeadwayError('storage-failed', `Cannot read ${file}: ${reason(cause)}`, { cause });
        }),
      ),
    );
    return files.flatMap((file, index) => parseKnownHosts(texts[index] ?? '', file));
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
