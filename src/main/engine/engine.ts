// The local worker engine: jobs in a store, claimed in fair order, run by workers, told line by line. One Engine is one
// owner of jobs. Rooms within the room: stores/ keeps jobs, workers/ runs them.
//
//   enqueuer ──▶ store ◀──▶ exchange-loop ──▶ claim-buffer ──▶ worker-pool ──▶ handlers
//                 ▲  ▲                          kind-gates: what may start now
//   due-jobs ─────┘  └─ membership              alarm: whose time is up
//
// The parts know nothing of each other but what they are given here.
import packageJson from '../../../package.json' with { type: 'json' };
import type { EngineReport, RecentAttempt } from '../../contract/engine-report.ts';
import { HeadwayError } from '../../contract/errors.ts';
import { Alarm } from './alarm.ts';
import { ClaimNames } from './claim-names.ts';
import { DueJobs } from './due-jobs.ts';
import type { EngineKind, EngineParts, EngineTuning } from './engine-parts.ts';
import { type EngineSnapshot, withBuffered } from './engine-snapshot.ts';
import { Enqueuer } from './enqueuer.ts';
import { ExchangeLoop } from './exchange-loop.ts';
import type { Claim, Enqueued, NewJob } from './job.ts';
import { Membership } from './membership.ts';
import { MemoryGuard } from './memory-guard.ts';
import { RecentAttempts } from './recent.ts';
import { LoopDelay } from './report-loop-delay.ts';
import { ReportMeter } from './report-meter.ts';
import { reportOf } from './report.ts';
import { StoreClock } from './store-clock.ts';
import { StoreHealth } from './store-health.ts';
import { StoreRetry } from './store-retry.ts';
import type { Hold, HoldScope } from './stores/store.ts';
import type { Attempt } from './workers/attempt.ts';
import { StoppedError } from './workers/attempt-run.ts';
import { ClaimBuffer } from './workers/claim-buffer.ts';
import { KindGates } from './workers/kind-gates.ts';
import { WorkerPool } from './workers/worker-pool.ts';

export type { EngineSnapshot } from './engine-snapshot.ts';

/*
 *   idle ──start──▶ open ──stop──▶ closed
 *     └────────stop─────────────────▲
 */
type State = 'idle' | 'open' | 'closed';

export class Engine {
  readonly #parts: EngineParts;
  readonly #clock: StoreClock;
  readonly #alarm: Alarm;
  readonly #gates: KindGates;
  readonly #buffer = new ClaimBuffer();
  readonly #pool: WorkerPool;
  readonly #guard: MemoryGuard;
  readonly #loop: ExchangeLoop;
  readonly #due: DueJobs;
  readonly #membership: Membership;
  readonly #joining: StoreRetry;
  readonly #enqueuer: Enqueuer;
  readonly #meter = new ReportMeter();
  readonly #recent = new RecentAttempts();
  readonly #loopDelay = new LoopDelay();
  #tuning: EngineTuning;
  #state: State = 'idle';
  #startedAtMs: number;
  #stopped: Promise<void> | null = null;
  /** Cuts short what runs while the engine stops. */
  readonly #cut = new AbortController();

