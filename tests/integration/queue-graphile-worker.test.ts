// The Graphile Worker source against the real graphile-worker: every number equals its definition, by brute force.
import { makeWorkerUtils, Logger, run, type WorkerUtils } from 'graphile-worker';
import { Pool, type Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Count } from '../../src/core/count.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { until } from '../harness/until.ts';
import { testQueueSource } from './queue-source-fixture.ts';

const never = new AbortController().signal;
const SCHEMA = 'graphile_worker';
const ODD = `O'Brien "& sons" \\ %s; 📮 Пошта`;
const logger = new Logger(() => () => undefined);
let pg: Postgres;
let root: Client;
let pool: Pool;
let utils: WorkerUtils;

beforeAll(async () => {
  // A zone with half an hour, east of UTC: a forgotten conversion shows.
  pg = await startPostgres({ settings: { timezone: 'Asia/Kolkata', autovacuum: 'off' } });
  root = await pg.connect();
  pool = new Pool({
    host: pg.host,
    port: pg.port,
    user: pg.user,
    password: pg.password,
    database: 'postgres',
  });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  utils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  await root.query("CREATE ROLE reader LOGIN PASSWORD 'r' BYPASSRLS; CREATE ROLE blind LOGIN PASSWORD 'b'");
  for (const role of ['reader', 'blind']) await grantTo(role);
});
afterAll(async () => {
  await utils.release();
  await pool.end();
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await root.query(
    `TRUNCATE ${SCHEMA}._private_jobs, ${SCHEMA}._private_job_queues, ${SCHEMA}._private_tasks`,
  );
});

const grantTo = (role: string) =>
  root.query(
    `GRANT USAGE ON SCHEMA ${SCHEMA} TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA ${SCHEMA} TO ${role}`,
  );

function sourceFor(account: { user?: string; password?: string; database?: string; schema?: string } = {}) {
  const { user = 'reader', password = 'r', database = 'postgres', schema = SCHEMA } = account;
  return testQueueSource({ server: pg, system: 'graphile-worker', user, password, database, schema });
}

interface Truth {
  ready: number;
  delayed: number;
  running: number;
  stale: number;
  dead: number;
  oldestReady: { readyAtMs: number; createdAtMs: number } | null;
  lastStartedAtMs: number | null;
  oldestRunningAtMs: number | null;
  ahead: number | null;
}

/** Reads every job and counts it as the definitions say, at database time `nowMs`. */
async function bruteForce(nowMs: number): Promise<Map<string, Truth>> {
  const { rows } = await root.query<{
    task: string;
    id: number | null;
    priority: number;
    due: boolean;
    run: number;
    created: number;
    locked: number | null;
    spent: boolean;
    blocked: boolean;
  }>(
    `SELECT t.identifier AS task, j.id::float8, j.priority, j.run_at <= to_timestamp($1::float8 / 1000) AS due,
            extract(epoch FROM j.run_at)::float8 * 1000 AS run, extract(epoch FROM j.created_at)::float8 * 1000 AS created,
            extract(epoch FROM j.locked_at)::float8 * 1000 AS locked, j.attempts >= j.max_attempts AS spent,
            q.locked_at IS NOT NULL AS blocked
       FROM ${SCHEMA}._private_tasks t
       LEFT JOIN ${SCHEMA}._private_jobs j ON j.task_id = t.id
       LEFT JOIN ${SCHEMA}._private_job_queues q ON q.id = j.job_queue_id
      ORDER BY j.priority, j.run_at, j.id`,
    [nowMs],
  );
  const truths = new Map<string, Truth>();
  let claimedBefore = 0;
  for (const row of rows) {
    const truth = truths.get(row.task) ?? nothing();
    truths.set(row.task, truth);
    if (row.id === null) continue;
    if (row.locked !== null) {
      truth.running += 1;
      truth.lastStartedAtMs = Math.max(truth.lastStartedAtMs ?? 0, row.locked);
      if (nowMs - row.locked > 4 * 3_600_000) truth.stale += 1;
      else truth.oldestRunningAtMs = Math.min(truth.oldestRunningAtMs ?? Infinity, row.locked);
    } else if (row.spent) {
      truth.dead += 1;
    } else if (!row.due) {
      truth.delayed += 1;
    } else if (!row.blocked) {
      truth.ready += 1;
      const readyAtMs = Math.max(row.created, row.run);
      if (truth.oldestReady === null || readyAtMs < truth.oldestReady.readyAtMs) {
        truth.oldestReady = { readyAtMs, createdAtMs: row.created };
        truth.ahead = claimedBefore;
      }
      claimedBefore += 1;
    }
  }
  return truths;
}

