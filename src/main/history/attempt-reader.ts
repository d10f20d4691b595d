// The attempts of many tenants over a range, out of whichever tier is the coarsest that is fine enough.
import { SketchSeries } from '../../core/bucket-counts.ts';
import { RUN_STAGE, type TenantAttempts } from '../../core/timing-analysis.ts';
import { RUN, visitAttempts, visitSpans, type AttemptVisitor } from './attempts.ts';
import { isPending, type HistoryParts } from './queries.ts';
import { HOURS, MINUTES, QUARTERS, RAW, spanAt, TIERS, type ChunkTable, type Tier } from './tiers.ts';

export interface TimingParts extends HistoryParts {
  hours: ChunkTable;
}

/** A stretch of time that is read from one chunk of every series. */
interface Stretch {
  table: ChunkTable;
  span: number;
  fromMs: number;
  toMs: number;
}

/** Series that are read at one go: what is held of them meanwhile is some ten megabytes. */
const AT_ONCE = 64;
/** Series of others among them cost less to pass over than a new start. */
const MAX_BETWEEN = 8;

/**
 * Each tenant's attempts in [fromMs, toMs), in slots of at most `bucketMs`; `seriesOf` is their numbers by tenant.
 * The edges must lie on multiples of `bucketMs`.
 */
export function* readAttempts(
  parts: TimingParts,
  seriesOf: ReadonlyMap<string, number>,
  { fromMs, toMs, bucketMs }: { fromMs: number; toMs: number; bucketMs: number },
): Generator<[tenantId: string, TenantAttempts]> {
  const stretches = stretchesOf(parts, fromMs, toMs, bucketMs);
  const names = parts.names.stageNames().set(RUN, RUN_STAGE);
  const tenants = [...seriesOf].sort(([, a], [, b]) => a - b);
  for (let first = 0; first < tenants.length;) {
    const gathered = new Map<number, Gathered>();
    let end = first;
    for (let last = NaN; end < tenants.length && end - first < AT_ONCE; end++) {
      const series = tenants[end]?.[1] ?? 0;
      if (series - last > MAX_BETWEEN) break;
      gathered.set(series, new Gathered(bucketMs, names));
      last = series;
    }
    const [from, to] = [tenants[first]?.[1] ?? 0, tenants[end - 1]?.[1] ?? 0];
    for (const { table, span, ...edges } of stretches) {
      for (const { series, attempts } of table.attempts(span, from, to))
        gathered.get(series)?.take(table.tier, attempts, span * table.tier.spanMs, edges);
    }
    for (; first < end; first++) {
      const [tenantId, series] = tenants[first] ?? ['', 0];
      const found = gathered.get(series);
      if (found !== undefined && found.outcomes.length > 0) yield [tenantId, found];
    }
  }
}

function stretchesOf(parts: TimingParts, fromMs: number, toMs: number, bucketMs: number): Stretch[] {
  const stretches: Stretch[] = [];
  for (let atMs = fromMs; atMs < toMs;) {
    const table = tableAt(parts, atMs, bucketMs);
    const span = spanAt(table.tier, atMs);
    const endMs = Math.min((span + 1) * table.tier.spanMs, toMs);
    stretches.push({ table, span, fromMs: atMs, toMs: endMs });
    atMs = endMs;
  }
  return stretches;
}

function tableAt(
  { tables, hours, rollUp, retention }: TimingParts,
  atMs: number,
  bucketMs: number,
): ChunkTable {
  const hourIsDue = rollUp.isDue(MINUTES, spanAt(MINUTES, atMs));
  const tierAt = (): Tier => {
    if (bucketMs >= QUARTERS.resolutionMs && !hourIsDue) {
      if (atMs >= retention.keptFromMs(HOURS)) return HOURS;
      if (!isPending(rollUp, QUARTERS, atMs)) return QUARTERS;
    }
    if (bucketMs >= MINUTES.resolutionMs && !hourIsDue && atMs >= retention.keptFromMs(MINUTES))
      return MINUTES;
    return TIERS.find((tier) => atMs >= retention.keptFromMs(tier)) ?? RAW;
  };
  const tier = tierAt();
  const table = [...tables, hours].find((candidate) => candidate.tier === tier);
  if (table === undefined) throw new Error(`there is no table of ${tier.table}`);
  return table;
}

class Gathered implements TenantAttempts, AttemptVisitor {
  readonly outcomes: { tMs: number; finished: number; failed: number }[] = [];
  readonly stages = new Map<string, SketchSeries>();
  readonly #bucketMs: number;
  readonly #names: ReadonlyMap<number, string>;
  readonly #byNumber: (SketchSeries | undefined)[] = [];
  #fromMs = 0;
  #toMs = 0;
  /** The slot of the newest outcome: what follows it is its stages. */
  #slotMs = 0;

  constructor(bucketMs: number, names: ReadonlyMap<number, string>) {
    this.#bucketMs = bucketMs;
    this.#names = names;
  }

  /** Takes a chunk in; as much of it as makes sense. */
  take(tier: Tier, chunk: Uint8Array, startMs: number, edges: { fromMs: number; toMs: number }): void {
    this.#fromMs = edges.fromMs;
    this.#toMs = edges.toMs;
    try {
      if (tier === RAW) visitAttempts(chunk, startMs, this);
      else visitSpans(chunk, startMs, this);
    } catch (error) {
      // One damaged chunk hides itself and not all.
      if (!(error instanceof RangeError)) throw error;
    }
  }

  outcome(atMs: number, finished: number, failed: number): boolean {
    if (atMs < this.#fromMs || atMs >= this.#toMs) return false;
    const tMs = Math.floor(atMs / this.#bucketMs) * this.#bucketMs;
    this.#slotMs = tMs;
    const last = this.outcomes.at(-1);
    if (last?.tMs === tMs) {
      last.finished += finished;
      last.failed += failed;
    } else this.outcomes.push({ tMs, finished, failed });
    return true;
  }

  value(stage: number, ms: number): void {
    this.#seriesOf(stage)?.pushValue(this.#slotMs, ms);
  }

  sketch(stage: number, view: DataView, from: number, to: number): void {
    this.#seriesOf(stage)?.push(this.#slotMs, view, from, to);
  }

  #seriesOf(stage: number): SketchSeries | undefined {
    const known = this.#byNumber[stage];
    if (known !== undefined) return known;
    const name = this.#names.get(stage);
    if (name === undefined) return undefined;
    // A log may name a stage as the whole run is called here: then both are one.
    const series = this.stages.get(name) ?? new SketchSeries();
    this.stages.set(name, series);
    this.#byNumber[stage] = series;
    return series;
  }
}
