// From chunks to what a chart draws: buckets of equal length, with gaps and marks.
import type { DatabaseSync } from 'node:sqlite';
import { alertEventSchema, type AlertEvent } from '../../core/alert.ts';
import type { History, HistoryMark, HistoryPoint, HistoryQuery } from '../../contract/history.ts';
import { emptySpan, mergeSpan, RUN, type AttemptSpan } from './attempts.ts';
import { emptyBucket, mergeBucket, type Bucket } from './bucket.ts';
import type { Names } from './names.ts';
import type { Retention } from './retention.ts';
import { attemptSpansOf, bucketsOf, type RollUp } from './roll-up.ts';
import { MINUTES, QUARTERS, RAW, TIERS, type Chunk, type ChunkTable, type Tier } from './tiers.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Widths that people can read off an axis. Those over a minute are whole minutes, those over 15 whole quarters. */
const WIDTHS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 28].map((n) => n * DAY),
];
/** More marks than these on one axis cannot be told apart; the newest are shown. */
const MAX_MARKS = 200;

/** What a query reads from. */
export interface HistoryParts {
  db: DatabaseSync;
  /** Finest first. */
  tables: readonly ChunkTable[];
  names: Names;
  rollUp: RollUp;
  retention: Retention;
}

/** What the file holds of one tenant, in at most `maxPoints` buckets as fine as the data allows. */
export function queryHistory(parts: HistoryParts, query: HistoryQuery): History {
  const { connectionId, tenantId, maxPoints } = query;
  const fromMs = Math.min(query.fromMs, query.toMs);
  const toMs = Math.max(query.fromMs, query.toMs, fromMs + 1);
  const series = parts.names.find(connectionId, tenantId);
  const read = (widthMs: number) =>
    series === null ? [] : [...chunksOf(parts, series, fromMs, toMs, widthMs)];
  const finestMs = finestKept(parts.retention, fromMs);
  let bucketMs = widthFor(fromMs, toMs, maxPoints, finestMs);
  let found = read(bucketMs);
  // Polls further apart than a bucket is wide would leave every other bucket empty.
  const sparseMs = widthFor(fromMs, toMs, maxPoints, Math.max(finestMs, spacing(found)));
  if (sparseMs > bucketMs) {
    bucketMs = sparseMs;
    found = read(bucketMs);
  }
  const startMs = Math.floor(fromMs / bucketMs) * bucketMs;
  const length = Math.ceil((toMs - startMs) / bucketMs);
  const buckets: Bucket[] = Array.from({ length }, (_, i) => emptyBucket(startMs + i * bucketMs));
  const spans: AttemptSpan[] = buckets.map(({ tMs }) => emptySpan(tMs));
  for (const part of found) {
    for (const bucket of part.buckets) {
      const into = buckets[Math.floor((bucket.tMs - startMs) / bucketMs)];
      if (into !== undefined) mergeBucket(into, bucket);
    }
    for (const span of attemptSpansOf(part.tier, part.chunk, part.startMs, bucketMs)) {
      const into = spans[Math.floor((span.tMs - startMs) / bucketMs)];
      if (into !== undefined) mergeSpan(into, span);
    }
  }
  const stageNames = parts.names.stageNames();
  return {
    bucketMs,
    points: buckets.map((bucket, i) => pointOf(bucket, spans[i] ?? emptySpan(bucket.tMs), stageNames)),
    gaps: gapsOf(parts.db, connectionId, fromMs, toMs),
    marks: marksOf(parts.db, connectionId, tenantId, fromMs, toMs),
  };
}

/** The narrowest width, at least `atLeastMs`, that covers the range with at most `maxPoints` buckets. */
export function widthFor(fromMs: number, toMs: number, maxPoints: number, atLeastMs: number): number {
  const fits = (width: number) =>
    width >= atLeastMs && Math.ceil((toMs - Math.floor(fromMs / width) * width) / width) <= maxPoints;
  const width = WIDTHS.find(fits);
  if (width !== undefined) return width;
  // A range of years: whole days, as many as it takes. One more than that, for the range may begin within one.
  return Math.ceil((toMs - fromMs) / (maxPoints - 1) / DAY) * DAY;
}

/** The width of the finest buckets that are still kept at a time. */
export function finestKept(retention: Retention, atMs: number): number {
  const tier = TIERS.find((candidate) => atMs >= retention.keptFromMs(candidate)) ?? QUARTERS;
  return tier.resolutionMs;
}

/** One and a half times the usual distance between samples; 0 where every bucket of its tier has one. */
function spacing(parts: Part[]): number {
  const steps: number[] = [];
  let previousMs: number | null = null;
  for (const { tier, buckets } of parts) {
    for (const { tMs } of buckets) {
      if (previousMs !== null) steps.push(tMs - previousMs <= tier.resolutionMs ? 0 : tMs - previousMs);
      previousMs = tMs;
    }
  }
  steps.sort((a, b) => a - b);
  return 1.5 * (steps[Math.floor(steps.length / 2)] ?? 0);
}

