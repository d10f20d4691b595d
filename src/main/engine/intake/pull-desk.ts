// Jobs for programs of other languages: they take them over HTTP, with a lease, and say how they ended.
//
//            take                     settle: done, failed, returned
//   ready ─────────▶ leased ───────────────────────────────────────▶ settled in the store
//                       └─ the lease runs out: a timeout, tried again by the kind's rule
//
// Takes and settlements that come at the same time go to the store in one exchange, so a hundred programs that take one
// job each cost about as much as one that takes a hundred. Whose turn it is, says the same scheduler as in the engine;
// the desk has a circle of its own for the kinds that are pulled, which after a restart begins where the engine's stands.
import { HeadwayError } from '../../../contract/errors.ts';
import type { ClaimOrder } from '../../../contract/job-kinds.ts';
import type { ErrorClass } from '../../../core/error-class.ts';
import { type RetryRule, retryRules } from '../../../core/retry-rule.ts';
import type { TenantShare } from '../../../core/turn-scheduler.ts';
import type { Clock } from '../clock.ts';
import type { Claim } from '../job.ts';
import type { Store } from '../stores/store.ts';
import { type Lease, Leases } from './leases.ts';
import { attemptOf, expiryOf, type PulledAttempt, type PulledEnd, settlementOf } from './pull-end.ts';
import { type PullKind, PullTurns } from './pull-turns.ts';

/** Of one take, and of one exchange: its answer must fit in memory. */
export const MOST_CLAIMS = 1_000;
/** Jobs in other programs' hands at once. */
const MOST_LEASES = 20_000;
const MOST_ENDS = 5_000;
/** Takers that wait for work look again so often: another machine may have enqueued. */
const TICK_MS = 500;
const MOST_WAITING = 1_000;

export interface PullDeskParts {
  store: Pick<Store, 'ready' | 'exchange' | 'promoteDue' | 'cursor' | 'time'>;
  clock: Clock;
  /** The engine's: its beat keeps the leases alive. */
  owner: string;
  random: () => number;
  /** Every attempt that counts, after the store has taken its end. */
  onAttempt: (attempt: PulledAttempt) => void;
  onProblem: (problem: Error) => void;
}

export interface PullTuning {
  order: ClaimOrder;
  tenants: Readonly<Record<string, TenantShare>>;
}

export interface TakeRequest {
  count: number;
  /** The least of this and the kind's job timeout. */
  leaseMs: number;
  /** How long to wait for the first job when there is none. */
  waitMs: number;
  /** All that are pulled, when left out. */
  kinds?: readonly string[] | undefined;
  /** The taker went away. */
  signal: AbortSignal;
}

export interface Leased {
  claim: Claim;
  leaseMs: number;
}

/** Since the start. */
export interface PullCounts {
  leased: number;
  done: number;
  failed: number;
  returned: number;
  expired: number;
  /** The lease was over, or there never was one. */
  refused: number;
}

interface Taker extends TakeRequest {
  untilMs: number;
  resolve: (leased: Leased[]) => void;
  reject: (error: Error) => void;
}

interface Ending {
  end: PulledEnd;
  lease: Lease;
  answer: PromiseWithResolvers<boolean>;
}

export class PullDesk {
  readonly #parts: PullDeskParts;
  readonly #kinds: ReadonlyMap<string, PullKind>;
  readonly #rules: ReadonlyMap<string, Record<ErrorClass, RetryRule>>;
  readonly #tuning: PullTuning;
  readonly #leases = new Leases();
  readonly #counts: PullCounts = { leased: 0, done: 0, failed: 0, returned: 0, expired: 0, refused: 0 };
  #state: 'idle' | 'open' | 'stopping' | 'closed' = 'idle';
  #turns: PullTurns | null = null;
  /** What the store's clock is ahead of ours. */
  #offsetMs = 0;
  #takers: Taker[] = [];
  #waiting: Taker[] = [];
  #endings: Ending[] = [];
  #working = false;
  #takeBackTick: (() => void) | null = null;
  /** When the next job that failed here may be tried again; the store's time. */
  #nextDueMs = Infinity;
  #onEmpty: (() => void) | null = null;

  constructor(parts: PullDeskParts, kinds: readonly PullKind[], tuning: PullTuning) {
    this.#parts = parts;
    this.#kinds = new Map(kinds.map((kind) => [kind.kind, kind]));
    this.#rules = new Map(kinds.map(({ kind, retry }) => [kind, retryRules(retry.classes)]));
    this.#tuning = tuning;
  }

