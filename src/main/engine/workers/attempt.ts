// One finished attempt at one job, and how logs tell it.
import type { TimingRecord } from '../../../core/timing.ts';
import type { Claim, Failure } from '../job.ts';

/** Start to finish of one claim. Times are epoch ms of the store's clock. */
export interface Attempt {
  claim: Claim;
  startedAtMs: number;
  /** Ready to start, ms. */
  waitMs: number;
  /** Start to finish, ms; the stages are parts of it. */
  runMs: number;
  stages: Record<string, number>;
  /** Null when it succeeded. */
  failure: Failure | null;
}

/** The attempt as every log reader of the application knows it. */
export function timingOf(attempt: Attempt): TimingRecord {
  const { claim, startedAtMs, waitMs, runMs, stages, failure } = attempt;
  return {
    tenantId: claim.tenantId,
    jobId: String(claim.id),
    kind: claim.kind,
    startedAtMs,
    totalMs: runMs,
    stages: { wait: waitMs, ...stages },
    status: failure === null ? 'success' : 'error',
    error: failure?.message ?? null,
    sizeBytes: null,
  };
}

/** `[TIMING] {json}` with the fields of Postal's line (mission.md, incident 1); durations in ms, rounded. */
export function timingLine(attempt: Attempt): string {
  const { claim, startedAtMs, waitMs, runMs, stages, failure } = attempt;
  const parts = Object.entries(stages).map(([name, ms]) => [`${name}_ms`, Math.round(ms)] as const);
  const fields = {
    job_id: claim.id,
    tenant_id: claim.tenantId,
    kind: claim.kind,
    attempt: claim.attempt,
    start_time: new Date(startedAtMs).toISOString(),
    wait_ms: Math.round(waitMs),
    ...Object.fromEntries(parts),
    total_ms: Math.round(runMs),
    status: failure === null ? 'success' : 'error',
    error: failure?.message ?? null,
  };
  return `[TIMING] ${JSON.stringify(fields)}`;
}
