// Polls one source on its own schedule: never overlapping, within a budget, backing off when the system suffers.
//
//   connecting ──probe, tenants──► live ──poll, poll, poll …
//        ▲                          │ error
//        └──── wait (back-off) ◄────┘   unreachable (may heal by itself) or failed (somebody must act; asked rarely)
import type { ConnectionState } from '../../contract/live.ts';
import { HeadwayError, toWireError, type ErrorCode } from '../../contract/errors.ts';
import type { SourceSample, TenantInfo } from '../../core/sample.ts';
import type { Probe, Source } from '../sources/source.ts';
import type { Clock } from './clock.ts';

export interface SamplerOptions {
  /** Time between the starts of two polls. */
  pollMs: number;
  /** A poll that takes longer doubles the interval. */
  budgetMs: number;
  /** A call to the source that takes longer is given up. */
  timeoutMs: number;
}

export interface SamplerListener {
  probed(probe: Probe): void;
  tenants(tenants: TenantInfo[]): void;
  sample(sample: SourceSample, atMs: number): void;
  state(state: ConnectionState): void;
}

const TENANTS_EVERY_MS = 60_000;
const MAX_POLL_MS = 60_000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;
/** A wrong password or schema does not heal by itself, and asking often locks accounts. */
const FAILED_RETRY_MS = 30_000;
const needsSomebody: ReadonlySet<ErrorCode> = new Set([
  'authentication-failed',
  'database-unknown',
  'schema-mismatch',
  'grant-missing',
  'secret-missing',
  'tls-failed',
]);

export class LagSampler {
  readonly #source: Source;
  readonly #options: SamplerOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #listener: SamplerListener;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #pollMs: number;
  /** Since the last sample. */
  #failures = 0;
  #troubleSinceMs: number | null = null;

  constructor(
    source: Source,
    options: SamplerOptions,
    listener: SamplerListener,
    { clock, random }: { clock: Clock; random: () => number },
  ) {
    this.#source = source;
    this.#options = options;
    this.#listener = listener;
    this.#clock = clock;
    this.#random = random;
    this.#pollMs = options.pollMs;
  }

  /** The interval in force; longer than configured while polls exceed their budget. */
  get pollMs(): number {
    return this.#pollMs;
  }

  /** Begins to poll; a second call does nothing, nor does one after `stop()`. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the poll under way and closes the source. Idempotent; safe before `start()`. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#source[Symbol.asyncDispose]();
  }

  /** A call, so that the compiler does not take the answer for what it was before the last await. */
  #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    if (this.#isStopped()) return;
    this.#listener.state({ kind: 'connecting', sinceMs: this.#clock.now() });
    while (!this.#isStopped()) {
      try {
        await this.#connect();
        await this.#poll();
      } catch (error) {
        if (this.#isStopped()) return;
        await this.#pause(error);
      }
    }
  }

  async #connect(): Promise<void> {
    this.#listener.probed(await this.#limited((signal) => this.#source.probe(signal)));
    this.#listener.tenants(await this.#limited((signal) => this.#source.tenants(signal)));
  }

  async #poll(): Promise<void> {
    let tenantsAtMs = this.#clock.now();
    let live = false;
    while (!this.#isStopped()) {
      const beganMs = this.#clock.now();
      if (beganMs - tenantsAtMs >= TENANTS_EVERY_MS) {
        this.#listener.tenants(await this.#limited((signal) => this.#source.tenants(signal)));
        tenantsAtMs = beganMs;
      }
      const sample = await this.#limited((signal) => this.#source.snapshot(signal));
      if (!live) {
        live = true;
        // Not before a sample: a system that lets us in and then fails each poll is backed off from like any other.
        this.#failures = 0;
        this.#troubleSinceMs = null;
        this.#listener.state({ kind: 'live', sinceMs: this.#clock.now() });
      }
      this.#listener.sample(sample, this.#clock.now());
      this.#adapt(sample.cost.durationMs);
      // Never longer than the interval: a clock that was set back meanwhile must not stop the polls for an hour.
      const leftMs = beganMs + this.#pollMs - this.#clock.now();
      await this.#clock.sleep(Math.max(0, Math.min(leftMs, this.#pollMs)), this.#stopping.signal);
    }
  }

  /** Doubles the interval over budget; returns to the configured one when polls are cheap again. */
  #adapt(durationMs: number): void {
    const { pollMs, budgetMs } = this.#options;
    if (durationMs > budgetMs) this.#pollMs = Math.max(pollMs, Math.min(this.#pollMs * 2, MAX_POLL_MS));
    else if (durationMs < budgetMs / 2) this.#pollMs = Math.max(this.#pollMs / 2, pollMs);
  }

  async #pause(error: unknown): Promise<void> {
    const wire = toWireError(error);
    const failed = needsSomebody.has(wire.code) || wire.code === 'internal';
    const waitMs = failed ? FAILED_RETRY_MS : this.#backOffMs(wire.code);
    const nowMs = this.#clock.now();
    this.#troubleSinceMs ??= nowMs;
    const sinceMs = this.#troubleSinceMs;
    this.#listener.state(
      failed
        ? { kind: 'failed', sinceMs, error: wire }
        : { kind: 'unreachable', sinceMs, error: wire, nextTryAtMs: nowMs + waitMs },
    );
    await this.#clock.sleep(waitMs, this.#stopping.signal);
  }

  /** Grows with each failure. A poll that was stopped for its cost is not asked for again before it is due. */
  #backOffMs(code: ErrorCode): number {
    const ceilingMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, MAX_RETRY_MS);
    const backOffMs = ceilingMs * (0.5 + this.#random() / 2);
    if (code !== 'budget-exceeded') return backOffMs;
    this.#adapt(Infinity);
    return Math.max(backOffMs, this.#pollMs);
  }

  /** A call to the source, ended by `stop()` and by the timeout. */
  async #limited<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    const { signal } = this.#stopping;
    try {
      const answer = await call(AbortSignal.any([signal, timeout]));
      // A source that answers all the same comes too late.
      signal.throwIfAborted();
      return answer;
    } catch (error) {
      const explained = error instanceof HeadwayError && error.code !== 'cancelled';
      if (timeout.aborted && !explained)
        throw new HeadwayError('timeout', `No answer within ${timeoutMs / 1000} s.`, {
          retryable: true,
          cause: error,
        });
      throw error;
    }
  }
}
