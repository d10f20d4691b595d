// Lists of River's jobs against all rows, single jobs, and what reading costs.
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { JobList, QueueJob } from '../../src/contract/queue-jobs.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { inspectRiver } from '../../src/main/sources/queues/river/river-reader.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { createRiver } from '../harness/river-schema.ts';
import { RiverWorkload } from '../harness/river-workload.ts';
import { until } from '../harness/until.ts';
import { testQueueSource } from './queue-source-fixture.ts';
import { refusedStatements, tenantOf } from './queue-state-index-fixture.ts';

const never = new AbortController().signal;
const SCHEMA = 'river';
let pg: Postgres;
let root: Client;
let river: RiverWorkload;

beforeAll(async () => {
  pg = await startPostgres({ settings: { timezone: 'America/St_Johns', autovacuum: 'off' } });
  root = await pg.connect();
  await root.query("CREATE ROLE reader LOGIN PASSWORD 'r'");
  river = new RiverWorkload(root, SCHEMA);
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await createRiver(root, SCHEMA);
  await root.query(
    'GRANT USAGE ON SCHEMA river TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA river TO reader',
  );
});

const sourceFor = (statementTimeoutMs?: number) =>
  testQueueSource({
    ...{ server: pg, system: 'river', user: 'reader', password: 'r', database: 'postgres', schema: SCHEMA },
    ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
  });

/** All pages of a list. */
async function whole(
  source: Source,
  list: JobList,
  tenantId: string | null,
  limit: number,
): Promise<QueueJob[]> {
  const jobs: QueueJob[] = [];
  let after: string | null = null;
  do {
    const page = await source.details.jobs({ list, tenantId, after, limit }, never);
    expect(page.jobs.length).toBeLessThanOrEqual(limit);
    jobs.push(...page.jobs);
    after = page.next;
  } while (after !== null);
  return jobs;
}

/** Jobs in every state, many at one moment. */
const everything = () =>
  root.query(
    `INSERT INTO river.river_job (queue, kind, args, max_attempts, state, priority, created_at, scheduled_at, attempted_at, attempted_by, finalized_at)
     SELECT (ARRAY['a', 'b', $1])[1 + n % 3], 'kind ' || n % 7, '{}', 5, s.state, 1 + n % 4, now() - interval '5 h',
            now() + interval '7 s' * ((n * 37) % 41 - 20) + interval '0.5 s', now() - interval '3 s' * ((n * 31) % 17), ARRAY['client'],
            CASE WHEN s.state::text IN ('discarded', 'completed', 'cancelled') THEN now() - interval '2 s' * ((n * 13) % 11) END
       FROM generate_series(1, 60) n, unnest(enum_range(NULL::river.river_job_state)) s (state)`,
    [`o'k 🦊`],
  );

const truths: Record<Exclude<JobList, 'held'>, [where: string, order: string]> = {
  ready: [`state IN ('available', 'retryable', 'scheduled') AND scheduled_at <= now()`, 'scheduled_at, id'],
  delayed: [`state IN ('available', 'retryable', 'scheduled') AND scheduled_at > now()`, 'scheduled_at, id'],
  running: [`state = 'running'`, 'attempted_at, id'],
  blocked: [`state = 'pending'`, 'scheduled_at, id'],
  dead: [`state = 'discarded'`, 'finalized_at DESC, id DESC'],
};

