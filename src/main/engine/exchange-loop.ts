// The engine's one conversation with its store: ends of claims go out, new claims come in, in one commit.
//
//   asleep ─wake─▶ is there room? ─▶ ready: who has work ─▶ whose turn is it ─▶ exchange ─▶ workers
//      ▲                 │ no room, or nobody has work                             │
//      └─────────────────┴── nothing ended either ◀────────────────────────────────┘
//
// Exchanges never overlap, and nothing polls: whoever makes work (enqueue, a due job, an ended job) wakes the loop. The
// next claims are fetched while half of the last ones still wait for workers, so workers do not wait for the store.
import type { Alarm } from './alarm.ts';
import type { ClaimNames } from './claim-names.ts';
import type { EngineTuning } from './engine-parts.ts';
import type { MemoryGuard } from './memory-guard.ts';
import type { StoreClock } from './store-clock.ts';
import type { StoreHealth } from './store-health.ts';
import { StoreRetry } from './store-retry.ts';
import type { Exchange, Store } from './stores/store.ts';
import { Turns } from './turns.ts';
import type { Attempt } from './workers/attempt.ts';
import type { Ended } from './workers/attempt-end.ts';
import type { ClaimBuffer } from './workers/claim-buffer.ts';
import type { KindGates } from './workers/kind-gates.ts';
import type { WorkerPool } from './workers/worker-pool.ts';

/** Others claimed what was shown as ready: asked again after this long, doubled each time up to the longest. */
const CONTENDED_MS = { first: 2, longest: 500 };
/** When the engine stops and the store fails: so many more tries, so long apart. */
const LAST_TRIES = 3;
const LAST_TRY_AFTER_MS = 250;

export interface ExchangeLoopParts {
  store: Store;
  names: ClaimNames;
  /** Says under all its names that this engine lives. */
  beat: () => Promise<void>;
  /** Gives a former name up. */
  leave: (name: string) => Promise<void>;
  clock: StoreClock;
  random: () => number;
  alarm: Alarm;
  gates: KindGates;
  buffer: ClaimBuffer;
  memory: MemoryGuard;
  /** It tells its ends to this loop. */
  pool: WorkerPool;
  /** The store has taken the end of an attempt. */
  onAttempt: (attempt: Attempt) => void;
  /** A job was put off until then. */
  onDelayed: (atMs: number) => void;
  /** There is work. */
  onClaims: () => void;
  /** Jobs were taken from this engine. */
  onProblem: (problem: Error) => void;
  health: StoreHealth;
}

export class ExchangeLoop {
  readonly #parts: ExchangeLoopParts;
  readonly #retry: StoreRetry;
  readonly #turns: Turns;
  /** Ends that the store has not taken yet. */
  #ended: Ended[] = [];
  #isOpen = false;
  /** What is under way; `#again`: somebody woke the loop meanwhile. */
  #running: Promise<void> | null = null;
  #again = false;
  #exchanging: Promise<boolean> | null = null;
  /** `lost`: an exchange that asked for claims failed, and they may have been made. `unheard`: the new name must be told. */
  #name: 'sound' | 'lost' | 'unheard' = 'sound';
  /** False from a look that found nothing until something may have changed. */
  #mayHaveWork = true;
  #contended = 0;

