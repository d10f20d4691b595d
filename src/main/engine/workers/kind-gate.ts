// What one kind of job may start now: its own limits (concurrency, throttle, rate, pause) and the breaker of what it
// depends on. Most kinds have none of these, and then the gate costs nothing. Times are epoch ms of the store's clock.
import type { JobKind } from '../../../contract/job-kinds.ts';
import { AdaptiveThrottle } from '../../../core/adaptive-throttle.ts';
import type { CircuitBreaker } from '../../../core/circuit-breaker.ts';
import type { ErrorClass } from '../../../core/error-class.ts';
import { RateLimit } from '../../../core/rate-limit.ts';
import { retryRules, type RetryRule } from '../../../core/retry-rule.ts';
import type { EngineKind } from '../engine-parts.ts';
import type { AttemptRun } from './attempt-run.ts';
import type { Handler } from './handler.ts';

/** How an attempt ended, for the limits: `returned` was cut short and tells nothing. */
export type Outcome =
  { ok: true } | { ok: false; class: ErrorClass; retryAfterMs: number | null } | 'returned';

export class KindGate {
  readonly kind: string;
  /** What runs, in order of start: so the first one's time is up first. */
  readonly running = new Set<AttemptRun>();
  /** Claimed and not started. */
  buffered = 0;
  #kind: EngineKind;
  #isRetired = false;
  #rules: Record<ErrorClass, RetryRule>;
  #throttle: AdaptiveThrottle | null = null;
  #rate: RateLimit | null = null;
  #breaker: CircuitBreaker | null;
  #pause: { untilMs: number; why: string } | null = null;

  constructor(kind: EngineKind, breaker: CircuitBreaker | null, nowMs: number) {
    this.kind = kind.policy.kind;
    this.#kind = kind;
    this.#rules = retryRules(kind.policy.retry.classes);
    this.#breaker = breaker;
    this.#limit({}, nowMs);
  }

  get policy(): EngineKind['policy'] {
    return this.#kind.policy;
  }
  get handler(): Handler {
    return this.#kind.handler;
  }
  get rules(): Record<ErrorClass, RetryRule> {
    return this.#rules;
  }
  get timeoutMs(): number {
    return this.policy.timeouts.jobSeconds * 1_000;
  }
  get throttle(): AdaptiveThrottle | null {
    return this.#throttle;
  }
  get rate(): RateLimit | null {
    return this.#rate;
  }
  /** Nobody declares the kind any more: it starts nothing, what runs finishes. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** Declared anew. Limits that did not change go on with what they have learned. */
  configure(kind: EngineKind, breaker: CircuitBreaker | null, nowMs: number): void {
    const before = this.policy;
    this.#kind = kind;
    this.#isRetired = false;
    this.#rules = retryRules(kind.policy.retry.classes);
    this.#breaker = breaker;
    this.#limit(before, nowMs);
  }

  retire(): void {
    this.#isRetired = true;
  }

