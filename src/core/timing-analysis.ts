// Where the time of a connection went over a range: its tenants are handed in one by one, the answer is made once.
import { BucketCounts, type SketchSeries } from './bucket-counts.ts';
import { changePoint, changeRatio } from './change-point.ts';
import type { StageStats } from './timing.ts';

/** What is known of one tenant's attempts over a range. */
export interface TenantAttempts {
  /** In the order of time. */
  outcomes: readonly { tMs: number; finished: number; failed: number }[];
  /** In the order of the log; the whole run is RUN_STAGE. */
  stages: ReadonlyMap<string, SketchSeries>;
}

/** The whole run among the stages. */
export const RUN_STAGE = 'total';
const WAIT_STAGE = 'wait';
/** Fewer observations than this are given as they are: percentiles of so few mean nothing. */
const RAW_BELOW = 20;
/** Stages come from a log; a bucket is drawn with no more of them than this. */
const MAX_STAGES = 32;
const MAX_TENANTS = 200;
const MAX_MOVERS = 20;
/** Movers that are looked at more closely before the largest are named. */
const MAX_CANDIDATES = 40;
/** Tenants whose share is drawn by itself. */
export const SHARES = 8;

export interface StagesOfTenant {
  finished: number;
  failed: number;
  /** wait, the stages in the order of the log, total. */
  stages: StageStats[];
}

export interface Mover {
  tenantId: string;
  stage: string;
  fromMs: number;
  toMs: number;
  atMs: number;
  /** Attempts of the tenant in the range. */
  finished: number;
}

export interface AnalysisFigures {
  bucketMs: number;
  buckets: {
    tMs: number;
    finished: number;
    failed: number;
    p50Ms: Record<string, number>;
    p95Ms: Record<string, number>;
  }[];
  tenants: (StagesOfTenant & { tenantId: string; against: StagesOfTenant | null })[];
  shares: { tenantId: string; finished: number[] }[];
  movers: Mover[];
}

interface Ranked {
  tenantId: string;
  all: number;
  /** By bucket. */
  finished: number[];
  /** null: so many finished more that the answer does not name it. */
  of: StagesOfTenant | null;
}

export class TimingAnalyser {
  readonly #fromMs: number;
  readonly #bucketMs: number;
  readonly #outcomes: { finished: number; failed: number }[];
  /** By stage, then by bucket. */
  readonly #sketches = new Map<string, (BucketCounts | null)[]>();
  readonly #tenants: Ranked[] = [];
  /** How many tenants have their figures, and what one must have finished to be given them. */
  #figured = 0;
  #least = 0;
  #movers: Mover[] = [];

  /** `length` buckets of `bucketMs` from `fromMs` on. */
  constructor(fromMs: number, bucketMs: number, length: number) {
    this.#fromMs = fromMs;
    this.#bucketMs = bucketMs;
    this.#outcomes = Array.from({ length }, () => ({ finished: 0, failed: 0 }));
  }

  add(tenantId: string, attempts: TenantAttempts): void {
    const finished = new Array<number>(this.#outcomes.length).fill(0);
    for (const outcome of attempts.outcomes) {
      const at = this.#bucketAt(outcome.tMs);
      const bucket = this.#outcomes[at];
      if (bucket === undefined) continue;
      bucket.finished += outcome.finished;
      bucket.failed += outcome.failed;
      finished[at] = (finished[at] ?? 0) + outcome.finished;
    }
    for (const [stage, series] of attempts.stages) {
      this.#addToBuckets(stage, series);
      const change = changePoint(series);
      if (change !== null) this.#movers.push({ tenantId, stage, ...change, finished: 0 });
    }
    if (this.#movers.length > 4 * MAX_CANDIDATES) this.#movers = largest(this.#movers, MAX_CANDIDATES);
    const all = attempts.outcomes.reduce((sum, outcome) => sum + outcome.finished, 0);
    if (all === 0) return;
    const of = all > this.#least ? stagesOf(attempts) : null;
    this.#tenants.push({ tenantId, all, finished, of });
    if (of !== null && ++this.#figured >= 2 * MAX_TENANTS) this.#forgetRest();
  }

  /** The largest changes so far by tenant, for a closer look at when they were. */
  candidates(): readonly Mover[] {
    this.#movers = largest(this.#movers, MAX_CANDIDATES);
    return this.#movers;
  }

  /** Tenants that the answer names, whose second range is worth reading. */
  chosen(): string[] {
    return this.#named().map(({ tenantId }) => tenantId);
  }

  /** `against` by tenant; null when there is no second range. */
  figures(against: ReadonlyMap<string, StagesOfTenant> | null, movers = this.candidates()): AnalysisFigures {
    const named = this.#named();
    const nothing: StagesOfTenant = { finished: 0, failed: 0, stages: [] };
    const finishedOf = new Map(this.#tenants.map(({ tenantId, all }) => [tenantId, all]));
    return {
      bucketMs: this.#bucketMs,
      buckets: this.#outcomes.map((outcome, at) => ({
        tMs: this.#fromMs + at * this.#bucketMs,
        ...outcome,
        ...this.#quantilesAt(at),
      })),
      tenants: named.map(({ tenantId, of }) => ({
        tenantId,
        ...(of ?? nothing),
        against: against === null ? null : (against.get(tenantId) ?? nothing),
      })),
      shares: this.#shares(),
      movers: largest(movers, MAX_MOVERS).map((mover) => ({
        ...mover,
        finished: finishedOf.get(mover.tenantId) ?? 0,
      })),
    };
  }

  /** Most finished first. */
  #named(): Ranked[] {
    this.#tenants.sort((a, b) => b.all - a.all || (a.tenantId < b.tenantId ? -1 : 1));
    return this.#tenants.slice(0, MAX_TENANTS);
  }

