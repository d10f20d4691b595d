// The resolutions that are kept, and the chunks they are kept in.
import type { DatabaseSync, StatementSync } from 'node:sqlite';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export interface Tier {
  table: 'raw' | 'minutes' | 'quarters' | 'hours';
  /** Width of one bucket in ms; 0: as sampled. */
  resolutionMs: number;
  /** Time that one chunk covers. */
  spanMs: number;
  /** How long a chunk is kept. */
  keptMs: number;
}

export const RAW: Tier = { table: 'raw', resolutionMs: 0, spanMs: MINUTE, keptMs: 6 * HOUR };
export const MINUTES: Tier = { table: 'minutes', resolutionMs: MINUTE, spanMs: HOUR, keptMs: 14 * DAY };
export const QUARTERS: Tier = {
  table: 'quarters',
  resolutionMs: 15 * MINUTE,
  spanMs: DAY,
  keptMs: 400 * DAY,
};
/**
 * Attempts by quarters of an hour before their day is over: written with each hour's minutes, so that a day of a
 * thousand tenants, of which the last part is no whole day, need not be merged from its minutes.
 */
export const HOURS: Tier = { table: 'hours', resolutionMs: 15 * MINUTE, spanMs: HOUR, keptMs: 3 * DAY };
/** Finest first; each is rolled up from the one before it. */
export const TIERS: readonly [Tier, Tier, Tier] = [RAW, MINUTES, QUARTERS];

/** Series are numbered below this; it shares a slot with the chunk's place in time. */
export const MAX_SERIES = 2 ** 20;

export const spanAt = (tier: Tier, atMs: number): number => Math.floor(atMs / tier.spanMs);

export interface Chunk {
  samples: Uint8Array | null;
  attempts: Uint8Array | null;
}

/** The chunks of one tier. `span` counts chunks since the epoch. */
export class ChunkTable {
  readonly tier: Tier;
  readonly #get: StatementSync;
  readonly #attempts: StatementSync;
  readonly #put: StatementSync;
  readonly #oldest: StatementSync;
  readonly #newest: StatementSync;
  readonly #deleteBefore: StatementSync;

  constructor(db: DatabaseSync, tier: Tier) {
    this.tier = tier;
    // Each walks the table's own key.
    this.#get = db.prepare(`SELECT samples, attempts FROM ${tier.table} WHERE slot = ?`);
    this.#attempts = db.prepare(
      `SELECT slot, attempts FROM ${tier.table} WHERE slot BETWEEN ? AND ? AND attempts IS NOT NULL`,
    );
    this.#put = db.prepare(`INSERT OR REPLACE INTO ${tier.table} (slot, samples, attempts) VALUES (?, ?, ?)`);
    this.#oldest = db.prepare(`SELECT min(slot) AS slot FROM ${tier.table}`);
    this.#newest = db.prepare(`SELECT max(slot) AS slot FROM ${tier.table}`);
    this.#deleteBefore = db.prepare(`DELETE FROM ${tier.table} WHERE slot < ?`);
  }

  get(span: number, series: number): Chunk | null {
    const row = this.#get.get(slotOf(span, series));
    if (row === undefined) return null;
    return { samples: bytesOf(row['samples']), attempts: bytesOf(row['attempts']) };
  }

  /** What was attempted within a span by the series of a range of numbers, both ends among them. */
  attempts(span: number, first: number, last: number): { series: number; attempts: Uint8Array }[] {
    return this.#attempts.all(slotOf(span, first), slotOf(span, last)).flatMap((row) => {
      const attempts = bytesOf(row['attempts']);
      return attempts === null ? [] : [{ series: Number(row['slot']) % MAX_SERIES, attempts }];
    });
  }

  put(span: number, series: number, chunk: Chunk): void {
    this.#put.run(slotOf(span, series), chunk.samples, chunk.attempts);
  }

  /** The span of the oldest chunk; null when there is none. */
  oldest(): number | null {
    return spanOf(this.#oldest.get()?.['slot']);
  }

  /** The span of the newest chunk; null when there is none. */
  newest(): number | null {
    return spanOf(this.#newest.get()?.['slot']);
  }

  /** Deletes every chunk before `span`. */
  deleteBefore(span: number): void {
    this.#deleteBefore.run(slotOf(span, 0));
  }
}

const slotOf = (span: number, series: number): number => span * MAX_SERIES + series;
const spanOf = (slot: unknown): number | null =>
  typeof slot === 'number' ? Math.floor(slot / MAX_SERIES) : null;
const bytesOf = (value: unknown): Uint8Array | null => (value instanceof Uint8Array ? value : null);
