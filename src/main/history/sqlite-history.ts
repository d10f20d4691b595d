// The main side of the history: hands entries over in batches, asks the worker, survives its crash.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Alert, AlertEvent } from '../../core/alert.ts';
import type { TimingRecord } from '../../core/timing.ts';
import { HeadwayError, type WireError } from '../../contract/errors.ts';
import { historySchema, type History, type HistoryQuery } from '../../contract/history.ts';
import {
  timingAnalysisSchema,
  type TimingAnalysis,
  type TimingAnalysisQuery,
} from '../../contract/log-search.ts';
import type { HistoryStore, SampleRow } from './history-store.ts';
import {
  answerSchema,
  keptSchema,
  maintainedSchema,
  savedAlertsSchema,
  type Entry,
  type Request,
  type WorkerData,
} from './messages.ts';
import type { SetAside } from './schema.ts';

export interface SqliteHistoryOptions {
  /** Path of the file; its folder is created. */
  file: string;
  budgetBytes: number;
  now: () => number;
  /** The file was damaged or newer: it was kept under another name and the history begins anew. */
  onSetAside: (aside: SetAside) => void;
  /** Entries are being lost, or the worker ended. Requests that waited for it are rejected besides. */
  onProblem: (error: HeadwayError) => void;
  /** Between two writes to the file, in ms: what a crash may lose. */
  writeEveryMs?: number;
}

/** Entries wait this long for others to share a message with. */
const BATCH_MS = 100;
/** Rows handed over and not yet taken by the worker; beyond that they are dropped and counted. */
const MAX_ROWS = 200_000;
const SLICE_PAUSE_MS = 100;
const TIMEOUT_MS = 30_000;

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (error: HeadwayError) => void;
  timer: NodeJS.Timeout;
}
type Ask = Request extends infer R ? (R extends Request ? Omit<R, 'id' | 'nowMs'> : never) : never;

export class SqliteHistory implements HistoryStore {
  readonly #options: SqliteHistoryOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #restarted = false;
  #batch: Entry[] = [];
  #batchTimer: NodeJS.Timeout | undefined;
  #writeTimer: NodeJS.Timeout | undefined;
  #batchRows = 0;
  #rowsOnTheWay = 0;
  #maintaining = false;
  #nextId = 1;
  #dropped = 0;
  #droppedByWorker = 0;
  #stopping: Promise<void> | null = null;

  private constructor(options: SqliteHistoryOptions) {
    this.#options = options;
  }

  /** Starts the worker and opens the file. Rejects with 'storage-failed', saying what to do. */
  static async open(options: SqliteHistoryOptions): Promise<SqliteHistory> {
    const history = new SqliteHistory(options);
    try {
      mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new HeadwayError('storage-failed', `Cannot create ${dirname(options.file)}: ${String(error)}`);
    }
    await history.#start('Headway was not running', true);
    history.#writeTimer = setInterval(() => void history.#maintainBitByBit(), options.writeEveryMs ?? 10_000);
    history.#writeTimer.unref();
    return history;
  }

  /** Rows and attempts that were not kept: handed over too fast, too late, or while the disk was full. */
  get dropped(): number {
    return this.#dropped + this.#droppedByWorker;
  }

  addSamples(connectionId: string, atMs: number, rows: SampleRow[]): void {
    this.#add({ kind: 'samples', connectionId, atMs, rows }, rows.length);
  }

  addTimings(connectionId: string, atMs: number, records: TimingRecord[]): void {
    this.#add({ kind: 'timings', connectionId, atMs, records }, records.length);
  }

  openGap(connectionId: string, atMs: number, reason: string): void {
    this.#add({ kind: 'open-gap', connectionId, atMs, reason }, 1);
  }

  closeGap(connectionId: string, atMs: number): void {
    this.#add({ kind: 'close-gap', connectionId, atMs }, 1);
  }

  addAlertEvents(events: AlertEvent[]): void {
    this.#add({ kind: 'alert-events', events }, events.length);
  }

  saveAlerts(alerts: Alert[]): void {
    this.#add({ kind: 'alerts', alerts }, alerts.length);
  }

