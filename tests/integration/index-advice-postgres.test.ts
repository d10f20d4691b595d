// The index advisor on PostgreSQL: what it expects against what happens, and the three indexes that a jobs table once lacked.
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { indexAdviceSchema } from '../../src/contract/database-health.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { advisePostgresIndexes } from '../../src/main/sources/health/postgres-index-advice.ts';
import type { ExaminedStatement, WantedIndex } from '../../src/main/sources/health/watched-tables.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';

const never = new AbortController().signal;
const JOBS = 'public.jobs';
const USER = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b';
const ROWS = 33_000;
let pg: Postgres;
let root: Client;

beforeAll(async () => {
  pg = await startPostgres({ settings: { autovacuum: 'off', max_parallel_workers_per_gather: '0' } });
  root = await pg.connect();
  await root.query(
    `CREATE ROLE reader LOGIN PASSWORD 'r';
     CREATE TABLE jobs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid, kind text NOT NULL,
       status text NOT NULL, attempts int NOT NULL, batch_id uuid, updated_at timestamptz NOT NULL);
     INSERT INTO jobs (user_id, kind, status, attempts, batch_id, updated_at)
       SELECT md5((n * 7 % 300)::text)::uuid, (ARRAY['sync', 'normalise', 'extract'])[n % 3 + 1],
              (ARRAY['queued', 'processing', 'done', 'done', 'done', 'done', 'error', 'done'])[n % 8 + 1], n % 4,
              CASE WHEN n % 5 = 0 THEN md5((n % 400)::text)::uuid END, now() - n * interval '1 s'
         FROM generate_series(1, ${ROWS}) n;
     GRANT SELECT ON jobs TO reader`,
  );
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await root.query(
    `DO $$ DECLARE name text; BEGIN
       FOR name IN SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'jobs'::regclass AND NOT indisprimary
       LOOP EXECUTE 'DROP INDEX ' || name; END LOOP; END $$`,
  );
  await root.query('ANALYZE jobs');
});

async function advice(
  statements: ExaminedStatement[],
  user: 'reader' | 'postgres' = 'reader',
  prepare = 'SELECT 1',
) {
  const { host, port } = pg;
  const settings = databaseSchema.parse({ host, port, user, database: 'postgres' });
  await using session = await PostgresSession.open(
    { settings, password: user === 'reader' ? 'r' : pg.password, statementTimeoutMs: 3_000 },
    never,
  );
  await session.rows(z.unknown(), prepare, never);
  const planning = z.object({ settings: z.string() });
  const before = await session.row(planning, SETTINGS, never);
  const found = indexAdviceSchema.parse(
    await advisePostgresIndexes(session, { tables: [JOBS], statements }, never),
  );
  expect(await session.row(planning, SETTINGS, never), 'the session plans as before').toEqual(before);
  return found;
}
const SETTINGS = `SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) AS settings FROM pg_settings WHERE setting IS DISTINCT FROM reset_val`;

const want = (columns: string[], where: string | null, why = 'because'): WantedIndex => ({
  ...{ table: JOBS, columns, where, why },
});
const claim: ExaminedStatement = {
  name: 'The claim',
  sql: `UPDATE jobs SET status = 'processing', updated_at = now()
         WHERE id IN (SELECT id FROM jobs WHERE user_id = '${USER}' AND status = 'queued' AND kind = 'sync'
                       ORDER BY updated_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING id;`,
  wants: [
    want(
      ['user_id', 'status', 'kind', 'updated_at'],
      "status IN ('queued', 'processing')",
      'A claim reads all jobs',
    ),
  ],
};
const dependants: ExaminedStatement = {
  name: 'Dependants of a batch',
  sql: `SELECT status, user_id FROM jobs WHERE batch_id = (SELECT batch_id FROM jobs LIMIT 1) AND batch_id IS NOT NULL`,
  wants: [want(['batch_id', 'status', 'user_id'], 'batch_id IS NOT NULL')],
};
const retries: ExaminedStatement = {
  name: 'What may be tried again',
  sql: `SELECT id FROM jobs WHERE user_id = '${USER}' AND status = 'error' AND attempts > 0 AND attempts < 3 ORDER BY updated_at`,
  wants: [want(['user_id', 'status', 'attempts', 'updated_at'], "status = 'error' AND attempts > 0")],
};
const incident = [claim, dependants, retries];