test.each(Object.keys(truths) as (keyof typeof truths)[])(
  'every page of %s, of one queue and of all',
  async (list) => {
    await everything();
    await using source = sourceFor();
    for (const queue of [null, 'b', `o'k 🦊`]) {
      for (const limit of [7, 500]) {
        const listed = await whole(source, list, queue, limit);
        const [where, order] = truths[list];
        const { rows } = await root.query<{ id: string }>(
          `SELECT id FROM river.river_job WHERE ${where} AND ($1::text IS NULL OR queue = $1) ORDER BY ${order}`,
          [queue],
        );
        expect(rows.length).toBeGreaterThan(15);
        expect(listed.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
        expect(new Set(listed.map(({ state }) => state))).toEqual(new Set([list]));
      }
    }
  },
);

test('a list that River has no notion of says so; a foreign place in a list is refused', async () => {
  await everything();
  await using source = sourceFor();
  const held = await source.details.jobs({ list: 'held', tenantId: null, after: null, limit: 5 }, never);
  expect(held).toEqual({ jobs: [], next: null, note: expect.stringContaining('no single jobs') as string });
  const { next } = await source.details.jobs({ list: 'ready', tenantId: null, after: null, limit: 5 }, never);
  const foreign = [
    '',
    '{}',
    '[]',
    'x',
    next ?? '',
    '["dead","2026-02-31 00:00:00+00","1"]',
    `["dead","now()","1"]`,
    '["dead","infinity","-1"]',
  ];
  for (const after of foreign) {
    await expect(
      source.details.jobs({ list: 'dead', tenantId: null, after, limit: 5 }, never),
      after,
    ).rejects.toMatchObject({ code: 'bad-request' });
  }
});

test('one job with its columns, attempts and redacted arguments', async () => {
  const id = await river.insert('mail', {
    args: { to: 'a@b.c', password: 'hunter2', nested: { apiKey: 'k' } },
    maxAttempts: 3,
    kind: 'send "it" 📮',
  });
  for (const error of ['first', 'x'.repeat(5_000)]) {
    await river.claim('mail', 1, 'client α');
    await river.fail(id, -1, error);
    await river.schedule();
  }
  await river.claim('mail', 1, 'client β');
  await root.query(`UPDATE river.river_job SET metadata = '{"token":"t","note":"n"}' WHERE id = $1`, [id]);
  await using source = sourceFor();
  const detail = await source.details.job(id, never);
  expect(detail?.job).toMatchObject({
    ...{ id, tenantId: 'mail', kind: 'send "it" 📮', state: 'running', stateWord: 'running' },
    ...{ attempts: 3, maxAttempts: 3, priority: 1, owner: 'client β', stale: false, finishedAtMs: null },
  });
  expect(detail?.job.error).toBe('x'.repeat(2_000));
  expect(detail?.attempts.map(({ attempt, error }) => [attempt, error?.slice(0, 5)])).toEqual([
    [2, 'xxxxx'],
    [1, 'first'],
  ]);
  expect(Math.abs((detail?.attempts[0]?.atMs ?? 0) - Date.now())).toBeLessThan(60_000);
  expect(JSON.parse(detail?.payload?.text ?? '')).toEqual({
    ...{ to: 'a@b.c', password: 'redacted', nested: { apiKey: 'redacted' } },
  });
  const { rows } = await root.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = 'river.river_job'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  expect(detail?.fields.map(({ name }) => name)).toEqual(
    rows.map(({ name }) => name).filter((name) => name !== 'args'),
  );
  const field = (name: string) => detail?.fields.find((one) => one.name === name)?.value;
  expect(field('attempted_by')).toBe('{"client α","client α","client β"}');
  expect(JSON.parse(field('metadata') ?? '')).toEqual({ token: 'redacted', note: 'n' });
  for (const none of ['0', '999999', 'x', '1; DROP TABLE river_job', '9'.repeat(30)]) {
    expect(await source.details.job(none, never)).toBeNull();
  }
});

test('a payload of many megabytes is shown by its beginning', async () => {
  const id = await river.insert('mail', { args: { text: 'é'.repeat(3_000_000), password: 'p' } });
  await using source = sourceFor();
  const detail = await source.details.job(id, never);
  expect(detail?.payload).toMatchObject({ shortened: true });
  expect(detail?.payload?.text.length).toBeLessThanOrEqual(64 * 1024);
});

/** Blocks that a source read from when it was opened until it was closed, by the server's counters, which it writes at a session's end. */
async function blocksOf(work: (source: Source) => Promise<unknown>): Promise<number> {
  const read = async () => {
    const { rows } = await root.query<{ blocks: string }>(
      `SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit) AS blocks FROM pg_statio_user_tables`,
    );
    return Number(rows[0]?.blocks);
  };
  const isGone = async () => {
    const { rows } = await root.query(`SELECT FROM pg_stat_activity WHERE application_name = 'Headway'`);
    return rows.length === 0;
  };
  await root.query('SELECT pg_stat_force_next_flush()');
  const before = await read();
  const source = sourceFor(5_000);
  await work(source);
  await source[Symbol.asyncDispose]();
  await until(isGone);
  return (await read()) - before;
}

test('a poll and a page cost the same at 12,000 and at 96,000 jobs, analysed or not', async () => {
  const blocks: number[] = [];
  const pages: number[] = [];
  for (const [jobs, analysed] of [
    [12_000, false],
    [96_000, false],
    [96_000, true],
  ] as const) {
    await createRiver(root, SCHEMA);
    await root.query(
      'GRANT USAGE ON SCHEMA river TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA river TO reader',
    );
    await root.query(
      `DROP INDEX river.river_job_args_index, river.river_job_metadata_index;
       INSERT INTO river.river_job (queue, kind, args, max_attempts, state, scheduled_at, finalized_at)
       SELECT 'q' || n % 5, 'k', '{}', 5, s.state::river.river_job_state, now() + interval '1 s' * ((n * 37) % 4001 - 2000),
              CASE WHEN s.state IN ('completed', 'discarded') THEN now() END
         FROM generate_series(1, ${jobs / 4}) n, unnest(ARRAY['available', 'scheduled', 'completed', 'discarded']) s (state)`,
    );
    if (analysed) await root.query('ANALYZE river.river_job');
    blocks.push(await blocksOf((source) => source.snapshot(never)));
    const query = { list: 'ready', tenantId: 'q3', after: null, limit: 100 } as const;
    pages.push(await blocksOf((source) => source.details.jobs(query, never)));
  }
  const [small = 0, large = 0, analysed = 0] = blocks;
  expect(small).toBeGreaterThan(100);
  expect(large).toBeLessThan(small * 1.2);
  expect(analysed).toBeLessThan(small * 1.2);
  const [smallPage = 0, largePage = 0, analysedPage = 0] = pages;
  expect(smallPage).toBeGreaterThan(10);
  expect(largePage).toBeLessThan(smallPage * 1.2);
  expect(analysedPage).toBeLessThan(smallPage * 1.2);
});

test('thousands of queues are seen within the time of a poll', async () => {
  await root.query(
    `INSERT INTO river.river_job (queue, kind, args, max_attempts, state, scheduled_at)
     SELECT 'q' || n % 2700, 'k', '{}', 5, s.state::river.river_job_state, now() + CASE s.state WHEN 'available' THEN -1 ELSE 1 END * interval '1 h'
       FROM generate_series(1, 8100) n, unnest(ARRAY['available', 'scheduled', 'pending']) s (state)`,
  );
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  expect(sample.tenants).toHaveLength(2_700);
  expect(tenantOf(sample, 'q2699')).toMatchObject({
    ...{
      ready: { value: 3, kind: 'exact' },
      delayed: { value: 3, kind: 'exact' },
      blocked: { value: 3, kind: 'exact' },
    },
  });
  expect((await source.probe(never)).warnings).toEqual([]);
  // One more state for every queue is more than is looked into: said, and nothing is called exact.
  await root.query(
    `INSERT INTO river.river_job (queue, kind, args, max_attempts, state)
     SELECT 'q' || n, 'k', '{}', 5, 'running' FROM generate_series(0, 2699) n`,
  );
  const cut = await source.snapshot(never);
  expect((await source.probe(never)).warnings).toEqual([expect.stringContaining('first 10,500 groups')]);
  expect(cut.tenants.every(({ ready }) => ready.kind === 'at-least')).toBe(true);
});

test('without its index River is read while it is small, and not counted when it is large', async () => {
  await river.insert('mail');
  await river.report('mail');
  await root.query('DROP INDEX river.river_job_prioritized_fetching_index');
  await using source = sourceFor();
  expect((await source.probe(never)).warnings).toEqual([
    expect.stringContaining(
      'CREATE INDEX CONCURRENTLY ON "river"."river_job" (state, queue, priority, scheduled_at, id)',
    ),
  ]);
  expect(tenantOf(await source.snapshot(never), 'mail').ready).toEqual({ value: 1, kind: 'exact' });
  await root.query(
    `ALTER TABLE river.river_job ALTER metadata SET STORAGE plain;
     INSERT INTO river.river_job (queue, kind, args, max_attempts, metadata)
     SELECT 'mail', 'k', '{}', 5, jsonb_build_object('x', repeat('x', 7000)) FROM generate_series(1, 2300)`,
  );
  await using large = sourceFor();
  expect((await large.probe(never)).warnings).toEqual([expect.stringContaining('Nothing is counted')]);
  expect(tenantOf(await large.snapshot(never), 'mail').ready).toEqual({ value: 0, kind: 'at-least' });
});

test('the statements on its tables can be explained as they stand', async () => {
  const settings = databaseSchema.parse({
    host: pg.host,
    port: pg.port,
    user: 'postgres',
    database: 'postgres',
  });
  await using session = await PostgresSession.open(
    { settings, password: pg.password, statementTimeoutMs: 5_000 },
    never,
  );
  const watched = await (await inspectRiver(session, SCHEMA, never)).watched(session, never);
  expect(watched.tables).toEqual(['"river"."river_job"', '"river".river_queue', '"river".river_leader']);
  for (const table of watched.tables) await root.query(`SELECT FROM ${table}`);
  expect(watched.statements.length).toBeGreaterThan(3);
  expect(await refusedStatements(root, watched)).toEqual({});
});