const nothing = (): Truth => ({
  ...{ ready: 0, delayed: 0, running: 0, stale: 0, dead: 0 },
  ...{ oldestReady: null, lastStartedAtMs: null, oldestRunningAtMs: null, ahead: null },
});

/** The sample's numbers in the shape of the truth, for tasks whose every number is exact. */
function exactNumbers(tenant: TenantSample): Truth {
  const value = (count: Count) => {
    if (count.kind !== 'exact') throw new Error(`${tenant.tenantId}: ${JSON.stringify(count)} is not exact`);
    return count.value;
  };
  if (tenant.oldestReady?.bound === 'at-least')
    throw new Error(`${tenant.tenantId}: the oldest is not proven`);
  const { oldestReady } = tenant;
  return {
    ready: value(tenant.ready),
    delayed: value(tenant.delayed),
    running: value(tenant.running),
    stale: value(tenant.stale),
    dead: tenant.dead === null ? NaN : value(tenant.dead),
    oldestReady: oldestReady && { readyAtMs: oldestReady.readyAtMs, createdAtMs: oldestReady.createdAtMs },
    lastStartedAtMs: tenant.lastStartedAtMs,
    oldestRunningAtMs: tenant.oldestRunningAtMs,
    ahead: tenant.behind === null ? null : value(tenant.behind.ahead),
  };
}

async function expectExact(sample: SourceSample): Promise<Map<string, Truth>> {
  const truth = await bruteForce(sample.databaseTimeMs);
  const told = new Map(sample.tenants.map((tenant) => [tenant.tenantId, exactNumbers(tenant)]));
  expect(told).toEqual(truth);
  return truth;
}

/** Every count and bound agrees with the truth, whether it is exact or not. */
async function expectHolds(sample: SourceSample): Promise<Map<string, Truth>> {
  const truth = await bruteForce(sample.databaseTimeMs);
  expect(sample.tenants.map(({ tenantId }) => tenantId).sort()).toEqual([...truth.keys()].sort());
  for (const tenant of sample.tenants) {
    const real = truth.get(tenant.tenantId) ?? nothing();
    const holds = (count: Count | null | undefined, value: number | null, what: string) => {
      if (count?.kind === 'exact') expect(count.value, `${tenant.tenantId} ${what}`).toBe(value);
      else if (count) expect(count.value, `${tenant.tenantId} ${what}`).toBeLessThanOrEqual(value ?? 0);
    };
    for (const state of ['ready', 'delayed', 'running', 'stale', 'dead'] as const)
      holds(tenant[state], real[state], state);
    const { oldestReady } = tenant;
    if (oldestReady?.bound === 'exact') {
      expect(oldestReady.readyAtMs).toBe(real.oldestReady?.readyAtMs);
      holds(tenant.behind?.ahead, real.ahead, 'behind');
    } else if (oldestReady) {
      expect(oldestReady.readyAtMs).toBeGreaterThanOrEqual(real.oldestReady?.readyAtMs ?? Infinity);
    }
  }
  return truth;
}

const tenantOf = (sample: SourceSample, id: string): TenantSample => {
  const tenant = sample.tenants.find(({ tenantId }) => tenantId === id);
  if (tenant === undefined) throw new Error(`no task ${id}`);
  return tenant;
};
const minutes = (count: number) => new Date(Date.now() + count * 60_000);
/** Many jobs of one task at once, one a second; `columns` and their SQL over n. */
async function bulk(task: string, count: number, columns: Record<string, string> = {}): Promise<void> {
  await root.query(`INSERT INTO ${SCHEMA}._private_tasks (identifier) VALUES ($1) ON CONFLICT DO NOTHING`, [
    task,
  ]);
  const all = {
    run_at: `now() - interval '1 second' * (${count} - n)`,
    created_at: `now() - interval '1 second' * (${count} - n)`,
    ...columns,
  };
  await root.query(
    `INSERT INTO ${SCHEMA}._private_jobs (task_id, ${Object.keys(all).join(', ')})
     SELECT (SELECT id FROM ${SCHEMA}._private_tasks WHERE identifier = $1), ${Object.values(all).join(', ')}
       FROM generate_series(1, ${count}) n`,
    [task],
  );
}

