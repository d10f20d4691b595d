// The pg-boss reader against the real pg-boss on a real PostgreSQL: every number by brute force, and by pg-boss's own word.
import type { Client } from 'pg';
import { PgBoss } from 'pg-boss';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Count } from '../../src/core/count.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';
import { startPostgres } from '../harness/postgres.ts';
import type { Postgres } from '../harness/postgres.ts';
import { until } from '../harness/until.ts';
import { testQueueSource } from './queue-source-fixture.ts';

const never = new AbortController().signal;
const ODD = `it's "quoted" \\ 📮; --`;
let db: Postgres;
let root: Client;
let boss: PgBoss;

beforeAll(async () => {
  db = await startPostgres({ settings: { autovacuum: 'off' } });
  root = await db.connect();
  await root.query(`CREATE ROLE reader LOGIN PASSWORD 'reads'`);
  boss = await startBoss('pgboss');
});
afterAll(async () => {
  await boss.stop({ graceful: false });
  await root.end();
  await db[Symbol.asyncDispose]();
});
afterEach(async () => {
  for (const { name } of await boss.getQueues()) await boss.deleteQueue(name).catch(() => undefined);
  await root.query('TRUNCATE pgboss.job; DELETE FROM pgboss.queue');
});

async function startBoss(schema: string): Promise<PgBoss> {
  const { host, port, user, password } = db;
  const options = { host, port, user, password, database: 'postgres', schema, max: 2 };
  const started = new PgBoss({ ...options, supervise: false, schedule: false });
  started.on('error', (error) => {
    throw error;
  });
  await started.start();
  return started;
}

function sourceFor(options: { schema?: string; user?: string; password?: string } = {}) {
  const { schema = 'pgboss', user = db.user, password = db.password } = options;
  return testQueueSource({ server: db, system: 'pg-boss', user, password, database: 'postgres', schema });
}

async function snapshot(options: Parameters<typeof sourceFor>[0] = {}): Promise<SourceSample> {
  await using source = sourceFor(options);
  return await source.snapshot(never);
}

function tenantOf(sample: SourceSample, id: string): TenantSample {
  const tenant = sample.tenants.find(({ tenantId }) => tenantId === id);
  if (!tenant) throw new Error(`no tenant ${id}`);
  return tenant;
}

const truthRow = z.object({
  ready: z.number(),
  delayed: z.number(),
  running: z.number(),
  stale: z.number(),
  dead: z.number(),
  readyAtMs: z.number().nullable(),
  createdAtMs: z.number().nullable(),
  lastStartedAtMs: z.number().nullable(),
  oldestRunningAtMs: z.number().nullable(),
});
type Truth = z.infer<typeof truthRow>;

/** Every number by its definition, over all rows. */
async function bruteForce(name: string, atMs: number): Promise<Truth> {
  const epoch = (sql: string) => `(extract(epoch FROM ${sql}) * 1000)::float8`;
  const { rows } = await root.query(
    `WITH j AS (
       SELECT *, state IN ('created', 'retry') AND NOT blocked AS waits, greatest(created_on, start_after) AS ready_at,
              state = 'active' AND (started_on + make_interval(secs => expire_seconds) < t
                OR coalesce(heartbeat_on + make_interval(secs => heartbeat_seconds) < t, false)) AS is_stale
         FROM pgboss.job, to_timestamp($2::float8 / 1000) t WHERE name = $1)
     SELECT count(*) FILTER (WHERE waits AND ready_at <= t)::int AS ready,
            count(*) FILTER (WHERE waits AND ready_at > t)::int AS delayed,
            count(*) FILTER (WHERE state = 'active')::int AS running,
            count(*) FILTER (WHERE is_stale)::int AS stale,
            count(*) FILTER (WHERE state = 'failed')::int AS dead,
            ${epoch('min(ready_at) FILTER (WHERE waits AND ready_at <= t)')} AS "readyAtMs",
            (SELECT ${epoch('created_on')} FROM j o WHERE waits AND ready_at <= t ORDER BY ready_at, created_on LIMIT 1) AS "createdAtMs",
            ${epoch(`max(started_on) FILTER (WHERE state = 'active')`)} AS "lastStartedAtMs",
            ${epoch(`min(started_on) FILTER (WHERE state = 'active' AND NOT is_stale)`)} AS "oldestRunningAtMs"
       FROM j`,
    [name, atMs],
  );
  return truthRow.parse(rows[0]);
}

