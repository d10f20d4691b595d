// The threads that read stored lines: few, started when first needed, each with one task at a time; tasks wait in the order they came.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { LogContext, TimingSizes } from '../../contract/log-search.ts';
import { HeadwayError } from '../../contract/headway-error.ts';
import type { Found, FromSearchThread, Task, ToSearchThread } from './search-messages.ts';

type Result = LogContext | TimingSizes | null;

interface Waiting {
  task: Task;
  stop: SharedArrayBuffer;
  tell: (found: Found) => void;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** The word by which tasks are stopped, shared with the threads that work on them. */
export class StopWord {
  readonly shared = new SharedArrayBuffer(4);

  stop(): void {
    Atomics.store(new Int32Array(this.shared), 0, 1);
  }

  get isStopped(): boolean {
    return Atomics.load(new Int32Array(this.shared), 0) !== 0;
  }
}

export class SearchPool implements AsyncDisposable {
  /** More would leave nothing to what is watched. */
  readonly size = Math.min(2, availableParallelism());
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Waiting>();
  readonly #queue: Waiting[] = [];
  #disposed = false;

  /** Starts the threads, so that the first search need not wait for them. */
  warm(): void {
    while (!this.#disposed && this.#idle.length + this.#busy.size < this.size) this.#start();
  }

  /** Rejects with what the thread says, and with `cancelled` when the task was stopped before it began. */
  run(task: Task, stop: StopWord, tell: (found: Found) => void = () => undefined): Promise<Result> {
    if (this.#disposed) return Promise.reject(cancelled());
    this.warm();
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, stop: stop.shared, tell, resolve, reject });
      this.#next();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const { reject } of this.#queue.splice(0)) reject(cancelled());
    const workers = [...this.#idle.splice(0), ...this.#busy.keys()];
    // Or nothing would keep the process from ending before they have.
    for (const worker of workers) worker.ref();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const worker = this.#idle.pop();
      const waiting = worker === undefined ? undefined : this.#queue.shift();
      if (worker === undefined || waiting === undefined) return;
      if (new Int32Array(waiting.stop)[0] !== 0) {
        this.#idle.push(worker);
        waiting.reject(cancelled());
        continue;
      }
      this.#busy.set(worker, waiting);
      worker.ref();
      worker.postMessage({ task: waiting.task, stop: waiting.stop } satisfies ToSearchThread);
    }
  }

  #start(): void {
    // From source or from the build: the entry lies beside this file, with this file's ending.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./search-worker.${ending}`, import.meta.url), { name: 'log search' });
    // Threads that wait keep no process alive.
    worker.unref();
    let why = 'its thread ended';
    worker.on('error', (error) => (why = error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => this.#ended(worker, why));
    worker.on('message', (message: FromSearchThread) => {
      const waiting = this.#busy.get(worker);
      if (message.t === 'found') {
        waiting?.tell(message.found);
        return;
      }
      this.#busy.delete(worker);
      worker.unref();
      this.#idle.push(worker);
      if (message.t === 'done') waiting?.resolve(message.result);
      else {
        const { code, message: text, retryable } = message.error;
        waiting?.reject(new HeadwayError(code, text, { retryable }));
      }
      this.#next();
    });
    this.#idle.push(worker);
  }

  /** Its task fails; another thread is started for those that wait. */
  #ended(worker: Worker, why: string): void {
    const place = this.#idle.indexOf(worker);
    if (place >= 0) this.#idle.splice(place, 1);
    const waiting = this.#busy.get(worker);
    this.#busy.delete(worker);
    waiting?.reject(
      this.#disposed
        ? cancelled()
        : new HeadwayError('storage-failed', `The search was interrupted: ${why}.`, { retryable: true }),
    );
    if (this.#disposed || this.#queue.length === 0) return;
    if (waiting === undefined) {
      // It never came to work: starting another would end the same way.
      for (const each of this.#queue.splice(0))
        each.reject(new HeadwayError('storage-failed', `The search could not begin: ${why}.`));
      return;
    }
    this.warm();
    this.#next();
  }
}

const cancelled = (): HeadwayError => new HeadwayError('cancelled', 'The search was stopped.');
