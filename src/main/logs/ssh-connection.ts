// One SSH connection to a log host, shared by all its inputs: connects, checks the host, logs in, runs commands.
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net';
import ssh2, { type Client, type ClientChannel, type ServerHostKeyAlgorithm } from 'ssh2';
import { HeadwayError } from '../../contract/errors.ts';
import type { LogHostSettings } from '../../contract/settings.ts';
import type { HostKeys } from './host-keys.ts';
import { fingerprint } from './known-hosts.ts';
import { readAlias } from './ssh-alias.ts';
import { explain, isFromOutside, loginRefused, proxyHint } from './ssh-errors.ts';
import { loginAttempts, type LoginAttempt, type LoginDeps } from './ssh-login.ts';

export interface SshDeps extends LoginDeps {
  hostKeys: HostKeys;
  /** The config of OpenSSH's client, usually `~/.ssh/config`. */
  sshConfigFile: string;
  /** How long connecting and logging in may take together; 15 s unless told otherwise. */
  readyTimeoutMs?: number;
  /** A peer that answers none of three of these is gone; 10 s unless told otherwise. */
  keepaliveIntervalMs?: number;
}

export const phases = ['resolve', 'connect', 'host-key', 'authenticate'] as const;
/** The steps of connecting, in their order. */
export type Phase = (typeof phases)[number];
/** Tells that a phase is over and what it found. */
export type OnPhase = (phase: Phase, detail: string) => void;

/** A command that runs on the host. Its channel carries both directions; ending stdin ends the command. */
export type RemoteCommand = ClientChannel;

export class SshConnection implements AsyncDisposable {
  /** Settles when the connection is over, with the reason; null when it was closed from here. */
  readonly closed: Promise<HeadwayError | null>;
  #client: Client;
  #socket: Socket;
  #target: string;

  private constructor(client: Client, socket: Socket, target: string, closed: Promise<HeadwayError | null>) {
    this.#client = client;
    this.#socket = socket;
    this.#target = target;
    this.closed = closed;
  }

  /** Connects and logs in. @throws HeadwayError whose message names the host and the next step. */
  static async open(
    settings: LogHostSettings,
    deps: SshDeps,
    signal: AbortSignal,
    onPhase: OnPhase = () => undefined,
  ): Promise<SshConnection> {
    const timeoutMs = deps.readyTimeoutMs ?? 15_000;
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = AbortSignal.any([signal, timeout]);
    const alias = await readAlias(deps.sshConfigFile, settings.host);
    const host = alias.hostName;
    const port = settings.port === 22 ? (alias.port ?? 22) : settings.port;
    const target = `${settings.user}@${host}:${port}`;
    try {
      const addresses = await abortable(lookup(host, { all: true }), either);
      onPhase('resolve', addresses.map(({ address }) => address).join(', '));
      const socket = await openSocket(host, port, addresses, either);
      onPhase('connect', `${socket.remoteAddress ?? host}:${port}`);
      const login = () => loginAttempts(settings, alias.identityFiles, deps);
      return await handshake({ host, port, settings, target, login, socket, deps, signal: either, onPhase });
    } catch (error) {
      if (signal.aborted) throw new HeadwayError('cancelled', `Connecting to ${target} was cancelled.`);
      if (timeout.aborted) {
        throw new HeadwayError(
          'timeout',
          `${target} did not answer within ${timeoutMs / 1000} s.${proxyHint(alias)}`,
          {
            retryable: true,
            cause: error,
          },
        );
      }
      if (!isFromOutside(error)) throw error;
      throw explain(error, target, alias);
    }
  }

  /** For `handshake` below: only a connection that is logged in becomes an object. */
  static adopt(client: Client, socket: Socket, target: string): SshConnection {
    let failure: HeadwayError | null = null;
    const closed = new Promise<HeadwayError | null>((resolve) => {
      client.on('error', (error) => (failure ??= explain(error, target, null)));
      client.once('close', () => resolve(failure));
    });
    return new SshConnection(client, socket, target, closed);
  }

  /** Starts a command without a terminal. @throws HeadwayError when the server refuses the channel. */
  async exec(command: string): Promise<RemoteCommand> {
    const { promise, resolve, reject } = Promise.withResolvers<RemoteCommand>();
    try {
      this.#client.exec(command, (error, channel) =>
        error === undefined ? resolve(channel) : reject(error),
      );
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
    }
    const lost = this.closed.then((reason) => {
      throw reason ?? new HeadwayError('unreachable', `The connection to ${this.#target} was closed.`);
    });
    try {
      return await Promise.race([promise, lost]);
    } catch (error) {
      throw explain(error, this.#target, null);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.end();
    // A peer that is gone never answers the goodbye.
    const timer = setTimeout(() => this.#socket.destroy(), 1_000);
    await this.closed;
    clearTimeout(timer);
  }
}

/** Tries all addresses as Node does: the next one when the last does not answer at once (RFC 8305). */
async function openSocket(
  host: string,
  port: number,
  addresses: LookupAddress[],
  signal: AbortSignal,
): Promise<Socket> {
  const known: LookupFunction = (_host, _options, answer) => answer(null, addresses);
  const socket = connectTcp({ host, port, lookup: known, noDelay: true, keepAlive: true });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

interface Handshake {
  host: string;
  port: number;
  target: string;
  settings: LogHostSettings;
  login: () => Promise<LoginAttempt[]>;
  socket: Socket;
  deps: SshDeps;
  signal: AbortSignal;
  onPhase: OnPhase;
}

async function handshake(options: Handshake): Promise<SshConnection> {
  const { host, port, target, settings, login, socket, deps, signal, onPhase } = options;
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
    const known = await deps.hostKeys.knownTypes(host, port);
    client.connect({
      sock: socket,
      username: settings.user,
      readyTimeout: 0,
      keepaliveInterval: deps.keepaliveIntervalMs ?? 10_000,
      keepaliveCountMax: 3,
      algorithms: { serverHostKey: preferKnown(known) },
      hostVerifier: (key: Buffer, verify: (valid: boolean) => void) => {
        deps.hostKeys.check(host, port, key).then(
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
    return SshConnection.adopt(client, socket, target);
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

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new Error('aborted'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