/** The numbers of a sample that all must be exact. */
function exactNumbers(tenant: TenantSample): Truth {
  const value = (count: Count | null) => {
    expect(count?.kind, `${tenant.tenantId}: ${JSON.stringify(tenant)}`).toBe('exact');
    return count?.value ?? NaN;
  };
  if (tenant.oldestReady) expect(tenant.oldestReady.bound).toBe('exact');
  const { lastStartedAtMs, oldestRunningAtMs } = tenant;
  return {
    ...{ ready: value(tenant.ready), delayed: value(tenant.delayed), running: value(tenant.running) },
    ...{ stale: value(tenant.stale), dead: value(tenant.dead) },
    readyAtMs: tenant.oldestReady?.readyAtMs ?? null,
    createdAtMs: tenant.oldestReady?.createdAtMs ?? null,
    ...{ lastStartedAtMs, oldestRunningAtMs },
  };
}

/** Whether a count is true of jobs that are really so many. */
function holds(count: Count, real: number): boolean {
  return count.kind === 'exact' ? count.value === real : count.kind === 'at-least' && count.value <= real;
}

/** Jobs straight into the table; `columns` are SQL over `n` from 1. */
async function insert(name: string, count: number, columns: Record<string, string>): Promise<void> {
  await root.query(
    `INSERT INTO pgboss.job (name, ${Object.keys(columns).join(', ')})
     SELECT $1, ${Object.values(columns).join(', ')} FROM generate_series(1, ${count}) n`,
    [name],
  );
}
const ago = (seconds: string | number) => `now() - (${seconds}) * interval '1 second'`;

test('no queue, then queues without jobs; pg-boss’s own are left out', async () => {
  expect((await snapshot()).tenants).toEqual([]);
  await boss.createQueue('mail');
  await root.query(`SELECT pgboss.create_queue('__pgboss__send-it', '{"policy": "standard"}')`);
  await using source = sourceFor();
  expect(await source.probe(never)).toEqual({
    system: expect.stringMatching(/^pg-boss 12 \(schema version 43\) on PostgreSQL \d/) as string,
    tenantWord: 'queue',
    warnings: [],
  });
  expect(await source.tenants(never)).toEqual([{ id: 'mail', name: 'mail', detail: '' }]);
  const sample = await source.snapshot(never);
  expect(sample.tenants).toHaveLength(1);
  expect(exactNumbers(tenantOf(sample, 'mail'))).toEqual(await bruteForce('mail', sample.databaseTimeMs));
  expect(sample.workers).toEqual({ busy: null, total: null, lastSeenAtMs: null });
  expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(5000);
});

test('jobs of real producers and workers in all states, by brute force and by pg-boss’s own counts', async () => {
  await boss.createQueue('mail', { retryLimit: 0 });
  await boss.createQueue('own-table', { partition: true, retryLimit: 3, retryDelay: 600 });
  await root.query('SELECT pgboss.create_queue($1, $2)', [ODD, '{"policy": "standard"}']);
  for (const name of ['mail', 'own-table']) {
    for (let i = 0; i < 12; i++) await boss.send(name, { i }, { priority: i % 3 });
    await boss.send(name, {}, { startAfter: 900 });
    await boss.send(name, {}, { startAfter: new Date(Date.now() - 60_000) });
    const [failing, done, cancelled, running] = await boss.fetch(name, { batchSize: 4 });
    await boss.fail(name, failing?.id ?? '');
    await boss.complete(name, done?.id ?? '');
    await boss.cancel(name, cancelled?.id ?? '');
    expect(running).toBeDefined();
  }
  await insert(ODD, 3, { created_on: ago('n * 10'), start_after: ago('n * 10') });
  // A worker that is still at it.
  const atWork = Promise.withResolvers<null>();
  const release = Promise.withResolvers<null>();
  await boss.createQueue('worked');
  await boss.send('worked', {});
  await boss.send('worked', {});
  await boss.work('worked', { pollingIntervalSeconds: 0.5 }, async () => {
    atWork.resolve(null);
    await release.promise;
  });
  await atWork.promise;

  const sample = await snapshot();
  expect(sample.tenants.map(({ tenantId }) => tenantId).sort()).toEqual(
    [ODD, 'mail', 'own-table', 'worked'].sort(),
  );
  for (const tenant of sample.tenants) {
    const truth = await bruteForce(tenant.tenantId, sample.databaseTimeMs);
    expect({ id: tenant.tenantId, ...exactNumbers(tenant) }).toEqual({ id: tenant.tenantId, ...truth });
    expect(tenant).toMatchObject({ arrivalsTotal: null, attemptsTotal: null, behind: null, paused: null });
  }
  expect(tenantOf(sample, 'mail')).toMatchObject({
    running: { value: 1 },
    dead: { value: 1 },
    delayed: { value: 1 },
  });
  expect(tenantOf(sample, 'own-table')).toMatchObject({
    running: { value: 1 },
    dead: { value: 0 },
    delayed: { value: 2 },
  });
  expect(tenantOf(sample, 'worked')).toMatchObject({ running: { value: 1 }, ready: { value: 1 } });
  for (const name of ['mail', 'own-table', 'worked']) {
    const [stats] = await boss.getQueueStats(name, { force: true });
    const { ready, delayed, running, dead } = tenantOf(sample, name);
    expect([ready.value, delayed.value, running.value, dead?.value]).toEqual([
      stats?.readyCount,
      stats?.deferredCount,
      stats?.activeCount,
      stats?.failedCount,
    ]);
  }
  const { rows } = await root.query<{ seen: number }>(
    `SELECT (extract(epoch FROM max(greatest(heartbeat_on, started_on, completed_on))) * 1000)::float8 AS seen
       FROM pgboss.job WHERE state IN ('active', 'completed', 'failed')`,
  );
  expect(sample.workers.lastSeenAtMs).toBe(rows[0]?.seen);
  release.resolve(null);
  await until(async () =>
    (await snapshot()).tenants.every(({ tenantId, ready }) => tenantId !== 'worked' || ready.value === 0),
  );
  await boss.offWork('worked');
});

