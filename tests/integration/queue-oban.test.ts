// The Oban source against Oban's tables, driven by statements equal to those of its nodes: every number equals its definition.
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobList, QueueJob } from '../../src/contract/queue-jobs.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { inspectOban } from '../../src/main/sources/queues/oban/oban-reader.ts';
import { createOban } from '../harness/oban-schema.ts';
import { ObanWorkload } from '../harness/oban-workload.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { until } from '../harness/until.ts';
import { testQueueSource } from './queue-source-fixture.ts';
import {
  expectExact,
  expectHolds,
  queueTruths,
  refusedStatements,
  seeded,
  tenantOf,
  type QueueTruth,
  type TrueJob,
} from './queue-state-index-fixture.ts';

const never = new AbortController().signal;
const SCHEMA = 'private "Oban" 📮';
const AT = `"${SCHEMA.replaceAll('"', '""')}"`;
const ODD = `O'Brien "& sons" \\ %s; 📮 Пошта`;
const NOW = `(now() AT TIME ZONE 'UTC')`;
let pg: Postgres;
let root: Client;
let oban: ObanWorkload;

beforeAll(async () => {
  // A zone west of UTC with half an hour: times without zone that are taken for local ones show.
  pg = await startPostgres({ settings: { timezone: 'America/St_Johns', autovacuum: 'off' } });
  root = await pg.connect();
  await root.query("CREATE ROLE reader LOGIN PASSWORD 'r'; CREATE ROLE blind LOGIN PASSWORD 'b'");
  oban = new ObanWorkload(root, SCHEMA);
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await createOban(root, SCHEMA);
  await grantTo('reader');
});

const grantTo = (role: string) =>
  root.query(`GRANT USAGE ON SCHEMA ${AT} TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA ${AT} TO ${role}`);
const sourceFor = (schema = SCHEMA, [user, password]: readonly [string, string] = ['reader', 'r']) =>
  testQueueSource({ server: pg, system: 'oban', user, password, database: 'postgres', schema });

/** Reads every job and says what it is at database time `nowMs`. */
async function bruteForce(nowMs: number): Promise<Map<string, QueueTruth>> {
  // Written out in UTC, and read by JavaScript.
  const ms = (column: string) => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  const { rows } = await root.query<{
    queue: string;
    state: string;
    spent: boolean;
    scheduled: string | null;
    inserted: string;
    attempted: string | null;
  }>(
    `SELECT queue, state, attempt >= max_attempts AS spent, ${ms("nullif(scheduled_at, 'infinity')")} AS scheduled,
            ${ms('inserted_at')} AS inserted, ${ms('attempted_at')} AS attempted
       FROM ${AT}.oban_jobs`,
  );
  const at = (text: string) => Date.parse(text) + Number(text.slice(23, 26)) / 1_000;
  return queueTruths(
    rows.map(({ queue, state, spent, scheduled, inserted, attempted }): TrueJob => {
      const scheduledAt = scheduled === null ? Infinity : at(scheduled);
      const startedAt = attempted === null ? null : at(attempted);
      const waits = scheduledAt <= nowMs ? 'ready' : 'delayed';
      const meaning: Record<string, TrueJob['is']> = {
        ...{ available: spent ? 'never' : 'ready', scheduled: waits, retryable: waits },
        ...{ executing: 'running', discarded: 'dead', suspended: 'held' },
      };
      return {
        queue,
        is: meaning[state] ?? 'done',
        readyAt: Math.max(at(inserted), scheduledAt, startedAt ?? 0),
        createdAt: at(inserted),
        startedAt,
      };
    }),
    nowMs,
    false,
  );
}

const bulk = (queue: string, count: number, columns: Record<string, string> = {}) => {
  const all = {
    inserted_at: `${NOW} - interval '3 h'`,
    scheduled_at: `${NOW} - interval '1 s' * n`,
    ...columns,
  };
  return root.query(
    `INSERT INTO ${AT}.oban_jobs (queue, worker, ${Object.keys(all).join(', ')})
     SELECT $1, 'W', ${Object.values(all).join(', ')} FROM generate_series(1, ${count}) n`,
    [queue],
  );
};

