// Lists, a job's page and claims of the real pg-boss, compared with all rows and with its own word.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import {
  ago,
  idsBy,
  idsOf,
  jobsOf,
  never,
  ODD,
  pages,
  startBossDatabase,
  type BossDatabase,
} from './queue-pg-boss-fixture.ts';

let on: BossDatabase;

beforeAll(async () => {
  on = await startBossDatabase();
});
afterAll(() => on[Symbol.asyncDispose]());
afterEach(() => on.clear());

async function mixture(name: string): Promise<void> {
  const spread = { priority: 'n % 4', created_on: ago('n * 7919 % 4000') };
  await on.insert(name, 60, { ...spread, start_after: ago('n * 31 % 90') });
  // Backdated: ready since its creation.
  await on.insert(name, 20, { ...spread, start_after: ago('50000 + n') });
  await on.insert(name, 25, { ...spread, start_after: "now() + (60 + n * 13 % 7) * interval '1 minute'" });
  await on.insert(name, 1, { ...spread, start_after: "'infinity'" });
  await on.insert(name, 15, {
    ...{ ...spread, start_after: ago('n % 3'), state: `'retry'`, started_on: ago(9000) },
    ...{ retry_count: '1', output: `'{"message": "once"}'` },
  });
  await on.insert(name, 12, {
    ...spread,
    start_after: ago(9),
    state: `'active'`,
    started_on: ago('n % 4 * 400'),
  });
  await on.insert(name, 9, { ...spread, state: `'failed'`, completed_on: ago('n * 17 % 5') });
  await on.insert(name, 8, { ...spread, blocked: 'true', pending_dependencies: '1' });
  await on.insert(name, 5, {
    ...spread,
    state: `'completed'`,
    completed_on: 'now()',
    output: `'{"token": "t"}'`,
  });
}

async function findJob(name: string, id: string) {
  const [job] = await on.boss.findJobs(name, { id });
  return job;
}

/** pg-boss's client tells whole milliseconds. */
const inWholeMs = (job: object | undefined) =>
  Object.fromEntries(
    Object.entries(job ?? {}).map(([name, value]: [string, unknown]) => [
      name,
      name.endsWith('Ms') && typeof value === 'number' ? Math.floor(value) : value,
    ]),
  );

