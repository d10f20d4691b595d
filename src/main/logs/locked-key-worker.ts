// The thread of locked-key.ts: unlocks the key and signs with it, away from the main loop.
import { parentPort, workerData } from 'node:worker_threads';
import { parseKey } from './locked-key.ts';
import { lockedKeyDataSchema, signRequestSchema, type FromLockedKey } from './locked-key-messages.ts';

const { text, passphrase } = lockedKeyDataSchema.parse(workerData);
const key = parseKey(text, passphrase);
const post = (message: FromLockedKey) => parentPort?.postMessage(message);

if (key instanceof Error) {
  post({ t: 'refused', message: key.message });
} else {
  parentPort?.on('message', (raw: unknown) => {
    const { id, data, hash } = signRequestSchema.parse(raw);
    // ssh2 yields an error where its types promise a signature.
    const signature = key.sign(Buffer.from(data), hash) as Buffer | Error;
    if (signature instanceof Error) post({ t: 'unsigned', id, message: signature.message });
    else post({ t: 'signed', id, signature });
  });
  post({ t: 'unlocked', publicKey: key.getPublicSSH() });
}
