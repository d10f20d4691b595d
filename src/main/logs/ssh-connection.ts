// One SSH connection to a log host, shared by its inputs: connects, hop by hop, and runs commands.
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { HeadwayError } from '../../contract/errors.ts';
import type { LogHostSettings } from '../../contract/settings.ts';
import { abortable } from './abortable.ts';
import type { HostCommand, HostLink } from './host-link.ts';
import type { HostKeys } from './host-keys.ts';
import { readSshConfig } from './ssh-alias.ts';
import { explain, forwardRefused, isFromOutside } from './ssh-errors.ts';
import { handshake } from './ssh-handshake.ts';
import { hopAttempts, loginAttempts, type LoginAttempt, type LoginDeps } from './ssh-login.ts';
import { sshRoute, stationName, type SshStation } from './ssh-route.ts';

export interface SshDeps extends LoginDeps {
  hostKeys: HostKeys;
  /** The config of OpenSSH's client, usually `~/.ssh/config`. */
  sshConfigFile: string;
  /** How long connecting to one host and logging in may take together; 15 s unless told otherwise. */
  readyTimeoutMs?: number;
  /** A peer that answers none of three of these is gone; 7 s unless told otherwise. */
  keepaliveIntervalMs?: number;
}

export const phases = ['resolve', 'connect', 'host-key', 'authenticate'] as const;
/** The steps of connecting, in their order. */
export type Phase = (typeof phases)[number];
/** Tells that a phase is over and what it found. */
export type OnPhase = (phase: Phase, detail: string) => void;

export class SshConnection implements HostLink {
  /** Settles when the connection is over, with the reason; null when it was closed without a word. */
  readonly closed: Promise<HeadwayError | null>;
  #client: Client;
  #socket: Duplex;
  #station: SshStation;
  /** How it is called in errors. */
  #target: string;
  /** The hop that carries this connection, owned by it. */
  #via: SshConnection | null;
  #failure: HeadwayError | null = null;

