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
import type { Attempt } from '../workers/attempt.ts';
import { type Lease, Leases } from './leases.ts';
import { attemptOf, expiryOf, type PulledEnd, settlementOf } from './pull-end.ts';
import { type Leased, MOST_CLAIMS, type TakeRequest, type Taker, Takers } from './pull-takers.ts';
import { type PullKind, PullTurns } from './pull-turns.ts';

/** Jobs in other programs' hands at once. */
const MOST_LEASES = 20_000;
const MOST_ENDS = 5_000;
/** Takers that wait for work look again so often: another machine may have enqueued. */
const TICK_MS = 500;

export interface PullDeskParts {
  store: Pick<Store, 'ready' | 'exchange' | 'promoteDue' | 'cursor' | 'time'>;
  clock: Clock;
  /** The engine's: its beat keeps the leases alive. */
  owner: string;
  random: () => number;
  /** Every attempt that counts, after the store has taken its end. */
  onAttempt: (attempt: Attempt) => void;
  onProblem: (problem: Error) => void;
}

export interface PullTuning {
  order: ClaimOrder;
  tenants: Readonly<Record<string, TenantShare>>;
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

interface Ending {
  end: PulledEnd;
  lease: Lease;
  /** What it counts as. */
  as: 'done' | 'failed' | 'returned' | 'expired';
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
  readonly #takers = new Takers();
  #endings: Ending[] = [];
  /** The rounds that are under way. */
  #working: Promise<void> | null = null;
  #isFailing = false;
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
    this.#takers.dismiss();
    if (deadlineMs > 0) await this.#empty(deadlineMs);
    // What the store does not take back now, the next engine reclaims.
    await Promise.allSettled(this.#leases.removeAll().map((lease) => this.#end(lease, returned(lease))));
    await this.#working;
    this.#state = 'closed';
    this.#takeBackTick?.();
    this.#takeBackTick = null;
  }

  /** Jobs of the kind that are leased now; null for a kind that is not pulled. */
  leasedOf(kind: string): number | null {
    return this.#kinds.has(kind) ? this.#leases.of(kind) : null;
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
      this.#takers.ask({
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
    if (this.#takers.wake()) this.#work();
  }

  #end(lease: Lease, end: PulledEnd, as: Ending['as'] = end.how): Promise<boolean> {
    const answer = Promise.withResolvers<boolean>();
    this.#endings.push({ end, lease, as, answer });
    this.#work();
    return answer.promise;
  }

  /** There is something to do: called with nothing, it would end before it is kept. */
  #work(): void {
    this.#working ??= this.#rounds();
  }

  /** One exchange at a time; what comes meanwhile goes with the next. Never rejects. */
  async #rounds(): Promise<void> {
    while (this.#takers.asking > 0 || this.#endings.length > 0) {
      // What arrived together is seen together.
      await this.#parts.clock.breathe();
      const endings = this.#endings.splice(0, MOST_ENDS);
      const takers = this.#takers.next();
      try {
        await this.#round(endings, takers);
        this.#isFailing = false;
      } catch (error) {
        this.#tell('while jobs were pulled', error);
        for (const { lease, answer } of endings) {
          // Whether it counted is not known: while the lease holds it may be said again.
          this.#leases.restore(lease);
          answer.reject(unreachable(error));
        }
        for (const { reject } of takers) reject(unreachable(error));
      }
    }
    // In the same breath as the last look, so that nothing comes between.
    this.#working = null;
    if (this.#leases.size === 0) this.#onEmpty?.();
    this.#setTick();
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
    for (const [i, ending] of endings.entries()) this.#ended(ending, attempts[i] ?? null, taken[i] ?? false);
    turns.claimed(take, claims);
    this.#deal(claims, takers);
  }

  #ended({ lease, as, answer }: Ending, attempt: Attempt | null, counts: boolean): void {
    this.#turns?.ended(lease.claim.tenantId, attempt?.runMs ?? null);
    this.#counts[counts ? as : 'refused'] += 1;
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
      const isThere = this.#state === 'open' && !taker.signal.aborted;
      if (!isThere) this.giveBack(leased);
      const waits = isThere && leased.length === 0 && this.#takers.wait(taker, nowMs);
      if (!waits) taker.resolve(isThere ? leased : []);
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

  /** A tick while somebody waits, something is leased or a retry is due; an idle desk does nothing. */
  #setTick(): void {
    this.#takeBackTick?.();
    this.#takeBackTick = null;
    const idle = this.#takers.waiting === 0 && this.#leases.size === 0 && this.#nextDueMs === Infinity;
    if (idle || this.#state === 'closed') return;
    this.#takeBackTick = this.#parts.clock.after(TICK_MS, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    const { store, clock } = this.#parts;
    const nowMs = clock.now();
    for (const lease of this.#leases.removeExpired(nowMs))
      // A failure of the store was told; the lease is back then and runs out again.
      void this.#end(lease, expiryOf(lease), 'expired').catch(() => undefined);
    if (nowMs + this.#offsetMs >= this.#nextDueMs) {
      try {
        this.#offsetMs = (await store.time()) - clock.now();
        this.#nextDueMs = (await store.promoteDue(clock.now() + this.#offsetMs)) ?? Infinity;
      } catch (error) {
        this.#tell('while looking for due jobs', error);
      }
    }
    this.wake();
    if (!this.#working) this.#setTick();
  }

  /** One outage is told once. */
  #tell(when: string, error: unknown): void {
    if (!this.#isFailing) this.#parts.onProblem(new Error(`the job store failed ${when}`, { cause: error }));
    this.#isFailing = true;
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
