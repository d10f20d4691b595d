// Where one tenant's time goes: its finished attempts over a sliding window, by stage.
//
// The window is cut into 15 slots (a minute each by default). Every stage has one sketch over the whole window,
// into which observations go and out of which the oldest slot is taken when it leaves. Reading costs the same
// however long the window or high the rate; closed slots rest as bytes, so a thousand tenants fit.
import { QuantileSketch } from './sketch.ts';
import type { StageStats, TimingRecord } from './timing.ts';

const SLOTS = 15;
/** Fewer observations than this are shown as they are: percentiles of so few mean nothing. */
const RAW_BELOW = 20;
/** An error rate of fewer attempts than this is undefined. */
const RATE_FROM = 10;
/** Stage names come from a log; what exceeds this many per tenant counts as "other". */
const MAX_STAGES = 32;

/** Names that this window adds to the stages of the log. */
const TOTAL = 'total';
const OTHER = 'other';
/** Time between ready and start: not a part of the run, though a log may name it among the stages. */
const WAIT = 'wait';

/** Finished attempts of a tenant over the window. */
export interface TimingOutcome {
  finished: number;
  failed: number;
  /** failed / finished; null under 10 attempts. */
  errorRate: number | null;
  /** Finished attempts per second over the part of the window that was watched; null before the first. */
  finishedPerS: number | null;
}

/** The timing of one tenant over the last `windowMs`, in steps of a fifteenth. Times come from one clock. */
export class TenantTiming {
  readonly #slotMs: number;
  readonly #outcomes = Array.from({ length: SLOTS }, () => ({ finished: 0, failed: 0 }));
  readonly #stages = new Map<string, StageWindow>([[TOTAL, new StageWindow()]]);
  /** Number of the newest slot since the epoch; null before the first observation. */
  #newest: number | null = null;
  #sinceMs = 0;

  constructor(windowMs = 15 * 60_000) {
    this.#slotMs = windowMs / SLOTS;
  }