test('an empty queue has no tasks and nothing to warn of', async () => {
  await using source = sourceFor();
  const { system, tenantWord, warnings } = await source.probe(never);
  expect(system).toMatch(/^Graphile Worker \(schema version 19\) on PostgreSQL \d/);
  expect({ tenantWord, warnings }).toEqual({ tenantWord: 'task', warnings: [] });
  expect(await source.tenants(never)).toEqual([]);
  const sample = await source.snapshot(never);
  expect(sample.tenants).toEqual([]);
  expect(sample.workers).toEqual({ busy: 0, total: null, lastSeenAtMs: null });
  expect(sample.claimOrder).toBe('by priority, then by run time, then by id');
  expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(5_000);
});

test('jobs added, delayed, run, failed and dead are each where they belong', async () => {
  const release = Promise.withResolvers<undefined>();
  // One waits in its named queue behind another; one takes its third and last attempt.
  await utils.addJob('hold', {}, { queueName: `q ${ODD}`, runAt: minutes(-2) });
  await utils.addJob('hold', {}, { queueName: `q ${ODD}`, runAt: minutes(-1) });
  await utils.addJob('hold', {});
  await utils.addJob('fails', {}, { maxAttempts: 1 });
  await utils.addJob('fails', {}, { maxAttempts: 3 });
  const runner = await run({
    ...{ pgPool: pool, concurrency: 4, pollInterval: 50, noHandleSignals: true, logger },
    taskList: {
      hold: () => release.promise,
      fails: () => {
        throw new Error('no');
      },
    },
  });
  try {
    await until(async () => {
      const { rows } = await root.query<{ running: number; failed: number }>(
        `SELECT count(locked_at)::int AS running, count(last_error)::int AS failed FROM ${SCHEMA}._private_jobs`,
      );
      return rows[0]?.running === 2 && rows[0].failed === 2;
    });
    await utils.addJobs(
      [-30, -20, 40].flatMap((at) =>
        [ODD, 'mail'].map((identifier) => ({
          ...{ identifier, payload: {}, runAt: minutes(at), priority: identifier === 'mail' ? 5 : -5 },
        })),
      ),
    );
    await using source = sourceFor();
    const sample = await source.snapshot(never);
    const truth = await expectExact(sample);
    expect(truth.get('hold')).toMatchObject({ ready: 0, running: 2 });
    expect(truth.get('fails')).toMatchObject({ delayed: 1, dead: 1 });
    expect(truth.get(ODD)).toMatchObject({ ready: 2, delayed: 1, ahead: 0 });
    expect(truth.get('mail')).toMatchObject({ ready: 2, delayed: 1, ahead: 2 });
    expect(tenantOf(sample, 'mail').behind?.tenants).toEqual([{ tenantId: ODD, share: 1 }]);
    // A process is one owner of locks, however many jobs it runs.
    expect(sample.workers.busy).toBe(1);
    expect(sample.workers.lastSeenAtMs).toBe(truth.get('hold')?.lastStartedAtMs);
    expect((await source.tenants(never)).map(({ name }) => name)).toContain(ODD);
  } finally {
    release.resolve(undefined);
    await runner.stop();
  }
});

test('a job added late counts from then, a retried one from its retry', async () => {
  await utils.addJob('late', {}, { runAt: minutes(-600) });
  await bulk('retried', 1, {
    run_at: "now() - interval '90 s'",
    created_at: "now() - interval '2 h'",
    attempts: '3',
  });
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  await expectExact(sample);
  const late = tenantOf(sample, 'late').oldestReady;
  expect(sample.databaseTimeMs - (late?.readyAtMs ?? 0)).toBeLessThan(60_000);
});

test('a lock is stale exactly when Graphile Worker frees it', async () => {
  await bulk('worked', 5, {
    locked_at: "now() - interval '4 h' + interval '1 minute' * (n - 3.5)",
    locked_by: "'pool ' || n",
  });
  await bulk('waits for ever', 2, { run_at: "'infinity'" });
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  const truth = await expectExact(sample);
  expect(truth.get('worked')).toMatchObject({ running: 5, stale: 3 });
  expect(truth.get('waits for ever')).toMatchObject({ delayed: 2 });
  expect(sample.workers.busy).toBe(2);
  const runner = await run({
    ...{ pgPool: pool, noHandleSignals: true, logger, taskList: { other: () => undefined } },
    preset: { worker: { minResetLockedInterval: 1, maxResetLockedInterval: 2 } },
  });
  try {
    await until(async () => (await bruteForce(Date.now())).get('worked')?.stale === 0);
  } finally {
    await runner.stop();
  }
  expect((await bruteForce(Date.now())).get('worked')).toMatchObject({ running: 2, ready: 3 });
});

