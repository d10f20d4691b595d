// From fine chunks to wide ones. Nothing is kept in memory: a wide chunk is always built anew from all fine chunks
// of its span, so that doing it twice, or half and again after a restart, gives the same.
import type { DatabaseSync } from 'node:sqlite';
import {
  addAttempt,
  decodeAttempts,
  decodeSpans,
  encodeSpans,
  gather,
  mergeSpan,
  type AttemptSpan,
} from './attempts.ts';
import { decodeBuckets, encodeBuckets, widen, type Bucket } from './bucket.ts';
import { transaction } from './schema.ts';
import { HOURS, MINUTES, RAW, type Chunk, type ChunkTable, type Tier } from './tiers.ts';

/** A span is rolled up this long after its end: its last samples may still be on their way. */
const SETTLED_MS = 30_000;

export class RollUp {
  readonly #db: DatabaseSync;
  readonly #hours: ChunkTable;
  readonly #steps: readonly { from: ChunkTable; to: ChunkTable; slice: number }[];
  readonly #next;
  readonly #finish;
  readonly #progress;
  readonly #due;
  readonly #isDue;
  readonly #earliest;

  /** `tables` finest first; `hours` takes the quarters of an hour of what becomes minutes. */
  constructor(db: DatabaseSync, tables: readonly [ChunkTable, ChunkTable, ChunkTable], hours: ChunkTable) {
    this.#db = db;
    this.#hours = hours;
    const [raw, minutes, quarters] = tables;
    // `slice`: series that are rolled up at one go, about 30 ms; a query waits no longer than that.
    this.#steps = [
      { from: raw, to: minutes, slice: 25 },
      { from: minutes, to: quarters, slice: 3 },
    ];
    this.#next = db.prepare('SELECT span, done FROM due WHERE tier = ? AND span < ? ORDER BY span LIMIT 1');
    this.#finish = db.prepare('DELETE FROM due WHERE tier = ? AND span = ?');
    this.#progress = db.prepare('UPDATE due SET done = ? WHERE tier = ? AND span = ?');
    this.#due = db.prepare(
      'INSERT INTO due (tier, span, done) VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET done = 0',
    );
    this.#isDue = db.prepare('SELECT 1 FROM due WHERE tier = ? AND span = ?');
    this.#earliest = db.prepare('SELECT min(span) AS span FROM due WHERE tier = ?');
  }

  /** Rolls up one slice of what has closed by `nowMs`. True when there was something to do. */
  step(nowMs: number, lastSeries: number): boolean {
    for (const { from, to, slice } of this.#steps) {
      const { table, spanMs } = to.tier;
      const closed = Math.floor((nowMs - SETTLED_MS) / spanMs);
      const next = this.#next.get(table, closed);
      if (next === undefined) continue;
      const span = Number(next['span']);
      const first = Number(next['done']) + 1;
      const last = Math.min(first + slice - 1, lastSeries);
      transaction(this.#db, () => {
        for (let series = first; series <= last; series++) this.#rollUp(from, to, span, series);
        if (last < lastSeries) this.#progress.run(last, table, span);
        else this.#finished(to.tier, span);
      });
      return true;
    }
    return false;
  }

  /** Whether a wide span is not rolled up yet: its finer chunks must be read instead. */
  isDue(tier: Tier, span: number): boolean {
    return this.#isDue.get(tier.table, span) !== undefined;
  }

  /** When the earliest span begins that is still to be rolled up from `tier`; what it needs must stay. */
  neededFromMs(tier: Tier): number {
    const step = this.#steps.find(({ from }) => from.tier === tier);
    if (step === undefined) return Infinity;
    const span = this.#earliest.get(step.to.tier.table)?.['span'];
    return typeof span === 'number' ? span * step.to.tier.spanMs : Infinity;
  }

  #finished(tier: Tier, span: number): void {
    this.#finish.run(tier.table, span);
    const wider = this.#steps.find(({ from }) => from.tier === tier)?.to.tier;
    if (wider !== undefined) this.#due.run(wider.table, Math.floor((span * tier.spanMs) / wider.spanMs));
  }

  /** Builds one wide chunk from the fine chunks of its span; a series without any is left without one. */
  #rollUp(from: ChunkTable, to: ChunkTable, span: number, series: number): void {
    const startMs = span * to.tier.spanMs;
    const width = to.tier.resolutionMs;
    const buckets: Bucket[] = [];
    const spans: AttemptSpan[] = [];
    for (let fineMs = startMs; fineMs < startMs + to.tier.spanMs; fineMs += from.tier.spanMs) {
      const chunk = from.get(fineMs / from.tier.spanMs, series);
      if (chunk === null) continue;
      buckets.push(...widen(bucketsOf(chunk, fineMs), width));
      spans.push(...attemptSpansOf(from.tier, chunk, fineMs, width));
    }
    if (buckets.length === 0 && spans.length === 0) return;
    to.put(span, series, {
      samples: buckets.length > 0 ? encodeBuckets(buckets, startMs) : null,
      attempts: spans.length > 0 ? encodeSpans(spans, startMs) : null,
    });
    if (to.tier !== MINUTES || spans.length === 0) return;
    const quarters = gather(spans, HOURS.resolutionMs, (span) => span.tMs, mergeSpan);
    this.#hours.put(span, series, { samples: null, attempts: encodeSpans(quarters, startMs) });
  }
}

/** The samples or buckets of a chunk, in the order of time. */
export const bucketsOf = (chunk: Chunk, startMs: number): Bucket[] =>
  unlessDamaged(chunk.samples, (bytes) => decodeBuckets(bytes, startMs));

/** The attempts of a chunk of any tier, gathered to spans of a width. */
export function attemptSpansOf(tier: Tier, chunk: Chunk, startMs: number, widthMs: number): AttemptSpan[] {
  if (tier === RAW) {
    const attempts = unlessDamaged(chunk.attempts, (bytes) => decodeAttempts(bytes, startMs));
    return gather(attempts, widthMs, (attempt) => attempt.atMs, addAttempt);
  }
  const spans = unlessDamaged(chunk.attempts, (bytes) => decodeSpans(bytes, startMs));
  return gather(spans, widthMs, (span) => span.tMs, mergeSpan);
}

/** What is in a chunk; nothing when its bytes make no sense, so that one bad block hides one chunk and not all. */
export function unlessDamaged<T>(bytes: Uint8Array | null, decode: (bytes: Uint8Array) => T[]): T[] {
  if (bytes === null) return [];
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}
