// The log store on disk, as the main loop sees it: hands lines to the thread that writes them, and searches to those that read.
import { Worker } from 'node:worker_threads';
import type {
  LogContext,
  LogSearch,
  SearchProgress,
  StoredLogs,
  TimingSizes,
} from '../../contract/log-search.ts';
import { HeadwayError, type WireError } from '../../contract/headway-error.ts';
import type { LogLine } from '../../contract/logs.ts';
import { LineQueue } from './line-queue.ts';
import { SegmentsSearch } from './log-search.ts';
import type { LogStore, SizesQuery } from './log-store.ts';
import { SearchPool, StopWord } from './search-pool.ts';
import type { FromWriter, Look, Request, ToWriter, WriterData } from './store-messages.ts';

export interface DiskLogStoreOptions {
  /** Of all connections; each has a folder in it. Created when the first line comes. */
  folder: string;
  /** For each connection. */
  budgetBytes: number;
  keepMs: number;
  now: () => number;
  /** Nothing is stored just now, and why; null: it is again. */
  onProblem: (problem: string | null) => void;
}

/** Lines wait this long for others to share a message with. */
const BATCH_MS = 100;
const MAINTAIN_EVERY_MS = 10 * 60_000;
const TELL_EVERY_MS = 100;
const STOP_MS = 5_000;
/** A thread that ends is started again so much later. */
const RESTART_MS = 1_000;

interface Waiting {
  resolve: (look: Look | null) => void;
  reject: (error: HeadwayError) => void;
}

export class DiskLogStore implements LogStore {
  readonly #options: DiskLogStoreOptions;
  readonly #queue = new LineQueue();
  readonly #pool = new SearchPool();
  readonly #searches = new Set<AbortController>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #maintenance: NodeJS.Timeout;
  #limits: { budgetBytes: number; keepMs: number };
  #worker: Worker | null = null;
  #problem: string | null = null;
  #batchTimer: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;
  #nextId = 1;
  #stopping: Promise<void> | null = null;

  constructor(options: DiskLogStoreOptions) {
    this.#options = options;
    this.#limits = { budgetBytes: options.budgetBytes, keepMs: options.keepMs };
    this.#start();
    this.#maintenance = setInterval(() => this.#maintain(), MAINTAIN_EVERY_MS);
    this.#maintenance.unref();
    this.#maintain();
  }

  append(connectionId: string, lines: readonly LogLine[], mayBeOld = false): void {
    if (this.#stopping !== null) return;
    this.#queue.add(connectionId, lines, mayBeOld);
    this.#batchTimer ??= setTimeout(() => this.#post(), BATCH_MS);
  }

  async flush(): Promise<void> {
    this.#post();
    // The writer answers in order: what was posted before has been written, or counted as not.
    await this.#ask({ t: 'maintain' }).catch(() => undefined);
  }

  /** Other limits, from the next write on. */
  limit(limits: { budgetBytes: number; keepMs: number }): void {
    if (limits.budgetBytes === this.#limits.budgetBytes && limits.keepMs === this.#limits.keepMs) return;
    this.#limits = limits;
    this.#ask({ t: 'limits', ...limits }).catch(() => undefined);
    this.#maintain();
  }

  async stored(connectionId: string): Promise<StoredLogs> {
    // Whoever asks is about to search.
    this.#pool.warm();
    const { segments, bytes, unstored } = await this.#look(connectionId);
    const [first, last] = [segments[0], segments.at(-1)];
    return {
      lines: segments.reduce((sum, { lines }) => sum + lines, 0),
      bytes,
      limitBytes: this.#limits.budgetBytes,
      fromMs: first === undefined ? null : Math.min(...segments.map(({ fromMs }) => fromMs)),
      toMs: last === undefined ? null : Math.max(...segments.map(({ toMs }) => toMs)),
      unstored: unstored + this.#queue.droppedOf(connectionId),
      problem: this.#problem,
    };
  }

  async search(
    search: LogSearch,
    names: readonly [tenantId: string, name: string][],
    tell: (progress: SearchProgress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const ended = new AbortController();
    this.#searches.add(ended);
    const either = AbortSignal.any([signal, ended.signal]);
    const stop = new StopWord();
    either.addEventListener('abort', () => stop.stop(), { once: true });
    let timer: NodeJS.Timeout | undefined;
    try {
      const look = await this.#look(search.connectionId);
      if (either.aborted) return;
      const run = new SegmentsSearch(search, names, look, look.segments);
      const say = (): void => {
        if (!either.aborted) tell(run.progress());
      };
      // The first lines at once, the others as they gather.
      let toldLines = false;
      timer = setInterval(say, TELL_EVERY_MS);
      await run.run(this.#pool, stop, () => {
        if (toldLines || !run.hasLines) return;
        toldLines = true;
        say();
      });
      clearInterval(timer);
      await this.#tellRest(run, say, either);
    } catch (error) {
      if (!either.aborted) throw error;
    } finally {
      clearInterval(timer);
      this.#searches.delete(ended);
    }
  }

  async context(connectionId: string, at: string, before: number, after: number): Promise<LogContext> {
    const [, segment, offset] = /^(\d{1,9}):(\d{1,10})$/.exec(at) ?? [];
    if (segment === undefined || offset === undefined)
      throw new HeadwayError('bad-request', `"${at}" is no place in the stored lines.`);
    const place = await this.#look(connectionId);
    const result = await this.#pool.run(
      {
        t: 'context',
        place,
        segments: place.segments,
        segment: Number(segment),
        offset: Number(offset),
        before,
        after,
      },
      new StopWord(),
    );
    // What the thread answers to this task.
    return result as LogContext;
  }

  async sizes(query: SizesQuery, signal: AbortSignal): Promise<TimingSizes> {
    const stop = new StopWord();
    const onAbort = (): void => stop.stop();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const place = await this.#look(query.connectionId);
      signal.throwIfAborted();
      const { fromMs, toMs, tenantId, stage } = query;
      const segments = place.segments.filter((one) => one.toMs >= fromMs && one.fromMs <= toMs);
      const result = await this.#pool.run(
        { t: 'sizes', place, segments, fromMs, toMs, tenantId, stage },
        stop,
      );
      signal.throwIfAborted();
      // What the thread answers to this task.
      return result as TimingSizes;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async remove(connectionId: string): Promise<void> {
    this.#queue.forget(connectionId);
    await this.#ask({ t: 'remove', connectionId });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    clearInterval(this.#maintenance);
    clearTimeout(this.#restart);
    for (const search of this.#searches) search.abort();
    this.#post();
    const worker = this.#worker;
    if (worker !== null) {
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      void this.#ask({ t: 'stop' }).catch(() => undefined);
      // It ends by itself when all is written; one that does not answer any more is ended.
      const timer = setTimeout(() => void worker.terminate(), STOP_MS);
      await exited;
      clearTimeout(timer);
    }
    await this.#pool[Symbol.asyncDispose]();
  }

  /** What a limit above MOST_TOLD lines left over: a word at a time, so that the window keeps up. */
  async #tellRest(run: SegmentsSearch, say: () => void, signal: AbortSignal): Promise<void> {
    say();
    while (run.hasLines && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, TELL_EVERY_MS));
      say();
    }
  }

