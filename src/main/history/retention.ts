// What is let go: chunks past their time, and the oldest of all when the file outgrows its budget.
import type { DatabaseSync } from 'node:sqlite';
import { transaction } from './schema.ts';
import type { RollUp } from './roll-up.ts';
import { QUARTERS, type ChunkTable, type Tier } from './tiers.ts';

/** Spans that are deleted at one go; a query waits no longer than that takes. */
const SLICE = 10;

export class Retention {
  readonly #db: DatabaseSync;
  readonly #tables: readonly ChunkTable[];
  readonly #rollUp: RollUp;
  readonly #budgetBytes: number;
  readonly #from = new Map<Tier, number>();
  readonly #remember;

  constructor(db: DatabaseSync, tables: readonly ChunkTable[], rollUp: RollUp, budgetBytes: number) {
    this.#db = db;
    this.#tables = tables;
    this.#rollUp = rollUp;
    this.#budgetBytes = budgetBytes;
    this.#remember = db.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)');
    for (const { tier } of tables) {
      const value = db.prepare('SELECT value FROM meta WHERE key = ?').get(`${tier.table} from`)?.['value'];
      this.#from.set(tier, Number(value ?? 0));
    }
  }

  /** Everything of this tier before this time has been let go; 0 when nothing has. */
  keptFromMs(tier: Tier): number {
    return this.#from.get(tier) ?? 0;
  }

  /** Lets go of one slice. True when there was something to do. */
  step(nowMs: number): boolean {
    for (const table of this.#tables) {
      const { tier } = table;
      // What is still to be rolled up stays.
      const untilMs = Math.min(nowMs - tier.keptMs, this.#rollUp.neededFromMs(tier));
      const until = Math.floor(untilMs / tier.spanMs);
      const oldest = table.oldest();
      if (oldest === null || oldest >= until) continue;
      this.#letGo(table, Math.min(until, oldest + SLICE));
      return true;
    }
    return this.#shrink();
  }

  /** Bytes in use, without the pages that wait to be used again. */
  usedBytes(): number {
    const pragma = (name: string) => Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name]);
    return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
  }

  #shrink(): boolean {
    if (this.usedBytes() <= this.#budgetBytes) return false;
    const oldest = this.#tables
      .map((table) => ({ table, span: table.oldest() }))
      .filter((found): found is { table: ChunkTable; span: number } => found.span !== null)
      .map(({ table, span }) => ({ table, span, startMs: span * table.tier.spanMs }))
      .sort((a, b) => a.startMs - b.startMs)
      // The newest of each stays, whatever the budget: it is being filled.
      .find(({ table, span }) => span !== table.newest());
    if (oldest === undefined) return false;
    this.#letGo(oldest.table, oldest.span + 1);
    this.#db.exec('PRAGMA incremental_vacuum(1000)');
    return true;
  }

  #letGo(table: ChunkTable, until: number): void {
    const { tier } = table;
    const fromMs = Math.max(this.keptFromMs(tier), until * tier.spanMs);
    transaction(this.#db, () => {
      table.deleteBefore(until);
      this.#remember.run(`${tier.table} from`, fromMs);
      if (tier === QUARTERS) {
        // Nothing is drawn before the oldest quarter of an hour any more.
        this.#db.prepare('DELETE FROM gaps WHERE to_ms < ?').run(until * tier.spanMs);
        this.#db.prepare('DELETE FROM alert_events WHERE at_ms < ?').run(until * tier.spanMs);
      }
    });
    this.#from.set(tier, fromMs);
  }
}
