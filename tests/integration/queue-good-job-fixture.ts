// GoodJob's tables, and the truth by brute force over all rows.
import type { Client } from 'pg';
import type { Count } from '../../src/core/count.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { goodJobSchema, type GoodJobGeneration } from '../harness/good-job-schema.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { testQueueSource } from './queue-source-fixture.ts';

export const ODD = `it's "quoted" \\ ;--% 📮`;
export const LONG = 'é'.repeat(255);
export const never = new AbortController().signal;

export interface GoodJobServer extends AsyncDisposable {
  db: Postgres;
  root: Client;
  generation: GoodJobGeneration;
  /** A source by an account that may only read. */
  source: (options?: { schema?: string; user?: string; statementTimeoutMs?: number }) => Source;
  snapshot: () => Promise<SourceSample>;
  clear: () => Promise<unknown>;
  /** Many jobs straight into the table, one a second up to now; `columns` are SQL over n from 1. */
  bulk: (queue: string, count: number, columns?: Record<string, string>) => Promise<unknown>;
}

export const ago = (seconds: string | number): string =>
  `(now() AT TIME ZONE 'UTC' - (${seconds}) * interval '1 second')`;

export async function startServer(generation: GoodJobGeneration): Promise<GoodJobServer> {
  // A zone with half an hour, east of UTC: a forgotten conversion shows.
  const db = await startPostgres({ settings: { timezone: 'Asia/Kolkata', autovacuum: 'off' } });
  const root = await db.connect();
  await root.query(
    "CREATE ROLE reader LOGIN PASSWORD 'r'; CREATE ROLE stranger LOGIN PASSWORD 'r'; ALTER ROLE reader SET timezone = 'America/New_York'",
  );
  for (const statement of goodJobSchema(generation)) await root.query(statement);
  await root.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader');
  const source: GoodJobServer['source'] = ({ schema = 'public', user = 'reader', ...rest } = {}) =>
    testQueueSource({
      ...{ server: db, system: 'good-job', user, password: 'r', database: 'postgres', schema },
      ...rest,
    });
  return {
    ...{ db, root, generation, source },
    async snapshot() {
      await using opened = source();
      return await opened.snapshot(never);
    },
    clear: () =>
      root.query(
        'TRUNCATE good_jobs, good_job_executions, good_job_processes, good_job_settings, good_job_batches',
      ),
    bulk(queue, count, columns = {}) {
      const at = ago(`${count} - n`);
      const all = {
        active_job_id: 'gen_random_uuid()',
        priority: '0',
        serialized_params: `'{}'`,
        scheduled_at: at,
        created_at: at,
        updated_at: at,
        ...columns,
      };
      return root.query(
        `INSERT INTO good_jobs (queue_name, ${Object.keys(all).join(', ')}) SELECT $1, ${Object.values(all).join(', ')} FROM generate_series(1, ${count}) n`,
        [queue],
      );
    },
    async [Symbol.asyncDispose]() {
      await root.end();
      await db[Symbol.asyncDispose]();
    },
  };
}

export interface Truth {
  ready: number;
  delayed: number;
  running: number;
  stale: number;
  dead: number;
  readyAtMs: number | null;
  createdAtMs: number | null;
  lastStartedAtMs: number | null;
  oldestRunningAtMs: number | null;
}

