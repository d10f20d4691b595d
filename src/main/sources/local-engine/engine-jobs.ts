// Jobs of Headway's engine in the words that are the same for every system. Pure.
import {
  ERROR_CHARS,
  type QueueJob,
  type QueueJobDetail,
  type QueueLock,
} from '../../../contract/queue-jobs.ts';
import type { EngineJob } from './engine-reader.ts';

/** The engines' own limit: whoever is silent for longer loses its jobs to the others. */
export const RECLAIMED_AFTER_MS = 5 * 60_000;

/** When engines were last heard, by name, and the store's clock; epoch ms. */
export interface Beats {
  nowMs: number;
  byOwner: ReadonlyMap<string, number>;
}

/** `beats`: null where engines have their store to themselves, and nobody takes over from them. */
export function queueJob(job: EngineJob, beats: Beats | null): QueueJob {
  const { state, failedAttempts } = job;
  const [last] = failedAttempts;
  const isWaiting = state === 'waiting' || state === 'blocked';
  return {
    id: String(job.id),
    tenantId: job.tenantId,
    kind: job.kind,
    state: state === 'waiting' ? 'blocked' : state,
    stateWord: state === 'waiting' ? 'waiting for its parents' : state,
    createdAtMs: job.createdAtMs,
    // Nobody knows when its parents will be done.
    readyAtMs: isWaiting ? null : job.readyAtMs,
    startedAtMs: job.claimedAtMs,
    finishedAtMs: state === 'dead' && last ? last.startedAtMs + last.runMs : null,
    attempts: job.attempts,
    maxAttempts: job.maxAttempts,
    priority: job.priority,
    owner: job.owner,
    stale: isStale(job, beats),
    error: last?.failure.message.slice(0, ERROR_CHARS) ?? null,
  };
}

function isStale({ state, owner }: EngineJob, beats: Beats | null): boolean {
  if (state !== 'running' || beats === null) return false;
  const beatAtMs = beats.byOwner.get(owner ?? '');
  return beatAtMs === undefined || beats.nowMs - beatAtMs > RECLAIMED_AFTER_MS;
}

export function queueLock(job: EngineJob, beats: Beats | null): QueueLock {
  const beatAtMs = beats?.byOwner.get(job.owner ?? '') ?? null;
  const leaseFromMs = beatAtMs === null ? null : beatAtMs + RECLAIMED_AFTER_MS;
  return {
    jobId: String(job.id),
    tenantId: job.tenantId,
    owner: job.owner,
    lockedAtMs: job.claimedAtMs,
    // One of an engine that is not known any more may be taken at once.
    expiresAtMs: beats === null ? null : (leaseFromMs ?? job.claimedAtMs),
    beatAtMs,
    stale: isStale(job, beats),
  };
}

/** All of a job but its payload. */
export function jobDetail(job: EngineJob, beats: Beats | null): Omit<QueueJobDetail, 'payload'> {
  const fields: [string, string | number | null][] = [
    ['id', job.id],
    ['tenant', job.tenantId],
    ['kind', job.kind],
    ['state', job.state],
    ['priority', job.priority],
    ['batch', job.batchId],
    ['attempts', job.attempts],
    ['max attempts', job.maxAttempts],
    ['created at', time(job.createdAtMs)],
    ['ready at', time(job.readyAtMs)],
    ['claimed at', time(job.claimedAtMs)],
    ['owner', job.owner],
    ['payload bytes', job.payloadBytes],
    ['waits for', job.waitsFor.length === 0 ? null : job.waitsFor.join(', ')],
  ];
  return {
    job: queueJob(job, beats),
    fields: fields.map(([name, value]) => ({ name, value: value === null ? null : String(value) })),
    attempts: job.failedAttempts.map(({ attempt, owner, startedAtMs, failure }) => ({
      attempt,
      atMs: startedAtMs,
      error: said(failure).slice(0, ERROR_CHARS),
      // The store itself wrote down what nobody was there to tell.
      owner: owner === '' ? null : owner,
    })),
  };
}

/** The message, and what a command wrote last to standard error. */
const said = ({ message, stderrTail }: EngineJob['failedAttempts'][number]['failure']): string =>
  stderrTail === null || stderrTail === '' ? message : `${message}\n${stderrTail}`;

/** UTC; the number itself where it lies outside of what a calendar holds. */
function time(ms: number | null): string | null {
  if (ms === null) return null;
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