describe('lists', () => {
  const lists = ['ready', 'delayed', 'running', 'blocked', 'dead'] as const;

  test('every list is whole and in order, of one queue and of all, page by page', async () => {
    const names = ['mail', 'own-table', ODD, 'q'.repeat(200)];
    await on.boss.createQueue('mail');
    await on.boss.createQueue('own-table', { partition: true });
    for (const name of names.slice(2))
      await on.root.query('SELECT pgboss.create_queue($1, $2)', [name, '{"policy": "standard"}']);
    for (const name of names) await mixture(name);
    await using source = on.source();
    for (const list of lists) {
      for (const name of names) {
        const all = await pages(source, list, name, 7);
        expect([list, name, idsOf(all)]).toEqual([list, name, await idsBy(on.root, list, name)]);
        expect(jobsOf(all).length).toBeGreaterThan(7);
        expect(all[0]?.note).toBeNull();
      }
      const every = await pages(source, list, null, 50);
      expect(idsOf(every).toSorted()).toEqual((await idsBy(on.root, list, null)).toSorted());
      const times = jobsOf(every).map(({ readyAtMs, startedAtMs, createdAtMs, finishedAtMs }) =>
        list === 'running'
          ? startedAtMs
          : list === 'dead'
            ? -(finishedAtMs ?? 0)
            : list === 'blocked'
              ? createdAtMs
              : readyAtMs,
      );
      expect(times).toEqual(times.toSorted((a, b) => (a ?? 0) - (b ?? 0)));
      const state = jobsOf(every).map((job) => job.state);
      expect(new Set(state)).toEqual(new Set([list]));
    }
    const running = jobsOf(await pages(source, 'running', 'mail'));
    // Expire after 900 seconds.
    expect(running.filter(({ stale }) => stale)).toHaveLength(3);
    const words = jobsOf(await pages(source, 'ready', 'mail')).filter(
      ({ stateWord }) => stateWord === 'retry',
    );
    expect(words).toHaveLength(15);
    expect(words[0]).toMatchObject({ attempts: 2, maxAttempts: 3, error: 'once' });
    expect(await pages(source, 'held', 'mail')).toEqual([
      { jobs: [], next: null, note: expect.stringContaining('holds no jobs back') as string },
    ]);
    expect((await pages(source, 'ready', 'nobody'))[0]?.note).toContain('no queue named nobody');
  });

  test('jobs of real producers and workers: as pg-boss itself counts and tells them', async () => {
    await on.boss.createQueue('mail', { retryLimit: 0 });
    for (let i = 0; i < 12; i++) await on.boss.send('mail', { i, password: 'hunter2' }, { priority: i % 3 });
    await on.boss.send('mail', {}, { startAfter: 900 });
    const [failing, running] = await on.boss.fetch('mail', { batchSize: 2 });
    await on.boss.fail('mail', failing?.id ?? '', { message: 'no such address', stack: 'at …' });
    await using source = on.source();
    const [stats] = await on.boss.getQueueStats('mail', { force: true });
    const counts = [];
    for (const list of ['ready', 'delayed', 'running', 'dead'] as const)
      counts.push(idsOf(await pages(source, list, 'mail')).length);
    expect(counts).toEqual([stats?.readyCount, stats?.deferredCount, stats?.activeCount, stats?.failedCount]);
    expect(counts).toEqual([10, 1, 1, 1]);

    for (const id of [failing?.id, running?.id]) {
      const known = await findJob('mail', id ?? '');
      const detail = await source.details.job(`mail/${id}`, never);
      expect(inWholeMs(detail?.job)).toMatchObject({
        ...{
          id: `mail/${id}`,
          tenantId: 'mail',
          kind: null,
          stateWord: known?.state,
          priority: known?.priority,
        },
        ...{ createdAtMs: known?.createdOn.getTime(), startedAtMs: known?.startedOn.getTime() ?? null },
        ...{ finishedAtMs: known?.completedOn?.getTime() ?? null, attempts: (known?.retryCount ?? 0) + 1 },
        ...{ maxAttempts: (known?.retryLimit ?? 0) + 1, owner: null, stale: false },
      });
      const { text, shortened } = detail?.payload ?? {};
      expect([JSON.parse(text ?? ''), shortened]).toEqual([
        { i: (known?.data as { i: number }).i, password: 'redacted' },
        false,
      ]);
      // A uuid alone, as it stands in a log, is found too.
      expect(await source.details.job(id ?? '', never)).toEqual(detail);
      const { rows } = await on.root.query<{ name: string }>(
        `SELECT attname AS name FROM pg_attribute WHERE attrelid = 'pgboss.job'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'data' ORDER BY attnum`,
      );
      expect(detail?.fields.map(({ name }) => name)).toEqual(rows.map(({ name }) => name));
      expect(detail?.fields.find(({ name }) => name === 'keep_until')?.value).toMatch(/\+00$/);
    }
    expect((await source.details.job(`mail/${failing?.id}`, never))?.job).toMatchObject({
      state: 'dead',
      error: 'no such address',
    });
    // Locks are the active jobs.
    const known = await findJob('mail', running?.id ?? '');
    const startedMs = known?.startedOn.getTime() ?? NaN;
    const { locks, rule, more } = await source.details.locks({ tenantId: null, limit: 10 }, never);
    expect([locks.map(inWholeMs), more]).toEqual([
      [
        {
          ...{ jobId: `mail/${running?.id}`, tenantId: 'mail', owner: null, lockedAtMs: startedMs },
          ...{
            expiresAtMs: startedMs + (known?.expireInSeconds ?? NaN) * 1000,
            beatAtMs: null,
            stale: false,
          },
        },
      ],
      false,
    ]);
    expect(rule).toContain('expire_seconds');
  });

  test('a job of a flow is blocked, and its page names what it waits for', async () => {
    await on.boss.createQueue('flow');
    await on.boss.flow([
      { name: 'flow', ref: 'first', data: {} },
      { name: 'flow', ref: 'second', data: {}, dependsOn: ['first'] },
    ]);
    await using source = on.source();
    const [blocked] = jobsOf(await pages(source, 'blocked', 'flow'));
    expect(idsOf(await pages(source, 'ready', 'flow'))).toHaveLength(1);
    const waited = await on.boss.getDependencies('flow', blocked?.id.slice('flow/'.length) ?? '');
    const detail = await source.details.job(blocked?.id ?? '', never);
    expect(detail?.job.state).toBe('blocked');
    expect(waited).toHaveLength(1);
    expect(detail?.fields.at(-1)).toEqual({ name: 'waits for', value: `flow/${waited[0]?.id}` });
  });

  test('locks: missed heartbeats and expiries are stale, the oldest first, and more than asked for is said', async () => {
    await on.boss.createQueue('mail');
    const base = { created_on: ago(9000), state: `'active'` };
    await on.insert('mail', 3, { ...base, started_on: ago('n * 10') });
    await on.insert('mail', 1, { ...base, started_on: ago(2000), expire_seconds: '900' });
    const beat = { heartbeat_on: ago(40), heartbeat_seconds: '30' };
    await on.insert('mail', 1, { ...base, started_on: ago(50), ...beat });
    await using source = on.source();
    const { locks, more } = await source.details.locks({ tenantId: 'mail', limit: 4 }, never);
    expect(more).toBe(true);
    expect(locks.map(({ stale }) => stale)).toEqual([true, true, false, false]);
    const [expired, silent] = locks;
    expect((expired?.expiresAtMs ?? NaN) - (expired?.lockedAtMs ?? NaN)).toBe(900_000);
    expect((silent?.expiresAtMs ?? NaN) - (silent?.beatAtMs ?? NaN)).toBe(30_000);
    expect((await source.details.locks({ tenantId: 'mail', limit: 5 }, never)).more).toBe(false);
  });

  test('cursors of other lists are refused; ids that are none are no job', async () => {
    await on.boss.createQueue('mail');
    await mixture('mail');
    await using source = on.source();
    const { next } = await source.details.jobs(
      { list: 'ready', tenantId: 'mail', after: null, limit: 3 },
      never,
    );
    for (const after of [
      next,
      'x',
      '[]',
      '["delayed",["9"],null]',
      `["delayed",[],["2026-01-01'; --","",""]]`,
    ])
      await expect(
        source.details.jobs({ list: 'delayed', tenantId: 'mail', after, limit: 3 }, never),
      ).rejects.toMatchObject({ code: 'bad-request' });
    for (const id of ['', 'mail', "mail/' OR 1 = 1", `mail/${crypto.randomUUID()}`, crypto.randomUUID()])
      expect(await source.details.job(id, never)).toBeNull();
  });
});

