// All log inputs of one host, over SSH or on this computer, for as long as they are wanted.
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwayError, type ErrorCode } from '../../contract/errors.ts';
import type { LogHostSettings, LogInput } from '../../contract/settings.ts';
import { CommandInput } from './command-input.ts';
import { dockerCarrier } from './docker-input.ts';
import { FileInput } from './file-input.ts';
import { groupKind } from './group-kinds.ts';
import { InputFollower } from './input-follower.ts';
import { InputGroup } from './input-group.ts';
import { JournalInput } from './journal-input.ts';
import type { LogListener } from './log-events.ts';
import { podCarrier } from './kubernetes-input.ts';
import { hostLabel, inputLabel, type InputReader } from './log-input.ts';
import { LocalLink } from './local-link.ts';
import type { LogPlaces } from './log-places.ts';
import type { SshDeps } from './ssh-connection.ts';
import { SshPool } from './ssh-pool.ts';
import { StampedInput } from './stamped-input.ts';

export interface LogTailDeps extends SshDeps {
  now: () => number;
  /** Where inputs were read to when Headway last stopped. */
  places: LogPlaces;
  /** Between two looks for files, containers or pods; 5 s unless told otherwise. */
  lookMs?: number;
  /** In [0, 1), for jitter: a host that comes back is not met by everyone at once. */
  random: () => number;
}

const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 30_000;
/** A connection that lasted so long starts the back-off anew. */
const STABLE_MS = 10_000;
/** Refusals that no waiting mends; asked again now and then, seldom enough for lockouts. */
const REFUSED_RETRY_MS = 300_000;
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'host-key-unknown',
  'host-key-changed',
  'authentication-failed',
  'secret-missing',
  'file-missing',
]);

/**
 * Idle → running (connecting → live → reconnecting → …) → idle. Every input tells its own state; the connection
 * is their common fate. Start and stop may be called at any time and any number of times; a stopped tail may be
 * started again and goes on where it was, and so does a new one that is given the same places.
 */
export class LogTail implements AsyncDisposable {
  #settings: LogHostSettings;
  #deps: LogTailDeps;
  #inputs: (InputFollower | InputGroup)[];
  #stop: AbortController | null = null;
  #isRestored = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(settings: LogHostSettings, listener: LogListener, deps: LogTailDeps) {
    this.#settings = settings;
    this.#deps = deps;
    const { places, now } = deps;
    const { host } = settings;
    this.#inputs = settings.inputs.map((input) => {
      const label = inputLabel(settings, input);
      const kind = groupKind(input, host);
      if (kind !== null) {
        const prefix = `${hostLabel(settings)} `;
        return new InputGroup({ prefix, label, host, kind, listener, places, now, lookMs: deps.lookMs });
      }
      return new InputFollower({ label, host, reader: openInput(input, now), listener, places, now });
    });
  }

  start(): void {
    if (this.#stop !== null) return;
    const stop = new AbortController();
    this.#stop = stop;
    // A start right after a stop waits for that stop's end: an input has one reader.
    this.#ended = this.#ended.then(() => this.#run(stop.signal));
  }

  /** Resolves when the connection is closed; what was started on the host ends with it. */
  async stop(): Promise<void> {
    this.#stop?.abort();
    this.#stop = null;
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    this.#tell('connecting', null);
    if (!this.#isRestored) await Promise.all(this.#inputs.map((input) => input.restore()));
    this.#isRestored = true;
    while (!isAborted(signal)) {
      const startedAtMs = this.#deps.now();
      const error = await this.#connectAndFollow(signal);
      if (isAborted(signal)) break;
      if (this.#deps.now() - startedAtMs > STABLE_MS) failures = 0;
      const refused = error !== null && REFUSALS.has(error.code);
      this.#tell(refused ? 'failed' : 'reconnecting', error);
      const backoffMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** failures);
      failures = Math.min(failures + 1, 16);
      await this.#wait(refused ? REFUSED_RETRY_MS : backoffMs * (0.5 + this.#deps.random() / 2), signal);
    }
    await Promise.all(this.#inputs.map((input) => input.settle()));
  }

  /** @returns why it ended; null when it was closed without a word. */
  async #connectAndFollow(signal: AbortSignal): Promise<HeadwayError | null> {
    try {
      await using link =
        this.#settings.auth.kind === 'local'
          ? new LocalLink()
          : await SshPool.open(this.#settings, this.#deps, signal);
      const lost = new AbortController();
      const reason = link.closed.finally(() => lost.abort());
      const either = AbortSignal.any([signal, lost.signal]);
      await Promise.all(this.#inputs.map((input) => input.follow(link, either)));
      return isAborted(signal) ? null : await reason;
    } catch (error) {
      if (error instanceof HeadwayError) return error;
      const message = error instanceof Error ? error.message : String(error);
      return new HeadwayError('internal', `The log tail failed: ${message}`, { cause: error });
    }
  }

  #tell(state: 'connecting' | 'reconnecting' | 'failed', error: HeadwayError | null): void {
    for (const input of this.#inputs) input.connectionState(state, error);
  }

  /** Waits, but not past the moment when someone trusts the host's key. */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const accepted = new AbortController();
    const stopListening = this.#deps.hostKeys.onAccepted(() => accepted.abort());
    try {
      await sleep(ms, undefined, { signal: AbortSignal.any([signal, accepted.signal]) });
    } catch {
      // Woken early, which is what the signals are for.
    } finally {
      stopListening();
    }
  }
}

/** For an input that is one by itself. */
function openInput(input: LogInput, now: () => number): InputReader {
  switch (input.kind) {
    case 'file':
      return new FileInput(input.path);
    case 'docker':
      return new StampedInput(dockerCarrier(input.container));
    case 'journal':
      return new JournalInput(input.unit);
    case 'kubernetes': {
      const { namespace, pod = '', container } = input;
      return new StampedInput(podCarrier({ namespace, pod, container }));
    }
    case 'command':
      return new CommandInput(input.command, now);
    case 'files':
    case 'docker-label':
      throw new Error(`${input.kind} is a group of inputs`);
  }
}

// A function, so that the compiler does not take an earlier look at the signal for the present one.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
