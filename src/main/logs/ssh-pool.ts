// The SSH connections to one log host: a server gives each of them only so many channels (sshd's MaxSessions, 10).
import { HeadwayError } from '../../contract/errors.ts';
import type { LogHostSettings } from '../../contract/settings.ts';
import type { HostCommand, HostLink } from './host-link.ts';
import { SshConnection, type SshDeps } from './ssh-connection.ts';

/** Below the default of sshd, so that others on the connection (a look for files, a test) find room. */
const MAX_CHANNELS = 8;
const MAX_CONNECTIONS = 5;

interface Member {
  connection: SshConnection;
  channels: number;
}

/** The connections share one fate: when one is lost, all are given up, and whoever uses them connects anew. */
export class SshPool implements HostLink {
  readonly closed: Promise<HeadwayError | null>;
  #settings: Omit<LogHostSettings, 'inputs'>;
  #deps: SshDeps;
  #signal: AbortSignal;
  #members: Member[] = [];
  #limit = MAX_CHANNELS;
  #opening: Promise<void> | null = null;
  #close: (reason: HeadwayError | null) => void;

  private constructor(settings: Omit<LogHostSettings, 'inputs'>, deps: SshDeps, signal: AbortSignal) {
    this.#settings = settings;
    this.#deps = deps;
    this.#signal = signal;
    const { promise, resolve } = Promise.withResolvers<HeadwayError | null>();
    this.closed = promise;
    this.#close = resolve;
  }

  /** Opens the first connection; more follow when they are needed. @throws HeadwayError as SshConnection does. */
  static async open(
    settings: Omit<LogHostSettings, 'inputs'>,
    deps: SshDeps,
    signal: AbortSignal,
  ): Promise<SshPool> {
    const pool = new SshPool(settings, deps, signal);
    await pool.#grow();
    return pool;
  }

  async exec(command: string): Promise<HostCommand> {
    for (;;) {
      const member = await this.#free();
      member.channels += 1;
      try {
        const running = await member.connection.exec(command);
        void running.ended.then(() => (member.channels -= 1));
        return running;
      } catch (error) {
        member.channels -= 1;
        // The server gives fewer channels than is usual; the others of this connection work.
        if (!isChannelRefused(error) || member.channels === 0) throw error;
        this.#limit = Math.min(this.#limit, member.channels);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening?.catch(() => undefined);
    await Promise.all(this.#members.map(({ connection }) => connection[Symbol.asyncDispose]()));
    this.#close(null);
  }

  async #free(): Promise<Member> {
    for (;;) {
      const free = this.#members.find(({ channels }) => channels < this.#limit);
      if (free !== undefined) return free;
      if (this.#members.length >= MAX_CONNECTIONS) {
        const most = MAX_CONNECTIONS * this.#limit;
        const message = `${this.#settings.host} is asked for more than ${most} logs at once. Name fewer of them.`;
        throw new HeadwayError('budget-exceeded', message);
      }
      // Several may want one at the same time; each looks again when it is there.
      this.#opening ??= this.#grow().finally(() => (this.#opening = null));
      await this.#opening;
    }
  }

  async #grow(): Promise<void> {
    const connection = await SshConnection.open(this.#settings, this.#deps, this.#signal);
    this.#members.push({ connection, channels: 0 });
    void connection.closed.then((reason) => this.#close(reason));
  }
}

/** RFC 4254, 5.1: the server answered the wish for a channel with a reason and not with one. */
function isChannelRefused(error: unknown): boolean {
  return error instanceof HeadwayError && error.cause instanceof Error && 'reason' in error.cause;
}
