// Attempts whose end the store writes down itself, because nobody was there to tell: the same words in every store.
import type { FailedAttempt } from '../job.ts';

/** Of a job whose engine fell silent while it had it. */
export function lostAttempt(lost: {
  attempt: number;
  owner: string;
  readyAtMs: number;
  claimedAtMs: number;
  nowMs: number;
}): FailedAttempt {
  const { attempt, owner, readyAtMs, claimedAtMs, nowMs } = lost;
  return {
    attempt,
    owner,
    startedAtMs: claimedAtMs,
    waitMs: Math.max(0, claimedAtMs - readyAtMs),
    runMs: Math.max(0, nowMs - claimedAtMs),
    stages: {},
    failure: {
      class: 'transient',
      message: `The engine that ran it (${owner}) ended without a word.`,
      cause: 'the engine that ran it ended without a word',
      stderrTail: null,
    },
  };
}

/**
 * Of a job that went to the dead set without a try: `parentId` is the dead job it waited for, null when a person
 * cancelled it. `attempts`: those that ended before.
 */
export function cancelled(job: { attempts: number; parentId: number | null; nowMs: number }): FailedAttempt {
  const { attempts, parentId, nowMs } = job;
  return {
    attempt: attempts,
    owner: '',
    startedAtMs: nowMs,
    waitMs: 0,
    runMs: 0,
    stages: {},
    failure: {
      class: 'permanent',
      message:
        parentId === null
          ? 'Cancelled by hand.'
          : `Cancelled: job ${parentId}, which it waited for, is dead.`,
      cause: parentId === null ? 'cancelled by hand' : 'a job it waited for is dead',
      stderrTail: null,
    },
  };
}