interface Part {
  tier: Tier;
  chunk: Chunk;
  startMs: number;
  buckets: Bucket[];
}

/** The chunks of a range, in the order of time: of each stretch the widest that is fine enough and rolled up. */
function* chunksOf(
  parts: HistoryParts,
  series: number,
  fromMs: number,
  toMs: number,
  bucketMs: number,
): Generator<Part> {
  // The first bucket begins before the range does.
  let atMs = Math.floor(fromMs / bucketMs) * bucketMs;
  while (atMs < toMs) {
    const tier = tierAt(parts, atMs, bucketMs);
    const span = Math.floor(atMs / tier.spanMs);
    const startMs = span * tier.spanMs;
    const chunk = parts.tables.find((table) => table.tier === tier)?.get(span, series) ?? null;
    if (chunk !== null) {
      yield { tier, chunk, startMs, buckets: bucketsOf(chunk, startMs) };
    }
    atMs = startMs + tier.spanMs;
  }
}

function tierAt({ rollUp, retention }: HistoryParts, atMs: number, bucketMs: number): Tier {
  const rolledUp = (tier: Tier) => !isPending(rollUp, tier, atMs);
  if (bucketMs >= QUARTERS.resolutionMs && rolledUp(QUARTERS)) return QUARTERS;
  if (bucketMs >= MINUTES.resolutionMs && rolledUp(MINUTES)) return MINUTES;
  // A stretch whose raw samples are gone is drawn from what is left, whatever the width.
  return TIERS.find((tier) => atMs >= retention.keptFromMs(tier)) ?? RAW;
}

/** A span is not in its tier yet when it is due, or when a finer one within it is. */
export function isPending(rollUp: RollUp, tier: Tier, atMs: number): boolean {
  if (tier === MINUTES) return rollUp.isDue(MINUTES, Math.floor(atMs / MINUTES.spanMs));
  const day = Math.floor(atMs / QUARTERS.spanMs);
  if (rollUp.isDue(QUARTERS, day)) return true;
  const hours = QUARTERS.spanMs / MINUTES.spanMs;
  for (let hour = day * hours; hour < (day + 1) * hours; hour++) {
    if (rollUp.isDue(MINUTES, hour)) return true;
  }
  return false;
}

function pointOf(bucket: Bucket, span: AttemptSpan, names: Map<number, string>): HistoryPoint {
  const stagesP95Ms: Record<string, number> = {};
  let waitP95Ms: number | null = null;
  for (const [stage, sketch] of span.stages) {
    const name = names.get(stage);
    const p95 = sketch.quantile(0.95);
    if (name === undefined || p95 === null) continue;
    // The wait comes before the run; it is no part of it.
    if (name === 'wait') waitP95Ms = p95;
    else stagesP95Ms[name] = p95;
  }
  const run = span.stages.get(RUN);
  return {
    ...bucket,
    finished: span.finished,
    failed: span.failed,
    waitP95Ms,
    runP50Ms: run?.quantile(0.5) ?? null,
    runP95Ms: run?.quantile(0.95) ?? null,
    runP99Ms: run?.quantile(0.99) ?? null,
    stagesP95Ms,
  };
}

function gapsOf(db: DatabaseSync, connection: string, fromMs: number, toMs: number): History['gaps'] {
  // Walks gaps_by_time.
  return db
    .prepare(
      `SELECT from_ms, to_ms, reason FROM gaps
       WHERE connection = ? AND from_ms < ? AND (to_ms IS NULL OR to_ms > ?) ORDER BY from_ms`,
    )
    .all(connection, toMs, fromMs)
    .map((row) => ({
      fromMs: Number(row['from_ms']),
      toMs: row['to_ms'] === null ? null : Number(row['to_ms']),
      reason: String(row['reason']),
    }));
}

function marksOf(
  db: DatabaseSync,
  connection: string,
  tenant: string,
  fromMs: number,
  toMs: number,
): HistoryMark[] {
  // Walks alert_events_by_time.
  const rows = db
    .prepare(
      'SELECT event FROM alert_events WHERE connection = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms',
    )
    .all(connection, fromMs, toMs);
  return rows
    .map((row) => alertEventSchema.parse(JSON.parse(String(row['event']))))
    .filter((event) => concerns(event, tenant) && (event.from === 'firing' || event.to === 'firing'))
    .slice(-MAX_MARKS)
    .map(({ atMs, severity, summary }) => ({ atMs, kind: 'alert', severity, text: summary }));
}

const concerns = ({ scope }: AlertEvent, tenant: string): boolean =>
  scope.kind === 'connection' || (scope.kind === 'tenant' && scope.id === tenant);