  /** Jobs it may start now; Infinity without a limit. */
  room(nowMs: number): number {
    if (this.#isRetired || this.#isPaused(nowMs)) return 0;
    const { concurrency } = this.policy;
    let room = Infinity;
    if (concurrency !== undefined) room = concurrency - this.running.size;
    if (this.#throttle) room = Math.min(room, this.#throttle.limit - this.running.size);
    if (this.#rate) room = Math.min(room, this.#rate.available(nowMs));
    if (this.#breaker) room = Math.min(room, this.#breaker.allows(nowMs));
    return Math.max(0, room);
  }

  began(run: AttemptRun): void {
    this.running.add(run);
    this.#rate?.take(1, run.startedAtMs);
    this.#breaker?.began(run.startedAtMs);
  }

  ended(run: AttemptRun, outcome: Outcome, nowMs: number): void {
    this.running.delete(run);
    // A permanent error is the job's own fault: it says nothing of what the kind depends on.
    if (outcome === 'returned' || (!outcome.ok && outcome.class === 'permanent')) {
      this.#breaker?.abandoned(nowMs);
      return;
    }
    this.#breaker?.ended(outcome.ok, nowMs);
    this.#throttle?.ended(outcome.ok, nowMs - run.startedAtMs, nowMs);
    if (outcome.ok) return;
    const { class: errorClass, retryAfterMs } = outcome;
    if (errorClass === 'rate-limit' && retryAfterMs !== null) {
      this.#pauseUntil(nowMs + retryAfterMs, 'the other side limits the rate');
      this.#rate?.pauseUntil(nowMs + retryAfterMs);
    }
    if (errorClass === 'quota') {
      this.#pauseUntil(nowMs + (retryAfterMs ?? this.#rules.quota.baseMs), 'its quota is used up');
    }
  }

  /** At once, now: the least of what concurrency, throttle and breaker allow; null without a limit. */
  limit(nowMs: number): number | null {
    const limits = [this.policy.concurrency, this.#throttle?.limit, this.#breaker?.allows(nowMs)];
    const least = Math.min(...limits.map((limit) => limit ?? Infinity));
    return Number.isFinite(least) ? least : null;
  }

  /** Why it starts nothing now, in words; null while it may. */
  heldBy(nowMs: number): string | null {
    if (this.#isRetired) return 'no longer declared';
    if (this.#pause && this.#isPaused(nowMs))
      return `${this.#pause.why} until ${clockTime(this.#pause.untilMs)}`;
    const breaker = this.#breaker;
    if (breaker && breaker.allows(nowMs) === 0) {
      const dependency = this.policy.breaker?.dependency ?? '';
      return breaker.nextTryAtMs === null
        ? `the breaker of "${dependency}" tries one call`
        : `the breaker of "${dependency}" is open until ${clockTime(breaker.nextTryAtMs)}`;
    }
    const nextStartAtMs = this.#rate?.nextAtMs(nowMs) ?? null;
    if (nextStartAtMs !== null) return `its rate allows the next start at ${clockTime(nextStartAtMs)}`;
    const { concurrency } = this.policy;
    if (this.#throttle && this.running.size >= this.#throttle.limit)
      return `as many run as its throttle allows: ${this.#throttle.limit}`;
    if (concurrency !== undefined && this.running.size >= concurrency)
      return `as many run as its concurrency allows: ${concurrency}`;
    return null;
  }

  /** When it may start something that it may not start now, without anything ending; null when time changes nothing. */
  opensAtMs(nowMs: number): number | null {
    if (this.#isRetired) return null;
    const dates = [
      this.#pause && this.#isPaused(nowMs) ? this.#pause.untilMs : null,
      this.#rate?.nextAtMs(nowMs) ?? null,
      this.#breaker && this.#breaker.allows(nowMs) === 0 ? this.#breaker.nextTryAtMs : null,
    ].filter((date) => date !== null);
    return dates.length === 0 ? null : Math.max(...dates);
  }

  #limit(before: Partial<Pick<JobKind, 'throttle' | 'rate'>>, nowMs: number): void {
    const { throttle, rate } = this.policy;
    if (!same(throttle, before.throttle)) this.#throttle = throttle ? new AdaptiveThrottle(throttle) : null;
    if (!same(rate, before.rate)) {
      this.#rate = rate
        ? new RateLimit({ starts: rate.starts, perMs: rate.perSeconds * 1_000 }, nowMs)
        : null;
    }
  }

  #isPaused(nowMs: number): boolean {
    return this.#pause !== null && nowMs < this.#pause.untilMs;
  }

  /** A shorter pause does not cut a longer one. */
  #pauseUntil(untilMs: number, why: string): void {
    if (untilMs > (this.#pause?.untilMs ?? 0)) this.#pause = { untilMs, why };
  }
}

/** Plain settings. */
function same(a: object | undefined, b: object | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** "2026-11-22T14:03:05Z": short, and the same for readers in every time zone. */
function clockTime(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