  /** The store stays the caller's: stop the engine, then dispose of it. */
  constructor(parts: EngineParts, kinds: readonly EngineKind[], tuning: EngineTuning) {
    this.#parts = parts;
    this.#tuning = tuning;
    const { store, owner, random, onProblem } = parts;
    const health = new StoreHealth(onProblem);
    const clock = (this.#clock = new StoreClock(parts.clock));
    const wake = (): void => this.wake();
    this.#startedAtMs = clock.now();
    const alarm = (this.#alarm = new Alarm(clock, () => this.#ring()));
    const gates = (this.#gates = new KindGates(kinds, clock.now()));
    const buffer = this.#buffer;
    const pool = (this.#pool = new WorkerPool(
      { owner, clock, random, alarm, gates, buffer, onEnd: (end) => this.#loop.ended(end) },
      tuning.workers,
    ));
    const memory = (this.#guard = new MemoryGuard({
      memory: parts.memory,
      recycle: () => this.#recycle(),
      onProblem,
    }));
    const names = new ClaimNames(owner);
    const beat = (): Promise<void> => this.#membership.beat();
    const leave = (name: string): Promise<void> => this.#membership.leaveAs(name);
    const onDelayed = (atMs: number): void => this.#due.note(atMs);
    const onAttempt = (attempt: Attempt): void => this.#count(attempt);
    const onClaims = (): void => this.#due.stir();
    this.#loop = new ExchangeLoop(
      {
        store,
        names,
        beat,
        leave,
        clock,
        random,
        alarm,
        gates,
        buffer,
        memory,
        pool,
        onAttempt,
        onDelayed,
        onClaims,
        onProblem,
        health,
      },
      tuning,
    );
    this.#due = new DueJobs({ store, clock, random, health, onDue: wake });
    this.#membership = new Membership({
      store,
      clock,
      names,
      report: () => JSON.stringify(this.report()),
      onReclaimed: wake,
      onPresumedDead: (silentMs) => this.#loseClaims(silentMs),
      onProblem,
      health,
    });
    this.#joining = new StoreRetry({
      clock,
      random,
      health,
      doing: 'taking up its work',
      // Somebody else may have taken its name meanwhile.
      again: () => void this.#join().catch((error: unknown) => onProblem(error as Error)),
    });
    this.#enqueuer = new Enqueuer({ store: (jobs) => this.#store(jobs) }, kinds);
  }

  /**
   * Takes over what dead owners left, then works. Does nothing when it was started or stopped before. A store that fails
   * is told to onProblem and asked again. Rejects with `conflict` where an engine of this name lives.
   */
  async start(): Promise<void> {
    if (this.#state !== 'idle') return;
    this.#state = 'open';
    this.#startedAtMs = this.#clock.now();
    this.#loopDelay.begin();
    await this.#join();
  }

  /**
   * Claims nothing more, gives back at once what has not started, lets what runs finish within the deadline and gives the
   * rest back. Idempotent; safe before start; a later call without time (0) cuts the deadline of an earlier one short.
   */
  stop(deadlineMs: number): Promise<void> {
    if (deadlineMs <= 0) this.#cut.abort();
    return (this.#stopped ??= this.#close(deadlineMs));
  }

  configure(tuning: EngineTuning): void {
    this.#tuning = tuning;
    this.#pool.configure(tuning.workers);
    this.#loop.configure(tuning);
  }

  /** What runs of a kind that is gone finishes; what waits of it is given back. */
  setKinds(kinds: readonly EngineKind[]): void {
    this.#gates.configure(kinds, this.#clock.now());
    this.#enqueuer.configure(kinds);
    this.#meter.keepOnly(new Set(kinds.map(({ policy }) => policy.kind)));
    this.#pool.giveBack(({ kind }) => this.#gates.get(kind)?.isRetired ?? true);
    this.#loop.wake();
  }

  /**
   * All or none; may be called before start. Rejects with `not-found` (unknown kind) or `bad-request` that names the row,
   * with `conflict` where a drain refuses it, and as the store does.
   */
  enqueue(jobs: NewJob[]): Promise<Enqueued[]> {
    return this.#enqueuer.all(jobs);
  }

  /** Each row answered on its own: the good ones are enqueued. */
  enqueueEach(jobs: NewJob[]): Promise<(Enqueued | HeadwayError)[]> {
    return this.#enqueuer.each(jobs);
  }

  /** From the moment it resolves nothing more of a paused scope is started here. */
  async hold(hold: Hold): Promise<void> {
    await this.#parts.store.hold(hold);
    // An exchange that was under way may still bring claims of the scope.
    await this.#loop.settled();
    if (hold.mode === 'pause') this.#pool.giveBack((claim) => isHeld(claim, hold));
  }

  /** False when there was none. */
  async unhold(scope: HoldScope): Promise<boolean> {
    const was = await this.#parts.store.unhold(scope);
    this.wake();
    return was;
  }

  /** `frontLimit`: how many ids of ready jobs to show. The cost does not grow with the backlog. */
  async snapshot(frontLimit: number): Promise<EngineSnapshot> {
    const atMs = this.#clock.now();
    const depths = await this.#parts.store.depths(frontLimit);
    const { workers, order } = this.#tuning;
    return { ...withBuffered(depths, this.#buffer.all()), workers, order, busy: this.#pool.busy, atMs };
  }

  report(): EngineReport {
    const { owner, memory, store } = this.#parts;
    return reportOf(
      {
        owner,
        version: packageJson.version,
        memory,
        store,
        pool: this.#pool,
        buffer: this.#buffer,
        gates: this.#gates,
        guard: this.#guard,
        meter: this.#meter,
        loopDelay: this.#loopDelay,
      },
      {
        state: this.#state === 'closed' ? 'stopping' : 'working',
        tuning: this.#tuning,
        startedAtMs: this.#startedAtMs,
        nowMs: this.#clock.now(),
      },
    );
  }

  /** Attempts that ended lately, newest first. */
  recent(limit: number): RecentAttempt[] {
    return this.#recent.newest(limit);
  }

  /** Those of one job. */
  recentOf(jobId: number): RecentAttempt[] {
    return this.#recent.of(jobId);
  }

  /** There may be work that was not there before: somebody changed the store. Cheap. */
  wake(): void {
    this.#loop.wake();
  }

  async #join(): Promise<void> {
    try {
      await this.#membership.join();
      this.#joining.succeeded();
      await this.#due.open();
      if (this.#isOpen()) this.#loop.open();
    } catch (error) {
      if (error instanceof HeadwayError && error.code === 'conflict') throw error;
      if (this.#isOpen()) this.#joining.failed(error);
    }
  }

  async #close(deadlineMs: number): Promise<void> {
    const wasIdle = this.#state === 'idle';
    this.#state = 'closed';
    this.#joining.clear();
    this.#loop.close();
    this.#pool.close();
    const takeBack = this.#clock.after(deadlineMs, () => this.#cut.abort());
    await this.#due.close();
    await this.#pool.empty(this.#cut.signal);
    takeBack();
    await this.#loop.finish();
    this.#alarm.clear();
    this.#loopDelay[Symbol.dispose]();
    if (!wasIdle) await this.#membership.leave();
  }

  async #store(jobs: readonly NewJob[]): Promise<Enqueued[]> {
    const nowMs = this.#clock.now();
    const enqueued = await this.#parts.store.enqueue(jobs, nowMs);
    for (const { readyAtMs = 0 } of jobs) if (readyAtMs > nowMs) this.#due.note(readyAtMs);
    this.wake();
    return enqueued;
  }

  #ring(): void {
    this.#pool.cutOverdue();
    this.#loop.goOn();
  }

  #count(attempt: Attempt): void {
    this.#meter.add(attempt, this.#clock.now());
    this.#recent.add(attempt);
    this.#parts.onAttempt(attempt);
  }

  #recycle(): void {
    for (const { handler } of this.#gates.all()) handler.recycle?.();
  }

  /** Others run these jobs by now: what runs here is cut short, and what waits is given back. */
  #loseClaims(silentMs: number): void {
    const minutes = Math.round(silentMs / 60_000);
    const { busy } = this.#pool;
    const what = `this engine was not heard for ${minutes} minutes, so others may have taken its jobs`;
    this.#parts.onProblem(new Error(`${what}; ${busy} were cut short`));
    this.#pool.giveBack(() => true);
    this.#pool.cutAll(new StoppedError(what));
  }

  /** A call, so that the compiler does not take the state for what it was before the last await. */
  #isOpen(): boolean {
    return this.#state === 'open';
  }
}

function isHeld(claim: Claim, { tenantId, kind }: HoldScope): boolean {
  return (tenantId === null || tenantId === claim.tenantId) && (kind === null || kind === claim.kind);
}