/** Every queue's numbers by their definitions, over all rows, at database time `nowMs`. */
export async function bruteForce(
  { root, generation }: GoodJobServer,
  nowMs: number,
): Promise<Map<string, Truth>> {
  const byRow = generation === 'newest';
  const key = (text: string) => `('x' || substr(md5(${text}), 1, 16))::bit(64)::bigint`;
  const locked = (text: string) =>
    `EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND (l.classid::bigint << 32) + l.objid::bigint = ${key(text)})`;
  const ms = (time: string) => `(extract(epoch FROM ${time}) * 1000)::float8`;
  const { rows } = await root.query<Record<string, number | string | boolean | null>>(
    `SELECT j.queue_name AS queue, ${ms('j.created_at')} AS created, ${ms('greatest(j.created_at, j.scheduled_at, j.performed_at)')} AS ready,
            ${ms('coalesce(j.scheduled_at, j.created_at)')} AS due, ${ms('j.performed_at')} AS started, j.finished_at IS NOT NULL AS finished,
            j.error IS NOT NULL AND j.retried_good_job_id IS NULL AS failed, ${locked(`'good_jobs-' || j.active_job_id`)} AS locked,
            ${byRow ? 'j.locked_by_id IS NOT NULL' : 'false'} AS held, ${ms('p.updated_at')} AS beat,
            ${byRow ? 'p.lock_type IS NOT NULL' : 'true'} AS by_lock, coalesce(${locked(`'good_job_processes-' || p.id`)}, false) AS process_locked
       FROM good_jobs j LEFT JOIN good_job_processes p ON ${byRow ? 'p.id = j.locked_by_id' : 'false'}`,
  );
  const truths = new Map<string, Truth>();
  for (const row of rows) {
    const truth: Truth = truths.get(String(row['queue'])) ?? {
      ...{ ready: 0, delayed: 0, running: 0, stale: 0, dead: 0 },
      ...{ readyAtMs: null, createdAtMs: null, lastStartedAtMs: null, oldestRunningAtMs: null },
    };
    truths.set(String(row['queue']), truth);
    const time = (name: string) => (row[name] === null ? null : Number(row[name]));
    const [readyAt, started, beat] = [time('ready') ?? 0, time('started'), time('beat')];
    if (row['finished'] === true) {
      if (row['failed'] === true) truth.dead += 1;
    } else if (row['held'] === true || (!byRow && row['locked'] === true)) {
      const sinceBeat = beat === null ? Infinity : nowMs - beat;
      const lives =
        row['by_lock'] === true ? row['process_locked'] === true || sinceBeat < 60_000 : sinceBeat < 300_000;
      truth.running += 1;
      truth.lastStartedAtMs = Math.max(truth.lastStartedAtMs ?? 0, started ?? 0);
      if (!lives && row['locked'] !== true) truth.stale += 1;
      else truth.oldestRunningAtMs = Math.min(truth.oldestRunningAtMs ?? Infinity, started ?? Infinity);
    } else if ((time('due') ?? 0) > nowMs) truth.delayed += 1;
    else {
      truth.ready += 1;
      if (truth.readyAtMs === null || readyAt < truth.readyAtMs) {
        truth.readyAtMs = readyAt;
        truth.createdAtMs = time('created');
      }
    }
  }
  return truths;
}

/** The sample's numbers in the shape of the truth; throws where one is not exact. */
export function exactNumbers(tenant: TenantSample): Truth {
  const value = (count: Count | null) => {
    if (count?.kind !== 'exact') throw new Error(`${tenant.tenantId}: ${JSON.stringify(count)} is not exact`);
    return count.value;
  };
  if (tenant.oldestReady?.bound === 'at-least')
    throw new Error(`${tenant.tenantId}: the oldest is not proven`);
  const { lastStartedAtMs, oldestRunningAtMs } = tenant;
  return {
    ...{ ready: value(tenant.ready), delayed: value(tenant.delayed), running: value(tenant.running) },
    ...{ stale: value(tenant.stale), dead: value(tenant.dead), lastStartedAtMs, oldestRunningAtMs },
    readyAtMs: tenant.oldestReady?.readyAtMs ?? null,
    createdAtMs: tenant.oldestReady?.createdAtMs ?? null,
  };
}

export function tenantOf(sample: SourceSample, id: string): TenantSample {
  const tenant = sample.tenants.find(({ tenantId }) => tenantId === id);
  if (!tenant) throw new Error(`no queue ${id}`);
  return tenant;
}
