// What does the work: one handler a kind of job. Functions of the application, modules in worker threads, commands and
// HTTP calls all take this shape; the engine around them knows no difference.
import type { ErrorClass } from '../../../core/error-class.ts';

/** What a handler is told about its job. */
export interface HandlerJob {
  id: number;
  tenantId: string;
  kind: string;
  /** JSON data as it was enqueued: parse it before use. */
  payload: unknown;
  attempt: number;
}

export interface HandlerContext {
  /** Aborts when the job's time is up or the engine stops. A handler that ignores it is left behind. */
  signal: AbortSignal;
  /** Runs `part` and books its time under `name`, also when it throws. Called twice, the times add up. */
  stage: <T>(name: string, part: () => Promise<T>) => Promise<T>;
  /** How far it is, from 0 to 1, and with what. */
  progress: (done: number, note?: string) => void;
}

/** What a handler uses while it runs a job, for the workers' table and the memory guard. */
export interface HandlerUse {
  /** Of the process group; null where it has none. */
  pid: number | null;
  memoryBytes: number | null;
  memoryLimitBytes: number | null;
  loopDelayMs: number | null;
  /** Times its thread was started again. */
  restarts: number;
}

export interface Handler extends Partial<AsyncDisposable> {
  readonly kind: string;
  readonly runsIn: 'engine' | 'thread' | 'process' | 'http';
  /** Resolves when the job is done; rejects when the attempt failed. It may run more than once for one job. */
  run(job: HandlerJob, context: HandlerContext): Promise<void>;
  /** Of a job that runs now; absent or null where nothing is known. */
  use?(jobId: number): HandlerUse | null;
  /** Memory is short: whatever it keeps for later (idle threads) goes; what runs is ended after its job. */
  recycle?(): void;
}

/** A failure that says what kind of failure it is. Everything else a handler throws is judged by classify.ts. */
export class JobError extends Error {
  override readonly name = 'JobError';
  readonly class: ErrorClass;
  /** The other side said when to come again; ms from now. */
  readonly retryAfterMs: number | null;
  readonly stderrTail: string | null;

  constructor(
    errorClass: ErrorClass,
    message: string,
    options: { retryAfterMs?: number; stderrTail?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.class = errorClass;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.stderrTail = options.stderrTail ?? null;
  }
}