describe('accounts, versions and connections', () => {
  test('a column that is not granted is left out', async () => {
    await on.boss.createQueue('mail');
    const id = await on.boss.send('mail', { secret: 1 });
    const { rows } = await on.root.query<{ columns: string }>(
      `SELECT string_agg(quote_ident(attname), ', ') AS columns FROM pg_attribute WHERE attrelid = 'pgboss.job'::regclass AND attnum > 0 AND attname NOT IN ('data', 'output')`,
    );
    await on.root.query(
      `GRANT SELECT ON pgboss.version, pgboss.queue TO discreet; GRANT SELECT (${rows[0]?.columns}) ON pgboss.job TO discreet`,
    );
    await using source = on.source('discreet');
    const detail = await source.details.job(`mail/${id}`, never);
    expect(detail?.payload).toBeNull();
    expect(detail?.fields.map(({ name }) => name)).not.toContain('output');
    expect(idsOf(await pages(source, 'ready', 'mail'))).toEqual([`mail/${id}`]);
  });

  test('an older schema is listed by due time, and says what it has not', async () => {
    await on.root.query(
      `CREATE SCHEMA older; GRANT USAGE ON SCHEMA older TO reader;
       CREATE TYPE older.job_state AS ENUM ('created', 'retry', 'active', 'completed', 'cancelled', 'failed');
       CREATE TABLE older.version (version int); INSERT INTO older.version VALUES (21);
       CREATE TABLE older.queue (name text); INSERT INTO older.queue VALUES ('mail');
       CREATE TABLE older.job (id uuid DEFAULT gen_random_uuid(), name text, priority int DEFAULT 0, data jsonb, state older.job_state DEFAULT 'created',
         retry_limit int DEFAULT 2, retry_count int DEFAULT 0, start_after timestamptz DEFAULT now(), created_on timestamptz DEFAULT now(),
         started_on timestamptz, completed_on timestamptz, expire_in interval DEFAULT '15 minutes', output jsonb, PRIMARY KEY (name, id));
       CREATE INDEX ON older.job (name, start_after) INCLUDE (priority, created_on, id) WHERE state < 'active';
       INSERT INTO older.job (name, created_on, start_after) SELECT 'mail', now() - interval '1 day', now() + (n - 100) * interval '1 minute' FROM generate_series(1, 300) n;
       INSERT INTO older.job (name, state, started_on) VALUES ('mail', 'active', now() - interval '1 hour');
       GRANT SELECT ON ALL TABLES IN SCHEMA older TO reader`,
    );
    await using source = on.source('reader', 'older');
    const ready = jobsOf(await pages(source, 'ready', 'mail', 30));
    const delayed = jobsOf(await pages(source, 'delayed', null, 30));
    expect([ready.length, delayed.length]).toEqual([100, 200]);
    for (const jobs of [ready, delayed])
      expect(jobs).toEqual(jobs.toSorted((a, b) => (a.readyAtMs ?? 0) - (b.readyAtMs ?? 0)));
    expect((await pages(source, 'blocked', 'mail'))[0]?.note).toContain('wait for no others');
    expect((await source.details.locks({ tenantId: null, limit: 9 }, never)).locks).toMatchObject([
      { stale: true },
    ]);
    const { facts, actions } = await source.details.capabilities(never);
    expect([facts.blocked.kind, actions.requeue.support]).toEqual(['no', 'none']);
    await using current = on.source();
    const now = await current.details.capabilities(never);
    expect([now.facts.blocked.kind, now.actions.requeue.support, now.actions.pause.support]).toEqual([
      'bounded',
      'protocol',
      'none',
    ]);
    await on.root.query('DROP SCHEMA older CASCADE');
  });

  test('a killed connection is unreachable once', async () => {
    await on.boss.createQueue('mail');
    await mixture('mail');
    await using source = on.source();
    const look = () => source.details.locks({ tenantId: null, limit: 50 }, never);
    await look();
    const kill = () =>
      on.root.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'`);
    await kill();
    await until(async () => (await kill()).rowCount === 0);
    const again = await look().catch((error: unknown) => error);
    if (again instanceof Error) expect(again).toMatchObject({ code: 'unreachable' });
    expect((await look()).locks).toHaveLength(12);
  });
});