test('an empty Oban has no queues and nothing to warn of', async () => {
  await using source = sourceFor();
  const { system, tenantWord, warnings } = await source.probe(never);
  expect(system).toMatch(/^Oban \(migration 15\) on PostgreSQL \d/);
  expect({ tenantWord, warnings }).toEqual({ tenantWord: 'queue', warnings: [] });
  const sample = await source.snapshot(never);
  expect(sample.tenants).toEqual([]);
  expect(sample.workers).toEqual({ busy: 0, total: null, lastSeenAtMs: null });
  expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(5_000);
  const { pause } = (await source.details.capabilities(never)).actions;
  expect(pause).toMatchObject({ support: 'protocol', durable: false });
  expect(pause.hazards.join(' ')).toContain('neither stored nor readable');
});

test('jobs inserted, claimed, finished, failed, snoozed, suspended and cancelled are each where they belong', async () => {
  for (const queue of [ODD, 'mail']) {
    for (const priority of [9, 2, 0, 0, 3, 0, 1]) await oban.insert(queue, { priority, maxAttempts: 1 });
    await oban.insert(queue, { inS: 600 });
    await oban.insert(queue, { inS: -30 });
    const [done = '', failed = '', snoozed = '', running] = await oban.claim(queue, 4, `node of ${queue}`);
    await oban.complete(done);
    await oban.fail(failed, 60, 'no');
    await oban.snooze(snoozed, 600);
    expect(running).toBeDefined();
    await oban.cancel(await oban.insert(queue));
    await oban.suspend(await oban.insert(`only suspended ${queue}`));
  }
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  const truth = await bruteForce(sample.databaseTimeMs);
  expectExact(sample, truth);
  expect(truth.get(ODD)).toMatchObject({ ready: 4, delayed: 2, running: 1, dead: 1, blocked: null });
  expect(sample.workers.busy).toBe(2);
  expect(sample.databaseTimeMs - (sample.workers.lastSeenAtMs ?? NaN)).toBeLessThan(60_000);
  expect(sample.tenants.every(({ paused }) => paused === null)).toBe(true);
  await oban.stage();
  const staged = await source.snapshot(never);
  expectExact(staged, await bruteForce(staged.databaseTimeMs));
  expect(tenantOf(staged, ODD).ready).toEqual({ value: 4, kind: 'exact' });
});

test.each([1, 2, 3])(
  'random jobs in every state, with times that contradict each other (%i)',
  async (seed) => {
    const random = seeded(seed);
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
    const states = [
      ...[
        'available',
        'retryable',
        'scheduled',
        'executing',
        'suspended',
        'discarded',
        'completed',
        'cancelled',
      ],
    ];
    const values = Array.from({ length: 400 }, () => {
      const state = pick(states);
      const past = () => `${NOW} - interval '1 s' * ${Math.round(random() * 9_000) + 1.5}`;
      const any = () => `${NOW} - interval '1 s' * ${Math.round((random() - 0.3) * 9_000) + 0.5}`;
      return `(${[
        `'${pick(['a', 'b', `o''k`])}'`,
        `'${state}'`,
        Math.floor(random() * 10),
        // One that is available waits for nothing, whatever its time: that it lies ahead is tested on its own.
        state === 'executing' ? past() : pick(['NULL', past()]),
        past(),
        state === 'available' ? past() : pick([any(), any(), `'infinity'`]),
        pick([0, 1, 3]),
      ].join(', ')}, 3, 'W')`;
    });
    await root.query(
      `INSERT INTO ${AT}.oban_jobs (queue, state, priority, attempted_at, inserted_at, scheduled_at, attempt, max_attempts, worker)
     VALUES ${values.join(', ')}`,
    );
    await using source = sourceFor();
    const sample = await source.snapshot(never);
    expectExact(sample, await bruteForce(sample.databaseTimeMs));
    expect((await source.probe(never)).warnings.join(' ')).toContain('no attempts left');
  },
);

