// Whether and when a failed job is tried again, by the class of its error (incident 4: every error was treated alike).
import type { ErrorClass } from './error-class.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export interface RetryRule {
  retry: boolean;
  /** The longest first wait; doubled with each attempt. */
  baseMs: number;
  /** The longest wait of all. */
  ceilingMs: number;
}

/** The rules as shipped. */
const shipped: Record<ErrorClass, RetryRule> = {
  transient: { retry: true, baseMs: SECOND, ceilingMs: 5 * MINUTE },
  // The same job will fail again: it goes to the dead set at once.
  permanent: { retry: false, baseMs: MINUTE, ceilingMs: HOUR },
  'rate-limit': { retry: true, baseMs: 5 * SECOND, ceilingMs: 15 * MINUTE },
  quota: { retry: true, baseMs: 5 * MINUTE, ceilingMs: 6 * HOUR },
  timeout: { retry: true, baseMs: 10 * SECOND, ceilingMs: 15 * MINUTE },
};

/** A change in the units of settings. */
interface RetryRuleChange {
  retry?: boolean | undefined;
  baseSeconds?: number | undefined;
  ceilingSeconds?: number | undefined;
}

/** The shipped rules with changes applied. A ceiling under its base counts as the base. */
export function retryRules(
  changes: Partial<Record<ErrorClass, RetryRuleChange | undefined>>,
): Record<ErrorClass, RetryRule> {
  const changed = (of: ErrorClass): RetryRule => {
    const { retry, baseSeconds, ceilingSeconds } = changes[of] ?? {};
    const baseMs = baseSeconds === undefined ? shipped[of].baseMs : baseSeconds * SECOND;
    const ceilingMs = ceilingSeconds === undefined ? shipped[of].ceilingMs : ceilingSeconds * SECOND;
    return { retry: retry ?? shipped[of].retry, baseMs, ceilingMs: Math.max(baseMs, ceilingMs) };
  };
  return {
    transient: changed('transient'),
    permanent: changed('permanent'),
    'rate-limit': changed('rate-limit'),
    quota: changed('quota'),
    timeout: changed('timeout'),
  };
}

/**
 * When the next attempt may begin; null: it is not tried again. Exponential with full jitter: a random wait between
 * nothing and the ceiling of the attempt, so that jobs that failed together do not come back together (M. Brooker,
 * "Exponential Backoff And Jitter", AWS 2015).
 *
 * A time that the other side named is obeyed: no attempt before it, jitter on top, whatever the ceiling.
 *
 * @param attempt the one that failed, 1 for the first
 * @param retryAfterMs what the other side asked for, from now; null when it said nothing
 */
export function retryAtMs(request: {
  rule: RetryRule;
  attempt: number;
  nowMs: number;
  random: () => number;
  retryAfterMs: number | null;
}): number | null {
  const { rule, attempt, nowMs, random, retryAfterMs } = request;
  if (!rule.retry) return null;
  // 2 ** 50 would overflow nothing, but no ceiling is that high.
  const longestMs = Math.min(rule.ceilingMs, rule.baseMs * 2 ** Math.min(50, attempt - 1));
  if (retryAfterMs === null) return nowMs + random() * longestMs;
  return nowMs + Math.max(0, retryAfterMs) + random() * Math.min(longestMs, rule.baseMs);
}