  /**
   * Adds one finished attempt that was seen at `atMs`. One that is older than the newest slot, because hosts'
   * logs interleave, counts to the newest; one that is older than the window is left out.
   */
  add(record: TimingRecord, atMs: number): void {
    if (this.#newest === null) this.#sinceMs = atMs;
    this.#advance(atMs);
    const slot = this.#newest ?? 0;
    if (Math.floor(atMs / this.#slotMs) <= slot - SLOTS) return;

    const outcome = this.#outcomes[slot % SLOTS];
    if (outcome === undefined) throw new Error('a slot is missing');
    outcome.finished++;
    if (record.status === 'error') outcome.failed++;

    this.#observe(TOTAL, record.totalMs);
    let otherMs = record.totalMs;
    let parts = 0;
    for (const [stage, ms] of Object.entries(record.stages)) {
      if (stage === TOTAL || stage === OTHER) continue;
      if (!this.#observe(stage, ms) || stage === WAIT) continue;
      otherMs -= ms;
      parts++;
    }
    // An attempt whose log names no stage is not all "other": nothing is known of its parts.
    if (parts > 0) this.#observe(OTHER, Math.max(0, otherMs));
  }

  /** Every stage seen in the window: wait, the stages in the order of the log, other, total. */
  stages(nowMs: number): StageStats[] {
    this.#advance(nowMs);
    const named = [...this.#stages.keys()].filter((stage) => ![WAIT, OTHER, TOTAL].includes(stage));
    return [WAIT, ...named, OTHER, TOTAL].flatMap((stage) => this.#stages.get(stage)?.stats(stage) ?? []);
  }

  /** p95 of the whole run in ms; null under 20 observations. */
  runP95Ms(nowMs: number): number | null {
    this.#advance(nowMs);
    return this.#stages.get(TOTAL)?.stats(TOTAL)?.p95Ms ?? null;
  }

  outcome(nowMs: number): TimingOutcome {
    this.#advance(nowMs);
    let finished = 0;
    let failed = 0;
    for (const slot of this.#outcomes) {
      finished += slot.finished;
      failed += slot.failed;
    }
    const errorRate = finished < RATE_FROM ? null : failed / finished;
    if (this.#newest === null) return { finished, failed, errorRate, finishedPerS: null };
    const windowStartMs = (this.#newest - SLOTS + 1) * this.#slotMs;
    // Just after the start the watched time is short: a slot's length keeps one attempt from looking like a flood.
    const watchedMs = Math.max(nowMs - Math.max(windowStartMs, this.#sinceMs), this.#slotMs);
    return { finished, failed, errorRate, finishedPerS: (finished * 1_000) / watchedMs };
  }

  /** False when the tenant has too many stages already for this one to have a place. */
  #observe(name: string, ms: number): boolean {
    let stage = this.#stages.get(name);
    if (stage === undefined) {
      if (this.#stages.size >= MAX_STAGES && name !== OTHER && name !== WAIT) return false;
      stage = new StageWindow();
      this.#stages.set(name, stage);
    }
    stage.add(ms);
    return true;
  }

  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs);
    if (this.#newest === null) this.#newest = slot;
    const steps = Math.min(SLOTS, slot - this.#newest);
    for (let step = 1; step <= steps; step++) {
      const place = (slot - steps + step) % SLOTS;
      this.#outcomes[place] = { finished: 0, failed: 0 };
      for (const stage of this.#stages.values()) stage.step();
    }
    if (steps > 0) {
      this.#newest = slot;
      for (const [name, stage] of this.#stages) if (stage.isEmpty) this.#stages.delete(name);
    }
  }
}

/** One stage over the window. */
class StageWindow {
  readonly #window = new QuantileSketch();
  /** The slots before the open one, oldest first, with their largest value; null where nothing was seen. */
  readonly #closed: ({ bytes: Uint8Array; maxMs: number } | null)[] = [];
  #open = new QuantileSketch();
  /** The newest values, oldest first: all of the window's while it has fewer than RAW_BELOW. */
  readonly #latest: number[] = [];
  /** Of the window as it is; null when it changed since. */
  #stats: StageStats | null = null;

  get isEmpty(): boolean {
    return this.#window.count === 0;
  }

  add(ms: number): void {
    this.#stats = null;
    this.#window.add(ms);
    this.#open.add(ms);
    if (this.#latest.push(ms) >= RAW_BELOW) this.#latest.shift();
  }

  /** Closes the open slot, and takes the oldest out once it has left the window. */
  step(): void {
    this.#stats = null;
    const { max } = this.#open;
    this.#closed.push(max === null ? null : { bytes: this.#open.encode(), maxMs: max });
    if (max !== null) this.#open = new QuantileSketch();
    if (this.#closed.length < SLOTS) return;
    const gone = this.#closed.shift();
    if (gone) this.#window.subtract(QuantileSketch.decode(gone.bytes));
  }

  stats(stage: string): StageStats | null {
    if (this.#window.count > 0) this.#stats ??= this.#summary(stage);
    return this.#stats;
  }

  #summary(stage: string): StageStats {
    const { count } = this.#window;
    const maxMs = this.#closed.reduce((max, slot) => Math.max(max, slot?.maxMs ?? 0), this.#open.max ?? 0);
    const few = { stage, count, p50Ms: null, p95Ms: null, p99Ms: null, maxMs };
    if (count < RAW_BELOW) return { ...few, rawMs: this.#latest.slice(-count) };
    const [p50 = maxMs, p95 = maxMs, p99 = maxMs] = this.#window.quantiles([0.5, 0.95, 0.99]);
    // The sketch's own bounds may be older than the window; the greatest value of its slots never is.
    const [p50Ms, p95Ms, p99Ms] = [Math.min(p50, maxMs), Math.min(p95, maxMs), Math.min(p99, maxMs)];
    return { ...few, p50Ms, p95Ms, p99Ms, rawMs: null };
  }
}
