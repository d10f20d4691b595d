// A real BullMQ on a throwaway PostgreSQL, and the truth about its rows by brute force.
import {
  createPostgresBackend,
  FlowProducer,
  Queue,
  Worker,
  type PostgresPoolConfig,
  type Processor,
  type QueueOptions,
  type WorkerOptions,
} from 'bullmq';
import type { Client } from 'pg';
import { z } from 'zod';
import type { Count } from '../../src/core/count.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { until } from '../harness/until.ts';
import { testQueueSource, type TestQueue } from './queue-source-fixture.ts';

export const never = new AbortController().signal;
export const ODD = `it's "quoted" \\ %s; -- 📮 Пошта`;
/** The longest text a name usually has room for. */
export const LONG = `long ${'x'.repeat(250)}`;

type Options<T extends { connection?: unknown }> = Partial<Omit<T, 'connection'>>;

/** Started with one server; what it makes ends with it. */
export class Bullmq implements AsyncDisposable {
  readonly pg: Postgres;
  readonly root: Client;
  readonly #open: { close(): Promise<unknown> }[] = [];
  readonly #queues = new Map<string, Queue>();

  private constructor(pg: Postgres, root: Client) {
    this.pg = pg;
    this.root = root;
  }

  static async start(): Promise<Bullmq> {
    // A zone with half an hour, east of UTC: a forgotten conversion shows.
    const pg = await startPostgres({ settings: { timezone: 'Asia/Kolkata', autovacuum: 'off' } });
    const started = new Bullmq(pg, await pg.connect());
    await started.queue('first').getJobCounts();
    await started.clear();
    await started.root.query(
      `CREATE ROLE reader LOGIN PASSWORD 'r';
       GRANT USAGE ON SCHEMA bullmq TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA bullmq TO reader`,
    );
    return started;
  }

  connection(schema?: string): PostgresPoolConfig {
    const { host, port, user, password } = this.pg;
    return {
      ...{ host, port, user, password, database: 'postgres', migrate: true, max: 2 },
      ...(schema === undefined ? {} : { schema }),
    };
  }

