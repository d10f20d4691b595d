// One thread with one module loaded, as the pool sees it. It runs one job at a time, so that work which blocks its event
// loop holds up nobody else.
//
//   loading ──loaded──▶ idle ◀──done, failed── busy
//      │                 │ ──────run──────────▶ │ ──aborted, does not yield──┐
//      └─ unloadable ────┴──────────── dies ────┴────────▶ gone ◀────────────┘
import { Worker } from 'node:worker_threads';
import { errorClassSchema } from '../../../../core/error-class.ts';
import type { Clock } from '../../clock.ts';
import { type HandlerContext, type HandlerJob, JobError } from '../handler.ts';
import {
  type FromThread,
  fromThreadSchema,
  type ModuleThreadData,
  type ToThread,
} from './module-messages.ts';

/** What an aborted job has to come to its end, before its thread is ended. */
const GRACE_MS = 5_000;
const MEGABYTE = 1024 * 1024;
/** New objects, which V8 counts beside the limit. */
const YOUNG_BYTES = 48 * MEGABYTE;
/** A beat that is late by more than this was held up by the job itself. */
const BEAT_MS = 1_000;

export interface ModuleSpec extends ModuleThreadData {
  kind: string;
  /** Of the thread's memory. */
  limitMegabytes: number;
}

interface Running {
  context: HandlerContext;
  resolve: (nothing: undefined) => void;
  reject: (error: Error) => void;
  /** Open stages of the job: each ends when its function is called. */
  stages: Map<number, () => void>;
  /** All stages of the job, to be waited for: they are booked when they settle. */
  booked: Promise<void>[];
}

export class ModuleRunner {
  readonly spec: ModuleSpec;
  readonly bornAtMs: number;
  /** Rejects with a JobError: `permanent` when the module does not load, `transient` when its thread dies meanwhile. */
  readonly loaded: Promise<undefined>;
  /** Resolves when the thread is no more. */
  readonly gone: Promise<void>;
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #load = Promise.withResolvers<undefined>();
  #running: Running | null = null;
  #beat: { atMs: number; heapBytes: number; loopDelayMs: number } | null = null;
  /** Why it is to end; null while it is not. */
  #ending: Error | null = null;
  #death: NodeJS.ErrnoException | null = null;

