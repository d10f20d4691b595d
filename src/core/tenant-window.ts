// One tenant over the sliding window: how late, which way it goes, what came and what went.
//
// Two memories, both bounded whatever the poll interval: about 30 buckets over the window for lag and status,
// and points 10 s apart over 15 minutes for the rates that a forecast needs. All times are the database's.
import { sumCounts, type Count } from './count.ts';
import { FlowLedger, perSecond, UNCOUNTED, type Flow, type FlowStep, type Tally } from './flow-ledger.ts';
import { MonotoneCounter } from './monotone-counter.ts';
import type { TenantSample } from './sample.ts';
import { NET_WINDOWS_MS, timeToEmpty, type TimeToEmpty } from './time-to-empty.ts';

export type Trend = 'rising' | 'falling' | 'steady';

/** What is known of a tenant at its newest sample. */
export interface TenantView {
  /** When that sample was taken; database clock. */
  atMs: number;
  sample: TenantSample;
  /** t − ready_at of the job that waited longest, ms; 0 when none is ready, null when not measured. */
  lagMs: number | null;
  lagBound: 'exact' | 'at-least';
  /** t − created_at of that same job, ms; null when none is known. */
  ageMs: number | null;
  /** The job seems to become ready after now: two clocks disagree, or its timestamp is wrong. */
  clockProblem: boolean;
  /** Least and greatest known lag in the window; null when none was measured. */
  minLagMs: number | null;
  maxLagMs: number | null;
  trend: Trend | null;
  /** Time until the window is full, ms; 0 when it is. */
  warmingUpMs: number;
  /** Whether any job was started, any attempt finished in the window; null when that cannot be known. */
  started: boolean | null;
  finished: boolean | null;
  /** How many jobs were started in the window; null when not known. */
  starts: number | null;
  /** Over the window; null when not known. */
  arrivalsPerS: number | null;
  attemptsPerS: number | null;
  /** True when a rate comes from differences of samples: what comes and goes between two polls is unseen. */
  ratesApproximate: boolean;
  /** What came and went since the sample before; null when not known. */
  lastArrivals: number | null;
  lastAttempts: number | null;
  /** The flows behind `timeToEmpty`, over 5 and 15 minutes: summed over tenants they forecast the connection. */
  netFlows: readonly Flow[];
  timeToEmpty: TimeToEmpty;
}

/** The window is cut into this many buckets. */
const BUCKETS = 30;
/** Distance of the points for the long rates, ms. */
const LONG_BUCKET_MS = 10_000;
/** Lag that changes by less than this share of the time that passes is steady. */
const STEADY_SLOPE = 0.05;
/** A poll may come this many times later than the one before it did until it is a gap. */
const LATE_POLLS = 3;
/** Nothing proves that nothing happened unless this share of the time was counted. */
const PROOF_COVERAGE = 0.9;

interface LagBucket {
  fromMs: number;
  toMs: number;
  /** Null while no lag of this bucket is known. */
  minMs: number | null;
  maxMs: number | null;
  lastMs: number | null;
  /** Newest start seen; -Infinity when none. */
  startedAtMs: number;
}

