// A private key that is locked with a passphrase. Unlocking it is slow on purpose (bcrypt, half a second for the
// default of ssh-keygen), so a thread of its own does it and keeps the key; the login asks it to sign, as an agent.
import { Worker } from 'node:worker_threads';
import ssh2, {
  type IdentityCallback,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2';
import { fromLockedKeySchema, type LockedKeyData, type SignRequest } from './locked-key-messages.ts';

export class LockedKey extends ssh2.BaseAgent<Buffer> implements AsyncDisposable {
  #worker: Worker;
  #publicKey: Buffer;
  #waiting = new Map<number, SignCallback>();
  #nextId = 0;

  private constructor(worker: Worker, publicKey: Buffer) {
    super();
    this.#worker = worker;
    this.#publicKey = publicKey;
    worker.on('message', (raw: unknown) => this.#answered(raw));
    worker.on('exit', () => {
      for (const callback of this.#waiting.values()) callback(new Error('the key was put away'));
      this.#waiting.clear();
    });
  }

  /** Unlocks the first key of a key file's text; an error when the passphrase or the file is wrong. */
  static async unlock(text: string, passphrase: string): Promise<LockedKey | Error> {
    const workerData: LockedKeyData = { text, passphrase };
    // From source or from the build: the worker lies beside this file, with this file's ending.
    const entry = import.meta.url.endsWith('.ts') ? './locked-key-worker.ts' : './locked-key-worker.js';
    const worker = new Worker(new URL(entry, import.meta.url), { workerData, name: 'locked-key' });
    const first = await new Promise<unknown>((resolve) => {
      worker.once('message', resolve);
      worker.once('error', resolve);
    });
    const answer = fromLockedKeySchema.safeParse(first).data;
    if (answer?.t === 'unlocked') return new LockedKey(worker, Buffer.from(answer.publicKey));
    await worker.terminate();
    if (answer?.t === 'refused') return new Error(answer.message);
    return first instanceof Error ? first : new Error('its thread gave no answer');
  }

  override getIdentities(callback: IdentityCallback<Buffer>): void {
    callback(null, [this.#publicKey]);
  }

  override sign(
    _publicKey: Buffer,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const answer = typeof options === 'function' ? options : callback;
    const hash = typeof options === 'function' ? undefined : options.hash;
    const id = this.#nextId++;
    if (answer !== undefined) this.#waiting.set(id, answer);
    this.#worker.postMessage({ id, data, hash } satisfies SignRequest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #answered(raw: unknown): void {
    const answer = fromLockedKeySchema.parse(raw);
    if (answer.t !== 'signed' && answer.t !== 'unsigned') return;
    const callback = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.t === 'signed') callback?.(null, Buffer.from(answer.signature));
    else callback?.(new Error(answer.message));
  }
}

/** The first key of a file, or why it cannot be read. Fast without a passphrase. */
export function parseKey(text: string, passphrase?: string): ParsedKey | Error {
  // A file may hold several keys; ssh2 then returns a list, which its types leave out.
  const parsed = [ssh2.utils.parseKey(text, passphrase) as ParsedKey | Error | ParsedKey[]].flat()[0];
  return parsed ?? new Error('it holds no key');
}