test('jobs that change during polls are counted once, in one state', async () => {
  await bulk('kept', 150);
  const writer = await pg.connect();
  const stopped = new AbortController();
  const churn = async () => {
    while (!stopped.signal.aborted) {
      await writer.query(
        `UPDATE ${SCHEMA}._private_jobs SET locked_at = now(), locked_by = 'p', attempts = 1 WHERE id % 3 = 0;
         UPDATE ${SCHEMA}._private_jobs SET locked_at = NULL, locked_by = NULL, attempts = 25 WHERE id % 3 = 0;
         UPDATE ${SCHEMA}._private_jobs SET attempts = 0, priority = 1 - priority WHERE id % 3 = 0`,
      );
    }
  };
  // One priority stays, so that both are known to every poll.
  await bulk('kept', 1, { priority: '1' });
  const churning = churn();
  try {
    await using source = sourceFor();
    for (let i = 0; i < 40; i++) {
      const sample = await source.snapshot(never);
      const { ready, running, dead } = tenantOf(sample, 'kept');
      expect(ready.value + running.value + (dead?.value ?? NaN)).toBe(151);
      expect(tenantOf(sample, 'kept').lastStartedAtMs ?? 0).toBeLessThanOrEqual(sample.databaseTimeMs);
    }
  } finally {
    stopped.abort();
    await churning;
    await writer.end();
  }
});

test('many priorities and queues, each number exact', async () => {
  for (let i = 0; i < 20; i++) {
    await bulk(`task ${i}`, 1 + ((i * 37) % 61), { priority: `(n * 7) % 13 - 6` });
    if (i % 2 === 0) await bulk(`task ${i}`, i + 1, { run_at: "now() + interval '1 h'", priority: 'n % 3' });
    if (i % 3 === 0) await bulk(`task ${i}`, 3, { locked_at: 'now()', locked_by: "'pool ' || n" });
    if (i % 5 === 0) await bulk(`task ${i}`, 4, { attempts: '25' });
  }
  await root.query(
    `INSERT INTO ${SCHEMA}._private_job_queues (queue_name, locked_at) VALUES ('free', NULL), ('locked', now());
     UPDATE ${SCHEMA}._private_jobs SET job_queue_id = (SELECT id FROM ${SCHEMA}._private_job_queues WHERE queue_name = 'locked') WHERE id % 5 = 0;
     UPDATE ${SCHEMA}._private_jobs SET job_queue_id = (SELECT id FROM ${SCHEMA}._private_job_queues WHERE queue_name = 'free') WHERE id % 7 = 0`,
  );
  await using source = sourceFor();
  await expectExact(await source.snapshot(never));
});