/** Rows that the scans of a statement really read. */
async function readRows(statement: string): Promise<number> {
  interface Node {
    'Node Type': string;
    'Actual Rows': number;
    'Actual Loops': number;
    'Rows Removed by Filter'?: number;
    Plans?: Node[];
  }
  const read = (node: Node): number => {
    const isRead = /^(Seq|Index|Index Only|Bitmap Index) Scan$/.test(node['Node Type']);
    const here = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
    return (isRead ? here : 0) + (node.Plans ?? []).reduce((sum, below) => sum + read(below), 0);
  };
  await root.query('BEGIN');
  try {
    const { rows } = await root.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${statement.replace(/;\s*$/, '')}`,
    );
    const plan = rows[0]?.['QUERY PLAN'][0].Plan;
    return plan ? read(plan) : NaN;
  } finally {
    await root.query('ROLLBACK');
  }
}

describe('the jobs table of the incident', () => {
  test('its three indexes are missed, and no longer when they are there under any name', async () => {
    const { missing, examined } = await advice(incident);
    expect(missing.map(({ ddl }) => ddl).sort()).toEqual([
      `CREATE INDEX CONCURRENTLY ON public.jobs ("batch_id", "status", "user_id") WHERE batch_id IS NOT NULL;`,
      `CREATE INDEX CONCURRENTLY ON public.jobs ("user_id", "status", "attempts", "updated_at") WHERE status = 'error' AND attempts > 0;`,
      `CREATE INDEX CONCURRENTLY ON public.jobs ("user_id", "status", "kind", "updated_at") WHERE status IN ('queued', 'processing');`,
    ]);
    for (const [at, { rows, plan }] of examined.entries()) {
      const truth = await readRows(incident[at]?.sql ?? '');
      expect(plan).toContain('Seq Scan on ');
      expect(Math.abs((rows ?? NaN) - truth) / truth).toBeLessThan(0.1);
    }
    // As they are told, but under other names.
    for (const [n, { ddl }] of missing.entries()) {
      await root.query(ddl.replace('CONCURRENTLY ON', `CONCURRENTLY "other name ${n}" ON`));
    }
    await root.query('ANALYZE jobs');
    const after = await advice(incident);
    expect(after.missing).toEqual([]);
    for (const [at, { name, rows }] of after.examined.entries()) {
      const promised = missing.find(({ why }) => why.startsWith(incident[at]?.wants[0]?.why ?? '?'));
      const truth = await readRows(incident[at]?.sql ?? '');
      expect([name, truth < 1_000, (rows ?? NaN) < 1_000]).toEqual([name, true, true]);
      expect(promised?.rowsThen).toBeLessThan(1_000);
    }
    const { rows: sizes } = await root.query<{ ddl: string; size: number }>(
      `SELECT indexdef AS ddl, pg_relation_size(quote_ident(indexname)::regclass)::int AS size FROM pg_indexes WHERE indexname LIKE 'other%'`,
    );
    for (const [n, { sizeBytes }] of missing.entries()) {
      const built = sizes.find(({ ddl }) => ddl.includes(`"other name ${n}"`))?.size ?? NaN;
      // Equal keys are stored once, and of few batches each has many.
      expect((sizeBytes ?? NaN) / built).toBeGreaterThan(0.5);
      expect((sizeBytes ?? NaN) / built).toBeLessThan(10);
    }
  });

  test('an account that may only read is told the plan of what a claim reads, and why', async () => {
    const [read] = (await advice([claim])).examined;
    expect(read?.problem).toMatch(/^The plan is of what it reads alone; .*permission denied/);
    expect(read?.plan).not.toContain('LockRows');
    const whole = await advice([claim], 'postgres');
    expect(whole.examined[0]?.problem).toBeNull();
    expect(whole.examined[0]?.plan).toMatch(/^Update on jobs/);
    expect(whole.missing[0]?.rowsNow).toBe((await advice([claim])).missing[0]?.rowsNow);
  });

  test.each([
    ['one on all rows', '(user_id, status, kind, updated_at)'],
    ['one with more columns', '(user_id, status, kind, updated_at, id) INCLUDE (attempts)'],
    [
      'the condition in other words',
      `(user_id, status, kind, updated_at) WHERE status = 'queued' OR status = 'processing'`,
    ],
    [
      'a wider condition',
      `(user_id, status, kind, updated_at) WHERE status = ANY (ARRAY['queued', 'processing'])`,
    ],
  ])('%s serves', async (name, form) => {
    await root.query(`CREATE INDEX ON jobs ${form}`);
    const { missing } = await advice([claim]);
    expect([name, missing]).toEqual([name, []]);
  });

  test.each([
    ['other columns', `(kind, updated_at)`],
    ['a narrower condition', `(user_id, status, kind, updated_at) WHERE status = 'processing'`],
    ['an expression', `((user_id::text), status, kind, updated_at)`],
    ['a hash', `USING hash (kind)`],
  ])('%s does not serve', async (name, form) => {
    await root.query(`CREATE INDEX ON jobs ${form}`);
    const { missing } = await advice([claim]);
    expect([name, missing.length]).toEqual([name, 1]);
  });

  test('a broken index does not count, and is named', async () => {
    await root.query('CREATE INDEX half_built ON jobs (user_id, status, kind, updated_at)');
    await root.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half_built'::regclass`);
    const { missing } = await advice([claim]);
    expect(missing).toMatchObject([
      { why: expect.stringContaining('DROP INDEX CONCURRENTLY "public"."half_built"') as string },
    ]);
  });
});

