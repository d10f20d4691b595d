// An agent of which only some keys are offered, as `IdentitiesOnly` asks: many keys would use up a server's patience.
import { readFile } from 'node:fs/promises';
import ssh2, {
  type BaseAgent,
  type IdentityCallback,
  type ParsedKey,
  type PublicKeyEntry,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2';
import { parseKey } from './locked-key.ts';

type PublicKey = string | Buffer | ParsedKey;

export class ChosenKeys extends ssh2.BaseAgent {
  #agent: BaseAgent;
  #chosen: ReadonlySet<string>;

  /** `chosen`: public keys as `publicKeys` gives them. */
  constructor(socket: string, chosen: ReadonlySet<string>) {
    super();
    this.#agent = ssh2.createAgent(socket);
    this.#chosen = chosen;
  }

  override getIdentities(callback: IdentityCallback<PublicKey>): void {
    this.#agent.getIdentities((error, keys) => {
      if (error) callback(error);
      else callback(null, keys?.filter((key) => this.#chosen.has(blobOf(key))) ?? []);
    });
  }

  override sign(
    publicKey: PublicKey,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    if (typeof options === 'function') this.#agent.sign(publicKey, data, options);
    else this.#agent.sign(publicKey, data, options, callback);
  }
}

/** The public halves of key files, from `FILE.pub` beside a locked one; files that cannot be read are left out. */
export async function publicKeys(files: string[]): Promise<Set<string>> {
  const blobs = await Promise.all(
    files.map(async (file) => {
      for (const candidate of [`${file}.pub`, file]) {
        const key = parseKey(await readFile(candidate, 'utf8').catch(() => ''));
        if (!(key instanceof Error)) return blobOf(key);
      }
      return '';
    }),
  );
  return new Set(blobs.filter((blob) => blob !== ''));
}

function blobOf(key: PublicKey | PublicKeyEntry | PublicKeyEntry['pubKey']): string {
  if (typeof key === 'string') return key;
  if ('pubKey' in key) return blobOf(key.pubKey);
  return (Buffer.isBuffer(key) ? key : key.getPublicSSH()).toString('base64');
}
