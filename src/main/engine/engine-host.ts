// The engines as the main loop sees them: a thread of their own, asked and told by messages, started again when it dies.
//
//   stopped ──start──▶ starting ──started──▶ running ──stop──▶ stopped
//                         ▲  │ fails             │ dies
//                         │  └──▶ waiting ◀──────┘   (backoff, doubled each time it dies young)
//                         └───────────┘
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HeadwayError, toWireError, type WireError } from '../../contract/errors.ts';
import type { Rehearsal, RehearsalChange } from '../../contract/rehearsal.ts';
import type { SecretRef } from '../../contract/secret-ref.ts';
import type { EngineAdmin } from './admin.ts';
import { type Clock, systemClock } from './clock.ts';
import {
  type EngineLine,
  type EngineName,
  type EngineReading,
  type EngineThreadData,
  type FromEngine,
  fromEngineSchema,
  type LocalSettings,
  type ToEngine,
} from './engine-messages.ts';
import { engineAdminOver } from './engine-host-admin.ts';
import { EngineRequests } from './engine-host-requests.ts';
import { asItWas } from './rehearsals/incident-play.ts';
import { describeRehearsal, incidents } from './rehearsals/index.ts';

const RESTART_MS = { first: 1_000, longest: 30_000 };
/** A thread that lived this long died of something new: the backoff begins anew. */
const STEADY_AFTER_MS = 60_000;
/** A thread that has not ended this long after its deadline is ended. */
const STOP_GRACE_MS = 3_000;

type State =
  | { kind: 'stopped' }
  | { kind: 'starting' | 'running'; worker: Worker; sinceMs: number }
  | { kind: 'waiting'; error: WireError; takeBack: () => void };

/** A request without its number. */
type WithoutNumber<T> = T extends { request: number } ? Omit<T, 'request'> : never;
type Question = WithoutNumber<ToEngine>;

export interface EngineHostOptions {
  /** The rehearsal's jobs lie in its folder `rehearsal`, which is emptied at each start; the local ones in `engine.db`. */
  dataDirectory: string;
  local: LocalSettings;
  /** The value of a secret that a kind names; `what` names it in an error. */
  secret: (ref: SecretRef, what: string) => Promise<string>;
  clock?: Clock;
}

export class EngineHost implements AsyncDisposable {
  readonly #options: EngineHostOptions;
  readonly #clock: Clock;
  #state: State = { kind: 'stopped' };
  #local: LocalSettings;
  #rehearsal: Rehearsal;
  #localProblem: WireError | null = null;
  #failures = 0;
  readonly #requests = new EngineRequests();
  readonly #onLines = { rehearsal: new Set<LinesListener>(), local: new Set<LinesListener>() };
  readonly #onRehearsal = new Set<(rehearsal: Rehearsal) => void>();
  readonly #onLocalProblem = new Set<(problem: WireError | null) => void>();
  /** Resolved when the first start has succeeded or failed. */
  #started = Promise.withResolvers<undefined>();
  /** Resolved when the thread of the last start has ended. */
  #stopped: Promise<void> = Promise.resolve();

  constructor(options: EngineHostOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#local = options.local;
    this.#rehearsal = describeRehearsal(incidents[1], asItWas(incidents[1]), null);
  }

  /**
   * Resolves when the engines work or when their first start failed: it is then tried again by itself, and sample()
   * tells why until it works. Does nothing while they are started; waits for a stop under way.
   */
  async start(): Promise<void> {
    await this.#stopped;
    if (this.#state.kind === 'stopped') {
      this.#started = Promise.withResolvers();
      this.#failures = 0;
      this.#spawn();
    }
    return this.#started.promise;
  }

