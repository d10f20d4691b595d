// What does the work: one handler a kind of job. Module functions now; commands and HTTP calls take the same shape.

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
}

export interface Handler {
  kind: string;
  /** The longest an attempt may take. */
  timeoutMs: number;
  /** How long a failed job waits for its next attempt, by the number of the attempt that failed. */
  retryDelayMs(attempt: number): number;
  /** Resolves when the job is done; rejects when the attempt failed. It may run more than once for one job. */
  run(job: HandlerJob, context: HandlerContext): Promise<void>;
}