test('a retried job is ready since its retry time; blocked ones are not; stale is past its expiry or its heartbeat', async () => {
  await boss.createQueue('mail');
  const old = { created_on: ago(7200), start_after: ago(7200) };
  await insert('mail', 1, {
    ...old,
    start_after: ago(90),
    state: `'retry'`,
    retry_count: '1',
    started_on: ago(100),
  });
  await insert('mail', 4, { ...old, blocked: 'true' });
  await insert('mail', 2, { ...old, state: `'active'`, started_on: ago('n * 5') });
  await insert('mail', 1, { ...old, state: `'active'`, started_on: ago(1000), expire_seconds: '900' });
  const beats = { heartbeat_on: ago(40), heartbeat_seconds: '30' };
  await insert('mail', 1, { ...old, state: `'active'`, started_on: ago(50), ...beats });
  const sample = await snapshot();
  const mail = tenantOf(sample, 'mail');
  expect(exactNumbers(mail)).toEqual(await bruteForce('mail', sample.databaseTimeMs));
  expect(mail).toMatchObject({
    ready: { value: 1 },
    delayed: { value: 0 },
    running: { value: 4 },
    stale: { value: 2 },
  });
  expect((sample.databaseTimeMs - (mail.oldestReady?.readyAtMs ?? 0)) / 1000).toBeCloseTo(90, -1);
  expect((sample.databaseTimeMs - (mail.oldestReady?.createdAtMs ?? 0)) / 1000).toBeCloseTo(7200, -1);
});