  #forgetRest(): void {
    // An equal one could still be named by its id, so it keeps its figures.
    this.#least = (this.#named().at(-1)?.all ?? 0) - 1;
    for (const tenant of this.#tenants) if (tenant.all <= this.#least) tenant.of = null;
    this.#figured = MAX_TENANTS;
  }

  #bucketAt(tMs: number): number {
    return Math.floor((tMs - this.#fromMs) / this.#bucketMs);
  }

  #addToBuckets(stage: string, series: SketchSeries): void {
    let buckets = this.#sketches.get(stage);
    if (buckets === undefined) {
      if (this.#sketches.size >= MAX_STAGES) return;
      buckets = this.#outcomes.map(() => null);
      this.#sketches.set(stage, buckets);
    }
    for (const slot of series.slots) {
      const at = this.#bucketAt(slot.tMs);
      if (at < 0 || at >= buckets.length) continue;
      (buckets[at] ??= new BucketCounts()).add(series, slot);
    }
  }

  #quantilesAt(at: number): { p50Ms: Record<string, number>; p95Ms: Record<string, number> } {
    const p50Ms: [string, number][] = [];
    const p95Ms: [string, number][] = [];
    for (const stage of inOrder(this.#sketches.keys())) {
      const [p50, p95] = this.#sketches.get(stage)?.[at]?.quantiles([0.5, 0.95]) ?? [];
      if (p50 === undefined || p95 === undefined) continue;
      p50Ms.push([stage, p50]);
      p95Ms.push([stage, p95]);
    }
    // fromEntries: a stage may have any name, "__proto__" too.
    return { p50Ms: Object.fromEntries(p50Ms), p95Ms: Object.fromEntries(p95Ms) };
  }

  #shares(): { tenantId: string; finished: number[] }[] {
    const shares = this.#tenants.slice(0, SHARES).map(({ tenantId, finished }) => ({ tenantId, finished }));
    if (this.#tenants.length <= SHARES) return shares;
    const rest = this.#outcomes.map(({ finished }, at) =>
      shares.reduce((left, share) => left - (share.finished[at] ?? 0), finished),
    );
    return [...shares, { tenantId: '', finished: rest }];
  }
}

/** A tenant's figures over a whole range. Under 20 observations `rawMs` holds the values within 1 %. */
export function stagesOf({ outcomes, stages }: TenantAttempts): StagesOfTenant {
  const counts = new BucketCounts();
  let [finished, failed] = [0, 0];
  for (const outcome of outcomes) {
    finished += outcome.finished;
    failed += outcome.failed;
  }
  return {
    finished,
    failed,
    stages: inOrder(stages.keys()).flatMap((stage): StageStats[] => {
      const series = stages.get(stage);
      counts.clear();
      for (const slot of series?.slots ?? []) if (series !== undefined) counts.add(series, slot);
      const { count, max } = counts;
      if (count === 0) return [];
      if (count < RAW_BELOW)
        return [{ stage, count, p50Ms: null, p95Ms: null, p99Ms: null, maxMs: max, rawMs: counts.values() }];
      const [p50Ms = null, p95Ms = null, p99Ms = null] = counts.quantiles([0.5, 0.95, 0.99]);
      return [{ stage, count, p50Ms, p95Ms, p99Ms, maxMs: max, rawMs: null }];
    }),
  };
}

function inOrder(stages: Iterable<string>): string[] {
  const all = [...stages];
  const own = all.filter((stage) => stage !== WAIT_STAGE && stage !== RUN_STAGE);
  return [WAIT_STAGE, ...own, RUN_STAGE].filter((stage) => all.includes(stage));
}

const largest = (movers: readonly Mover[], most: number): Mover[] =>
  [...movers]
    .map((mover) => ({ mover, ratio: changeRatio(mover) }))
    .sort((a, b) => b.ratio - a.ratio)
    .slice(0, most)
    .map(({ mover }) => mover);
