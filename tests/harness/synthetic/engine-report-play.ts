// What the made-up engine says of its workers and kinds.
import type { Hold, KindReport, WorkerReport } from '../../../src/contract/engine-report.ts';

const MB = 1_048_576;
/** The cascade of incident 4: each waits for the one before. */
export const kinds = ['sync', 'normalise', 'extract', 'embed', 'insight'] as const;
type Kind = (typeof kinds)[number];
export const runMs: Record<Kind, number> = {
  sync: 9_000,
  normalise: 2_500,
  extract: 800,
  embed: 4_200,
  insight: 6_000,
};
const runsIn: Record<Kind, WorkerReport['runsIn']> = {
  sync: 'process',
  normalise: 'thread',
  extract: 'thread',
  embed: 'http',
  insight: 'http',
};
const notes: Partial<Record<Kind, string>> = { sync: 'page 4 of 12', extract: 'invoice-2291.pdf' };
const percentiles = (p50Ms: number, count: number) =>
  count < 20
    ? { count, p50Ms: null, p95Ms: null, p99Ms: null, maxMs: count === 0 ? null : p50Ms * 3 }
    : { count, p50Ms, p95Ms: p50Ms * 2.6, p99Ms: p50Ms * 5.1, maxMs: p50Ms * 9 };

export interface Running {
  id: number;
  kind: Kind;
  tenantId: string;
  attempt: number;
  startedAtMs: number;
  endsAtMs: number;
}

export function workerPlay(job: Running | null, id: number, nowMs: number, served: number): WorkerReport {
  const recycling = job === null && id === 7;
  const share = job === null ? 0 : Math.max(0, nowMs - job.startedAtMs) / (job.endsAtMs - job.startedAtMs);
  const where = job === null ? null : runsIn[job.kind];
  return {
    id,
    state: recycling ? 'recycling' : job === null ? 'idle' : 'busy',
    runsIn: where,
    job:
      job === null
        ? null
        : {
            id: job.id,
            kind: job.kind,
            tenantId: job.tenantId,
            attempt: job.attempt,
            startedAtMs: job.startedAtMs,
            progress: job.kind === 'extract' || job.kind === 'sync' ? Math.min(1, share) : null,
            note: notes[job.kind] ?? null,
            pid: where === 'process' ? 20_000 + id : null,
          },
    memoryBytes:
      where === 'http' ? null : Math.round((44 + id * 9 + (job?.kind === 'sync' ? share * 380 : 0)) * MB),
    memoryLimitBytes: where === 'http' ? null : 512 * MB,
    loopDelayMs: where === 'thread' ? 1.2 + id / 3 : null,
    restarts: id === 7 ? 2 : id === 3 ? 1 : 0,
    jobs: served + 1_200,
    errors: 90 + id,
  };
}

interface KindNow {
  running: number;
  hold: Hold | undefined;
  breakerOpen: boolean;
  /** That of embed, the only kind with one. */
  throttle: NonNullable<KindReport['throttle']>;
}

export function kindPlay(
  kind: Kind,
  nowMs: number,
  { running, hold, breakerOpen, throttle }: KindNow,
): KindReport {
  const open = kind === 'embed' && breakerOpen;
  const count = kind === 'insight' ? 14 : 640;
  return {
    kind,
    running,
    limit: kind === 'embed' ? (open ? 0 : throttle.limit) : kind === 'sync' ? 12 : null,
    heldBy:
      hold !== undefined
        ? `${hold.mode === 'pause' ? 'paused' : 'drained'} by ${hold.by}`
        : open
          ? 'breaker model-api is open'
          : null,
    finishedPerMinute: hold !== undefined ? 0 : 60_000 / runMs[kind],
    failedPerMinute: kind === 'sync' ? 1.2 : 0.2,
    failureRatio: kind === 'sync' ? 0.17 : kind === 'insight' ? null : 0.021,
    wait: percentiles(kind === 'embed' ? 8_200 : 310, count),
    run: percentiles(runMs[kind], count),
    errors: kind === 'sync' ? { timeout: 31, transient: 12 } : { 'rate-limit': 4 },
    breaker: kind === 'embed' || kind === 'insight' ? 'model-api' : null,
    throttle: kind === 'embed' ? throttle : null,
    rate: kind === 'insight' ? { starts: 60, perSeconds: 60, nextStartAtMs: nowMs + 800 } : null,
  };
}