describe('more jobs than one walk sees', () => {
  const indexNames = ['headway_by_task', 'headway_unavailable'];
  afterEach(async () => {
    for (const name of indexNames) await root.query(`DROP INDEX IF EXISTS ${SCHEMA}.${name}`);
  });
  /** Runs the statement that a warning names. */
  const follow = async (warning: string | undefined, name: string) => {
    const ddl = /CREATE INDEX CONCURRENTLY .*(?=\.$)/.exec(warning ?? '')?.[0] ?? '';
    await root.query(ddl.replace('CONCURRENTLY', `CONCURRENTLY ${name}`));
  };

  test('every number holds with its bound, and a hidden task is found by the index that is asked for', async () => {
    await bulk('flood', 6_000);
    await bulk('hidden', 10, { run_at: 'now()', created_at: 'now()' });
    await bulk('urgent', 10, { priority: '-1' });
    await bulk('low', 10, { priority: '1', run_at: "now() - interval '9 h'" });
    await bulk('later', 3_000, { run_at: "now() + interval '1 h' + interval '1 s' * n" });
    await bulk('worked', 30, { locked_at: 'now()', locked_by: "'p'" });
    {
      await using source = sourceFor();
      const sample = await source.snapshot(never);
      const truth = await expectHolds(sample);
      const count = (id: string) => tenantOf(sample, id).ready;
      expect(count('urgent').value).toBe(10);
      expect(count('flood')).toMatchObject({ kind: 'at-least' });
      expect(count('flood').value).toBeGreaterThan(500);
      expect(tenantOf(sample, 'flood').oldestReady?.bound, 'the front proves what is oldest').toBe('exact');
      expect(count('low'), 'a priority is not hidden by the ones before it').toEqual({
        value: 10,
        kind: 'at-least',
      });
      expect(tenantOf(sample, 'low').behind?.ahead.kind).toBe('at-least');
      expect(count('hidden')).toEqual({ value: 0, kind: 'at-least' });
      expect(tenantOf(sample, 'hidden').oldestReady).toBeNull();
      expect(tenantOf(sample, 'worked').running).toEqual({ value: 30, kind: 'exact' });
      expect(truth.get('hidden')?.ready).toBe(10);
      const { warnings } = await source.probe(never);
      expect(warnings).toEqual([expect.stringContaining('(task_id, run_at)')]);
      await follow(warnings[0], 'headway_by_task');
    }
    await using source = sourceFor();
    const sample = await source.snapshot(never);
    await expectHolds(sample);
    expect(tenantOf(sample, 'hidden')).toMatchObject({
      ready: { value: 10, kind: 'exact' },
      oldestReady: { bound: 'exact' },
      behind: { ahead: { kind: 'at-least' } },
    });
    expect(tenantOf(sample, 'later').delayed).toEqual({ value: 201, kind: 'at-least' });
    expect((await source.probe(never)).warnings).toEqual([]);
  });

  test('jobs of one moment, and more priorities than are walked, are told with bounds that hold', async () => {
    const moment = { run_at: "date_trunc('day', now())", created_at: "date_trunc('day', now())" };
    await bulk('first', 1_500, moment);
    await bulk('second', 1_500, moment);
    {
      await using source = sourceFor();
      const sample = await source.snapshot(never);
      await expectHolds(sample);
      expect(tenantOf(sample, 'first').ready.kind).toBe('at-least');
    }
    await bulk('ranked', 200, { priority: 'n - 100', run_at: "now() - interval '1 s' * n" });
    await using source = sourceFor();
    const sample = await source.snapshot(never);
    await expectHolds(sample);
    expect(tenantOf(sample, 'ranked')).toMatchObject({
      ready: { value: 32, kind: 'at-least' },
      delayed: { value: 0, kind: 'at-least' },
      oldestReady: { bound: 'at-least' },
    });
  });

  test('a poll of 300,000 jobs reads a bounded few of them, with statistics or without', async () => {
    /** A source's first poll, which inspects, and a second. */
    const polled = async () => {
      await root.query('SELECT pg_stat_force_next_flush()');
      const before = await blocksRead();
      let sample: SourceSample;
      let warnings: string[];
      {
        await using source = sourceFor();
        sample = await source.snapshot(never);
        ({ warnings } = await source.probe(never));
      }
      // A poll meets 2,000 due jobs, each in a block of its own; one that sorts reads all 6,700 for every priority.
      expect((await blocksRead()) - before).toBeLessThan(7_000);
      await expectHolds(sample);
      return { sample, warnings };
    };
    const at = "now() - interval '1 s' * (n * 7919 % 100000)";
    const payload = "to_json(repeat('x', 100))";
    await bulk('flood', 255_000, { payload, run_at: at, created_at: at, priority: 'n % 3' });
    await bulk('worked', 20, { locked_at: 'now()', locked_by: "'p'" });
    await bulk('later', 40_000, { run_at: "now() + interval '1 h' + interval '1 s' * n" });
    await bulk('spent', 5_000, { attempts: '25' });
    await polled();
    await root.query(`ANALYZE ${SCHEMA}._private_jobs`);
    const { sample, warnings } = await polled();
    expect(tenantOf(sample, 'worked')).toMatchObject({ running: { kind: 'at-least' }, dead: null });
    expect(sample.workers.busy).toBeNull();
    expect(warnings).toEqual([
      expect.stringContaining('(task_id, run_at)'),
      expect.stringContaining('(locked_at) WHERE is_available = false'),
    ]);
    await follow(warnings[0], 'headway_by_task');
    await follow(warnings[1], 'headway_unavailable');
    const indexed = await polled();
    expect(indexed.warnings).toEqual([]);
    expect(tenantOf(indexed.sample, 'worked').running).toEqual({ value: 20, kind: 'exact' });
    expect(tenantOf(indexed.sample, 'spent').dead).toMatchObject({ kind: 'at-least' });
  });
});