  queue(name: string, options: Options<QueueOptions> = {}): Queue {
    const known = this.#queues.get(name);
    if (known) return known;
    const queue = this.#kept(
      new Queue(name, { connection: this.connection(), ...options }, createPostgresBackend),
    ) as unknown as Queue;
    this.#queues.set(name, queue);
    return queue;
  }

  worker(name: string, work: Processor, options: Options<WorkerOptions> = {}): Worker {
    return this.#kept(
      new Worker(
        name,
        work,
        { connection: this.connection(), drainDelay: 1, ...options },
        createPostgresBackend,
      ),
    ) as unknown as Worker;
  }

  flows(): FlowProducer {
    return this.#kept(
      new FlowProducer({ connection: this.connection() }, createPostgresBackend),
    ) as unknown as FlowProducer;
  }

  #kept<T extends { close(): Promise<unknown>; on(event: 'error', listener: () => void): unknown }>(
    made: T,
  ): T {
    made.on('error', () => undefined);
    this.#open.push(made);
    return made;
  }

  source(options: Partial<TestQueue> = {}) {
    return testQueueSource({
      ...{ server: this.pg, system: 'bullmq', user: 'reader', password: 'r', database: 'postgres' },
      ...options,
    });
  }

  async sample(options: Partial<TestQueue> = {}): Promise<SourceSample> {
    await using source = this.source(options);
    return await source.snapshot(never);
  }

  /** Ends what was made since, and empties the tables. */
  async clear(): Promise<void> {
    this.#queues.clear();
    for (const made of this.#open.splice(0).reverse()) await made.close();
    await this.root.query(
      'TRUNCATE bullmq.job, bullmq.job_dependency, bullmq.job_log, bullmq.meta, bullmq.event, bullmq.rate_limit, bullmq.dedup, bullmq.scheduler',
    );
  }

  /** Rows of one queue at once; `columns` and their SQL over n. By default they wait, added one a second, the last now. */
  async bulk(queue: string, count: number, columns: Record<string, string> = {}): Promise<void> {
    const all = {
      id: `'b' || nextval('bullmq.event_seq')`,
      seq: `nextval('bullmq.job_seq')`,
      name: `'bulk'`,
      state: `'waiting'`,
      added_at_ms: `now_ms - 1000 * (${count} - n)`,
      ...columns,
    };
    await this.root.query(
      `INSERT INTO bullmq.job (queue, ${Object.keys(all).join(', ')})
       SELECT $1, ${Object.values(all).join(', ')}
         FROM generate_series(1, ${count}) n, (SELECT floor(extract(epoch FROM now()) * 1000)::bigint AS now_ms) t ORDER BY n`,
      [queue],
    );
  }

  /** Every number by its definition, over all rows, at database time `atMs`; for jobs that were not retried. */
  async truth(atMs: number): Promise<Map<string, Truth>> {
    const { rows } = await this.root.query(
      `WITH ready AS (
         SELECT j.*, state = 'waiting' OR state = 'delayed' AND process_at_ms <= $1 AS is_ready,
                greatest(added_at_ms, process_at_ms, processed_at_ms,
                         (SELECT max(c.finished_at_ms) FROM bullmq.job_dependency d
                            JOIN bullmq.job c ON c.queue = d.child_queue AND c.id = d.child_id
                           WHERE d.parent_queue = j.queue AND d.parent_id = j.id)) AS ready_ms,
                coalesce(state = 'active' AND locked_until_ms < $1, false) AS is_stale
           FROM bullmq.job j)
       SELECT q.queue, count(*) FILTER (WHERE is_ready)::int AS ready,
              count(*) FILTER (WHERE state = 'delayed' AND NOT is_ready)::int AS delayed,
              count(*) FILTER (WHERE state = 'active')::int AS running,
              count(*) FILTER (WHERE is_stale)::int AS stale,
              count(*) FILTER (WHERE state = 'failed')::int AS dead,
              count(*) FILTER (WHERE state = 'waiting-children')::int AS blocked,
              min(ready_ms) FILTER (WHERE is_ready)::float8 AS "readyAtMs",
              (SELECT added_at_ms::float8 FROM ready o WHERE o.queue = q.queue AND is_ready ORDER BY ready_ms, added_at_ms LIMIT 1) AS "createdAtMs",
              max(processed_at_ms) FILTER (WHERE state = 'active')::float8 AS "lastStartedAtMs",
              min(processed_at_ms) FILTER (WHERE state = 'active' AND NOT is_stale)::float8 AS "oldestRunningAtMs",
              EXISTS (SELECT FROM bullmq.meta m WHERE m.queue = q.queue AND field = 'paused' AND value = '1') AS paused
         FROM (SELECT queue FROM bullmq.job UNION SELECT queue FROM bullmq.meta) q
         LEFT JOIN ready USING (queue)
        GROUP BY q.queue`,
      [Math.floor(atMs)],
    );
    return new Map(rows.map((row) => truthRow.parse(row)).map(({ queue, ...truth }) => [queue, truth]));
  }

  /** Blocks of the jobs and of their indexes that all ended sessions have read. */
  async blocksRead(): Promise<number> {
    await this.root.query('SELECT pg_stat_force_next_flush()');
    // A session hands in what it read when it ends.
    await until(async () => {
      const { rowCount } = await this.root.query(
        "SELECT FROM pg_stat_activity WHERE application_name = 'Headway'",
      );
      return rowCount === 0;
    });
    const { rows } = await this.root.query<{ blocks: number }>(
      `SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::int AS blocks
         FROM pg_statio_all_tables WHERE schemaname = 'bullmq'`,
    );
    return rows[0]?.blocks ?? NaN;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear();
    await this.root.end();
    await this.pg[Symbol.asyncDispose]();
  }
}

const truthRow = z.object({
  queue: z.string(),
  ready: z.number(),
  delayed: z.number(),
  running: z.number(),
  stale: z.number(),
  dead: z.number(),
  blocked: z.number(),
  readyAtMs: z.number().nullable(),
  createdAtMs: z.number().nullable(),
  lastStartedAtMs: z.number().nullable(),
  oldestRunningAtMs: z.number().nullable(),
  paused: z.boolean(),
});
export type Truth = Omit<z.infer<typeof truthRow>, 'queue'>;

/** A sample's numbers in the shape of the truth, for queues whose every number is exact. */
export function exactNumbers(tenant: TenantSample): Truth {
  const value = (count: Count | null) => {
    if (count?.kind !== 'exact') throw new Error(`${tenant.tenantId}: ${JSON.stringify(count)} is not exact`);
    return count.value;
  };
  if (tenant.oldestReady?.bound === 'at-least')
    throw new Error(`${tenant.tenantId}: the oldest is not proven`);
  return {
    ready: value(tenant.ready),
    delayed: value(tenant.delayed),
    running: value(tenant.running),
    stale: value(tenant.stale),
    dead: value(tenant.dead),
    blocked: value(tenant.blocked),
    readyAtMs: tenant.oldestReady?.readyAtMs ?? null,
    createdAtMs: tenant.oldestReady?.createdAtMs ?? null,
    lastStartedAtMs: tenant.lastStartedAtMs,
    oldestRunningAtMs: tenant.oldestRunningAtMs,
    paused: tenant.paused !== null,
  };
}

export function tenantOf(sample: SourceSample, id: string): TenantSample {
  const tenant = sample.tenants.find(({ tenantId }) => tenantId === id);
  if (!tenant) throw new Error(`no queue ${id}`);
  return tenant;
}