test('an available job is ready whatever its scheduled time says, as Oban claims it', async () => {
  await bulk('ahead', 1, { scheduled_at: `${NOW} + interval '1 h'` });
  await bulk('ahead', 1, { scheduled_at: `'infinity'` });
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  const { ready, delayed, oldestReady } = tenantOf(sample, 'ahead');
  expect({ ready: ready.value, delayed: delayed.value }).toEqual({ ready: 2, delayed: 0 });
  expect(Math.abs(sample.databaseTimeMs - (oldestReady?.readyAtMs ?? 0))).toBeLessThan(5_000);
  const page = await source.details.jobs({ list: 'ready', tenantId: null, after: null, limit: 5 }, never);
  expect(page.jobs.map(({ state }) => state)).toEqual(['ready', 'ready']);
  expect(await oban.claim('ahead', 5, 'n')).toHaveLength(2);
});

test('an executing job is stale when Lifeline would rescue it, and a rescued one waits since its last attempt', async () => {
  await bulk('worked', 6, {
    state: "'executing'",
    attempt: '1',
    attempted_at: `${NOW} - interval '1 h' + interval '1 minute' * (n - 3.5)`,
    attempted_by: "ARRAY['node ' || n, 'uuid']",
  });
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  expectExact(sample, await bruteForce(sample.databaseTimeMs));
  expect(tenantOf(sample, 'worked')).toMatchObject({ running: { value: 6 }, stale: { value: 3 } });
  const { locks, rule } = await source.details.locks({ tenantId: 'worked', limit: 500 }, never);
  expect(locks.map(({ owner, stale, expiresAtMs }) => [owner, stale, expiresAtMs])).toEqual(
    [1, 2, 3, 4, 5, 6].map((n) => [`node ${n} uuid`, n <= 3, null]),
  );
  expect(rule).toContain('Where Lifeline runs');
  await oban.rescue();
  const rescued = await source.snapshot(never);
  expectExact(rescued, await bruteForce(rescued.databaseTimeMs));
  expect(tenantOf(rescued, 'worked')).toMatchObject({
    ready: { value: 3 },
    running: { value: 3 },
    stale: { value: 0 },
  });
  expect(rescued.databaseTimeMs - (tenantOf(rescued, 'worked').oldestReady?.readyAtMs ?? 0)).toBeLessThan(
    64 * 60_000,
  );
});

test('a leading node is a sign of life; without one the jobs that it should stage are named', async () => {
  await bulk('late', 3, { state: "'scheduled'", scheduled_at: `${NOW} - interval '4 min 30 s'` });
  await using source = sourceFor();
  const warnings = async () => {
    const sample = await source.snapshot(never);
    return [(await source.probe(never)).warnings.join(' '), sample.workers.lastSeenAtMs ?? 0] as const;
  };
  expect(await warnings()).toEqual([expect.stringMatching(/for 4 min\. .*none is elected/), 0]);
  await oban.lead('a@host "α"', -60);
  expect((await warnings())[0]).toContain('a@host "α" did that until');
  await oban.lead('b@host', 29);
  const [led, seenAt] = await warnings();
  expect(led).toContain('b@host does that');
  expect(Math.abs(Date.now() - seenAt)).toBeLessThan(10_000);
  await oban.stage();
  expect((await warnings())[0]).toBe('');
});

test('what is too much to count is bounded; jobs without attempts left hide nothing', async () => {
  await bulk('many', 500, { priority: '3' });
  await bulk('many', 250, { state: "'discarded'", discarded_at: NOW });
  await bulk('spent', 300, { attempt: '20', scheduled_at: `${NOW} - interval '2 h'` });
  await bulk('spent', 1);
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  const truth = await bruteForce(sample.databaseTimeMs);
  expect(tenantOf(sample, 'many')).toMatchObject({
    ...{
      ready: { value: 201, kind: 'at-least' },
      dead: { value: 201, kind: 'at-least' },
      oldestReady: { bound: 'exact' },
    },
  });
  truth.delete('spent');
  expectHolds({ ...sample, tenants: sample.tenants.filter(({ tenantId }) => tenantId === 'many') }, truth);
  expect(tenantOf(sample, 'spent').ready).toEqual({ value: 0, kind: 'at-least' });
});