  async loadAlerts(): Promise<{ alerts: Alert[]; events: AlertEvent[] }> {
    this.#post();
    return savedAlertsSchema.parse(await this.#ask({ t: 'load-alerts' }));
  }

  async query(query: HistoryQuery): Promise<History> {
    this.#post();
    return historySchema.parse(await this.#ask({ t: 'query', query }));
  }

  async timingAnalysis(query: TimingAnalysisQuery): Promise<TimingAnalysis> {
    this.#post();
    return timingAnalysisSchema.parse(await this.#ask({ t: 'timing-analysis', query }));
  }

  async flush(): Promise<void> {
    this.#post();
    await this.#ask({ t: 'write' });
  }

  /** Writes, rolls up and lets go all there is, as happens bit by bit on its own. */
  async maintain(): Promise<void> {
    this.#post();
    await this.#ask({ t: 'maintain', all: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#writeTimer);
    this.#post();
    const worker = this.#worker;
    if (worker === null) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await this.#ask({ t: 'stop' }).catch((error: unknown) => this.#problem(error));
    this.#worker = null;
    // It ends by itself once its port is closed; one that does not answer any more is ended.
    const timer = setTimeout(() => void worker.terminate(), 2000);
    await ended;
    clearTimeout(timer);
  }

  #add(entry: Entry, rows: number): void {
    if (rows === 0 || this.#stopping !== null) return;
    if (this.#worker === null || this.#batchRows + this.#rowsOnTheWay + rows > MAX_ROWS) {
      if (this.#dropped === 0) this.#problem(ended('samples are not kept'));
      this.#dropped += rows;
      return;
    }
    this.#batchRows += rows;
    this.#batch.push(entry);
    this.#batchTimer ??= setTimeout(() => this.#post(), BATCH_MS);
  }

  #post(): void {
    clearTimeout(this.#batchTimer);
    this.#batchTimer = undefined;
    if (this.#batch.length === 0) return;
    const { entries, rows } = { entries: this.#batch, rows: this.#batchRows };
    this.#batch = [];
    this.#batchRows = 0;
    this.#rowsOnTheWay += rows;
    void this.#ask({ t: 'keep', entries })
      .then((result) => (this.#droppedByWorker = keptSchema.parse(result).dropped))
      .catch((error: unknown) => this.#problem(error))
      .finally(() => (this.#rowsOnTheWay -= rows));
  }

  async #maintainBitByBit(): Promise<void> {
    // The one before may still be running: a slow disk must not pile them up.
    if (this.#maintaining) return;
    this.#maintaining = true;
    try {
      while (this.#worker !== null && this.#stopping === null) {
        const result = maintainedSchema.parse(await this.#ask({ t: 'maintain', all: false }));
        if (!result.more) break;
        // Slices with pauses: queries and samples come in between.
        await setTimeoutPromise(SLICE_PAUSE_MS, undefined, { ref: false });
      }
    } catch (error) {
      this.#problem(error);
    } finally {
      this.#maintaining = false;
    }
  }

  #ask(request: Ask): Promise<unknown> {
    const worker = this.#worker;
    if (worker === null) return Promise.reject(ended('it ended'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(ended(`it did not answer within ${TIMEOUT_MS / 1000} s`));
      }, TIMEOUT_MS);
      timer.unref();
      this.#waiting.set(id, { resolve, reject, timer });
      worker.postMessage({ ...request, id, nowMs: this.#options.now() });
    });
  }

  /** The worker's answer under `id`, taken out of those waited for; undefined when it came too late. */
  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    clearTimeout(waiting?.timer);
    this.#waiting.delete(id);
    return waiting;
  }

  #start(pause: string, endGaps: boolean): Promise<void> {
    const { file, budgetBytes, now } = this.#options;
    const data: WorkerData = { file, budgetBytes, nowMs: now(), pause, endGaps };
    const worker = new Worker(workerFile(), {
      workerData: data,
      // node:sqlite is a release candidate in Node 24 and says so on standard error.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      worker.on('message', (message: unknown) => {
        const answer = answerSchema.parse(message);
        if (answer.t === 'ready') resolve();
        else if (answer.t === 'cannot-open') reject(fromWire(answer.error));
        else if (answer.t === 'set-aside') this.#options.onSetAside(answer);
        else if (answer.t === 'done') this.#take(answer.id)?.resolve(answer.result);
        else this.#take(answer.id)?.reject(fromWire(answer.error));
      });
      let why = 'its worker ended';
      worker.on('error', (error) => (why = error instanceof Error ? error.message : String(error)));
      // Not before: until then the thread that ends holds the file.
      worker.on('exit', () => {
        reject(ended(why));
        this.#ended(worker, ended(why));
      });
    });
  }

  /** A worker that ends unasked is started again, once: what ends it twice would end it for ever. */
  #ended(worker: Worker, problem: HeadwayError): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(problem);
    // A file that could not be opened is told to whoever opens it.
    if (this.#stopping !== null || this.#writeTimer === undefined) return;
    this.#problem(problem);
    if (this.#restarted) return;
    this.#restarted = true;
    this.#start('The history was interrupted', false).catch((again: unknown) => this.#problem(again));
  }

  #problem(error: unknown): void {
    this.#options.onProblem(error instanceof HeadwayError ? error : ended(String(error)));
  }
}

/** The build makes the worker an entry of its own beside the main one. */
function workerFile(): URL {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./history-worker.${ending}`, import.meta.url);
}

const ended = (why: string): HeadwayError =>
  new HeadwayError('storage-failed', `The history does not answer: ${why}. Live data goes on.`);

const fromWire = ({ code, message, retryable }: WireError): HeadwayError =>
  new HeadwayError(code, message, { retryable });
