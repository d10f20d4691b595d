// One attempt at one job: runs the handler under its timeout and measures wait, run and stages.
import type { TimingRecord } from '../../../core/timing.ts';
import type { Clock } from '../clock.ts';
import type { Claim } from '../job.ts';
import type { Handler } from './handler.ts';

/** Why an attempt was cut short from outside; such an attempt does not count. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

/** Start to finish of one claim, as the log tells it. */
export interface Attempt {
  claim: Claim;
  /** Ready to start, ms. */
  waitMs: number;
  /** Start to finish, ms; the stages are parts of it. */
  runMs: number;
  stages: Record<string, number>;
  /** Null when it succeeded. */
  error: string | null;
}

/** Never rejects but with StoppedError: what the handler throws is the attempt's `error`. */
export async function runAttempt(
  claim: Claim,
  handler: Handler | undefined,
  clock: Clock,
  stop: AbortSignal,
): Promise<Attempt> {
  const stages: Record<string, number> = {};
  const book = (name: string, sinceMs: number): void => {
    stages[name] = (stages[name] ?? 0) + Math.max(0, clock.now() - sinceMs);
  };
  let error: string | null = null;
  try {
    if (!handler) throw new Error(`no handler for jobs of kind "${claim.kind}"`);
    await withinTime(handler.timeoutMs, clock, stop, (signal) =>
      handler.run(
        {
          id: claim.id,
          tenantId: claim.tenantId,
          kind: claim.kind,
          payload: claim.payload,
          attempt: claim.attempt,
        },
        {
          signal,
          stage: async (name, part) => {
            const sinceMs = clock.now();
            try {
              return await part();
            } finally {
              book(name, sinceMs);
            }
          },
        },
      ),
    );
  } catch (thrown) {
    if (thrown instanceof StoppedError) throw thrown;
    error = thrown instanceof Error ? thrown.message : String(thrown);
  }
  return {
    claim,
    waitMs: Math.max(0, claim.startedAtMs - claim.readyAtMs),
    runMs: Math.max(0, clock.now() - claim.startedAtMs),
    stages: { ...stages },
    error,
  };
}

/**
 * Settles as `work` does, or rejects as soon as the time is up or `stop` aborts: the worker must be free again
 * even when the work ignores its signal (incident 3).
 */
function withinTime(
  timeoutMs: number,
  clock: Clock,
  stop: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = new AbortController();
    const end = (settle: () => void): void => {
      takeBack();
      stop.removeEventListener('abort', onStop);
      settle();
    };
    const cut = (reason: Error): void => {
      abort.abort(reason);
      end(() => reject(reason));
    };
    const onStop = (): void => cut(new StoppedError('the engine stops'));
    const takeBack = clock.after(timeoutMs, () => cut(new Error(`timed out after ${timeoutMs} ms`)));
    if (stop.aborted) {
      onStop();
      return;
    }
    stop.addEventListener('abort', onStop, { once: true });
    // A handler may throw before it returns its promise.
    Promise.resolve()
      .then(() => work(abort.signal))
      .then(
        () => end(resolve),
        (error: unknown) => end(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
  });
}

/** The attempt as every log reader of the application knows it. */
export function timingOf(attempt: Attempt): TimingRecord {
  const { claim, waitMs, runMs, stages, error } = attempt;
  return {
    tenantId: claim.tenantId,
    jobId: String(claim.id),
    kind: claim.kind,
    startedAtMs: claim.startedAtMs,
    totalMs: runMs,
    stages: { wait: waitMs, ...stages },
    status: error === null ? 'success' : 'error',
    error,
    sizeBytes: null,
  };
}

/** `[TIMING] {json}` with the fields of Postal's line (mission.md, incident 1); durations in ms, rounded. */
export function timingLine(attempt: Attempt): string {
  const { claim, waitMs, runMs, stages, error } = attempt;
  const parts = Object.entries(stages).map(([name, ms]) => [`${name}_ms`, Math.round(ms)] as const);
  const fields = {
    job_id: claim.id,
    tenant_id: claim.tenantId,
    kind: claim.kind,
    attempt: claim.attempt,
    start_time: new Date(claim.startedAtMs).toISOString(),
    wait_ms: Math.round(waitMs),
    ...Object.fromEntries(parts),
    total_ms: Math.round(runMs),
    status: error === null ? 'success' : 'error',
    error,
  };
  return `[TIMING] ${JSON.stringify(fields)}`;
}
