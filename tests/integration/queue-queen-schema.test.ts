// Queen's schemas: what is refused or warned of, what a poll costs with ten thousand partitions, and the tables of 2025.
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Source } from '../../src/main/sources/source.ts';
import { consumers, headLimit } from '../../src/main/sources/queues/queen/poll-sql.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { createQueen, queenMessages, queenPartition } from '../harness/queen-schema.ts';
import { until } from '../harness/until.ts';
import { never, ODD, queenSource, tenantOf } from './queue-queen-fixture.ts';

let pg: Postgres;
let root: Client;

beforeAll(async () => {
  pg = await startPostgres({
    sharedBuffersMb: 256,
    settings: { autovacuum: 'off', maintenance_work_mem: '128MB' },
  });
  root = await pg.connect();
  await root.query("CREATE ROLE reader LOGIN PASSWORD 'r'");
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});

const grant = () =>
  root.query('GRANT USAGE ON SCHEMA queen TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA queen TO reader');
const asReader = () => queenSource(pg, { user: 'reader', password: 'r' });

describe('a schema that is not whole', () => {
  test.each([
    ['DROP SCHEMA queen CASCADE', 'There is no schema "queen"'],
    ['DROP TABLE queen.messages CASCADE', 'no table messages'],
    ['DROP TABLE queen.messages CASCADE; CREATE TABLE queen.log_partitions ()', 'newer Queen'],
    ['DROP TABLE queen.partition_consumers', 'migration of Queen stopped half way'],
    ['DROP TABLE queen.partition_consumers; ALTER TABLE queen.messages ADD status text', 'too old'],
    [
      'ALTER TABLE queen.partition_consumers DROP batch_retry_count',
      'column partition_consumers.batch_retry_count',
    ],
    [
      'ALTER TABLE queen.queues RENAME TO q; CREATE VIEW queen.queues AS SELECT * FROM queen.q',
      'queues in schema "queen" is a view',
    ],
  ])('%s', async (change, says) => {
    await createQueen(root, 'current');
    await root.query(change);
    await using source = queenSource(pg);
    await expect(source.probe(never)).rejects.toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining(says) as string,
    });
  });
});

test('what an older Queen lacks, or an account may not read, is said, and the rest is read', async () => {
  await createQueen(root, 'current');
  await queenMessages(root, await queenPartition(root, 'q'), 3);
  await grant();
  await root.query(
    `DROP TABLE queen.system_state; ALTER TABLE queen.messages DROP producer_sub; REVOKE SELECT ON queen.dead_letter_queue FROM reader;
     CREATE TABLE queen.messages_status (); CREATE TABLE queen.log_partitions ();
     ALTER TABLE queen.queues ADD storage text NOT NULL DEFAULT 'rows'; INSERT INTO queen.queues (name, storage) VALUES ('packed', 'segments');
     UPDATE queen.queues SET retention_enabled = true, retention_seconds = 60 WHERE name = 'q'`,
  );
  await using source = asReader();
  const { warnings } = await source.probe(never);
  for (const says of [
    'GRANT SELECT ON "queen".dead_letter_queue',
    'system_state is missing',
    'log_ and seg_',
    'not shown: "packed"',
    'of a Queen of 2025',
    'retention: "q"',
  ])
    expect(
      warnings.filter((warning) => warning.includes(says)),
      says,
    ).toHaveLength(1);
  expect(warnings).toHaveLength(6);
  const tenant = tenantOf(await source.snapshot(never), 'q/Default');
  expect(tenant).toMatchObject({ ready: { value: 3, kind: 'exact' }, dead: null });
  expect((await source.details.capabilities(never)).facts.dead.kind).toBe('no');
  expect(
    (await source.details.jobs({ list: 'dead', tenantId: null, after: null, limit: 5 }, never)).note,
  ).toContain('cannot be read');
  const [job] = (await source.details.jobs({ list: 'ready', tenantId: null, after: null, limit: 5 }, never))
    .jobs;
  expect(await source.details.job(job?.id ?? '', never)).toMatchObject({
    job: { state: 'ready' },
    attempts: [],
  });
});

test('row-level security and missing grants are told with their remedy', async () => {
  await createQueen(root, 'current');
  await using blind = asReader();
  await expect(blind.probe(never)).rejects.toMatchObject({ code: 'grant-missing' });
  await grant();
  await root.query('ALTER TABLE queen.messages ENABLE ROW LEVEL SECURITY');
  await using source = asReader();
  expect((await source.probe(never)).warnings[0]).toContain('hides rows of messages');
});