describe('long queues', () => {
  const at = (age: string) => ({ created_on: ago(age), start_after: ago(age) });

  test('every number holds with its bound, and a starved priority is found', async () => {
    const later = { start_after: "now() + interval '1 hour'" };
    const names = ['just', 'over', 'long', 'starved', 'scheduled', 'deep', 'late', 'many'];
    for (const name of names) await boss.createQueue(name);
    await insert('just', 200, at('n'));
    await insert('over', 401, at('n'));
    await insert('long', 6000, at('n'));
    await insert('starved', 6000, { ...at('n'), priority: '5' });
    await insert('starved', 3, { ...at('90000 + n'), priority: '-1' });
    // Delayed jobs in front of a few ready ones.
    await insert('scheduled', 3000, { created_on: ago('90000'), ...later });
    await insert('scheduled', 50, at('n'));
    // More of them than a poll walks.
    await insert('deep', 12_000, { created_on: ago('90000'), ...later });
    await insert('deep', 50, at('n'));
    // The longest wait is of a job that was created after thousands that became ready a moment ago.
    await insert('late', 3000, { created_on: ago('90000'), start_after: ago('5') });
    await insert('late', 1, at('400'));
    await insert('many', 600, { ...at('n'), priority: 'n' });
    await root.query('VACUUM ANALYZE pgboss.job_common');
    const sample = await snapshot();
    for (const { tenantId, ready, delayed, running, oldestReady } of sample.tenants) {
      const truth = await bruteForce(tenantId, sample.databaseTimeMs);
      expect(holds(ready, truth.ready), `${tenantId} ready ${JSON.stringify([ready, truth])}`).toBe(true);
      expect(holds(delayed, truth.delayed), `${tenantId} delayed ${JSON.stringify([delayed, truth])}`).toBe(
        true,
      );
      expect(holds(running, truth.running)).toBe(true);
      if (oldestReady?.bound === 'exact')
        expect([tenantId, oldestReady.readyAtMs]).toEqual([tenantId, truth.readyAtMs]);
      else if (oldestReady) expect(oldestReady.readyAtMs).toBeGreaterThanOrEqual(truth.readyAtMs ?? Infinity);
    }
    const told = (name: string) => {
      const { ready, delayed, oldestReady } = tenantOf(sample, name);
      const count = ({ value, kind }: Count) => `${value} ${kind}`;
      return [count(ready), count(delayed), oldestReady?.bound ?? 'none'];
    };
    expect(told('just')).toEqual(['200 exact', '0 exact', 'exact']);
    expect(told('over')).toEqual(['401 exact', '0 exact', 'exact']);
    expect(told('long')).toEqual(['201 at-least', '0 at-least', 'exact']);
    expect(told('starved')).toEqual(['201 at-least', '0 at-least', 'exact']);
    expect(told('scheduled')).toEqual(['50 exact', '3000 exact', 'exact']);
    expect(told('deep')).toEqual(['50 at-least', '201 at-least', 'at-least']);
    expect(told('late')).toEqual(['3001 exact', '0 exact', 'exact']);
    expect(told('many')).toEqual(['201 at-least', '0 at-least', 'at-least']);
  });

  test('running jobs of a large table: pg-boss’s own count until an index tells', async () => {
    await boss.createQueue('mail');
    await insert('mail', 40_000, {
      ...at('n'),
      state: `'completed'`,
      started_on: ago(9),
      completed_on: ago(8),
    });
    await insert('mail', 7, { ...at('n'), state: `'active'`, started_on: ago('n') });
    await insert('mail', 3, { ...at('n'), state: `'failed'` });
    const unknown = tenantOf(await snapshot(), 'mail');
    expect(unknown).toMatchObject({
      running: { value: 0, kind: 'at-least' },
      dead: null,
      lastStartedAtMs: null,
    });
    await boss.getQueueStats('mail', { force: true });
    await using source = sourceFor();
    expect(tenantOf(await source.snapshot(never), 'mail')).toMatchObject({
      running: { value: 7, kind: 'estimate' },
      dead: { value: 3, kind: 'estimate' },
    });
    const { warnings } = await source.probe(never);
    expect(warnings).toEqual([
      expect.stringContaining('No index leads to the running jobs'),
      expect.stringContaining('ANALYZE "pgboss"."job_common"'),
    ]);
    const [ddl] = /CREATE INDEX .*'active'/.exec(warnings[0] ?? '') ?? [];
    await root.query(ddl ?? 'no DDL');
    const sample = await source.snapshot(never);
    const truth = await bruteForce('mail', sample.databaseTimeMs);
    const { running, stale, lastStartedAtMs, oldestRunningAtMs } = tenantOf(sample, 'mail');
    expect([running, stale]).toEqual([
      { value: 7, kind: 'exact' },
      { value: 0, kind: 'exact' },
    ]);
    expect({ lastStartedAtMs, oldestRunningAtMs }).toEqual({
      lastStartedAtMs: truth.lastStartedAtMs,
      oldestRunningAtMs: truth.oldestRunningAtMs,
    });
    expect(sample.workers.lastSeenAtMs).toBe(truth.lastStartedAtMs);
    await root.query('DROP INDEX pgboss.job_common_name_started_on_idx');
  });
});