  private constructor(client: Client, socket: Duplex, { station, name, via }: Step) {
    this.#client = client;
    this.#socket = socket;
    this.#station = station;
    this.#target = name;
    this.#via = via;
    this.closed = new Promise((resolve) => {
      client.on('error', (error) => (this.#failure ??= explain(error, name)));
      // What ended the hop ended this one.
      client.once('close', () => resolve(this.#reason));
    });
  }

  /**
   * Connects and logs in, through the hops that the SSH config names. Phases are the target's own: reaching the hops
   * is a part of connecting to it.
   * @throws HeadwayError whose message names the host, or the hop, and the next step.
   */
  static async open(
    settings: Omit<LogHostSettings, 'inputs'>,
    deps: SshDeps,
    signal: AbortSignal,
    onPhase: OnPhase = () => undefined,
  ): Promise<SshConnection> {
    const route = sshRoute(settings, await readSshConfig(deps.sshConfigFile));
    const { target } = route;
    const name = stationName(target);
    const [nearest] = route.hops;
    if (nearest !== undefined) onPhase('resolve', `by the hop ${stationName(route.hops.at(-1) ?? nearest)}`);
    let via: SshConnection | null = null;
    try {
      for (const hop of route.hops) {
        via = await SshConnection.#reach(
          {
            station: hop,
            name: `${stationName(hop)} (a hop on the way to ${name})`,
            login: () => hopAttempts(hop, settings.auth, deps),
            via,
            onPhase: () => undefined,
          },
          deps,
          signal,
        );
      }
      const login = () => loginAttempts(target, settings.auth, deps);
      return await SshConnection.#reach({ station: target, name, login, via, onPhase }, deps, signal);
    } catch (error) {
      await via?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Logs in to one station over the network or through the station before. */
  static async #reach(step: Step, deps: SshDeps, signal: AbortSignal): Promise<SshConnection> {
    const { station, name, via, login, onPhase } = step;
    const timeoutMs = deps.readyTimeoutMs ?? 15_000;
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = AbortSignal.any([signal, timeout]);
    try {
      const socket = await (via === null
        ? overNetwork(station, onPhase, either)
        : via.#forward(station, name, onPhase, either));
      const client = await handshake({
        station,
        target: name,
        login,
        socket,
        hostKeys: deps.hostKeys,
        keepaliveIntervalMs: deps.keepaliveIntervalMs,
        signal: either,
        onPhase,
      });
      return new SshConnection(client, socket, step);
    } catch (error) {
      if (signal.aborted) throw new HeadwayError('cancelled', `Connecting to ${name} was cancelled.`);
      if (timeout.aborted) {
        const message = `${name} did not answer within ${timeoutMs / 1000} s.`;
        throw new HeadwayError('timeout', message, { retryable: true, cause: error });
      }
      if (!isFromOutside(error)) throw error;
      throw explain(error, name);
    }
  }

  /** Starts a command without a terminal. @throws HeadwayError when the server refuses the channel. */
  async exec(command: string): Promise<HostCommand> {
    try {
      return overChannel(await this.#channel((opened) => this.#client.exec(command, opened)));
    } catch (error) {
      throw explain(error, this.#target);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.end();
    // A peer that is gone never answers the goodbye.
    const timer = setTimeout(() => this.#cut(), 1_000);
    await this.closed;
    clearTimeout(timer);
    await this.#via?.[Symbol.asyncDispose]();
  }

  /** A connection from this host on to the next one. */
  async #forward(to: SshStation, name: string, onPhase: OnPhase, signal: AbortSignal): Promise<Duplex> {
    const opening = this.#channel((opened) =>
      this.#client.forwardOut('127.0.0.1', 0, to.host, to.port, opened),
    );
    try {
      const channel = await abortable(opening, signal);
      onPhase('connect', `through the hop ${stationName(this.#station)}`);
      return channel;
    } catch (error) {
      opening.then(
        (late) => late.close(),
        () => undefined,
      );
      if (signal.aborted) throw error;
      throw forwardRefused(error, stationName(this.#station), name);
    }
  }

  async #channel(
    open: (opened: (error: Error | undefined, channel: ClientChannel) => void) => void,
  ): Promise<ClientChannel> {
    const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
    try {
      open((error, channel) => (error === undefined ? resolve(channel) : reject(error)));
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
    }
    const lost = this.closed.then((reason) => {
      throw reason ?? new HeadwayError('unreachable', `The connection to ${this.#target} was closed.`);
    });
    return await Promise.race([promise, lost]);
  }

  #cut(): void {
    this.#socket.destroy();
    if (this.#via !== null) this.#via.#cut();
  }

  get #reason(): HeadwayError | null {
    return this.#failure ?? (this.#via === null ? null : this.#via.#reason);
  }
}

interface Step {
  station: SshStation;
  name: string;
  login: () => Promise<LoginAttempt[]>;
  via: SshConnection | null;
  onPhase: OnPhase;
}

function overChannel(channel: ClientChannel): HostCommand {
  let code: number | null = null;
  channel.on('exit', (exit: number | null) => (code = exit));
  // A cut connection shows as an end without a code; the connection itself tells why.
  channel.on('error', () => undefined);
  return {
    output: channel,
    onComplaint: (listener) => channel.stderr.on('data', listener),
    ended: new Promise((resolve) => channel.once('close', () => resolve(code))),
    send: (text) => channel.write(text),
    end: () => channel.close(),
  };
}

async function overNetwork(
  { host, port }: SshStation,
  onPhase: OnPhase,
  signal: AbortSignal,
): Promise<Socket> {
  const addresses = await abortable(lookup(host, { all: true }), signal);
  onPhase('resolve', addresses.map(({ address }) => address).join(', '));
  const socket = await openSocket(host, port, addresses, signal);
  onPhase('connect', `${socket.remoteAddress ?? host}:${port}`);
  return socket;
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
