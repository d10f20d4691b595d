// The real pg-boss on a server of the harness, and jobs put straight into its table.
import type { Client } from 'pg';
import { PgBoss } from 'pg-boss';
import type { JobList, JobsPage, QueueJob } from '../../src/contract/queue-jobs.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { testQueueSource } from './queue-source-fixture.ts';

export const never = new AbortController().signal;
export const ODD = `it's "quoted" \\ 📮; --`;

export interface BossDatabase extends AsyncDisposable {
  db: Postgres;
  root: Client;
  boss: PgBoss;
  /** A source that logs in as `user`, password "reads". */
  source: (user?: string, schema?: string) => Source;
  /** Jobs straight into the table; `columns` are SQL over `n` from 1. */
  insert: (name: string, count: number, columns: Record<string, string>) => Promise<void>;
  /** No queues and no jobs. */
  clear: () => Promise<void>;
}

/** Its days begin half an hour off; `reader` may read all, `discreet` nothing yet. */
export async function startBossDatabase(): Promise<BossDatabase> {
  const db = await startPostgres({ settings: { autovacuum: 'off', timezone: 'Asia/Kolkata' } });
  const root = await db.connect();
  const { host, port, user, password } = db;
  const options = { host, port, user, password, database: 'postgres', max: 2 };
  const boss = new PgBoss({ ...options, supervise: false, schedule: false });
  boss.on('error', (error) => {
    throw error;
  });
  await boss.start();
  await root.query(
    `CREATE ROLE reader LOGIN PASSWORD 'reads'; CREATE ROLE discreet LOGIN PASSWORD 'reads';
     GRANT USAGE ON SCHEMA pgboss TO reader, discreet; GRANT SELECT ON ALL TABLES IN SCHEMA pgboss TO reader`,
  );
  const account = { password: 'reads', database: 'postgres' };
  return {
    ...{ db, root, boss },
    source: (as = 'reader', schema = 'pgboss') =>
      testQueueSource({ server: db, system: 'pg-boss', user: as, ...account, schema }),
    async insert(name, count, columns) {
      await root.query(
        `INSERT INTO pgboss.job (name, ${Object.keys(columns).join(', ')})
         SELECT $1, ${Object.values(columns).join(', ')} FROM generate_series(1, ${count}) n`,
        [name],
      );
    },
    async clear() {
      for (const { name } of await boss.getQueues()) await boss.deleteQueue(name).catch(() => undefined);
      await root.query('TRUNCATE pgboss.job, pgboss.job_dependency; DELETE FROM pgboss.queue');
    },
    async [Symbol.asyncDispose]() {
      await boss.stop({ graceful: false });
      await root.end();
      await db[Symbol.asyncDispose]();
    },
  };
}

/** A moment so many seconds ago, as SQL. */
export const ago = (seconds: string | number): string => `now() - (${seconds}) * interval '1 second'`;

/** Every page of a list, by its cursors. */
export async function pages(
  source: Source,
  list: JobList,
  tenantId: string | null,
  limit = 100,
): Promise<JobsPage[]> {
  const all: JobsPage[] = [];
  for (let after: string | null = null; ;) {
    const page = await source.details.jobs({ list, tenantId, after, limit }, never);
    all.push(page);
    if (page.next === null) return all;
    after = page.next;
  }
}
export const jobsOf = (all: readonly JobsPage[]): QueueJob[] => all.flatMap(({ jobs }) => jobs);
export const idsOf = (all: readonly JobsPage[]): string[] => jobsOf(all).map(({ id }) => id);

const readyAt = 'greatest(created_on, start_after)';
const truths: Record<Exclude<JobList, 'held'>, [where: string, order: string]> = {
  ready: [`state < 'active' AND NOT blocked AND ${readyAt} <= now()`, `${readyAt}, id, name COLLATE "C"`],
  delayed: [`state < 'active' AND NOT blocked AND ${readyAt} > now()`, `${readyAt}, id`],
  running: [`state = 'active'`, 'started_on, id'],
  blocked: [`state < 'active' AND blocked`, 'created_on, id'],
  dead: [`state = 'failed'`, 'coalesce(completed_on, created_on) DESC, id DESC'],
};
/** What a list should hold, in its order, from all rows. */
export async function idsBy(
  root: Client,
  list: Exclude<JobList, 'held'>,
  name: string | null,
): Promise<string[]> {
  const [where, order] = truths[list];
  const { rows } = await root.query<{ id: string }>(
    `SELECT name || '/' || id AS id FROM pgboss.job WHERE ${where} AND ($1::text IS NULL OR name = $1) ORDER BY ${order}`,
    [name],
  );
  return rows.map(({ id }) => id);
}
