// The engine as the main loop sees it: a thread of its own, asked and told by messages, started again when it dies.
//
//   stopped ──start──▶ starting ──started──▶ running ──stop──▶ stopped
//                         ▲  │ fails             │ dies
//                         │  └──▶ waiting ◀──────┘   (backoff, doubled each time it dies young)
//                         └───────────┘
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HeadwayError, toWireError, type WireError } from '../../contract/errors.ts';
import type { Rehearsal, RehearsalSwitches } from '../../contract/rehearsal.ts';
import type { TenantInfo } from '../../core/sample.ts';
import { type Clock, systemClock } from './clock.ts';
import {
  type EngineLine,
  type EngineReading,
  type EngineThreadData,
  type FromEngine,
  fromEngineSchema,
  type ToEngine,
} from './engine-messages.ts';
import { describeRehearsal, INCIDENT_SWITCHES } from './rehearsal.ts';
import { FIRST_BURST_AFTER_MS, tenants } from './rehearsal-workload.ts';

const RESTART_MS = { first: 1_000, longest: 30_000 };
/** A thread that lived this long died of something new: the backoff begins anew. */
const STEADY_AFTER_MS = 60_000;
/** The rehearsal's jobs are worthless: nobody should wait for them when the application ends. */
const STOP_DEADLINE_MS = 0;
/** A thread that has not ended this long after its deadline is ended. */
const STOP_GRACE_MS = 3_000;

type State =
  | { kind: 'stopped' }
  | { kind: 'starting' | 'running'; worker: Worker; sinceMs: number }
  | { kind: 'waiting'; error: WireError; takeBack: () => void };

type Waiting = { resolve(message: FromEngine): void; reject(error: Error): void };

/** A request without its number. */
type Question = { t: 'burst' } | { t: 'sample' } | { t: 'set'; switches: RehearsalSwitches };

export class EngineHost implements AsyncDisposable {
  readonly #folder: string;
  readonly #clock: Clock;
  #state: State = { kind: 'stopped' };
  #switches: RehearsalSwitches = INCIDENT_SWITCHES;
  #rehearsal: Rehearsal;
  #failures = 0;
  #requests = 0;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onLines = new Set<(lines: EngineLine[]) => void>();
  readonly #onRehearsal = new Set<(rehearsal: Rehearsal) => void>();
  /** Resolved when the first start has succeeded or failed. */
  #started = Promise.withResolvers<undefined>();
  /** Resolved when the thread of the last start has ended. */
  #stopped: Promise<void> = Promise.resolve();

  /** The rehearsal's jobs lie in `DIRECTORY/rehearsal`, which is emptied at each start. */
  constructor(dataDirectory: string, clock: Clock = systemClock) {
    this.#folder = join(dataDirectory, 'rehearsal');
    this.#clock = clock;
    this.#rehearsal = describeRehearsal(this.#switches, clock.now() + FIRST_BURST_AFTER_MS);
  }

  /**
   * Resolves when the engine works or when its first start failed: it is then tried again by itself, and sample()
   * tells why until it works. Does nothing while it is started; waits for a stop under way.
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

  /** What runs is given back. Idempotent; safe before start. */
  stop(): Promise<void> {
    if (this.#state.kind !== 'stopped') this.#stopped = this.#end(this.#state);
    return this.#stopped;
  }

  async #end(state: Exclude<State, { kind: 'stopped' }>): Promise<void> {
    this.#state = { kind: 'stopped' };
    this.#started.resolve(undefined);
    this.#refuseAll(new HeadwayError('cancelled', 'The local engine was stopped.'));
    if (state.kind === 'waiting') {
      state.takeBack();
      return;
    }
    const { worker } = state;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const takeBack = this.#clock.after(STOP_DEADLINE_MS + STOP_GRACE_MS, () => void worker.terminate());
    worker.postMessage({ t: 'stop', deadlineMs: STOP_DEADLINE_MS } satisfies ToEngine);
    await ended;
    takeBack();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The tenants of the rehearsal: they do not change. */
  tenants(): TenantInfo[] {
    return tenants;
  }

  /** The last known state of the rehearsal. */
  rehearsal(): Rehearsal {
    return this.#rehearsal;
  }

  /** The rehearsal now; calls `listener` on every change until `signal` aborts. */
  followRehearsal(listener: (rehearsal: Rehearsal) => void, signal: AbortSignal): Rehearsal {
    if (!signal.aborted) {
      this.#onRehearsal.add(listener);
      signal.addEventListener('abort', () => this.#onRehearsal.delete(listener), { once: true });
    }
    return this.#rehearsal;
  }

  /** Calls with new log lines, at most every 100 ms; the function returned ends that. */
  onLines(listener: (lines: EngineLine[]) => void): () => void {
    this.#onLines.add(listener);
    return () => this.#onLines.delete(listener);
  }

  /** Holds from now on, also over a restart of the engine. */
  async setRehearsal(switches: RehearsalSwitches): Promise<Rehearsal> {
    this.#switches = switches;
    await this.#ask({ t: 'set', switches });
    return this.#rehearsal;
  }

  /** A burst of the noisy tenant now. */
  async burst(): Promise<void> {
    await this.#ask({ t: 'burst' });
  }

  /** One moment of the engine. Rejects with `unreachable`, and why, while it is down. */
  async sample(signal: AbortSignal): Promise<EngineReading> {
    const answer = await this.#ask({ t: 'sample' }, signal);
    if (answer.t !== 'sample') throw new Error(`the engine answered ${answer.t} to a sample`);
    return answer.reading;
  }

  #ask(question: Question, signal?: AbortSignal): Promise<FromEngine> {
    const state = this.#state;
    if (state.kind === 'stopped' || state.kind === 'waiting') return Promise.reject(this.#downError(state));
    if (signal?.aborted) return Promise.reject(cancelled());
    const request = this.#requests++;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#settle(request, (waiting) => waiting.reject(cancelled()));
      signal?.addEventListener('abort', onAbort, { once: true });
      const forget = (): void => signal?.removeEventListener('abort', onAbort);
      this.#waiting.set(request, {
        resolve: (message) => {
          forget();
          resolve(message);
        },
        reject: (error) => {
          forget();
          reject(error);
        },
      });
      state.worker.postMessage({ ...question, request } satisfies ToEngine);
    });
  }

  #settle(request: number, how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting.get(request);
    this.#waiting.delete(request);
    if (waiting) how(waiting);
  }

  #refuseAll(error: Error): void {
    for (const request of [...this.#waiting.keys()])
      this.#settle(request, (waiting) => waiting.reject(error));
  }

  #spawn(): void {
    const workerData: EngineThreadData = { folder: this.#folder, switches: this.#switches };
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
      case 'lines':
        for (const listener of this.#onLines) listener(message.lines);
        break;
      case 'done':
      case 'sample':
        this.#settle(message.request, (waiting) => waiting.resolve(message));
        break;
      case 'failed': {
        const { code, message: text, retryable } = message.error;
        const error = new HeadwayError(code, text, { retryable });
        if (message.request !== null) this.#settle(message.request, (waiting) => waiting.reject(error));
        break;
      }
    }
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
    this.#refuseAll(error);
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

const cancelled = (): HeadwayError =>
  new HeadwayError('cancelled', 'The request to the local engine was cancelled.');