/** Blocks of the jobs and of their indexes that all ended sessions have read. */
async function blocksRead(): Promise<number> {
  // A session hands in what it read when it ends.
  await until(async () => {
    const { rowCount } = await root.query("SELECT FROM pg_stat_activity WHERE application_name = 'Headway'");
    return rowCount === 0;
  });
  const { rows } = await root.query<{ blocks: number }>(
    `SELECT (heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::int AS blocks
       FROM pg_statio_all_tables WHERE schemaname = '${SCHEMA}' AND relname = '_private_jobs'`,
  );
  return rows[0]?.blocks ?? NaN;
}

describe('what is not as it should be', () => {
  test('a database without it says what is missing', async () => {
    await root.query('CREATE DATABASE other');
    await using source = sourceFor({ database: 'other' });
    await expect(source.probe(never)).rejects.toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringMatching(/no schema graphile_worker .* Check the database/) as unknown,
    });
    await root.query(
      'CREATE SCHEMA old; CREATE TABLE old.jobs (id int); CREATE TABLE old.migrations (id int)',
    );
    await using old = sourceFor({ schema: 'old' });
    await expect(old.probe(never)).rejects.toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('Upgrade') as unknown,
    });
  });

  test('another schema, with quotes in its name', async () => {
    const schema = `odd "schema' 📮`;
    const other = await makeWorkerUtils({ pgPool: pool, schema, logger });
    await other.migrate();
    await other.addJob(ODD, {});
    await other.release();
    await using source = sourceFor({ user: 'postgres', password: pg.password, schema });
    expect(tenantOf(await source.snapshot(never), ODD).ready).toEqual({ value: 1, kind: 'exact' });
  });

  test('row-level security that hides rows is told, until a policy shows them', async () => {
    await utils.addJob('seen', {});
    {
      await using source = sourceFor({ user: 'blind', password: 'b' });
      const { warnings } = await source.probe(never);
      expect(warnings).toEqual([expect.stringContaining('Row-level security hides rows of')]);
      expect(await source.tenants(never)).toEqual([]);
      for (const [policy] of (warnings[0] ?? '').matchAll(/CREATE POLICY [^;]*USING \(true\)/g))
        await root.query(policy.replace('…', 'blind'));
    }
    await using source = sourceFor({ user: 'blind', password: 'b' });
    expect((await source.probe(never)).warnings).toEqual([]);
    expect(tenantOf(await source.snapshot(never), 'seen').ready.value).toBe(1);
  });

  test('an account without grants is told so', async () => {
    await root.query("CREATE ROLE stranger LOGIN PASSWORD 's'");
    await using source = sourceFor({ user: 'stranger', password: 's' });
    await expect(source.probe(never)).rejects.toMatchObject({ code: 'grant-missing' });
  });

  test('a newer schema is read, with a warning', async () => {
    await root.query(`INSERT INTO ${SCHEMA}.migrations (id) VALUES (20)`);
    try {
      await using source = sourceFor();
      expect((await source.probe(never)).warnings).toEqual([expect.stringContaining('version 20 is newer')]);
    } finally {
      await root.query(`DELETE FROM ${SCHEMA}.migrations WHERE id = 20`);
    }
  });

  test('a connection that was cut is unreachable once, and replaced', async () => {
    await using source = sourceFor();
    await source.snapshot(never);
    // The poll waits for the lock when it is cut.
    await root.query(`BEGIN; LOCK TABLE ${SCHEMA}._private_jobs`);
    const polled = expect(source.snapshot(never)).rejects.toMatchObject({ code: 'unreachable' });
    await until(async () => {
      const { rowCount } = await root.query(
        `SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
          WHERE application_name = 'Headway' AND NOT granted`,
      );
      return rowCount === 1;
    });
    await polled;
    await root.query('ROLLBACK');
    // The server says goodbye a moment before it hangs up.
    await until(() =>
      source.snapshot(never).then(
        ({ tenants }) => tenants.length === 0,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'unreachable' });
          return false;
        },
      ),
    );
  });
});
