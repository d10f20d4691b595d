// The minutes that are being filled: samples and attempts in memory until the next write, a few seconds away.
import type { DatabaseSync } from 'node:sqlite';
import { decodeAttempts, encodeAttempts, type Attempt } from './attempts.ts';
import { decodeBuckets, encodeBuckets, type Bucket } from './bucket.ts';
import { unlessDamaged } from './roll-up.ts';
import { transaction } from './schema.ts';
import { MAX_SERIES, MINUTES, RAW, spanAt, type ChunkTable } from './tiers.ts';

interface OpenMinute {
  minute: number;
  series: number;
  samples: Bucket[];
  attempts: Attempt[];
  dirty: boolean;
}

/** While the disk is full nothing can be written; what is held then is bounded: chunks, 600 bytes each or so. */
const MAX_OPEN = 100_000;

export class OpenMinutes {
  readonly #db: DatabaseSync;
  readonly #raw: ChunkTable;
  readonly #due;
  /** By slot. */
  readonly #open = new Map<number, OpenMinute>();
  #newest = 0;
  /** Raw chunks before this span are rolled up and gone; what still arrives for them is too late. */
  #firstKept: number;
  #dropped = 0;

  constructor(db: DatabaseSync, raw: ChunkTable, firstKept: number) {
    this.#db = db;
    this.#raw = raw;
    this.#firstKept = firstKept;
    this.#due = db.prepare(
      'INSERT INTO due (tier, span, done) VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET done = 0',
    );
  }

  /** Samples and attempts that were not kept: too late, or too many while the disk was full. */
  get dropped(): number {
    return this.#dropped;
  }

  forgetBefore(firstKept: number): void {
    this.#firstKept = firstKept;
  }

  addSample(series: number, sample: Bucket): void {
    const minute = this.#minuteOf(series, sample.tMs);
    if (minute === null) return;
    insertInTime(minute.samples, sample, (s) => s.tMs);
    minute.dirty = true;
  }

  addAttempt(series: number, attempt: Attempt): void {
    const minute = this.#minuteOf(series, attempt.atMs);
    if (minute === null) return;
    insertInTime(minute.attempts, attempt, (a) => a.atMs);
    minute.dirty = true;
  }

  /** Writes what is new and marks its hours as due for the roll-up, in one transaction. Throws as SQLite does. */
  write(): void {
    const dirty = [...this.#open.values()].filter((minute) => minute.dirty);
    if (dirty.length > 0) {
      transaction(this.#db, () => {
        const hours = new Set<number>();
        for (const { minute, series, samples, attempts } of dirty) {
          const startMs = minute * RAW.spanMs;
          this.#raw.put(minute, series, {
            samples: samples.length > 0 ? encodeBuckets(samples, startMs) : null,
            attempts: attempts.length > 0 ? encodeAttempts(attempts, startMs) : null,
          });
          hours.add(spanAt(MINUTES, startMs));
        }
        for (const hour of hours) this.#due.run(MINUTES.table, hour);
      });
    }
    for (const [slot, minute] of this.#open) {
      minute.dirty = false;
      if (minute.minute < this.#newest) this.#open.delete(slot);
    }
  }

  #minuteOf(series: number, atMs: number): OpenMinute | null {
    const minute = spanAt(RAW, atMs);
    const slot = minute * MAX_SERIES + series;
    const open = this.#open.get(slot);
    if (open !== undefined) return open;
    if (minute < this.#firstKept || this.#open.size >= MAX_OPEN) {
      this.#dropped++;
      return null;
    }
    // It may have been written before: by an earlier run, or before a line that arrives late.
    const chunk = this.#raw.get(minute, series);
    const startMs = minute * RAW.spanMs;
    const fresh: OpenMinute = {
      minute,
      series,
      samples: unlessDamaged(chunk?.samples ?? null, (bytes) => decodeBuckets(bytes, startMs)),
      attempts: unlessDamaged(chunk?.attempts ?? null, (bytes) => decodeAttempts(bytes, startMs)),
      dirty: false,
    };
    this.#open.set(slot, fresh);
    this.#newest = Math.max(this.#newest, minute);
    return fresh;
  }
}

/** Nearly always at the end; times may go back when a clock is set or a log is read late. */
function insertInTime<T>(list: T[], element: T, timeOf: (element: T) => number): void {
  let at = list.length;
  for (
    let before = list[at - 1];
    before !== undefined && timeOf(before) > timeOf(element);
    before = list[at - 1]
  ) {
    at--;
  }
  list.splice(at, 0, element);
}
