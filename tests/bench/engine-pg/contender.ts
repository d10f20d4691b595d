// What takes part in the benchmark: a queue on PostgreSQL that works off jobs which do nothing.
import type { Postgres } from '../../harness/postgres.ts';

/** Jobs that run at once, for everyone. */
export const WORKERS = 10;
/** Jobs enqueued in one call, for everyone. */
export const ENQUEUED_AT_ONCE = 5_000;

export interface Contender {
  /** For people. */
  name: string;
  /** Enqueues `jobs` in tables of its own; `worked` then works them off. */
  enqueue(db: Postgres, schema: string, jobs: number): Promise<Backlog>;
}

export interface Backlog {
  /** Starts the workers and resolves when the last job has been run. */
  work(): Promise<void>;
  /** Stops the workers; answers how many jobs are left behind, which must be none. */
  close(): Promise<number>;
}

/** Resolves at the last of so many runs. */
export function countdown(jobs: number): { run: () => void; over: Promise<void> } {
  let left = jobs;
  let run = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    run = () => {
      if (--left === 0) resolve();
    };
  });
  return { run, over };
}

/** The first column of the first row, as a number. */
export async function countOf(db: Postgres, sql: string): Promise<number> {
  const client = await db.connect();
  const { rows } = await client.query<Record<string, unknown>>(sql);
  await client.end();
  return Number(Object.values(rows[0] ?? {})[0]);
}

export const urlOf = (db: Postgres): string =>
  `postgres://${db.user}:${db.password}@${db.host}:${db.port}/postgres`;