test('without the index a large table is not searched: nothing is claimed, and the index is named', async () => {
  await createQueen(root, 'current');
  await queenMessages(root, await queenPartition(root, 'q'), 40_000);
  await root.query('DROP INDEX queen.idx_messages_partition_created');
  await using source = queenSource(pg);
  expect((await source.probe(never)).warnings[0]).toContain(
    'CREATE INDEX CONCURRENTLY ON "queen".messages (partition_id, created_at, id)',
  );
  expect(tenantOf(await source.snapshot(never), 'q/Default')).toMatchObject({
    ready: { value: 0, kind: 'at-least' },
    oldestReady: null,
  });
  await root.query('CREATE INDEX ON queen.messages (partition_id, created_at, id)');
  expect(tenantOf(await source.snapshot(never), 'q/Default').oldestReady?.bound).toBe('exact');
  expect((await source.probe(never)).warnings).toEqual([]);
});

test('a killed session is one failure at most, and the next call works', async () => {
  await createQueen(root, 'current');
  await queenPartition(root, 'q');
  await using source = queenSource(pg);
  await source.snapshot(never);
  await root.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'Headway'`,
  );
  await until(async () => {
    const { rows } = await root.query(`SELECT FROM pg_stat_activity WHERE application_name = 'Headway'`);
    return rows.length === 0;
  });
  const told = await source.snapshot(never).catch((error: unknown) => error);
  if (told instanceof Error) expect(told).toMatchObject({ code: 'unreachable' });
  expect((await source.snapshot(never)).tenants).toHaveLength(1);
});

test('every statement that health and the index advisor are given can be explained', async () => {
  await createQueen(root, 'current');
  await grant();
  const { watchedTables } = await import('../../src/main/sources/queues/queen/watched.ts');
  const all = { schema: 'queen', hasDeadLetters: true, hasSubscriptions: true, hasState: true };
  for (const { sql } of watchedTables(all).statements) {
    const { rows } = await root.query(`EXPLAIN ${sql}`);
    expect(rows.length).toBeGreaterThan(0);
  }
  for (const name of watchedTables(all).tables) await root.query(`SELECT FROM ${name}`);
});

const planRow = z.object({
  'QUERY PLAN': z.tuple([
    z.object({ Plan: z.object({ 'Shared Hit Blocks': z.number(), 'Shared Read Blocks': z.number() }) }),
  ]),
});
const pendingRow = z.object({ id: z.string(), pending: z.number(), first: z.number().nullable() });

describe('ten thousand partitions', () => {
  const PARTITIONS = 10_000;
  const add = (from: number, to: number) =>
    root.query(
      `DROP INDEX IF EXISTS queen.messages_partition_transaction_unique, queen.idx_messages_partition_created;
       INSERT INTO queen.messages (id, transaction_id, partition_id, payload, created_at)
       SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, n, p.id, '{}', now() - interval '1 s' * (1000 - n)
         FROM queen.partitions p, generate_series(${from}, ${to}) n;
       CREATE UNIQUE INDEX messages_partition_transaction_unique ON queen.messages (partition_id, transaction_id);
       CREATE INDEX idx_messages_partition_created ON queen.messages (partition_id, created_at, id);`,
    );
  const settle = () => root.query('VACUUM ANALYZE');

  /** Blocks that the statements of one poll read. */
  async function buffers(): Promise<number> {
    const dialect = { schema: 'queen', hasDeadLetters: true, hasSubscriptions: true, hasState: true };
    let sum = 0;
    let after = '00000000-0000-0000-0000-000000000000';
    for (let left = PARTITIONS; left > 0; left -= 2_000) {
      const { rows } = await root.query(
        `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${consumers(dialect, 2_000, headLimit(PARTITIONS))}`,
        [after],
      );
      const plan = planRow.parse(rows[0])['QUERY PLAN'][0].Plan;
      sum += plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
      const { rows: page } = await root.query(
        'SELECT id FROM queen.partitions WHERE id > $1 ORDER BY id OFFSET 1999 LIMIT 1',
        [after],
      );
      after = z.object({ id: z.string() }).parse(page[0]).id;
    }
    return sum;
  }

  test('a poll of a million messages reads hardly more than of ten thousand, and tells the truth of each partition', async () => {
    await createQueen(root, 'current');
    // What makes a million rows slow to write and is read by no poll is left out.
    await root.query(
      `SET jit = off; ALTER TABLE queen.messages DROP CONSTRAINT messages_partition_id_fkey, DROP CONSTRAINT messages_pkey CASCADE;
       ALTER TABLE queen.messages SET UNLOGGED`,
    );
    await root.query(
      `INSERT INTO queen.queues (name) SELECT 'queue ' || n FROM generate_series(1, 10) n;
       INSERT INTO queen.partitions (queue_id, name) SELECT q.id, 'p' || n FROM queen.queues q, generate_series(1, ${PARTITIONS / 10}) n;
       INSERT INTO queen.partition_consumers (partition_id) SELECT id FROM queen.partitions WHERE abs(hashtext(id::text)) % 4 < 3`,
    );
    await add(1, 1);
    await settle();
    const small = await buffers();
    await add(2, 100);
    await root.query(
      `UPDATE queen.partition_consumers c SET last_consumed_id = m.id, last_consumed_created_at = m.created_at
         FROM queen.messages m
        WHERE m.partition_id = c.partition_id
          AND m.transaction_id = CASE abs(hashtext(c.partition_id::text)) % 4 WHEN 0 THEN '100' WHEN 1 THEN '95' ELSE '50' END`,
    );
    await settle();
    const large = await buffers();
    expect(large / small).toBeLessThan(1.3);

    await using source = queenSource(pg);
    const sample = await source.snapshot(never);
    const { rows } = await root.query(
      `SELECT replace(q.name || '/' || p.name, '%', '%25') AS id, count(m.id)::int AS pending,
              (extract(epoch FROM min(m.created_at)) * 1000)::float8 AS first
         FROM queen.partitions p
         JOIN queen.queues q ON q.id = p.queue_id
         LEFT JOIN queen.partition_consumers c ON c.partition_id = p.id
         LEFT JOIN queen.messages m ON m.partition_id = p.id AND (c.id IS NULL OR (m.created_at, m.id) > (c.last_consumed_created_at, c.last_consumed_id))
        GROUP BY 1`,
    );
    const told = new Map(sample.tenants.map((tenant) => [tenant.tenantId, tenant]));
    expect(told.size).toBe(PARTITIONS);
    let estimates = 0;
    let farOff = 0;
    for (const raw of rows) {
      const { id, pending, first } = pendingRow.parse(raw);
      const tenant = told.get(id);
      // Heads of so many partitions are 8 long; a few longer ones are counted deeper with each poll.
      const { value, kind } = tenant?.ready ?? { value: NaN, kind: 'none' };
      if (kind === 'estimate') {
        estimates += 1;
        if (Math.abs(Math.log2(value / pending)) >= 1) farOff += 1;
      }
      const isTrue =
        pending < 8
          ? kind === 'exact' && value === pending
          : kind === 'estimate'
            ? Math.abs(Math.log2(value / pending)) < 3
            : kind === 'at-least' && value === 8;
      if (!isTrue) expect.fail(`${id}: ${kind} ${value}, of ${pending}`);
      if ((tenant?.oldestReady?.readyAtMs ?? null) !== first)
        expect(tenant?.oldestReady?.readyAtMs, id).toBe(first);
    }
    expect(estimates % 25).toBe(0);
    // Within two times, as estimates are called; the statistics behind them are a sample, so that a few may not be.
    expect(farOff).toBeLessThanOrEqual(estimates / 5);
    expect(estimates).toBeGreaterThan(0);
    const tenants = await source.tenants(never);
    expect(tenants).toHaveLength(PARTITIONS);
    // Dead letters of so many are kept between two polls.
    expect(sample.tenants[0]?.dead).toEqual({ value: 0, kind: 'estimate' });
  });
});

describe('a Queen of 2025', () => {
  const page = (
    source: Source,
    list: 'ready' | 'running' | 'dead',
    tenantId: string,
    after: string | null = null,
  ) => source.details.jobs({ list, tenantId, after, limit: 7 }, never);

  test('is told as such and read: what is done, leased, failed, dead and pending, for each group', async () => {
    await createQueen(root, 'of 2025');
    await grant();
    const mail = await queenPartition(root, ODD, 'anna');
    await queenMessages(root, mail, 40, '400 - n * 10');
    // Ten done, one dead, one failed and to be tried again, the next five leased.
    await root.query(
      `INSERT INTO queen.messages_status (message_id, consumer_group, status, error_message, failed_at, retry_count)
       SELECT id, '__QUEUE_MODE__', CASE WHEN n = 11 THEN 'dead_letter' WHEN n = 12 THEN 'failed' ELSE 'completed' END, 'no', now(), 3
         FROM (SELECT id, (payload ->> 'n')::int AS n FROM queen.messages) m WHERE n <= 12;
       INSERT INTO queen.partition_leases (partition_id, lease_expires_at, message_batch, batch_size)
       SELECT partition_id, now() + interval '1 h', jsonb_agg(id), 5 FROM queen.messages WHERE (payload ->> 'n')::int BETWEEN 13 AND 17 GROUP BY 1`,
    );
    await using source = asReader();
    const { system, warnings } = await source.probe(never);
    expect(system).toMatch(/^Queen \(tables of 2025\) on/);
    expect(warnings).toEqual([expect.stringContaining('Update Queen')]);
    const { actions } = await source.details.capabilities(never);
    expect(Object.values(actions).every(({ support }) => support === 'none')).toBe(true);
    const [info] = await source.tenants(never);
    const sample = await source.snapshot(never);
    const tenant = tenantOf(sample, info?.id ?? '');
    expect(tenant).toMatchObject({
      ready: { value: 24, kind: 'exact' },
      running: { value: 5, kind: 'exact' },
      dead: null,
      oldestReady: { bound: 'exact' },
    });
    const waited = sample.databaseTimeMs - (tenant.oldestReady?.readyAtMs ?? NaN);
    expect(waited).toBeGreaterThanOrEqual(280_000);
    expect(waited).toBeLessThan(340_000);

    const ready = await page(source, 'ready', tenant.tenantId);
    expect(ready.jobs).toHaveLength(7);
    expect(ready.jobs[0]).toMatchObject({ attempts: 3, error: 'no', state: 'ready' });
    const next = await page(source, 'ready', tenant.tenantId, ready.next);
    expect(new Set([...ready.jobs, ...next.jobs].map(({ id }) => id)).size).toBe(14);
    expect((await page(source, 'running', tenant.tenantId)).jobs).toHaveLength(5);
    expect((await page(source, 'dead', tenant.tenantId)).jobs).toMatchObject([
      { state: 'dead', error: 'no', attempts: 3 },
    ]);

    const [job] = ready.jobs;
    expect(await source.details.job(job?.id ?? '', never)).toMatchObject({
      job: { id: job?.id, state: 'ready', error: 'no' },
      payload: { text: expect.stringContaining('"redacted"') as string },
    });
    expect(await source.details.job('x', never)).toBeNull();

    // A second group has seen nothing before its subscription.
    await root.query(
      `INSERT INTO queen.consumer_groups (queue_id, name, subscription_start_from) SELECT id, 'late', now() - interval '95 s' FROM queen.queues`,
    );
    expect(tenantOf(await source.snapshot(never), tenant.tenantId).ready.value).toBe(24 + 10);
  });

  test('finds the oldest pending one behind thousands that are done, and claims no more', async () => {
    await createQueen(root, 'of 2025');
    const partition = await queenPartition(root, 'deep');
    await queenMessages(root, partition, 6_000, '60000 - n * 10');
    await root.query(
      `INSERT INTO queen.messages_status (message_id, consumer_group, status, completed_at)
       SELECT id, '__QUEUE_MODE__', 'completed', now() FROM queen.messages WHERE (payload ->> 'n')::int <= 4321`,
    );
    await using source = queenSource(pg);
    const sample = await source.snapshot(never);
    const tenant = tenantOf(sample, 'deep/Default');
    expect(tenant.ready).toEqual({ value: 201, kind: 'at-least' });
    expect(tenant.oldestReady?.bound).toBe('at-least');
    const { rows } = await root.query<{ at: number }>(
      `SELECT (extract(epoch FROM created_at) * 1000)::float8 AS at FROM queen.messages WHERE payload ->> 'n' = '4322'`,
    );
    expect(tenant.oldestReady?.readyAtMs).toBe(rows[0]?.at);
  });
});
