// What a person asks of Graphile Worker: lists, single jobs, locks and abilities, against the real one and all rows.
import { Logger, makeWorkerUtils, run, type TaskList, type WorkerUtils } from 'graphile-worker';
import { Pool, type Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { JobList, JobsPage, QueueJob } from '../../src/contract/queue-jobs.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { inspectGraphileWorker } from '../../src/main/sources/queues/graphile-worker/graphile-worker-reader.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { until } from '../harness/until.ts';
import { testQueueSource } from './queue-source-fixture.ts';

const never = new AbortController().signal;
const SCHEMA = 'graphile_worker';
const JOBS = `${SCHEMA}._private_jobs`;
const ODD = `O'Brien "& sons" \\ %s; 📮 Пошта`;
const logger = new Logger(() => () => undefined);
let pg: Postgres;
let root: Client;
let pool: Pool;
let utils: WorkerUtils;

beforeAll(async () => {
  pg = await startPostgres({ settings: { timezone: 'Asia/Kolkata', autovacuum: 'off' } });
  root = await pg.connect();
  const { host, port, user, password } = pg;
  pool = new Pool({ host, port, user, password, database: 'postgres' });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  utils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  await root.query(
    `CREATE ROLE reader LOGIN PASSWORD 'r' BYPASSRLS; GRANT USAGE ON SCHEMA ${SCHEMA} TO reader;
     GRANT SELECT ON ALL TABLES IN SCHEMA ${SCHEMA} TO reader`,
  );
});
afterAll(async () => {
  await utils.release();
  await pool.end();
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await root.query(`TRUNCATE ${JOBS}, ${SCHEMA}._private_job_queues, ${SCHEMA}._private_tasks`);
});

const sourceFor = (account = { user: 'reader', password: 'r' }) =>
  testQueueSource({ server: pg, system: 'graphile-worker', ...account, database: 'postgres' });
const minutes = (count: number) => new Date(Date.now() + count * 60_000);
const query = (list: JobList, tenantId: string | null, limit = 500, after: string | null = null) => ({
  ...{ list, tenantId, limit, after },
});
const work = (taskList: TaskList) =>
  run({ pgPool: pool, concurrency: 3, pollInterval: 50, noHandleSignals: true, logger, taskList });
const idsOf = (jobs: readonly QueueJob[]) => jobs.map(({ id }) => id);

async function allPages(
  source: Source,
  list: JobList,
  tenantId: string | null,
  limit: number,
): Promise<string[]> {
  const ids: string[] = [];
  let after: string | null = null;
  do {
    const page: JobsPage = await source.details.jobs(query(list, tenantId, limit, after), never);
    if (page.next !== null) expect(page.jobs).toHaveLength(limit);
    ids.push(...idsOf(page.jobs));
    after = page.next;
  } while (after !== null);
  return ids;
}

test('jobs of a real worker are in the list where they belong', async () => {
  const release = Promise.withResolvers<undefined>();
  const add = async (...args: Parameters<WorkerUtils['addJob']>) => (await utils.addJob(...args)).id;
  const running = await add(ODD, { n: 1 }, { queueName: 'one by one' });
  const dead = await add('fails', {}, { maxAttempts: 1 });
  const failedOnce = await add('fails', {}, { maxAttempts: 3 });
  const startedAtMs = Date.now();
  const runner = await work({
    [ODD]: () => release.promise,
    fails: () => {
      throw new Error('no way');
    },
  });
  try {
    await until(async () => {
      const { rows } = await root.query<{ locked: number; failed: number }>(
        `SELECT count(locked_at)::int AS locked, count(last_error)::int AS failed FROM ${JOBS}`,
      );
      return rows[0]?.locked === 1 && rows[0].failed === 2;
    });
    const held = await add(ODD, {}, { queueName: 'one by one' });
    const ready = [
      await add('waits', {}, { priority: -1, runAt: minutes(-1) }),
      await add('waits', {}, { runAt: minutes(-5) }),
    ];
    const later = [
      await add('waits', {}, { runAt: minutes(9) }),
      await add('waits', {}, { runAt: minutes(7), priority: 3 }),
    ];
    await using source = sourceFor();
    const list = async (name: JobList) => (await source.details.jobs(query(name, null), never)).jobs;
    expect(idsOf(await list('ready'))).toEqual(ready);
    expect(idsOf(await list('delayed'))).toEqual([failedOnce, ...later.reverse()]);
    expect(await list('running')).toMatchObject([
      {
        id: running,
        tenantId: ODD,
        kind: ODD,
        state: 'running',
        stateWord: 'locked',
        attempts: 1,
        maxAttempts: 25,
        stale: false,
      },
    ]);
    expect((await list('running'))[0]?.owner).toMatch(/^pool-/);
    expect(await list('held')).toMatchObject([{ id: held, state: 'held', stateWord: 'queue locked' }]);
    const [failed, ...others] = await list('dead');
    expect(others).toEqual([]);
    expect(failed).toMatchObject({ id: dead, state: 'dead', attempts: 1, maxAttempts: 1, error: 'no way' });
    // Told by the backoff that began then.
    expect(failed?.finishedAtMs).toBeGreaterThan(startedAtMs - 1_000);
    expect(failed?.finishedAtMs).toBeLessThan(Date.now() + 1_000);
    expect(await source.details.jobs(query('blocked', null), never)).toMatchObject({
      ...{ jobs: [], next: null, note: expect.stringContaining('do not depend') as string },
    });
    expect((await source.details.jobs(query('ready', 'no such task'), never)).jobs).toEqual([]);
    expect(idsOf((await source.details.jobs(query('held', ODD), never)).jobs)).toEqual([held]);
  } finally {
    release.resolve(undefined);
    await runner.stop();
  }
});

/** Every list as a condition and an order over all rows, with q for its named queue. */
const FAILED_AT = `CASE WHEN run_at - exp(least(attempts, 10)) * interval '1 second' > now() THEN updated_at
  ELSE greatest(updated_at, run_at - exp(least(attempts, 10)) * interval '1 second') END`;
const LISTS: Record<Exclude<JobList, 'blocked'>, { where: string; order: string }> = {
  ready: {
    where: 'j.is_available AND run_at <= now() AND q.locked_at IS NULL',
    order: 'priority, run_at, j.id',
  },
  held: {
    where: 'j.is_available AND run_at <= now() AND q.locked_at IS NOT NULL',
    order: 'priority, run_at, j.id',
  },
  delayed: { where: 'j.is_available AND run_at > now()', order: 'run_at, j.id' },
  running: { where: 'j.locked_at IS NOT NULL', order: 'j.locked_at, j.id' },
  dead: { where: 'j.locked_at IS NULL AND attempts >= max_attempts', order: `${FAILED_AT} DESC, j.id DESC` },
};

async function randomJobs(): Promise<void> {
  await root.query(`INSERT INTO ${SCHEMA}._private_tasks (identifier) VALUES ('a'), ($1), ('c');`, [ODD]);
  await root.query(
    `INSERT INTO ${SCHEMA}._private_job_queues (queue_name, locked_at) VALUES ('free', NULL), ('busy', now());
     INSERT INTO ${JOBS} (task_id, job_queue_id, priority, run_at, created_at, updated_at, attempts, max_attempts, locked_at, locked_by, last_error)
     SELECT (SELECT id FROM ${SCHEMA}._private_tasks ORDER BY id OFFSET n / 7 % 3 LIMIT 1),
            CASE n / 5 % 4 WHEN 0 THEN NULL ELSE (SELECT id FROM ${SCHEMA}._private_job_queues ORDER BY id OFFSET n / 11 % 2 LIMIT 1) END,
            n % 5 - 2,
            -- Many at one moment: pages must not lose or repeat any. None becomes due while the test runs.
            CASE WHEN n % 97 = 0 THEN 'infinity'
                 ELSE date_trunc('minute', now()) + interval '1 minute' * (n % 13 - 9) * (CASE WHEN n % 13 > 9 THEN 100 ELSE 1 END)
                      + interval '1 microsecond' * (n % 3) END,
            now() - interval '1 hour', now() - interval '1 minute' * (n % 17),
            CASE n % 6 WHEN 1 THEN 25 ELSE n % 3 END, 25,
            CASE n % 6 WHEN 2 THEN now() - interval '1 hour' * (n % 7) END, CASE n % 6 WHEN 2 THEN 'pool-' || n % 4 END, 'e'
       FROM generate_series(1, 500) n`,
  );
}

test.each(Object.keys(LISTS) as (keyof typeof LISTS)[])(
  'pages of any size make up the whole list: %s',
  async (list) => {
    await randomJobs();
    const check = async (source: Source) => {
      for (const tenantId of [null, ODD]) {
        const { rows } = await root.query<{ id: string }>(
          `SELECT j.id::text FROM ${JOBS} j JOIN ${SCHEMA}._private_tasks t ON t.id = task_id
           LEFT JOIN ${SCHEMA}._private_job_queues q ON q.id = job_queue_id
          WHERE ${LISTS[list].where} AND t.identifier = coalesce($1, t.identifier) ORDER BY ${LISTS[list].order}`,
          [tenantId],
        );
        expect(rows.length).toBeGreaterThan(15);
        for (const limit of tenantId === null ? [11, 500] : [1, 500])
          expect(await allPages(source, list, tenantId, limit), `${tenantId} by ${limit}`).toEqual(
            rows.map(({ id }) => id),
          );
      }
    };
    {
      await using source = sourceFor();
      await check(source);
    }
    await root.query(`CREATE INDEX unavailable ON ${JOBS} (locked_at) WHERE is_available = false`);
    try {
      await using source = sourceFor();
      await check(source);
      expect((await source.details.jobs(query('running', null), never)).note).toBeNull();
    } finally {
      await root.query(`DROP INDEX ${SCHEMA}.unavailable`);
    }
  },
);

test('a cursor of another list, or of nobody, is refused', async () => {
  await randomJobs();
  await using source = sourceFor();
  const { next } = await source.details.jobs(query('dead', null, 1), never);
  for (const after of [next, 'x', '{}', '{"list":"ready","priority":0,"time":"tomorrow","id":"1"}'])
    await expect(source.details.jobs(query('ready', null, 1, after), never)).rejects.toMatchObject({
      code: 'bad-request',
    });
});

test('a page deep in 100,000 jobs reads as little as the first', async () => {
  await root.query(`INSERT INTO ${SCHEMA}._private_tasks (identifier) VALUES ('flood')`);
  await root.query(
    `INSERT INTO ${JOBS} (task_id, priority, run_at)
     SELECT (SELECT id FROM ${SCHEMA}._private_tasks), n % 3, now() - interval '1 s' * n FROM generate_series(1, 100000) n;
     INSERT INTO ${JOBS} (task_id, run_at) SELECT (SELECT id FROM ${SCHEMA}._private_tasks), now() + interval '1 s' * (n + 60) FROM generate_series(1, 20000) n`,
  );
  const blocks = async () => {
    await root.query('SELECT pg_stat_force_next_flush()');
    await until(
      async () =>
        (await root.query("SELECT FROM pg_stat_activity WHERE application_name = 'Headway'")).rowCount === 0,
    );
    const { rows } = await root.query<{ blocks: number }>(
      `SELECT (heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::int AS blocks
         FROM pg_statio_all_tables WHERE schemaname = '${SCHEMA}' AND relname = '_private_jobs'`,
    );
    return rows[0]?.blocks ?? NaN;
  };
  /** Of one session, which inspects (and polls) first. */
  const readBy = async (list: JobList, after: string | null) => {
    const before = await blocks();
    {
      await using source = sourceFor();
      if (list !== 'held')
        expect((await source.details.jobs(query(list, null, 50, after), never)).jobs).toHaveLength(50);
      else await source.details.capabilities(never);
    }
    return (await blocks()) - before;
  };
  const deepest = async (where: string) =>
    (
      await root.query<{ priority: number; time: string; id: string }>(
        `SELECT priority, (run_at AT TIME ZONE 'UTC')::text || '+00' AS time, id::text FROM ${JOBS} WHERE ${where} ORDER BY priority DESC, run_at DESC OFFSET 500 LIMIT 1`,
      )
    ).rows[0];
  const inspected = await readBy('held', null);
  for (const [list, where] of [
    ['ready', 'run_at < now()'],
    ['delayed', 'run_at > now()'],
  ] as const) {
    const after = JSON.stringify({ list, ...(await deepest(where)) });
    expect((await readBy(list, null)) - inspected, `${list}, first`).toBeLessThan(500);
    expect((await readBy(list, after)) - inspected, `${list}, deep`).toBeLessThan(500);
  }
});

test('one job: its columns, its payload without secrets, its last error', async () => {
  const payload = { to: 'a@b.c', password: 'hunter2', items: [{ token: 't' }] };
  const { id } = await utils.addJob(ODD, payload, { queueName: ODD, jobKey: 'mine', maxAttempts: 2 });
  const runner = await work({
    [ODD]: () => {
      throw new Error('x'.repeat(5_000));
    },
  });
  await until(
    async () => (await root.query(`SELECT FROM ${JOBS} WHERE last_error IS NOT NULL`)).rowCount === 1,
  );
  await runner.stop();
  await using source = sourceFor();
  const found = await source.details.job(id, never);
  expect(found?.job).toMatchObject({ id, tenantId: ODD, state: 'delayed', attempts: 1, maxAttempts: 2 });
  expect(found?.job.error).toHaveLength(2_000);
  expect(JSON.parse(found?.payload?.text ?? '')).toEqual({
    to: 'a@b.c',
    password: 'redacted',
    items: [{ token: 'redacted' }],
  });
  expect(found?.attempts).toMatchObject([{ attempt: 1 }]);
  const fields = new Map(found?.fields.map(({ name, value }) => [name, value]));
  expect([...fields.keys()].slice(0, 3)).toEqual(['id', 'job_queue_id', 'task_id']);
  expect(fields.get('key')).toBe('mine');
  expect(fields.get('queue_name')).toBe(ODD);
  expect(fields.has('payload')).toBe(false);
  for (const other of ['999999', 'x', '', '1; DROP TABLE x', '9'.repeat(40)])
    expect(await source.details.job(other, never)).toBeNull();
});

test('locks: oldest first, stale ones marked, as many as were asked for', async () => {
  await randomJobs();
  await using source = sourceFor();
  const { rows } = await root.query<{ id: string; owner: string; at: number; stale: boolean }>(
    `SELECT id::text, locked_by AS owner, extract(epoch FROM locked_at)::float8 * 1000 AS at, locked_at < now() - interval '4 hours' AS stale
       FROM ${JOBS} WHERE locked_at IS NOT NULL ORDER BY locked_at, id`,
  );
  const { locks, more, rule } = await source.details.locks({ tenantId: null, limit: 500 }, never);
  expect({ more, rule }).toEqual({ more: false, rule: expect.stringContaining('4 hours') as string });
  expect(
    locks.map(({ jobId, owner, lockedAtMs, stale }) => ({ id: jobId, owner, at: lockedAtMs, stale })),
  ).toEqual(rows);
  expect(new Set(locks.map(({ stale }) => stale))).toEqual(new Set([true, false]));
  expect(locks[0]?.expiresAtMs).toBe((locks[0]?.lockedAtMs ?? NaN) + 4 * 3_600_000);
  const some = await source.details.locks({ tenantId: ODD, limit: 2 }, never);
  expect([some.locks.length, some.more, some.locks.every(({ tenantId }) => tenantId === ODD)]).toEqual([
    2,
    true,
    true,
  ]);
});

describe('abilities', () => {
  test('a parked queue holds its jobs, old and new, and is resumed by the function for it', async () => {
    const done: unknown[] = [];
    await utils.addJob('t', { n: 1 }, { queueName: 'parked' });
    const park = `UPDATE ${SCHEMA}._private_job_queues SET locked_at = 'infinity', locked_by = 'headway-pause:1' WHERE queue_name = 'parked' AND locked_at IS NULL`;
    expect((await root.query(park)).rowCount).toBe(1);
    const runner = await run({
      ...{
        pgPool: pool,
        pollInterval: 20,
        noHandleSignals: true,
        logger,
        taskList: { t: (data) => void done.push(data) },
      },
      preset: { worker: { minResetLockedInterval: 1, maxResetLockedInterval: 2 } },
    });
    try {
      await utils.addJob('t', { n: 2 }, { queueName: 'parked' });
      await utils.addJob('t', { n: 3 });
      await until(() => done.length > 0);
      // Long enough for polls and for the check of old locks.
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect(done).toEqual([{ n: 3 }]);
      await using source = sourceFor();
      expect((await source.details.jobs(query('held', 't'), never)).jobs).toHaveLength(2);
      await root.query(`SELECT ${SCHEMA}.force_unlock_workers(ARRAY['headway-pause:1'])`);
      await until(() => done.length === 3);
    } finally {
      await runner.stop();
    }
  });

  test('what else is declared works on the real functions', async () => {
    const { id } = await utils.addJob('t', {}, { runAt: minutes(60) });
    const { id: other } = await utils.addJob('t', {}, { maxAttempts: 1 });
    await using source = sourceFor({ user: 'postgres', password: pg.password });
    const state = async (job: string) => (await source.details.job(job, never))?.job.state;
    const call = (expression: string) => root.query(`SELECT ${SCHEMA}.${expression}`);
    await call(`reschedule_jobs(ARRAY[${id}]::bigint[], run_at => now())`);
    expect(await state(id)).toBe('ready');
    await call(`reschedule_jobs(ARRAY[${id}]::bigint[], priority => -7)`);
    expect((await source.details.job(id, never))?.job.priority).toBe(-7);
    await call(`permanently_fail_jobs(ARRAY[${other}]::bigint[], 'by hand')`);
    const failed = (await source.details.job(other, never))?.job;
    expect(failed).toMatchObject({ state: 'dead', error: 'by hand' });
    expect(Math.abs((failed?.finishedAtMs ?? 0) - Date.now())).toBeLessThan(5_000);
    await call(`reschedule_jobs(ARRAY[${other}]::bigint[], run_at => now(), attempts => 0)`);
    expect(await state(other)).toBe('ready');
    await root.query(`UPDATE ${JOBS} SET locked_at = now(), locked_by = 'pool-1' WHERE id = ${other}`);
    await call(`reschedule_jobs(ARRAY[${other}]::bigint[], run_at => now())`);
    expect(await state(other), 'a locked one is left alone').toBe('running');
    await call(`force_unlock_workers(ARRAY['pool-1'])`);
    expect(await state(other)).toBe('ready');
    await call(`complete_jobs(ARRAY[${other}]::bigint[])`);
    expect(await state(other)).toBeUndefined();
  });

  test('an account that may not write is told; a function that is missing is not offered', async () => {
    await using readers = sourceFor();
    const { actions } = await readers.details.capabilities(never);
    expect([actions.pause.support, actions.retry.support, actions.drain.support]).toEqual([
      'emulated',
      'protocol',
      'none',
    ]);
    expect(actions.retry.hazards).toContainEqual(expect.stringContaining('may not write'));
    await root.query(`ALTER FUNCTION ${SCHEMA}.force_unlock_workers RENAME TO away`);
    try {
      await using source = sourceFor({ user: 'postgres', password: pg.password });
      const { pause, unlock, retry } = (await source.details.capabilities(never)).actions;
      expect([pause.support, unlock.support, retry.support]).toEqual(['none', 'none', 'protocol']);
      expect(retry.hazards).not.toContainEqual(expect.stringContaining('may not write'));
    } finally {
      await root.query(`ALTER FUNCTION ${SCHEMA}.away RENAME TO force_unlock_workers`);
    }
  });
});

test('watched statements can be explained, and the indexes they want serve them', async () => {
  await randomJobs();
  const { host, port, user, password } = pg;
  const settings = databaseSchema.parse({ host, port, user, database: 'postgres' });
  await using session = await PostgresSession.open({ settings, password, statementTimeoutMs: 3_000 }, never);
  const reader = await inspectGraphileWorker(session, SCHEMA, never);
  const { tables, statements } = await reader.watched(session, never);
  expect(tables).toHaveLength(3);
  const plan = async (name: string) => {
    const statement = statements.find((each) => each.name === name)?.sql ?? '';
    const lines = await session.rows(z.object({ 'QUERY PLAN': z.string() }), `EXPLAIN ${statement}`, never);
    return lines.map((line) => line['QUERY PLAN']).join('\n');
  };
  for (const { name } of statements) expect(await plan(name), name).toContain('_private_jobs');
  expect(statements.map(({ wants }) => wants.map(({ columns }) => columns.join()))).toEqual([
    ...[
      ['priority,run_at'],
      ['locked_at'],
      ['priority,run_at', 'locked_at', 'task_id,run_at'],
      ['locked_at'],
    ],
  ]);
  await root.query(
    `INSERT INTO ${JOBS} (task_id, run_at) SELECT 1, now() - interval '1 s' * n FROM generate_series(1, 20000) n; ANALYZE ${JOBS}`,
  );
  expect(await plan('The claim of Graphile Worker')).toContain('jobs_main_index');
  expect(await plan('What Graphile Worker frees after 4 hours')).toContain('Seq Scan');
  const wanted = statements.flatMap(({ wants }) => wants.filter(({ columns }) => columns[0] === 'locked_at'));
  for (const [at, { table, columns, where }] of wanted.slice(0, 2).entries())
    await root.query(`CREATE INDEX wanted_${at} ON ${table} (${columns.join(', ')}) WHERE ${where ?? ''}`);
  expect(await plan('What Graphile Worker frees after 4 hours')).toContain('wanted_0');
  expect(await plan('Headway’s list of running jobs')).toContain('wanted_1');
});