  async #look(connectionId: string): Promise<Look> {
    this.#post();
    const look = await this.#ask({ t: 'look', connectionId });
    if (look === null) throw new Error('the writer of log lines did not say what there is');
    return look;
  }

  #maintain(): void {
    this.#ask({ t: 'maintain' }).catch((error: unknown) =>
      this.#say(error instanceof Error ? error.message : String(error)),
    );
  }

  #post(): void {
    clearTimeout(this.#batchTimer);
    this.#batchTimer = undefined;
    const { batches, size } = this.#queue.take();
    if (batches.length === 0) return;
    this.#ask({ t: 'append', batches }).then(
      () => this.#queue.arrived(size),
      () => this.#queue.lost(batches, size),
    );
  }

  #ask(request: Request): Promise<Look | null> {
    const worker = this.#worker;
    if (worker === null) return Promise.reject(failed('its writer ended'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ ...request, id, nowMs: this.#options.now() } satisfies ToWriter);
    });
  }

  #start(): void {
    const { folder } = this.#options;
    // From source or from the build: the entry lies beside this file, with this file's ending.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./store-worker.${ending}`, import.meta.url), {
      workerData: { folder, ...this.#limits } satisfies WriterData,
      name: 'log store',
      // node:sqlite is a release candidate in Node 24 and says so on standard error.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#worker = worker;
    worker.on('message', (message: FromWriter) => {
      if (message.t === 'problem') {
        this.#say(message.text);
        return;
      }
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.t === 'done') waiting?.resolve(message.look);
      else waiting?.reject(fromWire(message.error));
    });
    let why = 'its writer ended';
    worker.on('error', (error) => (why = error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => this.#ended(why));
  }

  /** Lines that it had are counted as not stored; it is started again, for nothing else depends on it. */
  #ended(why: string): void {
    this.#worker = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(failed(why));
    if (this.#stopping !== null) return;
    this.#say(`Log lines are not stored: ${why}. It is started again.`);
    this.#restart = setTimeout(() => {
      this.#start();
      this.#say(null);
    }, RESTART_MS);
  }

  #say(problem: string | null): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem(problem);
  }
}

const failed = (why: string): HeadwayError =>
  new HeadwayError('storage-failed', `The stored log lines cannot be asked: ${why}.`, { retryable: true });

const fromWire = ({ code, message, retryable }: WireError): HeadwayError =>
  new HeadwayError(code, message, { retryable });
