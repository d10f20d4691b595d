// GoodJob's jobs, one by one, and its tables as they may be found; what a poll costs.
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  jobsQuerySchema,
  locksQuerySchema,
  type JobList,
  type QueueJob,
} from '../../src/contract/queue-jobs.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { inspectGoodJob } from '../../src/main/sources/queues/good-job/good-job-reader.ts';
import { poll, queues, sessionSettings } from '../../src/main/sources/queues/good-job/poll-sql.ts';
import { goodJobTables } from '../../src/main/sources/queues/good-job/tables.ts';
import { postgresIndexes, postgresRelations } from '../../src/main/sources/queues/postgres-relations.ts';
import { goodJobSchema } from '../harness/good-job-schema.ts';
import * as work from '../harness/good-job-workload.ts';
import { until } from '../harness/until.ts';
import { ago, never, ODD, startServer, tenantOf, type GoodJobServer } from './queue-good-job-fixture.ts';

const openSession = ({ db }: GoodJobServer) =>
  PostgresSession.open(
    {
      settings: databaseSchema.parse({ host: db.host, port: db.port, user: 'reader', database: 'postgres' }),
      ...{ password: 'r', statementTimeoutMs: 5_000 },
    },
    never,
  );

describe.each(['newest', 'legacy'] as const)('the %s generation', (generation) => {
  const byRow = generation === 'newest';
  let server: GoodJobServer;
  let db: Client;
  beforeAll(async () => {
    server = await startServer(generation);
    db = server.root;
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  afterEach(() => server.clear());

  async function listed(list: JobList, tenantId: string | null, limit = 3): Promise<QueueJob[]> {
    await using source = server.source();
    const jobs: QueueJob[] = [];
    let after: string | null = null;
    do {
      const page = await source.details.jobs(jobsQuerySchema.parse({ list, tenantId, limit, after }), never);
      expect(page.jobs.length).toBeLessThanOrEqual(limit);
      jobs.push(...page.jobs);
      after = page.next;
    } while (after !== null);
    return jobs;
  }

  test('each list has its jobs in its order, over pages, of one queue and of all', async () => {
    await using held = {
      client: await server.db.connect(),
      [Symbol.asyncDispose]: async () => held.client.end(),
    };
    for (const queue of ['mail', ODD]) {
      // Some share their time.
      await server.bulk(queue, 8, { scheduled_at: ago('100 + n / 3') });
      await server.bulk(queue, 7, { scheduled_at: ago('-600 - n / 3') });
      await server.bulk(queue, 5, { finished_at: ago('n / 2'), error: `'E: no'` });
      await server.bulk(queue, 3, { finished_at: ago('n') });
      const by = byRow ? await work.startProcess(db) : null;
      for (let i = 0; i < 4; i++) await work.begin(held.client, { queue, by });
    }
    const heldJobs = byRow ? 'locked_by_id IS NOT NULL' : `performed_at IS NOT NULL`;
    for (const queue of [null, 'mail', ODD]) {
      const ids = async (where: string, order: string) =>
        (
          await db.query<{ id: string }>(
            `SELECT id FROM good_jobs WHERE ${where} AND ($1::text IS NULL OR queue_name = $1) ORDER BY ${order}`,
            [queue],
          )
        ).rows.map(({ id }) => id);
      const told = async (list: JobList) => (await listed(list, queue)).map(({ id }) => id);
      const now = `now() AT TIME ZONE 'UTC'`;
      expect(await told('ready')).toEqual(
        await ids(`finished_at IS NULL AND NOT (${heldJobs}) AND scheduled_at <= ${now}`, 'scheduled_at, id'),
      );
      expect(await told('delayed')).toEqual(
        await ids(`finished_at IS NULL AND scheduled_at > ${now}`, 'scheduled_at, id'),
      );
      expect(await told('running')).toEqual(
        await ids(`finished_at IS NULL AND ${heldJobs}`, 'performed_at, id'),
      );
      expect(await told('dead')).toEqual(
        await ids('finished_at IS NOT NULL AND error IS NOT NULL', 'finished_at DESC, id DESC'),
      );
      expect(await told('held')).toEqual([]);
      expect(await told('blocked')).toEqual([]);
    }
    const states = async (list: JobList) => [
      ...new Set((await listed(list, null, 500)).map(({ state }) => state)),
    ];
    expect([
      await states('ready'),
      await states('delayed'),
      await states('running'),
      await states('dead'),
    ]).toEqual([['ready'], ['delayed'], ['running'], ['dead']]);
  });

  test('a cursor of another list, or of nobody, is refused', async () => {
    await server.bulk('mail', 3);
    await using source = server.source();
    const page = (list: JobList, after: string | null) =>
      source.details.jobs(jobsQuerySchema.parse({ list, after, limit: 1 }), never);
    const { next } = await page('ready', null);
    await expect(page('dead', next)).rejects.toMatchObject({ code: 'bad-request' });
    for (const bad of [
      '',
      '[]',
      '{"list":"ready","at":"x","id":"1"}',
      `{"list":"ready","at":"2026-01-01 00:00:00","id":"' OR 1=1"}`,
    ])
      await expect(page('ready', bad)).rejects.toMatchObject({ code: 'bad-request' });
  });

  test('a discarded job is told whole: columns, parameters without secrets, error, attempts', async () => {
    const nowMs = Date.now();
    const worker = await server.db.connect();
    const by = byRow ? await work.startProcess(db) : null;
    const params = { arguments: [{ to: 'x@y.z', password: 'geheim' }] };
    const id = await work.enqueue(db, { queue: ODD, priority: -3, params }, nowMs - 90_000);
    for (const retryInS of [1, null]) {
      const begun = await work.begin(worker, {
        queue: ODD,
        by,
        nowMs: nowMs - (retryInS === null ? 40_000 : 80_000),
      });
      expect(begun).toBe(id);
      await work.end(worker, id, {
        byRow,
        error: retryInS === null ? 'E: last' : 'E: first',
        retryInS,
        nowMs: nowMs - (retryInS === null ? 30_000 : 70_000),
      });
    }
    await worker.end();
    await using source = server.source();
    const detail = await source.details.job(id, never);
    expect(detail?.job).toMatchObject({
      ...{
        id,
        tenantId: ODD,
        kind: 'MailJob',
        state: 'dead',
        stateWord: 'discarded',
        priority: -3,
        attempts: 2,
      },
      ...{ error: 'E: last', startedAtMs: nowMs - 40_000, finishedAtMs: nowMs - 30_000 },
    });
    const names = detail?.fields.map(({ name }) => name) ?? [];
    expect(names.slice(0, 3)).toEqual(['id', 'queue_name', 'priority']);
    expect(names).not.toContain('serialized_params');
    expect(detail?.payload?.text).toContain('x@y.z');
    expect(detail?.payload?.text).not.toContain('geheim');
    expect(detail?.attempts).toEqual([
      { attempt: 2, atMs: nowMs - 30_000, error: 'E: last', owner: by },
      { attempt: 1, atMs: nowMs - 70_000, error: 'E: first', owner: by },
    ]);
    const [dead] = await listed('dead', ODD);
    expect(dead).toEqual(detail?.job);
    for (const none of ['6b0f5b4e-0000-4000-8000-000000000000', 'x', `' OR true`])
      expect(await source.details.job(none, never)).toBeNull();
    await db.query('UPDATE good_jobs SET serialized_params = $2 WHERE id = $1', [
      id,
      JSON.stringify(['é'.repeat(70_000)]),
    ]);
    const long = await source.details.job(id, never);
    expect(long?.payload?.shortened).toBe(true);
    expect(long?.payload?.text.length).toBe(65_536);
  });

  test('locks: who holds what since when, and which are stale', async () => {
    const nowMs = Date.now();
    const worker = await server.db.connect();
    const gone = await server.db.connect();
    const alive = byRow ? await work.startProcess(db, { locks: worker }) : null;
    const dead = byRow ? await work.startProcess(db, { beatAgoS: 500 }) : null;
    for (const [i, queue] of ['mail', 'other'].entries())
      await work.enqueue(db, { queue }, nowMs - 60_000 - i);
    await work.begin(worker, { queue: 'mail', by: alive, nowMs: nowMs - 30_000 });
    await work.begin(gone, { queue: 'other', by: dead, nowMs: nowMs - 20_000 });
    await gone.end();
    await using source = server.source();
    const read = (query: object) => source.details.locks(locksQuerySchema.parse(query), never);
    await until(
      async () =>
        (await db.query(`SELECT FROM pg_locks WHERE locktype = 'advisory'`)).rowCount === (byRow ? 2 : 1),
    );
    const { locks, more } = await read({});
    expect(more).toBe(false);
    const [first, second] = locks;
    expect(first).toMatchObject({
      tenantId: 'mail',
      lockedAtMs: nowMs - 30_000,
      stale: false,
      expiresAtMs: null,
    });
    if (byRow) {
      expect(first?.owner).toBe(`web-1, pid 4242 (${alive ?? ''})`);
      expect(second).toMatchObject({ tenantId: 'other', lockedAtMs: nowMs - 20_000, stale: true });
      expect(second?.expiresAtMs).toBe((second?.beatAtMs ?? 0) + 300_000);
      expect((await read({ limit: 1 })).more).toBe(true);
      expect((await read({ tenantId: 'other' })).locks).toHaveLength(1);
    } else expect(locks).toHaveLength(1);
    await worker.end();
  });

  test('what can be done is declared in full; what the advisor looks at can be explained', async () => {
    await server.bulk('default', 20);
    await using session = await openSession(server);
    const reader = await inspectGoodJob(session, 'public', never);
    expect(reader.capabilities.actions.pause.support).toBe(byRow ? 'native' : 'none');
    expect(Object.keys(reader.capabilities.facts)).toHaveLength(12);
    const { tables, statements } = await reader.watched(session, never);
    expect(tables).toHaveLength(3);
    for (const { sql, name } of statements)
      expect((await db.query(`EXPLAIN ${sql}`)).rows.length, name).toBeGreaterThan(0);
    expect(statements.flatMap(({ wants }) => wants).every(({ table }) => tables.includes(table))).toBe(true);
  });

  test('what a poll costs does not grow with the number of jobs', async () => {
    const measure = async (): Promise<number> => {
      await using session = await openSession(server);
      const tables = goodJobTables(
        'public',
        await postgresRelations(session, 'public', 'good_job', never),
        await postgresIndexes(session, 'public', 'good_job', never),
      );
      await db.query(sessionSettings);
      let buffers = 0;
      for (const sql of [queues(tables), poll(tables)]) {
        const plans = await db.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
          `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`,
        );
        const plan = plans.rows[0]?.['QUERY PLAN'][0].Plan;
        buffers += (plan?.['Shared Hit Blocks'] ?? NaN) + (plan?.['Shared Read Blocks'] ?? NaN);
      }
      return buffers;
    };
    const fill = async (count: number) => {
      for (const queue of ['a', 'b', 'c']) {
        await server.bulk(queue, count);
        await server.bulk(queue, count, { scheduled_at: ago('-86400 - n') });
        await server.bulk(queue, count, { finished_at: ago('n') });
        await server.bulk(queue, count, { finished_at: ago('n'), error: `'E: no'` });
      }
      await db.query('VACUUM ANALYZE');
    };
    await fill(1_500);
    // By the indexes alone: of a small table PostgreSQL would rather read all.
    await db.query('SET enable_seqscan = off');
    const small = await measure();
    await db.query('RESET enable_seqscan');
    await fill(6_000);
    const large = await measure();
    // Without statistics the same walks are chosen.
    await db.query('DELETE FROM pg_statistic WHERE starelid = $1::regclass', ['good_jobs']);
    expect(await measure()).toBeLessThan(small * 1.5);
    // Five times the jobs: an index is a level deeper at most.
    expect(large).toBeLessThan(small * 1.5);
    expect(large).toBeLessThan(10_000);
  });
});

describe('tables and accounts as they may be found', () => {
  let server: GoodJobServer;
  beforeAll(async () => {
    server = await startServer('newest');
    await server.root.query('CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO reader');
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  afterEach(() => server.clear());
  const probe = async (options: Parameters<GoodJobServer['source']>[0] = {}) => {
    await using source = server.source(options);
    return await source.probe(never);
  };
  const mismatch = (text: string) => ({
    code: 'schema-mismatch',
    message: expect.stringContaining(text) as string,
  });

  test('nothing, half of it, a view in place of a table, and a lost column are told by name', async () => {
    const { root } = server;
    await expect(probe({ schema: 'nowhere' })).rejects.toMatchObject(mismatch('no table good_jobs'));
    const statements = goodJobSchema('newest', 'other');
    for (const sql of statements.filter((text) => !/good_job_processes/.test(text))) await root.query(sql);
    await expect(probe({ schema: 'other' })).rejects.toMatchObject(
      mismatch('table good_job_processes missing'),
    );
    await root.query(
      'CREATE VIEW other.good_job_processes AS SELECT id, created_at, updated_at, value AS state FROM other.good_job_settings',
    );
    await expect(probe({ schema: 'other' })).rejects.toMatchObject(
      mismatch('good_job_processes in schema other is a view'),
    );
    await root.query('DROP VIEW other.good_job_processes');
    for (const sql of statements.filter((text) => /good_job_processes/.test(text))) await root.query(sql);
    await expect(probe({ schema: 'other' })).rejects.toMatchObject({ code: 'grant-missing' });
    await root.query('GRANT SELECT ON ALL TABLES IN SCHEMA other TO reader');
    expect((await probe({ schema: 'other' })).warnings).toEqual([]);
    await root.query('ALTER TABLE other.good_jobs DROP COLUMN scheduled_at');
    await expect(probe({ schema: 'other' })).rejects.toMatchObject(
      mismatch('good_jobs.scheduled_at missing'),
    );
  });

  test('a newer one is read and says what is not; missing indexes are named with their statements', async () => {
    const { root } = server;
    await root.query(
      'CREATE TABLE good_job_concurrency_claims (id int); DROP INDEX index_good_jobs_on_discarded',
    );
    try {
      const { warnings } = await probe();
      expect(warnings).toEqual([
        expect.stringContaining('does not know: good_job_concurrency_claims'),
        expect.stringContaining('(finished_at DESC) WHERE finished_at IS NOT NULL AND error IS NOT NULL'),
      ]);
      await server.bulk('mail', 3, { finished_at: ago('n'), error: `'E: no'` });
      expect(tenantOf(await server.snapshot(), 'mail').dead).toEqual({ value: 3, kind: 'exact' });
      await root.query(/CREATE INDEX [^;]*?(?=\.$)/.exec(warnings[1] ?? '')?.[0] ?? 'no statement');
    } finally {
      await root.query('DROP TABLE good_job_concurrency_claims');
    }
    expect((await probe()).warnings).toEqual([]);
  });

  test('row-level security that hides rows is told, until a policy shows them', async () => {
    const { root } = server;
    await work.enqueue(root, { queue: 'mail' });
    await root.query('ALTER TABLE good_jobs ENABLE ROW LEVEL SECURITY');
    try {
      const { warnings } = await probe();
      expect(warnings).toEqual([expect.stringContaining('Row-level security hides rows of good_jobs')]);
      expect((await server.snapshot()).tenants).toEqual([]);
      await root.query(
        /CREATE POLICY [^;]*USING \(true\)/.exec(warnings[0] ?? '')?.[0].replace('…', 'reader') ??
          'no statement',
      );
      expect((await probe()).warnings).toEqual([]);
      expect(tenantOf(await server.snapshot(), 'mail').ready.value).toBe(1);
    } finally {
      await root.query('ALTER TABLE good_jobs DISABLE ROW LEVEL SECURITY');
    }
  });

  test('an account without grants is told so', async () => {
    await expect(probe({ user: 'stranger' })).rejects.toMatchObject({ code: 'grant-missing' });
  });

  test('a connection that was cut is unreachable once, and replaced', async () => {
    const { root } = server;
    await work.enqueue(root, { queue: 'mail' });
    await using source = server.source({ statementTimeoutMs: 5_000 });
    await source.snapshot(never);
    const kill = async (and = '') =>
      (
        await root.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'Headway' ${and}`,
        )
      ).rowCount;
    const migration = await server.db.connect();
    await migration.query('BEGIN; LOCK TABLE good_jobs');
    const polled = source.snapshot(never).catch((error: unknown) => error);
    await until(async () => (await kill(`AND wait_event_type = 'Lock'`)) === 1);
    expect(await polled).toMatchObject({ code: 'unreachable' });
    await migration.end();
    await until(() =>
      source.snapshot(never).then(
        ({ tenants }) => tenants.length === 1,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'unreachable' });
          return false;
        },
      ),
    );
  });
});