/** The sliding window of one tenant's samples. */
export class TenantWindow {
  readonly #windowMs: number;
  readonly #recent: FlowLedger;
  readonly #long = new FlowLedger(LONG_BUCKET_MS, Math.max(...NET_WINDOWS_MS));
  readonly #arrivals = new MonotoneCounter();
  readonly #attempts = new MonotoneCounter();
  #buckets: LagBucket[] = [];
  #last: { sample: TenantSample; atMs: number; step: FlowStep | null } | null = null;
  /** The last two distances of polls: the lesser is the rhythm, for one of them may be a gap. */
  #intervals: readonly number[] = [0];
  /** Since when the tenant has been watched without a gap. */
  #sinceMs = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
    this.#recent = new FlowLedger(windowMs / BUCKETS, windowMs);
  }

  /** Adds a poll. `atMs` is the database's clock; a step backwards of it begins anew. */
  add(sample: TenantSample, atMs: number): void {
    const last = this.#last;
    if (last !== null && atMs === last.atMs) return;
    const flow = this.#flowTo(sample, atMs);
    if (last === null || flow === null) {
      this.#restart(atMs);
      this.#long.restart(atMs);
    } else {
      // The counters span a gap, so the long rates stay right; the window has a hole and must fill again.
      this.#long.add(atMs, flow);
      if (atMs - last.atMs > this.#longestPauseMs()) this.#restart(atMs);
      else this.#recent.add(atMs, flow);
      this.#intervals = [...this.#intervals.filter((ms) => ms > 0).slice(-1), atMs - last.atMs];
    }
    this.#last = { sample, atMs, step: flow };
    this.#note(sample, atMs);
  }

  /**
   * What is known at `nowMs` (database clock); null when there is no sample, or none for longer than the window
   * and three polls.
   */
  view(nowMs: number): TenantView | null {
    if (this.#last === null || nowMs - this.#last.atMs > this.#longestPauseMs()) return null;
    const { sample, atMs, step } = this.#last;
    const recent = this.#recent.over(this.#windowMs);
    const netFlows = NET_WINDOWS_MS.map((ms) => this.#long.over(ms));
    const { minMs, maxMs } = this.#lagBounds();
    const { oldestReady } = sample;
    return {
      atMs,
      sample,
      lagMs: lagOf(sample, atMs),
      lagBound: oldestReady?.bound ?? 'exact',
      ageMs: oldestReady && Math.max(0, atMs - oldestReady.createdAtMs),
      clockProblem: oldestReady !== null && oldestReady.readyAtMs > atMs,
      minLagMs: minMs,
      maxLagMs: maxMs,
      trend: this.#trend(),
      warmingUpMs: Math.max(0, this.#sinceMs + this.#windowMs - atMs),
      started: this.#started(recent, atMs),
      finished: recent.attempts.count > 0 || (isProof(recent, recent.countedMs) ? false : null),
      starts: known(recent.starts) === null ? null : Math.max(0, recent.starts.count),
      arrivalsPerS: perSecond(recent.arrivals),
      attemptsPerS: perSecond(recent.attempts),
      ratesApproximate: recent.approximateMs > 0,
      lastArrivals: step && known(step.arrivals),
      lastAttempts: step && known(step.attempts),
      netFlows,
      timeToEmpty: timeToEmpty(sumCounts([sample.ready, sample.running]), netFlows),
    };
  }

  #longestPauseMs(): number {
    return Math.max(this.#windowMs, LATE_POLLS * Math.min(...this.#intervals));
  }

  #restart(atMs: number): void {
    this.#sinceMs = atMs;
    this.#buckets = [];
    this.#recent.restart(atMs);
  }

  /** What flowed since the last sample; null at the first sample and when the clock went backwards. */
  #flowTo(sample: TenantSample, atMs: number): FlowStep | null {
    const arrived = this.#arrivals.step(sample.arrivalsTotal, atMs);
    const attempted = this.#attempts.step(sample.attemptsTotal, atMs);
    const last = this.#last;
    if (last === null || atMs < last.atMs) return null;

    const elapsedMs = atMs - last.atMs;
    const grown = difference(jobsOf(sample), jobsOf(last.sample));
    const busier = difference(sample.running, last.sample.running);
    const arrivals = arrived && { count: arrived.delta, coveredMs: atMs - arrived.sinceMs };
    const attempts = attempted && { count: attempted.delta, coveredMs: atMs - attempted.sinceMs };
    const guessed = (count: number) => ({ count: Math.max(0, count), coveredMs: elapsedMs });
    const guess = grown !== null && (sample.arrivalsTotal === null || sample.attemptsTotal === null);
    return {
      arrivals: arrivals ?? (guess && !arrived ? guessed(grown + (attempts?.count ?? 0)) : UNCOUNTED),
      attempts: attempts ?? (guess && !attempted ? guessed((arrivals?.count ?? 0) - grown) : UNCOUNTED),
      // Conservation: what runs now = what ran + starts − finishes.
      starts:
        attempts && busier !== null
          ? { count: attempts.count + busier, coveredMs: attempts.coveredMs }
          : UNCOUNTED,
      countedMs: attempts?.coveredMs ?? 0,
      approximateMs: guess ? elapsedMs : 0,
    };
  }

  #note(sample: TenantSample, atMs: number): void {
    const bucketMs = this.#windowMs / BUCKETS;
    const lagMs = lagOf(sample, atMs);
    const startedAtMs = sample.lastStartedAtMs ?? -Infinity;
    const newest = this.#buckets.at(-1);
    if (newest === undefined || atMs - newest.fromMs >= bucketMs) {
      this.#buckets.push({
        fromMs: atMs,
        toMs: atMs,
        minMs: lagMs,
        maxMs: lagMs,
        lastMs: lagMs,
        startedAtMs,
      });
    } else {
      newest.toMs = atMs;
      newest.startedAtMs = Math.max(newest.startedAtMs, startedAtMs);
      if (lagMs !== null) {
        newest.minMs = Math.min(newest.minMs ?? lagMs, lagMs);
        newest.maxMs = Math.max(newest.maxMs ?? lagMs, lagMs);
        newest.lastMs = lagMs;
      }
    }
    const gone = this.#buckets.findIndex((bucket) => bucket.toMs > atMs - this.#windowMs);
    if (gone > 0) this.#buckets.splice(0, gone);
  }

  #started(recent: Flow, atMs: number): boolean | null {
    const isSeen = this.#buckets.some((bucket) => bucket.startedAtMs > atMs - this.#windowMs);
    if (isSeen || recent.starts.count > 0) return true;
    return isProof(recent, recent.starts.coveredMs) ? false : null;
  }

  #lagBounds(): { minMs: number | null; maxMs: number | null } {
    let [least, most] = [Infinity, -Infinity];
    for (const { minMs, maxMs } of this.#buckets) {
      if (minMs !== null && minMs < least) least = minMs;
      if (maxMs !== null && maxMs > most) most = maxMs;
    }
    return least > most ? { minMs: null, maxMs: null } : { minMs: least, maxMs: most };
  }

  /** The mean lag of the later half of the window against that of the earlier half. */
  #trend(): Trend | null {
    const first = this.#buckets.find(isMeasured);
    const last = this.#buckets.findLast(isMeasured);
    if (first === undefined || last === undefined || last.toMs - first.toMs < this.#windowMs / 2) return null;
    const middleMs = (first.toMs + last.toMs) / 2;
    const earlier = { count: 0, lagMs: 0, atMs: 0 };
    const later = { count: 0, lagMs: 0, atMs: 0 };
    for (const { toMs, lastMs } of this.#buckets) {
      if (lastMs === null) continue;
      const half = toMs <= middleMs ? earlier : later;
      half.count++;
      half.lagMs += lastMs;
      half.atMs += toMs - first.toMs;
    }
    const rise = later.lagMs / later.count - earlier.lagMs / earlier.count;
    const slope = rise / (later.atMs / later.count - earlier.atMs / earlier.count);
    if (Math.abs(slope) < STEADY_SLOPE) return 'steady';
    return slope > 0 ? 'rising' : 'falling';
  }
}

function isMeasured(bucket: LagBucket): boolean {
  return bucket.lastMs !== null;
}

/** Definition of lag: 0 only when it is certain that nothing is ready. Never negative. */
function lagOf(sample: TenantSample, atMs: number): number | null {
  if (sample.oldestReady !== null) return Math.max(0, atMs - sample.oldestReady.readyAtMs);
  return sample.ready.kind === 'exact' && sample.ready.value === 0 ? 0 : null;
}

function known(tally: Tally): number | null {
  return tally.coveredMs > 0 ? tally.count : null;
}

/** Whether a count of nothing over the flow means that nothing happened. */
function isProof(flow: Flow, coveredMs: number): boolean {
  return flow.spanMs > 0 && coveredMs >= PROOF_COVERAGE * flow.spanMs;
}

function jobsOf(sample: TenantSample): Count {
  return sumCounts([sample.ready, sample.delayed, sample.running]);
}

/** Null unless both are exact: capped counts and estimates differ by chance, not by flow. */
function difference(now: Count, before: Count): number | null {
  return now.kind === 'exact' && before.kind === 'exact' ? now.value - before.value : null;
}
