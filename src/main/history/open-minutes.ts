// The minutes that are being filled: samples and attempts in memory until the next write, a few seconds away.
import type { DatabaseSync } from 'node:sqlite';
import { AttemptWriter, decodeAttempts, type Attempt } from './attempts.ts';
import { BucketWriter, decodeBuckets, type Bucket } from './bucket.ts';
import { unlessDamaged } from './roll-up.ts';
import { transaction } from './schema.ts';
import { MAX_SERIES, MINUTES, RAW, spanAt, type ChunkTable } from './tiers.ts';

interface OpenMinute {
  minute: number;
  series: number;
  samples: BucketWriter;
  attempts: AttemptWriter;
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
    const open = this.#minuteOf(series, sample.tMs);
    if (open === null) return;
    open.dirty = true;
    if (open.samples.add(sample)) return;
    // Times go back when a clock is set or a log is read late: the minute is put in order again.
    const startMs = open.minute * RAW.spanMs;
    const samples = [...decodeBuckets(open.samples.bytes, startMs), sample].sort((a, b) => a.tMs - b.tMs);
    open.samples = filled(new BucketWriter(startMs), samples);
  }

  addAttempt(series: number, attempt: Attempt): void {
    const open = this.#minuteOf(series, attempt.atMs);
    if (open === null) return;
    open.dirty = true;
    if (open.attempts.add(attempt)) return;
    const startMs = open.minute * RAW.spanMs;
    const attempts = [...decodeAttempts(open.attempts.bytes, startMs), attempt].sort(
      (a, b) => a.atMs - b.atMs,
    );
    open.attempts = filled(new AttemptWriter(startMs), attempts);
  }

  /** Writes what is new and marks its hours as due for the roll-up, in one transaction. Throws as SQLite does. */
  write(): void {
    const dirty = [...this.#open.values()].filter((minute) => minute.dirty);
    if (dirty.length > 0) {
      transaction(this.#db, () => {
        const hours = new Set<number>();
        for (const { minute, series, samples, attempts } of dirty) {
          this.#raw.put(minute, series, {
            samples: samples.bytes.length > 0 ? samples.bytes : null,
            attempts: attempts.bytes.length > 0 ? attempts.bytes : null,
          });
          hours.add(spanAt(MINUTES, minute * RAW.spanMs));
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
    const samples = unlessDamaged(chunk?.samples ?? null, (bytes) => decodeBuckets(bytes, startMs));
    const attempts = unlessDamaged(chunk?.attempts ?? null, (bytes) => decodeAttempts(bytes, startMs));
    const fresh: OpenMinute = {
      minute,
      series,
      samples: filled(new BucketWriter(startMs), samples),
      attempts: filled(new AttemptWriter(startMs), attempts),
      dirty: false,
    };
    this.#open.set(slot, fresh);
    this.#newest = Math.max(this.#newest, minute);
    return fresh;
  }
}

function filled<T, W extends { add(element: T): boolean }>(writer: W, inOrder: T[]): W {
  for (const element of inOrder) writer.add(element);
  return writer;
}
