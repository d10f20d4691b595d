// The local worker engine: jobs in a store, claimed in fair order, run by workers, told line by line. One Engine is
// one owner of jobs. Rooms within the room: stores/ keeps jobs, workers/ runs them. The application runs it in a
// worker thread (engine-host.ts, engine-worker.ts), so that no disk sync ever touches the main loop.
import type { ClaimOrder, Depths, Enqueued, NewJob } from './job.ts';
import { WorkerPool, type WorkerPoolParts } from './workers/worker-pool.ts';

/** How often an owner says that it lives, and how long it may be silent before its jobs are taken (mission.md, 4). */
const BEAT_EVERY_MS = 10_000;
const DEAD_AFTER_MS = 300_000;
/** setTimeout's own limit is 2^31 - 1 ms; a longer wait is taken in steps. */
const LONGEST_WAIT_MS = 3_600_000;

export type EngineParts = Omit<WorkerPoolParts, 'onDelayed'>;

export interface EngineSettings {
  workers: number;
  order: ClaimOrder;
}

/** The engine's condition, as plain data. */
export interface EngineSnapshot extends EngineSettings, Depths {
  busy: number;
  /** When the store was read; epoch ms. */
  atMs: number;
}

export class Engine {
  readonly #parts: EngineParts;
  readonly #pool: WorkerPool;
  #state: 'idle' | 'open' | 'closed' = 'idle';
  #takeBackDue: (() => void) | null = null;
  #takeBackBeat: (() => void) | null = null;

  /** The store stays the caller's: stop the engine, then dispose of it. */
  constructor(parts: EngineParts, settings: EngineSettings) {
    this.#parts = parts;
    this.#pool = new WorkerPool({ ...parts, onDelayed: () => void this.#promoteDue() }, settings);
  }

  /** Takes over what dead owners left, then works. Does nothing when it was started or stopped before. */
  async start(): Promise<void> {
    if (this.#state !== 'idle') return;
    this.#state = 'open';
    await this.#beat();
    await this.#promoteDue();
    this.#pool.start();
  }

  /** Finishes what runs within the deadline and gives the rest back. Idempotent; safe before start. */
  async stop(deadlineMs: number): Promise<void> {
    this.#state = 'closed';
    this.#takeBackDue?.();
    this.#takeBackBeat?.();
    await this.#pool.stop(deadlineMs);
  }

  configure(settings: EngineSettings): void {
    this.#pool.configure(settings);
  }

  /** All or none. May be called before start. */
  async enqueue(jobs: NewJob[]): Promise<Enqueued[]> {
    const nowMs = this.#parts.clock.now();
    const enqueued = await this.#parts.store.enqueue(jobs, nowMs);
    if (jobs.some((job) => (job.readyAtMs ?? 0) > nowMs)) await this.#promoteDue();
    this.#pool.wake();
    return enqueued;
  }

  /** `frontLimit`: how many ids of ready jobs to show. The cost does not grow with the backlog. */
  async snapshot(frontLimit: number): Promise<EngineSnapshot> {
    const atMs = this.#parts.clock.now();
    const depths = await this.#parts.store.depths(frontLimit);
    return { ...depths, ...this.#pool.wanted, busy: this.#pool.busy, atMs };
  }

  /** Makes due jobs ready and comes again when the next one is due. */
  async #promoteDue(): Promise<void> {
    if (this.#state !== 'open') return;
    const { store, clock, onProblem } = this.#parts;
    let waitMs = BEAT_EVERY_MS;
    try {
      const nextMs = await store.promoteDue(clock.now());
      this.#pool.wake();
      if (nextMs === null) return;
      waitMs = Math.min(LONGEST_WAIT_MS, Math.max(0, nextMs - clock.now()));
    } catch (error) {
      onProblem(new Error('the job store failed while looking for due jobs', { cause: error }));
    }
    this.#takeBackDue?.();
    if (this.#isOpen()) this.#takeBackDue = clock.after(waitMs, () => void this.#promoteDue());
  }

  /** Says that this owner lives, and takes the jobs of those that do not. */
  async #beat(): Promise<void> {
    if (this.#state !== 'open') return;
    const { store, clock, owner, onProblem } = this.#parts;
    const nowMs = clock.now();
    try {
      await store.beat(owner, nowMs);
      const silentSinceMs = store.exclusive ? Number.MAX_SAFE_INTEGER : nowMs - DEAD_AFTER_MS;
      const taken = await store.reclaim({ except: owner, silentSinceMs, nowMs });
      if (taken > 0) this.#pool.wake();
    } catch (error) {
      onProblem(new Error('the job store failed while registering this engine', { cause: error }));
    }
    // With nobody beside it there is nobody to tell: an idle engine writes nothing.
    if (!store.exclusive && this.#isOpen()) {
      this.#takeBackBeat = clock.after(BEAT_EVERY_MS, () => void this.#beat());
    }
  }

  /** A call, so that the compiler does not take the state for what it was before the last await. */
  #isOpen(): boolean {
    return this.#state === 'open';
  }
}
