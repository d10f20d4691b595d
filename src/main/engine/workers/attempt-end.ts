// How an attempt's end is judged: done, tried again later, dead, or given back uncounted.
import { retryAtMs } from '../../../core/retry-rule.ts';
import type { Claim, Settlement } from '../job.ts';
import type { Attempt } from './attempt.ts';
import { type AttemptRun, StoppedError } from './attempt-run.ts';
import { failureOf } from './classify.ts';
import type { KindGate, Outcome } from './kind-gate.ts';

/** An end that the store has not taken yet. `attempt` is null when it does not count. */
export interface Ended {
  settlement: Settlement;
  attempt: Attempt | null;
}

export interface Judgement extends Ended {
  outcome: Outcome;
}

const OK: Outcome = { ok: true };

/** A claim that is given back: as if it had never been made. */
export function returned(claim: Claim): Ended {
  return { settlement: { claim, how: 'returned' }, attempt: null };
}

/** `failed` holds what the handler threw; null when it did its job. */
export function judge(
  run: AttemptRun,
  failed: { thrown: unknown } | null,
  gate: KindGate,
  by: { owner: string; nowMs: number; random: () => number },
): Judgement {
  const { claim, startedAtMs } = run;
  if (failed?.thrown instanceof StoppedError) return { ...returned(claim), outcome: 'returned' };
  const attempt: Attempt = {
    claim,
    startedAtMs,
    waitMs: Math.max(0, startedAtMs - claim.readyAtMs),
    runMs: Math.max(0, by.nowMs - startedAtMs),
    stages: run.stages,
    failure: null,
  };
  if (failed === null) return { settlement: { claim, how: 'done' }, attempt, outcome: OK };
  const { failure, retryAfterMs } = failureOf(failed.thrown);
  attempt.failure = failure;
  const outcome: Outcome = { ok: false, class: failure.class, retryAfterMs };
  const { waitMs, runMs, stages } = attempt;
  const kept = { attempt: claim.attempt, owner: by.owner, startedAtMs, waitMs, runMs, stages, failure };
  const rule = gate.rules[failure.class];
  const { nowMs, random } = by;
  const atMs =
    claim.attempt >= claim.maxAttempts
      ? null
      : retryAtMs({ rule, attempt: claim.attempt, nowMs, random, retryAfterMs });
  if (atMs === null) return { settlement: { claim, how: 'dead', failed: kept }, attempt, outcome };
  return { settlement: { claim, how: 'retry', atMs: Math.ceil(atMs), failed: kept }, attempt, outcome };
}
