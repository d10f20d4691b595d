// Claims leave dead entries at the very place where the next claim begins to read: a backlog of a million jobs would be
// walked more slowly with every job of it. Autovacuum comes once a minute at best, so the store sweeps by itself.
import { z } from 'zod';
import type { Ask } from './postgres-pool.ts';

/** Below this, walking past the dead costs less than a sweep. */
const LEAST = 20_000;
/**
 * Walking costs about 12 ns a dead job and exchange, a sweep about 50 ns a job of the table. The sum of both a job is least
 * where so many times the root of the table's jobs have died since the last sweep.
 */
const ROOTS = 64;

export class PostgresVacuum {
  readonly #ask: Ask;
  readonly #schema: string;
  #claimed = 0;
  #due = LEAST;
  #sweeping: Promise<void> | null = null;

  constructor(ask: Ask, schema: string) {
    this.#ask = ask;
    this.#schema = schema;
  }

  /** So many jobs were claimed. Sweeps beside what else goes on when it is worth it. */
  claimed(count: number): void {
    this.#claimed += count;
    if (this.#claimed < this.#due || this.#sweeping !== null) return;
    this.#claimed = 0;
    this.#sweeping = this.#sweep().finally(() => {
      this.#sweeping = null;
    });
  }

  /** Resolves when no sweep is under way. */
  async over(): Promise<void> {
    await this.#sweeping;
  }

  async #sweep(): Promise<void> {
    try {
      // Not while another machine does it; and not giving pages back to the disk, which would stop everybody.
      await this.#ask(`VACUUM (INDEX_CLEANUP on, TRUNCATE off, SKIP_LOCKED on) ${this.#schema}.job`);
      const [row] = await this.#ask(
        `SELECT reltuples FROM pg_class WHERE oid = '${this.#schema}.job'::regclass`,
      );
      const { reltuples } = z.object({ reltuples: z.coerce.number() }).parse(row);
      this.#due = Math.max(LEAST, ROOTS * Math.sqrt(Math.max(0, reltuples)));
    } catch {
      // It is no more than slower without: the server was away, or the user does not own the table.
      this.#due *= 2;
    }
  }
}