  /** Does nothing when it was started or stopped before. */
  async start(): Promise<void> {
    if (this.#state !== 'idle') return;
    const { store, clock } = this.#parts;
    this.#offsetMs = (await store.time()) - clock.now();
    this.#turns = new PullTurns([...this.#kinds.values()], this.#tuning, await store.cursor());
    this.#state = 'open';
  }

  /**
   * Takes no more; waits for what is leased within the deadline, then gives it back: what its takers say after that is
   * refused. Idempotent; safe before start.
   */
  async stop(deadlineMs: number): Promise<void> {
    const wasOpen = this.#state === 'open';
    if (this.#state !== 'stopping') this.#state = wasOpen ? 'stopping' : 'closed';
    if (!wasOpen) return;
    for (const taker of [...this.#takers.splice(0), ...this.#waiting.splice(0)]) taker.resolve([]);
    if (deadlineMs > 0) await this.#empty(deadlineMs);
    // What the store does not take back now, the next engine reclaims.
    await Promise.allSettled(this.#leases.removeAll().map((lease) => this.#end(lease, returned(lease))));
    this.#state = 'closed';
    this.#takeBackTick?.();
    this.#takeBackTick = null;
  }

  get counts(): PullCounts {
    return { ...this.#counts, leased: this.#leases.size };
  }

  /** Up to `count` jobs, in fair order; none when there is no work, or the desk is stopping. */
  take(request: TakeRequest): Promise<Leased[]> {
    if (this.#state !== 'open') return Promise.reject(closed());
    const unknown = request.kinds?.find((kind) => !this.#kinds.has(kind));
    if (unknown !== undefined)
      return Promise.reject(
        new HeadwayError('bad-request', `kinds: no kind "${unknown}" is declared with the handler "pull"`, {
          details: { field: 'kinds' },
        }),
      );
    return new Promise((resolve, reject) => {
      this.#takers.push({
        ...request,
        count: Math.min(request.count, MOST_CLAIMS),
        untilMs: this.#parts.clock.now() + request.waitMs,
        resolve,
        reject,
      });
      this.#work();
    });
  }

  /** For each whether it counted; false: the lease was over, and somebody else has the job now or will. */
  async settle(ends: readonly PulledEnd[]): Promise<boolean[]> {
    if (this.#state === 'idle' || this.#state === 'closed') throw closed();
    const answers = ends.map((end) => {
      const lease = this.#leases.remove(end.id, end.fence);
      if (lease) return this.#end(lease, end);
      this.#counts.refused += 1;
      return Promise.resolve(false);
    });
    return await Promise.all(answers);
  }

  /** There may be work for those that wait: jobs were enqueued or released. */
  wake(): void {
    if (this.#waiting.length === 0) return;
    this.#takers.push(...this.#waiting.splice(0));
    this.#work();
  }

  #end(lease: Lease, end: PulledEnd): Promise<boolean> {
    const answer = Promise.withResolvers<boolean>();
    this.#endings.push({ end, lease, answer });
    this.#work();
    return answer.promise;
  }

  #work(): void {
    if (this.#working) return;
    this.#working = true;
    void this.#rounds();
  }

  /** One exchange at a time; what comes meanwhile goes with the next. Never rejects. */
  async #rounds(): Promise<void> {
    while (this.#takers.length > 0 || this.#endings.length > 0) {
      // What arrived together is seen together.
      await this.#parts.clock.breathe();
      const endings = this.#endings.splice(0, MOST_ENDS);
      const takers = this.#nextTakers();
      try {
        await this.#round(endings, takers);
      } catch (error) {
        const problem = new Error('the job store failed while jobs were pulled', { cause: error });
        this.#parts.onProblem(problem);
        for (const { lease, answer } of endings) {
          // Whether it counted is not known: while the lease holds it may be said again.
          this.#leases.restore(lease);
          answer.reject(unreachable(error));
        }
        for (const { reject } of takers) reject(unreachable(error));
      }
    }
    this.#working = false;
    if (this.#leases.size === 0) this.#onEmpty?.();
    this.#setTick();
  }

  /** Those that want the same kinds as the first, up to what one exchange may claim. */
  #nextTakers(): Taker[] {
    const wanted = (taker: Taker): string => taker.kinds?.toSorted().join(' ') ?? '';
    const first = this.#takers[0];
    const chosen: Taker[] = [];
    const others: Taker[] = [];
    let count = 0;
    for (const taker of this.#takers) {
      if (taker.signal.aborted) taker.resolve([]);
      else if (first && wanted(taker) === wanted(first) && count + taker.count <= MOST_CLAIMS) {
        chosen.push(taker);
        count += taker.count;
      } else others.push(taker);
    }
    this.#takers = others;
    return chosen;
  }

  async #round(endings: readonly Ending[], takers: readonly Taker[]): Promise<void> {
    const { store, clock, owner, random } = this.#parts;
    const turns = this.#turns;
    if (!turns) throw new Error('the desk is not open');
    const localMs = clock.now();
    const nowMs = localMs + this.#offsetMs;
    const attempts = endings.map(({ end, lease }) =>
      attemptOf(end, lease, Math.max(0, localMs - lease.sinceMs)),
    );
    const settlements = endings.map(({ end, lease }, i) => {
      const rules = this.#rules.get(lease.claim.kind) ?? retryRules({});
      return settlementOf(end, attempts[i] ?? null, lease, { owner, rules, nowMs, random });
    });
    const eligible = turns.eligible(takers[0]?.kinds, (kind) => this.#leases.of(kind));
    const wanted = takers.reduce((sum, { count }) => sum + count, 0);
    const slots = Math.min(wanted, MOST_LEASES - this.#leases.size);
    const take = await turns.plan(store, slots, eligible);
    const asked = { owner, settlements, take, eligible, cursor: null, nowMs };
    const { taken, claims } =
      take === null && settlements.length === 0 ? { taken: [], claims: [] } : await store.exchange(asked);
    for (const settlement of settlements)
      if (settlement.how === 'retry') this.#nextDueMs = Math.min(this.#nextDueMs, settlement.atMs);
    for (const [i, ending] of endings.entries())
      this.#ended(ending, attempts[i] ?? null, taken[i] ?? false, localMs);
    turns.claimed(take, claims);
    this.#deal(claims, takers);
  }

  #ended(
    { end, lease, answer }: Ending,
    attempt: PulledAttempt | null,
    counts: boolean,
    localMs: number,
  ): void {
    const { claim, sinceMs, untilMs } = lease;
    this.#turns?.ended(claim.tenantId, attempt === null ? null : Math.max(0, localMs - sinceMs));
    if (!counts) this.#counts.refused += 1;
    else if (end.how === 'failed' && untilMs <= localMs && end.class === 'timeout') this.#counts.expired += 1;
    else this.#counts[end.how] += 1;
    if (counts && attempt) this.#parts.onAttempt(attempt);
    answer.resolve(counts);
  }

  /** Hands the claims over in the order in which the takers came. */
  #deal(claims: readonly Claim[], takers: readonly Taker[]): void {
    const nowMs = this.#parts.clock.now();
    let from = 0;
    for (const taker of takers) {
      const dealt = claims.slice(from, from + taker.count);
      from += dealt.length;
      const leased = dealt.map((claim): Leased => {
        const longestMs = (this.#kinds.get(claim.kind)?.timeouts.jobSeconds ?? Infinity) * 1000;
        const leaseMs = Math.min(taker.leaseMs, longestMs);
        this.#leases.add(claim, nowMs, leaseMs);
        return { claim, leaseMs };
      });
      if (taker.signal.aborted) this.giveBack(leased);
      else if (leased.length === 0 && this.#mayWait(taker, nowMs)) {
        this.#waiting.push(taker);
        continue;
      }
      taker.resolve(leased);
    }
  }

  /** The taker went away before it had them. */
  giveBack(leased: readonly Leased[]): void {
    for (const { claim } of leased) {
      const lease = this.#leases.remove(claim.id, claim.fence);
      // A failure of the store was told; the lease runs out by itself then.
      if (lease) void this.#end(lease, returned(lease)).catch(() => undefined);
    }
  }

  #mayWait({ untilMs, signal }: Taker, nowMs: number): boolean {
    const open = this.#state === 'open' && !signal.aborted;
    return open && nowMs < untilMs && this.#waiting.length < MOST_WAITING;
  }

  /** A tick while somebody waits, something is leased or a retry is due; an idle desk does nothing. */
  #setTick(): void {
    this.#takeBackTick?.();
    this.#takeBackTick = null;
    const idle = this.#waiting.length === 0 && this.#leases.size === 0 && this.#nextDueMs === Infinity;
    if (idle || this.#state === 'closed') return;
    this.#takeBackTick = this.#parts.clock.after(TICK_MS, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    const { store, clock, onProblem } = this.#parts;
    const nowMs = clock.now();
    for (const lease of this.#leases.removeExpired(nowMs))
      // A failure of the store was told; the lease is back then and runs out again.
      void this.#end(lease, expiryOf(lease)).catch(() => undefined);
    if (nowMs + this.#offsetMs >= this.#nextDueMs) {
      try {
        this.#offsetMs = (await store.time()) - clock.now();
        this.#nextDueMs = (await store.promoteDue(clock.now() + this.#offsetMs)) ?? Infinity;
      } catch (error) {
        onProblem(new Error('the job store failed while looking for due jobs', { cause: error }));
      }
    }
    this.wake();
    if (!this.#working) this.#setTick();
  }

  /** Resolves when nothing is leased or on its way to the store, or after `deadlineMs`. */
  #empty(deadlineMs: number): Promise<void> {
    if (this.#leases.size === 0 && !this.#working) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#onEmpty = null;
        takeBack();
        resolve();
      };
      const takeBack = this.#parts.clock.after(deadlineMs, done);
      this.#onEmpty = done;
    });
  }
}

const returned = ({ claim }: Lease): PulledEnd => ({ id: claim.id, fence: claim.fence, how: 'returned' });

const closed = (): HeadwayError =>
  new HeadwayError('unreachable', 'The engine is stopping; ask again when it runs.', { retryable: true });

const unreachable = (cause: unknown): HeadwayError =>
  new HeadwayError('unreachable', 'The job store does not answer; ask again.', { retryable: true, cause });
