// What is said of an engine and its jobs: states, holds, breakers, in words and marks.
import type {
  BreakerReport,
  Bulk,
  EngineReport,
  Hold,
  jobRecordSchema,
  WorkerReport,
} from '../../../contract/engine-report.ts';
import type { z } from 'zod';
import { formatDuration } from '../../../core/duration.ts';
import { formatAge } from './figures.ts';
import type { Mark } from './mark.ts';

export type JobRecord = z.infer<typeof jobRecordSchema>;

export const markOfWorker: Record<WorkerReport['state'], Mark> = {
  idle: 'idle',
  busy: 'ok',
  recycling: 'recovering',
  restarting: 'warning',
};

export const markOfJob: Record<JobRecord['state'], Mark> = {
  ready: 'idle',
  delayed: 'warming-up',
  waiting: 'idle',
  blocked: 'warning',
  running: 'ok',
  dead: 'critical',
};

export const pressureWords: Record<EngineReport['memory']['pressure'], string> = {
  normal: 'normal',
  'claim-less': 'high: claims less',
  recycle: 'higher: recycles workers',
  'stop-claiming': 'critical: claims nothing',
};

export const orderWords: Record<EngineReport['order'], string> = {
  'first-come': 'first come',
  fair: 'tenants in turn',
  'fair-time': 'equal run time',
};

export const bulkWords: Record<Bulk['what'], { doing: string; done: string }> = {
  requeue: { doing: 'Requeueing', done: 'Requeued' },
  discard: { doing: 'Discarding', done: 'Discarded' },
  release: { doing: 'Releasing', done: 'Released' },
  cancel: { doing: 'Cancelling', done: 'Cancelled' },
};

/** 212 MB; binary sizes as memory limits are given. */
export function formatMemory(bytes: number): string {
  const megabytes = bytes / 1_048_576;
  return megabytes < 1_000 ? `${Math.round(megabytes)} MB` : `${(megabytes / 1_024).toFixed(1)} GB`;
}

/** A limit that no machine can reach is none: a quarter of a terabyte for one worker. */
const NO_LIMIT_BYTES = 2 ** 38;

/** 314 / 512 MB: what is used of a limit, in one unit. */
export function formatMemoryOf(bytes: number, limitBytes: number | null): string {
  if (limitBytes === null || limitBytes >= NO_LIMIT_BYTES) return formatMemory(bytes);
  const limit = formatMemory(limitBytes);
  return limit.endsWith('MB')
    ? `${Math.round(bytes / 1_048_576)} / ${limit}`
    : `${formatMemory(bytes)} / ${limit}`;
}

/** What a hold or a filter is about: "everything", "tenant edify", "kind deliver", "deliver of edify". */
export function scopeWords(
  { tenantId, kind }: { tenantId?: string | null | undefined; kind?: string | null | undefined },
  nameOf: (tenantId: string) => string,
): string {
  if (tenantId != null && kind != null) return `${kind} of ${nameOf(tenantId)}`;
  if (tenantId != null) return `tenant ${nameOf(tenantId)}`;
  return kind == null ? 'everything' : `kind ${kind}`;
}

export const holdWord = (hold: Pick<Hold, 'mode'>): string => (hold.mode === 'pause' ? 'paused' : 'draining');

/** "open for 12 s, tries again in 18 s". */
export function breakerWords(breaker: BreakerReport, nowMs: number): string {
  const since = formatAge(nowMs - breaker.sinceMs);
  const tries =
    breaker.nextTryAtMs === null || breaker.state === 'closed'
      ? ''
      : breaker.nextTryAtMs <= nowMs
        ? ', tries now'
        : `, tries again in ${formatAge(breaker.nextTryAtMs - nowMs)}`;
  return `${breaker.state} for ${since}${tries}`;
}

/** Where a job stands, for its page. */
export function jobStateWords(job: JobRecord, nowMs: number): string {
  const attempts = `${job.attempts} of ${job.maxAttempts} attempts ended`;
  switch (job.state) {
    case 'ready':
      return `ready for ${formatAge(nowMs - job.readyAtMs)}, ${attempts}`;
    case 'delayed':
      return `starts in ${formatDuration(Math.max(0, job.readyAtMs - nowMs))}, ${attempts}`;
    case 'waiting':
      return `waits for ${job.waitsFor.length === 1 ? 'another job' : `${job.waitsFor.length} jobs`}`;
    case 'blocked':
      return 'blocked: a job it waits for is dead or blocked itself';
    case 'running':
      return `running${job.claimedAtMs === null ? '' : ` for ${formatAge(nowMs - job.claimedAtMs)}`}, attempt ${job.attempts + 1} of ${job.maxAttempts}`;
    case 'dead':
      return `in the dead set after ${job.attempts} of ${job.maxAttempts} attempts`;
  }
}