test('nothing is advised that saves little: another index serves, or the table is small', async () => {
  await root.query('CREATE INDEX ON jobs (user_id)');
  expect((await advice([claim])).missing).toEqual([]);
  await root.query(
    'DROP INDEX jobs_user_id_idx; CREATE TABLE IF NOT EXISTS few AS SELECT * FROM jobs LIMIT 9000; ANALYZE few',
  );
  const small = {
    ...claim,
    sql: claim.sql.replaceAll('jobs', 'few'),
    wants: [{ ...claim.wants[0], table: 'public.few' } as WantedIndex],
  };
  expect((await advice([small], 'postgres')).missing).toEqual([]);
});

test('a limit without an order is not taken for a whole reading; settings of the session are set aside for clients alone', async () => {
  const sql = `SELECT id FROM jobs WHERE status = 'queued' ORDER BY updated_at LIMIT 5`;
  const [limited] = (await advice([{ name: 'any', sql: 'SELECT id FROM jobs LIMIT 50', wants: [] }]))
    .examined;
  expect(limited?.rows).toBe(50);
  await root.query('CREATE INDEX ON jobs (updated_at)');
  const statements: ExaminedStatement[] = [
    { name: 'client', sql, wants: [] },
    { name: 'own', sql, wants: [], own: true },
  ];
  const { examined } = await advice(statements, 'reader', 'SET enable_indexscan = off');
  expect(examined.map(({ plan }) => plan?.includes('Index Scan'))).toEqual([true, false]);
});

test('a table in partitions is told partition by partition', async () => {
  await root.query(
    `CREATE TABLE parts (LIKE jobs) PARTITION BY LIST (kind);
     CREATE TABLE "parts Sync" PARTITION OF parts FOR VALUES IN ('sync');
     CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
     INSERT INTO parts SELECT * FROM jobs;
     ANALYZE parts`,
  );
  const statement = {
    name: 'by user',
    sql: `SELECT id FROM parts WHERE user_id = '${USER}'`,
    wants: [{ table: 'parts', columns: ['user_id'], where: null, why: 'because' }],
  };
  expect((await advice([statement], 'postgres')).missing.map(({ table }) => table)).toEqual([
    'public.parts_rest',
    'public."parts Sync"',
  ]);
  await root.query('CREATE INDEX ON "parts Sync" (user_id)');
  expect((await advice([statement], 'postgres')).missing.map(({ table }) => table)).toEqual([
    'public.parts_rest',
  ]);
});

test('statements that cannot be explained say why, and the others are told', async () => {
  const { examined, missing } = await advice([
    { name: 'gone', sql: 'SELECT * FROM gone', wants: [] },
    { name: 'odd', sql: 'SELEKT', wants: [] },
    { name: 'writes', sql: 'INSERT INTO jobs DEFAULT VALUES', wants: [] },
    retries,
  ]);
  expect(examined.map(({ plan }) => plan !== null)).toEqual([false, false, false, true]);
  expect(examined.map(({ problem }) => problem !== null)).toEqual([true, true, true, false]);
  expect(missing).toHaveLength(1);
  const { rows } = await root.query<{ n: number }>('SELECT count(*)::int AS n FROM jobs');
  expect(rows[0]?.n, 'nothing was run').toBe(ROWS);
});

test('a table that was never analysed is told so', async () => {
  await root.query('CREATE TABLE fresh AS SELECT * FROM jobs');
  const statement = { ...retries, sql: retries.sql.replaceAll('jobs', 'fresh') };
  const wants = [{ ...retries.wants[0], table: 'fresh' } as WantedIndex];
  const { missing } = await advice([{ ...statement, wants }], 'postgres');
  expect(missing).toMatchObject([{ why: expect.stringContaining('ANALYZE public.fresh') as string }]);
});