const truths: Record<Exclude<JobList, 'blocked'>, [where: string, order: string]> = {
  ready: [
    `(state = 'available' OR state IN ('retryable', 'scheduled') AND scheduled_at <= ${NOW})`,
    'scheduled_at, id',
  ],
  delayed: [`state IN ('retryable', 'scheduled') AND scheduled_at > ${NOW}`, 'scheduled_at, id'],
  running: [`state = 'executing'`, 'attempted_at, id'],
  held: [`state = 'suspended'`, 'scheduled_at, id'],
  dead: [`state = 'discarded'`, 'discarded_at DESC, id DESC'],
};

test.each(Object.keys(truths) as (keyof typeof truths)[])(
  'every page of %s, of one queue and of all',
  async (list) => {
    await root.query(
      `INSERT INTO ${AT}.oban_jobs (queue, worker, state, priority, scheduled_at, attempted_at, discarded_at)
     SELECT (ARRAY['a', 'b'])[1 + n % 2], 'W', s.state, n % 4, ${NOW} + interval '7 s' * ((n * 37) % 41 - 20) + interval '0.5 s',
            ${NOW} - interval '3 s' * ((n * 31) % 17), CASE s.state WHEN 'discarded' THEN ${NOW} - interval '2 s' * ((n * 13) % 11) END
       FROM generate_series(1, 60) n, unnest(enum_range(NULL::${AT}.oban_job_state)) s (state)`,
    );
    const [where, order] = truths[list];
    await using source = sourceFor();
    for (const queue of [null, 'b']) {
      const listed: QueueJob[] = [];
      for (let after: string | null | undefined = null; after !== undefined;) {
        const page = await source.details.jobs({ list, tenantId: queue, after, limit: 8 }, never);
        listed.push(...page.jobs);
        after = page.next ?? undefined;
      }
      const { rows } = await root.query<{ id: string }>(
        `SELECT id FROM ${AT}.oban_jobs WHERE ${where} AND ($1::text IS NULL OR queue = $1) ORDER BY ${order}`,
        [queue],
      );
      expect(rows.length).toBeGreaterThan(15);
      expect(listed.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
      expect(new Set(listed.map(({ state }) => state))).toEqual(new Set([list]));
    }
  },
);

test('one job with its columns, attempts and redacted arguments, in UTC', async () => {
  const id = await oban.insert('mail', {
    args: { to: 'a@b.c', access_token: 't' },
    maxAttempts: 2,
    worker: 'MyApp.Ünïque',
  });
  for (const error of ['** (RuntimeError) first', 'second']) {
    await oban.claim('mail', 1, 'node');
    await oban.fail(id, -1, error);
    await oban.stage();
  }
  await using source = sourceFor();
  const detail = await source.details.job(id, never);
  expect(detail?.job).toMatchObject({
    ...{ id, tenantId: 'mail', kind: 'MyApp.Ünïque', state: 'dead', stateWord: 'discarded', error: 'second' },
    ...{ attempts: 2, maxAttempts: 2, priority: 0, owner: null },
  });
  expect(detail?.attempts.map(({ attempt, error }) => [attempt, error])).toEqual([
    [2, 'second'],
    [1, '** (RuntimeError) first'],
  ]);
  for (const time of [detail?.attempts[0]?.atMs, detail?.job.createdAtMs, detail?.job.finishedAtMs]) {
    expect(Math.abs((time ?? 0) - Date.now())).toBeLessThan(60_000);
  }
  expect(JSON.parse(detail?.payload?.text ?? '')).toEqual({ to: 'a@b.c', access_token: 'redacted' });
  expect(detail?.fields.map(({ name }) => name)).not.toContain('args');
  expect(await source.details.job('999999', never)).toBeNull();
  const blocked = await source.details.jobs(
    { list: 'blocked', tenantId: null, after: null, limit: 5 },
    never,
  );
  expect(blocked).toEqual({ jobs: [], next: null, note: expect.stringContaining('held') as string });
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
  const watched = await (await inspectOban(session, SCHEMA, never)).watched(session, never);
  expect(watched.tables).toEqual([`${AT}."oban_jobs"`, `${AT}.oban_peers`]);
  for (const table of watched.tables) await root.query(`SELECT FROM ${table}`);
  expect(watched.statements.length).toBeGreaterThan(3);
  expect(await refusedStatements(root, watched)).toEqual({});
});

describe('what is not as it should be', () => {
  const probing = async (schema = SCHEMA) => {
    await using source = sourceFor(schema);
    return await source.probe(never).catch((error: unknown) => error);
  };

  test('no Oban, one that is too old, or a view is a mismatch with the next step', async () => {
    const mismatch = (words: string) => ({
      ...{ code: 'schema-mismatch', message: expect.stringContaining(words) as string },
    });
    expect(await probing('nowhere')).toMatchObject(mismatch('Oban.Migration.up()'));
    await root.query(`CREATE OR REPLACE VIEW public.oban_jobs AS SELECT * FROM ${AT}.oban_jobs`);
    expect(await probing('public')).toMatchObject(mismatch('view'));
    await root.query('DROP VIEW public.oban_jobs');
    await root.query(`COMMENT ON TABLE ${AT}.oban_jobs IS '8'`);
    expect(await probing()).toMatchObject(mismatch('Upgrade Oban'));
    await root.query(
      `COMMENT ON TABLE ${AT}.oban_jobs IS '15'; ALTER TABLE ${AT}.oban_jobs DROP COLUMN cancelled_at`,
    );
    expect(await probing()).toMatchObject(mismatch('without column cancelled_at'));
  });

  test('older generations are read, without what they had not', async () => {
    for (const version of [10, 12] as const) {
      await createOban(root, SCHEMA, version);
      await grantTo('reader');
      await oban.insert('mail');
      const [id = ''] = await oban.claim('mail', 1, 'n');
      await root.query(
        `UPDATE ${AT}.oban_jobs SET state = 'discarded', discarded_at = ${NOW} WHERE id = $1`,
        [id],
      );
      await using source = sourceFor();
      const probe = await source.probe(never);
      expect(probe.system).toMatch(new RegExp(`^Oban \\(migration ${version}\\)`));
      expect(probe.warnings).toEqual([]);
      expect(tenantOf(await source.snapshot(never), 'mail').dead).toEqual({ value: 1, kind: 'exact' });
      const page = (list: JobList) =>
        source.details.jobs({ list, tenantId: null, after: null, limit: 5 }, never);
      expect((await page('dead')).jobs.map((job) => job.id)).toEqual([id]);
      expect((await page('held')).note).toContain('older than 2.21');
    }
  });

  test('one that is newer, half migrated, or without a version says so', async () => {
    await root.query(`DROP TABLE ${AT}.oban_peers; COMMENT ON TABLE ${AT}.oban_jobs IS '21'`);
    expect(await probing()).toMatchObject({
      warnings: [
        expect.stringContaining('21 is newer than 15'),
        expect.stringContaining('table oban_peers missing'),
      ],
    });
    await root.query(`COMMENT ON TABLE ${AT}.oban_jobs IS 'jobs of the shop'`);
    expect(await probing()).toMatchObject({ warnings: [expect.stringContaining('holds none')] });
  });

  test('missing grants, row-level security, and a killed connection', async () => {
    await using source = sourceFor(SCHEMA, ['blind', 'b']);
    await expect(source.probe(never)).rejects.toMatchObject({ code: 'grant-missing' });
    await root.query(`GRANT USAGE ON SCHEMA ${AT} TO blind; GRANT SELECT ON ${AT}.oban_jobs TO blind`);
    await oban.insert('mail');
    expect((await source.probe(never)).warnings).toEqual([
      expect.stringContaining('may not read oban_peers'),
    ]);
    await root.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'Headway'`,
    );
    await until(async () => {
      const failure = await source.snapshot(never).then(
        () => null,
        (error: unknown) => error,
      );
      if (failure !== null) expect(failure).toMatchObject({ code: 'unreachable', retryable: true });
      return failure === null;
    });
    await root.query(`ALTER TABLE ${AT}.oban_jobs ENABLE ROW LEVEL SECURITY`);
    expect(await probing()).toMatchObject({ warnings: [expect.stringContaining('hides rows of oban_jobs')] });
  });
});