  constructor(parts: ExchangeLoopParts, tuning: EngineTuning) {
    this.#parts = parts;
    this.#turns = new Turns(parts.store, tuning);
    const { clock, random, health } = parts;
    this.#retry = new StoreRetry({
      clock,
      random,
      health,
      doing: 'handing over jobs',
      again: () => this.goOn(),
    });
  }

  open(): void {
    this.#isOpen = true;
    this.wake();
  }

  configure(tuning: EngineTuning): void {
    this.#turns.configure(tuning);
    this.wake();
  }

  /** There may be work that was not there before. Cheap, and safe at any time. */
  wake(): void {
    this.#mayHaveWork = true;
    this.goOn();
  }

  /** A claim came to its end: it is settled with the next exchange. */
  ended(end: Ended): void {
    const { claim } = end.settlement;
    this.#ended.push(end);
    this.#turns.ended(claim.tenantId, end.attempt?.runMs ?? null);
    this.goOn();
  }

  /** Resolves when the exchange under way now is done. */
  async settled(): Promise<void> {
    // Its failure is told elsewhere.
    await this.#exchanging?.catch(() => undefined);
  }

  /** Claims nothing more. What ended is still settled. */
  close(): void {
    this.#isOpen = false;
    this.goOn();
  }

  /** Settles what is left; false when the store would not have it. Nothing runs any more. */
  async finish(): Promise<boolean> {
    const { clock } = this.#parts;
    for (let tries = 0; tries < LAST_TRIES; tries++) {
      await this.#running;
      this.#retry.clear();
      if (this.#ended.length === 0) return true;
      if (tries > 0) await new Promise<void>((resolve) => clock.after(LAST_TRY_AFTER_MS, resolve));
      this.goOn();
    }
    await this.#running;
    this.#retry.clear();
    return this.#ended.length === 0;
  }

  /** Something may be possible that was not: an end to settle, a kind that may start again, more memory. */
  goOn(): void {
    this.#again = true;
    if (this.#retry.waits) return;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    try {
      while (this.#again) {
        this.#again = false;
        // Jobs that end at once would otherwise keep everything else in the thread waiting for the last of them;
        // and what ends meanwhile is settled in one commit.
        await clock.breathe();
        this.#exchanging = this.#exchange();
        if (await this.#exchanging) this.#again = true;
        this.#retry.succeeded();
      }
      this.#rest();
    } catch (error) {
      this.#mayHaveWork = true;
      this.#retry.failed(error);
    } finally {
      // Here, not in a `then`: a wake between the last look at #again and that would be lost.
      this.#running = null;
    }
  }

  /** One exchange, if there is anything to exchange. True when the next one should follow at once. */
  async #exchange(): Promise<boolean> {
    const { store, names, clock, gates, buffer, pool, onClaims } = this.#parts;
    if (this.#name !== 'sound') await this.#renew();
    const askedMs = clock.now();
    const take = await this.#take();
    await this.#settleFormer();
    // A copy: jobs go on ending while the store writes.
    const ends = this.#ended.filter(({ settlement }) => names.of(settlement.claim) === names.current);
    if (take === null && ends.length === 0) return false;
    const beganMs = clock.now();
    // A store of its own has rolled back what failed.
    if (take !== null && !store.exclusive) this.#name = 'lost';
    const { taken, claims } = await store.exchange({
      owner: names.current,
      settlements: ends.map(({ settlement }) => settlement),
      take,
      eligible: gates.eligible(beganMs),
      cursor: this.#turns.cursorOf(take),
      nowMs: beganMs,
    });
    this.#name = 'sound';
    this.#settled(ends, taken);
    if (take === null) return this.#isOpen;
    buffer.exchanged(clock.now() - askedMs);
    this.#turns.claimed(take, claims);
    pool.offer(claims);
    if (claims.length === 0) {
      if (take.order === 'turns') this.#contend();
      return ends.length > 0;
    }
    onClaims();
    this.#mayHaveWork = true;
    this.#contended = 0;
    return true;
  }

  /** Ends of what was claimed under a former name, each under its own. */
  async #settleFormer(): Promise<void> {
    const { store, names, clock, leave } = this.#parts;
    if (names.all.length === 1) return;
    const byName = Map.groupBy(this.#ended, ({ settlement }) => names.of(settlement.claim));
    byName.delete(names.current);
    for (const [owner, ends] of byName) {
      const settlements = ends.map(({ settlement }) => settlement);
      const { taken } = await store.exchange({
        owner,
        settlements,
        take: null,
        eligible: [],
        cursor: null,
        nowMs: clock.now(),
      });
      this.#settled(ends, taken);
    }
    for (const name of names.done) await leave(name);
  }

  async #renew(): Promise<void> {
    const { names, pool, beat } = this.#parts;
    if (this.#name === 'lost') {
      const ended = this.#ended.map(({ settlement }) => settlement.claim);
      names.renew([...pool.claims(), ...ended]);
      this.#name = 'unheard';
    }
    // Who was never heard is thought dead.
    await beat();
    this.#name = 'sound';
  }

  /** Whose jobs to claim now; null when there is no room or nobody has work. */
  async #take(): Promise<Exchange['take']> {
    const { clock, gates, alarm } = this.#parts;
    if (!this.#isOpen) return null;
    const slots = this.#room();
    if (slots <= 0 || !this.#mayHaveWork) return null;
    const nowMs = clock.now();
    const eligible = gates.eligible(nowMs);
    // A kind that is held back now is looked for again when its time comes or one of its jobs ends.
    alarm.by(gates.openAtMs(nowMs));
    if (eligible.length === 0) return null;
    // Before the question: a wake meanwhile must not be lost. What is held back now was not asked for.
    this.#mayHaveWork = eligible.length < gates.size;
    const { take, mayHaveMore } = await this.#turns.take(slots, eligible);
    if (mayHaveMore) this.#mayHaveWork = true;
    return take;
  }

  /** Claims to ask for: for free workers, and for the buffer once half of it has been worked off. */
  #room(): number {
    const { memory, buffer, pool, clock, alarm } = this.#parts;
    const { wanted, busy } = pool;
    const allowed = memory.allows(wanted, clock.now());
    alarm.by(memory.lookAtMs);
    if (allowed === 0) pool.giveBack(() => true);
    const ahead = allowed < wanted ? 0 : buffer.wanted(wanted);
    if (2 * buffer.size > ahead) return 0;
    return Math.max(0, allowed - busy) + ahead - buffer.size;
  }

  /** Nothing runs, nothing waits, nothing is held back: then nothing has a date either. */
  #rest(): void {
    const { alarm, pool, buffer } = this.#parts;
    if (pool.busy === 0 && buffer.size === 0 && !this.#mayHaveWork) alarm.clear();
  }

  /** Another engine was faster; it has work now, and this one looks again in a moment. */
  #contend(): void {
    const { clock, alarm, random } = this.#parts;
    const longestMs = Math.min(CONTENDED_MS.longest, CONTENDED_MS.first * 2 ** this.#contended);
    this.#contended = Math.min(this.#contended + 1, 10);
    alarm.by(clock.now() + longestMs * (0.5 + random() / 2));
  }

  #settled(ends: readonly Ended[], taken: readonly boolean[]): void {
    if (ends.length === 0) return;
    const { names, onAttempt, onDelayed, onProblem } = this.#parts;
    // Only now: when the store failed, the same ends are settled again.
    const gone = new Set(ends);
    this.#ended = this.#ended.filter((end) => !gone.has(end));
    const refused: number[] = [];
    for (const [i, { settlement, attempt }] of ends.entries()) {
      names.settled(settlement.claim);
      if (taken[i] !== true) {
        refused.push(settlement.claim.id);
        continue;
      }
      if (settlement.how === 'retry') onDelayed(settlement.atMs);
      if (attempt) onAttempt(attempt);
    }
    // What was done may have set others free; what was given back may be claimed again.
    this.#mayHaveWork = true;
    if (refused.length > 0) onProblem(new Error(refusal(refused)));
  }
}

const SHOWN = 10;

function refusal(ids: readonly number[]): string {
  const shown = ids.slice(0, SHOWN).join(', ') + (ids.length > SHOWN ? ', …' : '');
  return ids.length === 1
    ? `job ${shown} was taken from this engine; its late end was refused`
    : `${ids.length} jobs were taken from this engine (${shown}); their late ends were refused`;
}
