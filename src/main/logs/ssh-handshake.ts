// The SSH side of one connection: checks the host's key, then logs in with what there is.
import type { Duplex } from 'node:stream';
import ssh2, { type Client, type ServerHostKeyAlgorithm } from 'ssh2';
import { HeadwayError } from '../../contract/errors.ts';
import { abortable } from './abortable.ts';
import type { HostKeys } from './host-keys.ts';
import { fingerprint } from './known-hosts.ts';
import { loginRefused } from './ssh-errors.ts';
import type { LoginAttempt } from './ssh-login.ts';
import type { SshStation } from './ssh-route.ts';

/** A peer that answers none of three of these is given up on a fourth: 28 s, within the half minute promised. */
const KEEPALIVE_MS = 7_000;

export interface Handshake {
  station: SshStation;
  /** How the station is called in errors. */
  target: string;
  /** Asked only once the host's key was checked: secrets are looked up for no stranger. */
  login: () => Promise<LoginAttempt[]>;
  /** A connection to the station's port; destroyed when the handshake fails. */
  socket: Duplex;
  hostKeys: HostKeys;
  keepaliveIntervalMs: number | undefined;
  signal: AbortSignal;
  onPhase: (phase: 'host-key' | 'authenticate', detail: string) => void;
}

/** A client that is logged in. @throws HeadwayError, or what the network and ssh2 throw. */
export async function handshake(options: Handshake): Promise<Client> {
  const { station, target, login, socket, hostKeys, signal, onPhase } = options;
  const { host, port, user } = station;
  const client = new ssh2.Client();
  const { promise: ready, resolve, reject } = Promise.withResolvers<undefined>();
  // Whoever gives up waiting must not leave a late refusal without a listener.
  ready.catch(() => undefined);
  await using lockedKeys = new AsyncDisposableStack();
  const tried: string[] = [];
  let attempts: LoginAttempt[] | null = null;
  let accepted: string[] = [];
  client.once('ready', () => resolve(undefined));
  client.on('error', (error) => {
    // An agent that fails is one way less; ssh2 goes on to the next.
    if (error.level === 'agent') tried.push(`${tried.pop() ?? 'agent'} (${error.message})`);
    else if (error.level === 'client-authentication') reject(loginRefused(target, tried, accepted));
    else reject(error);
  });
  client.once('close', () => {
    const message = `${target} closed the connection during the login. Test again.`;
    reject(new HeadwayError('unreachable', message, { retryable: true }));
  });
  try {
    const known = await hostKeys.knownTypes(host, port);
    client.connect({
      sock: socket,
      username: user,
      readyTimeout: 0,
      keepaliveInterval: options.keepaliveIntervalMs ?? KEEPALIVE_MS,
      keepaliveCountMax: 3,
      algorithms: { serverHostKey: preferKnown(known) },
      hostVerifier: (key: Buffer, verify: (valid: boolean) => void) => {
        hostKeys.check(host, port, key).then(
          () => {
            onPhase('host-key', fingerprint(key));
            verify(true);
          },
          (refusal: unknown) => {
            // First our own word: what ssh2 says of the refusal is only the consequence.
            reject(refusal);
            verify(false);
          },
        );
      },
      // Secrets are looked up only for a host that is known.
      authHandler: (methodsLeft, _partial, next) => {
        const tryNext = async () => {
          // The server tells what it accepts only once a first attempt was refused.
          if (Array.isArray(methodsLeft)) accepted = methodsLeft;
          attempts ??= await keepKeys(await login(), lockedKeys);
          const attempt = attempts.shift();
          if (attempt !== undefined) tried.push(attempt.title);
          // `false` ends the attempts; the types of ssh2 leave it out.
          next(attempt?.method ?? (false as unknown as 'none'));
        };
        tryNext().catch(reject);
      },
    });
    await abortable(ready, signal);
    onPhase('authenticate', tried.at(-1) ?? '');
    client.removeAllListeners('close');
    return client;
  } catch (error) {
    // The socket's last errors have no one else to go to.
    client.on('error', () => undefined);
    client.destroy();
    socket.destroy();
    throw error;
  }
}

/** Unlocked keys live as long as the login; one that is unlocked after its end is put away at once. */
async function keepKeys(attempts: LoginAttempt[], login: AsyncDisposableStack): Promise<LoginAttempt[]> {
  for (const { lockedKey } of attempts) {
    if (login.disposed) await lockedKey?.[Symbol.asyncDispose]();
    else login.use(lockedKey);
  }
  return attempts;
}

/** Key types of ssh2, best first; those on file come before, or a good server would look like a changed one. */
function preferKnown(known: string[]): ServerHostKeyAlgorithm[] {
  const all: ServerHostKeyAlgorithm[] = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
    'ssh-rsa',
  ];
  const onFile = (algorithm: string) =>
    known.includes(algorithm) || (algorithm.startsWith('rsa-sha2') && known.includes('ssh-rsa'));
  return [...all.filter(onFile), ...all.filter((algorithm) => !onFile(algorithm))];
}
