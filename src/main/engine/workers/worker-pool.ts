// The workers: as many jobs at once as there are workers, claimed in batches, settled in batches.
//
//   wake ─▶ turn: settle what ended ─▶ claim as many as there are free workers ─▶ run them; each end wakes again
//
// Turns never overlap, and nothing polls: whoever makes work (enqueue, a due job, a finished job) calls wake().
import type { Clock } from '../clock.ts';
import type { Claim, ClaimOrder, Settlement } from '../job.ts';
import type { Store } from '../stores/store.ts';
import { type Attempt, runAttempt, StoppedError } from './attempt.ts';
import type { Handler } from './handler.ts';

/** A store that fails is asked again after this long, doubled each time up to the longest. */
const STORE_RETRY_MS = { first: 1_000, longest: 30_000 };

export interface WorkerPoolParts {
  store: Store;
  clock: Clock;
  owner: string;
  handlers: readonly Handler[];
  /** Every attempt that counts, after the store has taken its end. */
  onAttempt: (attempt: Attempt) => void;
  /** A job was put off to a later time. */
  onDelayed: () => void;
  /** Something failed that is no job's fault; the pool goes on by itself. */
  onProblem: (problem: Error) => void;
}

export class WorkerPool {
  readonly #parts: WorkerPoolParts;
  readonly #handlers: Map<string, Handler>;
  readonly #running = new Set<Claim>();
  readonly #stop = new AbortController();
  #ended: { settlement: Settlement; attempt: Attempt | null }[] = [];
  #wanted: { workers: number; order: ClaimOrder };
  #state: 'idle' | 'open' | 'closing' | 'closed' = 'idle';
  /** The turn under way; `#again`: somebody woke the pool meanwhile. */
  #turn: Promise<void> | null = null;
  #again = false;
  #failures = 0;
  #takeBackRetry: (() => void) | null = null;
  #onEmpty: (() => void) | null = null;
  #stopped: Promise<void> | null = null;

  constructor(parts: WorkerPoolParts, wanted: { workers: number; order: ClaimOrder }) {
    this.#parts = parts;
    this.#handlers = new Map(parts.handlers.map((handler) => [handler.kind, handler]));
    this.#wanted = wanted;
  }

  get wanted(): { workers: number; order: ClaimOrder } {
    return this.#wanted;
  }

  /** Jobs that run now; more than `wanted.workers` for a while after it was lowered. */
  get busy(): number {
    return this.#running.size;
  }

  /** More workers start at once; fewer let what runs finish. */
  configure(wanted: { workers: number; order: ClaimOrder }): void {
    this.#wanted = wanted;
    this.wake();
  }

  start(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'open';
    this.wake();
  }

  /** There may be work, or an end to settle. Cheap, and safe at any time. */
  wake(): void {
    if (this.#state === 'idle' || this.#state === 'closed') return;
    this.#again = true;
    this.#turn ??= this.#turns();
  }

  /**
   * Claims nothing more, lets what runs finish within the deadline, gives the rest back. Idempotent; a later call
   * without time (0) cuts the deadline of an earlier one short.
   */
  stop(deadlineMs: number): Promise<void> {
    if (deadlineMs <= 0) this.#stop.abort();
    return (this.#stopped ??= this.#close(deadlineMs));
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#state = 'closing';
    const takeBack = this.#parts.clock.after(deadlineMs, () => this.#stop.abort());
    await this.#turn;
    if (this.#running.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
    takeBack();
    this.wake();
    await this.#turn;
    this.#state = 'closed';
    this.#takeBackRetry?.();
  }

  async #turns(): Promise<void> {
    try {
      while (this.#again) {
        this.#again = false;
        await this.#settle();
        await this.#claim();
        this.#failures = 0;
        // Jobs that end at once would otherwise keep everything else in the thread waiting for the last of them;
        // and what ends meanwhile is settled in one batch.
        await this.#parts.clock.breathe();
      }
    } catch (error) {
      this.#retryLater(error);
    } finally {
      // Here, not in a `then`: a wake between the last look at #again and that would be lost.
      this.#turn = null;
    }
  }

  async #settle(): Promise<void> {
    // A copy: jobs go on ending while the store writes.
    const batch = [...this.#ended];
    if (batch.length === 0) return;
    const { store, clock, onAttempt, onDelayed, onProblem } = this.#parts;
    const taken = await store.settle(
      batch.map((end) => end.settlement),
      clock.now(),
    );
    // Only now: when the store failed, the same ends are settled again.
    this.#ended = this.#ended.slice(batch.length);
    for (const [i, { settlement, attempt }] of batch.entries()) {
      if (taken[i] !== true) {
        onProblem(
          new Error(`job ${settlement.claim.id} was taken from this engine; its late end was refused`),
        );
      } else if (attempt) {
        onAttempt(attempt);
      }
    }
    if (batch.some((end) => end.settlement.how === 'retry')) onDelayed();
  }

  async #claim(): Promise<void> {
    const free = this.#wanted.workers - this.#running.size;
    if (this.#state !== 'open' || free <= 0) return;
    const { store, clock, owner } = this.#parts;
    const claims = await store.claim({ owner, limit: free, order: this.#wanted.order, nowMs: clock.now() });
    for (const claim of claims) {
      this.#running.add(claim);
      void this.#run(claim);
    }
  }

  /** Never rejects: runAttempt tells every failure as a value. */
  async #run(claim: Claim): Promise<void> {
    const handler = this.#handlers.get(claim.kind);
    try {
      const attempt = await runAttempt(claim, handler, this.#parts.clock, this.#stop.signal);
      this.#ended.push({ settlement: this.#judge(attempt, handler), attempt });
    } catch (error) {
      if (!(error instanceof StoppedError)) this.#parts.onProblem(error as Error);
      this.#ended.push({ settlement: { claim, how: 'returned' }, attempt: null });
    }
    this.#running.delete(claim);
    this.wake();
    if (this.#running.size === 0) this.#onEmpty?.();
  }

  #judge({ claim, error }: Attempt, handler: Handler | undefined): Settlement {
    if (error === null) return { claim, how: 'done' };
    if (!handler || claim.attempt >= claim.maxAttempts) return { claim, how: 'dead', error };
    return {
      claim,
      how: 'retry',
      atMs: this.#parts.clock.now() + handler.retryDelayMs(claim.attempt),
      error,
    };
  }

  #retryLater(error: unknown): void {
    const waitMs = Math.min(STORE_RETRY_MS.longest, STORE_RETRY_MS.first * 2 ** this.#failures);
    this.#failures += 1;
    this.#parts.onProblem(new Error(`the job store failed; asked again in ${waitMs} ms`, { cause: error }));
    this.#takeBackRetry?.();
    this.#takeBackRetry = this.#parts.clock.after(waitMs, () => this.wake());
  }
}