describe('other schemas', () => {
  test('an older one without blocked jobs, walked by due time', async () => {
    const older = await startBoss('older');
    await older.stop({ graceful: false });
    await root.query(
      `SELECT older.create_queue('mail', '{"policy": "standard"}');
       ALTER SCHEMA older RENAME TO "o""ld";
       ALTER TABLE "o""ld".job DROP COLUMN blocked CASCADE, DROP COLUMN heartbeat_seconds;
       CREATE INDEX job_i5 ON "o""ld".job_common (name, start_after) INCLUDE (priority, created_on, id) WHERE state < 'active';
       UPDATE "o""ld".version SET version = 25;
       INSERT INTO "o""ld".job (name, created_on, start_after) SELECT 'mail', now() - interval '1 day', now() + (n - 100) * interval '1 minute' FROM generate_series(1, 9000) n`,
    );
    await using source = sourceFor({ schema: 'o"ld' });
    expect((await source.probe(never)).system).toContain('pg-boss 11 (schema version 25)');
    const sample = await source.snapshot(never);
    const mail = tenantOf(sample, 'mail');
    expect(mail).toMatchObject({
      ready: { value: 100, kind: 'exact' },
      delayed: { value: 201, kind: 'at-least' },
      oldestReady: { bound: 'exact' },
    });
    expect((sample.databaseTimeMs - (mail.oldestReady?.readyAtMs ?? 0)) / 60_000).toBeCloseTo(99, 0);
    await root.query('DROP SCHEMA "o""ld" CASCADE');
  });

  test('a newer one is read with a warning', async () => {
    await root.query('UPDATE pgboss.version SET version = 99');
    try {
      await using source = sourceFor();
      expect((await source.probe(never)).warnings).toEqual([expect.stringContaining('version 99 is newer')]);
    } finally {
      await root.query('UPDATE pgboss.version SET version = 43');
    }
  });

  test('none, one too old, and one without a column say what is missing', async () => {
    await expect(snapshot({ schema: 'nowhere' })).rejects.toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('table version, table queue, table job missing') as string,
    });
    await root.query('UPDATE pgboss.version SET version = 20');
    try {
      await expect(snapshot()).rejects.toMatchObject({
        code: 'schema-mismatch',
        message: expect.stringContaining('Update pg-boss') as string,
      });
    } finally {
      await root.query('UPDATE pgboss.version SET version = 43');
    }
  });
});

describe('accounts and connections', () => {
  const reader = { user: 'reader', password: 'reads' };

  test('a read-only account reads; without grants it is told which; hidden rows are told', async () => {
    await boss.createQueue('mail');
    await boss.send('mail', {});
    await expect(snapshot(reader)).rejects.toMatchObject({ code: 'grant-missing' });
    await root.query(
      'GRANT USAGE ON SCHEMA pgboss TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA pgboss TO reader',
    );
    await using source = sourceFor(reader);
    expect((await source.probe(never)).warnings).toEqual([]);
    expect(tenantOf(await source.snapshot(never), 'mail').ready).toEqual({ value: 1, kind: 'exact' });
    // A table that came after the grant is read through its parent.
    await boss.createQueue('own-table', { partition: true });
    await boss.send('own-table', {});
    await boss.fetch('own-table');
    await boss.send('own-table', {});
    const sample = await source.snapshot(never);
    const truth = await bruteForce('own-table', sample.databaseTimeMs);
    expect(exactNumbers(tenantOf(sample, 'own-table'))).toEqual(truth);
    await root.query('ALTER TABLE pgboss.job_common ENABLE ROW LEVEL SECURITY');
    try {
      await using blind = sourceFor(reader);
      expect((await blind.probe(never)).warnings).toEqual([expect.stringContaining('of job_common')]);
    } finally {
      await root.query('ALTER TABLE pgboss.job_common DISABLE ROW LEVEL SECURITY');
    }
  });

  test('a killed connection is unreachable once, and the next call works', async () => {
    await boss.createQueue('mail');
    await using source = sourceFor();
    await source.snapshot(never);
    const kill = (and: string) =>
      root.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'Headway' ${and}`,
      );
    // In the middle of a poll, held up for that.
    const migration = await db.connect();
    await migration.query('BEGIN; LOCK TABLE pgboss.queue');
    const held = source.snapshot(never).catch((error: unknown) => error);
    await until(async () => (await kill(`AND wait_event_type = 'Lock'`)).rowCount === 1);
    expect(await held).toMatchObject({ code: 'unreachable', retryable: true });
    await migration.end();
    expect((await source.snapshot(never)).tenants).toHaveLength(1);
    // Between two polls.
    await kill('');
    await until(async () => (await kill('')).rowCount === 0);
    await source.snapshot(never).catch(() => undefined);
    expect((await source.snapshot(never)).tenants).toHaveLength(1);
  });

  test('a queue that is made or deleted while watched, with its own table', async () => {
    await using source = sourceFor();
    await source.snapshot(never);
    await boss.createQueue('fleeting', { partition: true });
    await boss.send('fleeting', {});
    expect(tenantOf(await source.snapshot(never), 'fleeting').ready.value).toBe(1);
    await boss.deleteQueue('fleeting');
    expect((await source.snapshot(never)).tenants).toEqual([]);
  });
});
