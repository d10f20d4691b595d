// Names interned as small numbers: tenants of connections as series, stages of attempts.
import type { DatabaseSync } from 'node:sqlite';
import { MAX_SERIES } from './tiers.ts';

/** A log can name any number of stages; more than these in one file are noise and are not kept. */
const MAX_STAGES = 1000;

export class Names {
  readonly #db: DatabaseSync;
  readonly #series = new Map<string, Map<string, number>>();
  readonly #stages = new Map<string, number>();
  #lastSeries = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
    for (const row of db.prepare('SELECT id, connection, tenant FROM series').all()) {
      this.#remember(String(row['connection']), String(row['tenant']), Number(row['id']));
    }
    for (const row of db.prepare('SELECT id, name FROM stages').all()) {
      this.#stages.set(String(row['name']), Number(row['id']));
    }
  }

  get connections(): string[] {
    return [...this.#series.keys()];
  }
  /** The largest series number given so far. */
  get lastSeries(): number {
    return this.#lastSeries;
  }

  /** The tenants of a connection with their numbers. */
  tenantsOf(connection: string): ReadonlyMap<string, number> {
    return this.#series.get(connection) ?? new Map<string, number>();
  }

  /** The number of a tenant; null when nothing was ever kept of it. */
  find(connection: string, tenant: string): number | null {
    return this.#series.get(connection)?.get(tenant) ?? null;
  }

  /** The number of a tenant, a new one where it has none. Throws when the numbers are used up. */
  series(connection: string, tenant: string): number {
    const known = this.find(connection, tenant);
    if (known !== null) return known;
    if (this.#lastSeries + 1 >= MAX_SERIES)
      throw new RangeError('the history holds a million tenants already');
    const { lastInsertRowid } = this.#db
      .prepare('INSERT INTO series (connection, tenant) VALUES (?, ?)')
      .run(connection, tenant);
    this.#remember(connection, tenant, Number(lastInsertRowid));
    return Number(lastInsertRowid);
  }

  /** The number of a stage; null when there are too many already. */
  stage(name: string): number | null {
    const known = this.#stages.get(name);
    if (known !== undefined) return known;
    if (this.#stages.size >= MAX_STAGES) return null;
    const { lastInsertRowid } = this.#db.prepare('INSERT INTO stages (name) VALUES (?)').run(name);
    this.#stages.set(name, Number(lastInsertRowid));
    return Number(lastInsertRowid);
  }

  /** Names of the stages by number. */
  stageNames(): Map<number, string> {
    return new Map([...this.#stages].map(([name, id]) => [id, name]));
  }

  #remember(connection: string, tenant: string, id: number): void {
    const tenants = this.#series.get(connection) ?? new Map<string, number>();
    this.#series.set(connection, tenants.set(tenant, id));
    this.#lastSeries = Math.max(this.#lastSeries, id);
  }
}