  /**
   * Running jobs of the local engine have the time its settings give them; the rehearsal ends at once. Idempotent; safe
   * before start.
   */
  stop(): Promise<void> {
    if (this.#state.kind !== 'stopped') this.#stopped = this.#end(this.#state);
    return this.#stopped;
  }

  async #end(state: Exclude<State, { kind: 'stopped' }>): Promise<void> {
    this.#state = { kind: 'stopped' };
    this.#started.resolve(undefined);
    this.#requests.refuseAll(new HeadwayError('cancelled', 'The local engine was stopped.'));
    if (state.kind === 'waiting') {
      state.takeBack();
      return;
    }
    const { worker } = state;
    const deadlineMs = this.#local.engine.stopSeconds * 1_000;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const takeBack = this.#clock.after(deadlineMs + STOP_GRACE_MS, () => void worker.terminate());
    worker.postMessage({ t: 'stop', deadlineMs } satisfies ToEngine);
    await ended;
    takeBack();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The last known state of the rehearsal. */
  rehearsal(): Rehearsal {
    return this.#rehearsal;
  }

  /** The rehearsal now; calls `listener` on every change until `signal` aborts. */
  followRehearsal(listener: (rehearsal: Rehearsal) => void, signal: AbortSignal): Rehearsal {
    follow(this.#onRehearsal, listener, signal);
    return this.#rehearsal;
  }

  /** Why the local engine does not work, or not on all it was given; null when all is well. Follows like the rehearsal. */
  followLocalProblem(listener: (problem: WireError | null) => void, signal: AbortSignal): WireError | null {
    follow(this.#onLocalProblem, listener, signal);
    return this.#localProblem;
  }

  /** Calls with new log lines, at most every 100 ms; the function returned ends that. */
  onLines(engine: EngineName, listener: LinesListener): () => void {
    this.#onLines[engine].add(listener);
    return () => this.#onLines[engine].delete(listener);
  }

  /** Holds from now on, also over a restart of the thread. Rejects with `bad-request` for what the incident lacks. */
  async setRehearsal(change: RehearsalChange): Promise<Rehearsal> {
    await this.#ask({ t: 'rehearse', change });
    return this.#rehearsal;
  }

  /** Makes the incident happen now. */
  async act(): Promise<void> {
    await this.#ask({ t: 'act' });
  }

  /** What the local engine works on from now on, also over a restart of the thread. */
  async configure(local: LocalSettings): Promise<void> {
    this.#local = local;
    if (this.#state.kind === 'starting' || this.#state.kind === 'running')
      await this.#ask({ t: 'settings', local });
  }

  /** One moment of an engine. Rejects with `unreachable`, and why, while it is down. */
  async sample(engine: EngineName, signal: AbortSignal): Promise<EngineReading> {
    const answer = await this.#ask({ t: 'sample', engine }, signal);
    if (answer.t !== 'sample') throw new Error(`the engine answered ${answer.t} to a sample`);
    return answer.reading;
  }

  /** What a person may see and do with an engine's jobs; calls reject like `sample`. */
  admin(engine: EngineName): EngineAdmin {
    return engineAdminOver((call, signal) => this.#ask({ t: 'admin', engine, call }, signal));
  }

  #ask(question: Question, signal?: AbortSignal): Promise<FromEngine> {
    const state = this.#state;
    if (state.kind === 'stopped' || state.kind === 'waiting') return Promise.reject(this.#downError(state));
    return this.#requests.ask(
      (request) => state.worker.postMessage({ ...question, request } satisfies ToEngine),
      signal,
    );
  }

  #spawn(): void {
    const { dataDirectory } = this.#options;
    const { incident, switches } = this.#rehearsal;
    const workerData: EngineThreadData = {
      rehearsalFolder: join(dataDirectory, 'rehearsal'),
      incident,
      switches: Object.fromEntries(switches.map(({ id, value }) => [id, value])),
      localFile: join(dataDirectory, 'engine.db'),
      local: this.#local,
    };
    // From source or from the build: the entry lies beside this file, with this file's ending.
    const entry = import.meta.url.endsWith('.ts') ? './engine-worker.ts' : './engine-worker.js';
    const worker = new Worker(new URL(entry, import.meta.url), { workerData, name: 'engine' });
    this.#state = { kind: 'starting', worker, sinceMs: this.#clock.now() };
    let why: WireError | null = null;
    worker.on('message', (raw: unknown) => {
      const { data: message, error } = fromEngineSchema.safeParse(raw);
      if (!message) {
        why = toWireError(error);
        void worker.terminate();
      } else if (message.t === 'failed' && message.request === null) why = message.error;
      else this.#receive(worker, message);
    });
    worker.on('error', (error) => (why = toWireError(error)));
    worker.on('exit', (code) => {
      why ??= { code: 'internal', message: `its thread ended with code ${code}`, retryable: true };
      this.#onDeath(worker, why);
    });
  }

  #receive(worker: Worker, message: FromEngine): void {
    switch (message.t) {
      case 'started':
        if (this.#state.kind === 'starting' && this.#state.worker === worker) {
          this.#state = { ...this.#state, kind: 'running' };
        }
        this.#started.resolve(undefined);
        break;
      case 'rehearsal':
        this.#rehearsal = message.rehearsal;
        for (const listener of this.#onRehearsal) listener(message.rehearsal);
        break;
      case 'local':
        this.#localProblem = message.problem;
        for (const listener of this.#onLocalProblem) listener(message.problem);
        break;
      case 'lines':
        for (const listener of this.#onLines[message.engine]) listener(message.lines);
        break;
      case 'done':
      case 'sample':
      case 'answer':
        this.#requests.answered(message.request, message);
        break;
      case 'secret?':
        void this.#giveSecret(worker, message);
        break;
      case 'failed': {
        const { code, message: text, ...options } = message.error;
        const error = new HeadwayError(code, text, { retryable: options.retryable });
        if (message.request !== null) this.#requests.refused(message.request, error);
        break;
      }
    }
  }

  async #giveSecret(
    worker: Worker,
    { question, ref, what }: Extract<FromEngine, { t: 'secret?' }>,
  ): Promise<void> {
    const answer = await this.#options.secret(ref, what).then(
      (value): ToEngine => ({ t: 'secret', question, value }),
      (error: unknown): ToEngine => ({ t: 'no-secret', question, error: toWireError(error) }),
    );
    worker.postMessage(answer);
  }

  #onDeath(worker: Worker, why: WireError): void {
    const state = this.#state;
    if ((state.kind !== 'starting' && state.kind !== 'running') || state.worker !== worker) return;
    if (this.#clock.now() - state.sinceMs > STEADY_AFTER_MS) this.#failures = 0;
    const waitMs = Math.min(RESTART_MS.longest, RESTART_MS.first * 2 ** this.#failures);
    this.#failures += 1;
    const takeBack = this.#clock.after(waitMs, () => this.#spawn());
    this.#state = { kind: 'waiting', error: why, takeBack };
    const error = this.#downError(this.#state);
    this.#started.resolve(undefined);
    this.#requests.refuseAll(error);
  }

  #downError(state: Extract<State, { kind: 'stopped' | 'waiting' }>): HeadwayError {
    if (state.kind === 'stopped') {
      return new HeadwayError('unreachable', 'The local engine is not started.', { retryable: true });
    }
    return new HeadwayError(
      'unreachable',
      `The local engine stopped: ${state.error.message} It is started again by itself.`,
      { retryable: true },
    );
  }
}

export type LinesListener = (lines: EngineLine[]) => void;

function follow<T>(
  listeners: Set<(value: T) => void>,
  listener: (value: T) => void,
  signal: AbortSignal,
): void {
  if (signal.aborted) return;
  listeners.add(listener);
  signal.addEventListener('abort', () => listeners.delete(listener), { once: true });
}
