// Where time went over a range: every tenant's attempts read once, merged as core/timing-analysis.ts says.
import { changePoint } from '../../core/change-point.ts';
import {
  stagesOf,
  TimingAnalyser,
  type Mover,
  type StagesOfTenant,
  type TenantAttempts,
} from '../../core/timing-analysis.ts';
import { SketchSeries } from '../../core/bucket-counts.ts';
import type { TimingAnalysis, TimingAnalysisQuery } from '../../contract/log-search.ts';
import { readAttempts, type TimingParts } from './attempt-reader.ts';
import { finestKept, widthFor } from './queries.ts';
import { MINUTES, QUARTERS } from './tiers.ts';

const MAX_BUCKETS = 200;
/** Buckets of a second or two hold too few attempts for a p95. */
const NARROWEST_MS = 5_000;
/** Up to this width buckets are read from what is finer than a quarter of an hour; a day of that would take seconds. */
const WIDEST_FINE_MS = 2 * MINUTES.resolutionMs;

interface Range {
  fromMs: number;
  toMs: number;
  bucketMs: number;
}

/** The range is widened to whole buckets, of which there are at most 200. */
export function queryTimings(parts: TimingParts, query: TimingAnalysisQuery): TimingAnalysis {
  const range = bucketed(parts, query);
  const seriesOf = chosenSeries(parts, query);
  const analyser = new TimingAnalyser(
    range.fromMs,
    range.bucketMs,
    Math.round((range.toMs - range.fromMs) / range.bucketMs),
  );
  for (const [tenantId, attempts] of readAttempts(parts, seriesOf, range)) analyser.add(tenantId, attempts);
  const movers = analyser.candidates().map((mover) => onTheMinute(parts, seriesOf, range, mover));
  return analyser.figures(query.against && secondRange(parts, query, analyser.chosen()), movers);
}

function secondRange(
  parts: TimingParts,
  { connectionId, against }: TimingAnalysisQuery,
  tenants: readonly string[],
): Map<string, StagesOfTenant> {
  const found = new Map<string, StagesOfTenant>();
  if (against === null) return found;
  const all = parts.names.tenantsOf(connectionId);
  const seriesOf = new Map([...all].filter(([tenantId]) => tenants.includes(tenantId)));
  for (const [tenantId, attempts] of readAttempts(parts, seriesOf, bucketed(parts, against)))
    found.set(tenantId, stagesOf(attempts));
  return found;
}

function chosenSeries(parts: TimingParts, query: TimingAnalysisQuery): ReadonlyMap<string, number> {
  const all = parts.names.tenantsOf(query.connectionId);
  if (query.tenantIds.length === 0) return all;
  const chosen = new Set(query.tenantIds);
  return new Map([...all].filter(([tenantId]) => chosen.has(tenantId)));
}

function bucketed(parts: TimingParts, asked: { fromMs: number; toMs: number }): Range {
  const fromMs = Math.min(asked.fromMs, asked.toMs);
  const toMs = Math.max(asked.fromMs, asked.toMs, fromMs + 1);
  const atLeastMs = Math.max(NARROWEST_MS, finestKept(parts.retention, fromMs));
  let bucketMs = widthFor(fromMs, toMs, MAX_BUCKETS, atLeastMs);
  if (bucketMs > WIDEST_FINE_MS) bucketMs = Math.max(bucketMs, QUARTERS.resolutionMs);
  return {
    fromMs: Math.floor(fromMs / bucketMs) * bucketMs,
    toMs: Math.ceil(toMs / bucketMs) * bucketMs,
    bucketMs,
  };
}

/** The same change with its moment to the minute, where minutes are kept: of coarse slots the two about it are opened. */
function onTheMinute(
  parts: TimingParts,
  seriesOf: ReadonlyMap<string, number>,
  range: Range,
  mover: Mover,
): Mover {
  const { bucketMs } = range;
  if (bucketMs <= MINUTES.resolutionMs) return mover;
  const series = seriesOf.get(mover.tenantId);
  if (series === undefined) return mover;
  const fineFromMs = Math.max(range.fromMs, mover.atMs - bucketMs);
  const fineToMs = Math.min(range.toMs, mover.atMs + bucketMs);
  const joined = new SketchSeries();
  for (const piece of [
    { fromMs: range.fromMs, toMs: fineFromMs, bucketMs },
    { fromMs: fineFromMs, toMs: fineToMs, bucketMs: MINUTES.resolutionMs },
    { fromMs: fineToMs, toMs: range.toMs, bucketMs },
  ]) {
    for (const [, attempts] of readAttempts(parts, new Map([[mover.tenantId, series]]), piece))
      append(joined, attempts, mover.stage);
  }
  return { ...mover, ...changePoint(joined) };
}

function append(to: SketchSeries, { stages }: TenantAttempts, stage: string): void {
  const series = stages.get(stage);
  for (const slot of series?.slots ?? []) if (series !== undefined) to.append(series, slot);
}