  constructor(spec: ModuleSpec, clock: Clock) {
    this.spec = spec;
    this.bornAtMs = clock.now();
    this.#clock = clock;
    const workerData: ModuleThreadData = { file: spec.file, export: spec.export };
    // From source or from the build: the entry lies beside this file, with this file's ending.
    const entry = import.meta.url.endsWith('.ts') ? './module-thread.ts' : './module-thread.js';
    this.#worker = new Worker(new URL(entry, import.meta.url), {
      workerData,
      name: `jobs of kind ${spec.kind}`,
      resourceLimits: { maxOldGenerationSizeMb: spec.limitMegabytes },
    });
    this.loaded = this.#load.promise;
    this.loaded.catch(() => undefined);
    this.#worker.on('message', (raw: unknown) => this.#hear(raw));
    this.#worker.on('error', (error: Error) => (this.#death = error));
    this.gone = new Promise((resolve) =>
      this.#worker.once('exit', (code) => {
        this.#onExit(code);
        resolve();
      }),
    );
  }

  get busy(): boolean {
    return this.#running !== null;
  }

  /** It was told to end. What dies by itself is not. */
  get ending(): boolean {
    return this.#ending !== null;
  }

  /** Bytes and ms; null where nothing is known yet. A thread that is blocked counts the time since its last word. */
  use(): { memoryBytes: number | null; loopDelayMs: number | null } {
    const beat = this.#beat;
    if (!beat) return { memoryBytes: null, loopDelayMs: null };
    const lateMs = this.#clock.now() - beat.atMs - BEAT_MS;
    return { memoryBytes: beat.heapBytes, loopDelayMs: Math.max(beat.loopDelayMs, lateMs) };
  }

  /**
   * Resolves when the job is done. Rejects with what it threw; with a JobError of class `transient` when the thread
   * dies; with the signal's reason when that aborts and the job ends, or the thread is ended, within the grace.
   */
  async run(job: HandlerJob, context: HandlerContext): Promise<void> {
    const { signal } = context;
    signal.throwIfAborted();
    let takeBack: (() => void) | null = null;
    const onAbort = (): void => {
      const reason = signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
      this.#send({ t: 'abort', reason: reason.message });
      takeBack = this.#clock.after(GRACE_MS, () => void this.end(reason));
    };
    const ended = Promise.withResolvers<undefined>();
    const running: Running = { context, ...ended, stages: new Map(), booked: [] };
    this.#running = running;
    this.#beat = { atMs: this.#clock.now(), heapBytes: 0, loopDelayMs: 0 };
    signal.addEventListener('abort', onAbort, { once: true });
    const { id, tenantId, kind, payload, attempt } = job;
    try {
      this.#send({ t: 'run', job: { id, tenantId, kind, payload, attempt } });
      await ended.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      (takeBack as (() => void) | null)?.();
      this.#running = null;
      for (const close of running.stages.values()) close();
      await Promise.all(running.booked);
    }
  }

  /** Ends the thread at once; a job that runs there is rejected with `why`. Resolves when it is no more. */
  async end(why: Error): Promise<void> {
    this.#ending ??= why;
    await this.#worker.terminate();
    await this.gone;
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #hear(raw: unknown): void {
    const { data: message, error } = fromThreadSchema.safeParse(raw);
    if (message) this.#receive(message);
    // The module reached for the port itself: whatever it said means nothing here.
    else
      void this.end(new JobError('permanent', `${this.#name} sent a message of its own: ${error.message}`));
  }

  #receive(message: FromThread): void {
    const running = this.#running;
    switch (message.t) {
      case 'loaded':
        this.#load.resolve(undefined);
        break;
      case 'unloadable':
        void this.end(new JobError('permanent', `${this.#name} does not load: ${message.message}`));
        break;
      case 'stage':
        if (running) openStage(running, message.id, message.name);
        break;
      case 'staged':
        running?.stages.get(message.id)?.();
        break;
      case 'progress':
        running?.context.progress(message.done, message.note ?? undefined);
        break;
      case 'beat':
        this.#onBeat(message.heapBytes, message.loopDelayMs);
        break;
      case 'done':
        running?.resolve(undefined);
        break;
      case 'failed':
        running?.reject(running.context.signal.aborted ? abortReason(running) : errorOf(message));
        break;
    }
  }

  #onBeat(heapBytes: number, loopDelayMs: number): void {
    this.#beat = { atMs: this.#clock.now(), heapBytes, loopDelayMs };
    // V8 guards its own heap; buffers lie outside of it.
    if (heapBytes > this.spec.limitMegabytes * MEGABYTE + YOUNG_BYTES) void this.end(this.#outOfMemory());
  }

  #onExit(code: number): void {
    const error = this.#ending ?? this.#died(code);
    this.#load.reject(error);
    this.#running?.reject(error);
  }

  #died(code: number): JobError {
    const death = this.#death;
    if (!death) return new JobError('transient', `${this.#name} ended its thread with process.exit(${code})`);
    if (death.code === 'ERR_WORKER_OUT_OF_MEMORY') return this.#outOfMemory();
    return new JobError('transient', `the thread of ${this.#name} died: ${death.message}`, { cause: death });
  }

  /** Transient: what filled the thread may have been left there by earlier jobs. */
  #outOfMemory(): JobError {
    return new JobError(
      'transient',
      `${this.#name} ran out of memory: over its limit of ${this.spec.limitMegabytes} MB, its thread was ended`,
    );
  }

  get #name(): string {
    return `the module ${this.spec.file}`;
  }
}

const abortReason = ({ context: { signal } }: Running): Error =>
  signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));

/** The stage is booked by the engine's own clock, from the message that opens it to the one that closes it. */
function openStage(running: Running, id: number, name: string): void {
  const open = new Promise<void>((resolve) => running.stages.set(id, resolve));
  running.booked.push(running.context.stage(name, () => open));
}

function errorOf(failed: Extract<FromThread, { t: 'failed' }>): Error {
  const { name, message, stack, code, status, retryAfterMs } = failed;
  const errorClass = errorClassSchema.safeParse(failed.class).data;
  if (errorClass !== undefined)
    return new JobError(errorClass, message, retryAfterMs === null ? {} : { retryAfterMs });
  // What the module says nothing of is judged like any other error (classify.ts): by its type, code and status.
  const Type = name === 'SyntaxError' ? SyntaxError : name === 'ReferenceError' ? ReferenceError : Error;
  const error = Object.assign(new Type(message), {
    name,
    ...(code !== null && { code }),
    ...(status !== null && { status }),
    ...(retryAfterMs !== null && { retryAfterMs }),
  });
  if (stack !== null) error.stack = stack;
  return error;
}
