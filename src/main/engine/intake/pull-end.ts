// How a lease ends, in the words of those who pull and in those of the store.
import { causeOf } from '../../../core/failure-cause.ts';
import type { ErrorClass } from '../../../core/error-class.ts';
import { type RetryRule, retryAtMs } from '../../../core/retry-rule.ts';
import type { Settlement } from '../job.ts';
import type { Attempt } from '../workers/attempt.ts';
import type { Lease } from './leases.ts';

/** What the taker says of a job. `returned`: it was not really tried. Stages in ms. */
export type PulledEnd = { id: number; fence: number } & (
  | { how: 'done'; stages: Record<string, number> }
  | { how: 'returned' }
  | {
      how: 'failed';
      class: ErrorClass;
      message: string;
      retryAfterMs: number | null;
      stages: Record<string, number>;
    }
);

/** A lease that ran out is a job that took too long: it counts, so that a job that kills its taker ends in the dead set. */
export function expiryOf({ claim, sinceMs, untilMs }: Lease): PulledEnd {
  return {
    id: claim.id,
    fence: claim.fence,
    how: 'failed',
    class: 'timeout',
    message: `the lease of ${(untilMs - sinceMs) / 1000} s ran out and nobody had settled it`,
    retryAfterMs: null,
    stages: {},
  };
}

/** The attempt that ended so after `runMs`; null for one that does not count. */
export function attemptOf(end: PulledEnd, { claim }: Lease, runMs: number): Attempt | null {
  if (end.how === 'returned') return null;
  const failure =
    end.how === 'done'
      ? null
      : { class: end.class, message: end.message, cause: causeOf(end.message), stderrTail: null };
  const waitMs = Math.max(0, claim.claimedAtMs - claim.readyAtMs);
  return { claim, startedAtMs: claim.claimedAtMs, waitMs, runMs, stages: end.stages, failure };
}

/** What the store is told. A failed attempt is tried again as the kind's rules say, up to the job's last. */
export function settlementOf(
  end: PulledEnd,
  attempt: Attempt | null,
  { claim }: Lease,
  retry: {
    owner: string;
    rules: Record<ErrorClass, RetryRule>;
    nowMs: number;
    random: () => number;
  },
): Settlement {
  const { id, fence, tenantId, kind } = claim;
  const named = { claim: { id, fence, tenantId, kind } };
  const failure = attempt?.failure;
  if (end.how !== 'failed' || !attempt || !failure) {
    return { ...named, how: end.how === 'returned' ? 'returned' : 'done' };
  }
  const failed = {
    attempt: claim.attempt,
    owner: retry.owner,
    startedAtMs: claim.claimedAtMs,
    waitMs: attempt.waitMs,
    runMs: attempt.runMs,
    stages: attempt.stages,
    failure,
  };
  const atMs =
    claim.attempt >= claim.maxAttempts
      ? null
      : retryAtMs({
          rule: retry.rules[end.class],
          attempt: claim.attempt,
          nowMs: retry.nowMs,
          random: retry.random,
          retryAfterMs: end.retryAfterMs,
        });
  return atMs === null ? { ...named, how: 'dead', failed } : { ...named, how: 'retry', atMs, failed };
}
