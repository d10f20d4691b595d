// The River source against River's tables, driven by statements equal to those of its clients: every number equals its definition.
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { createRiver } from '../harness/river-schema.ts';
import { RiverWorkload } from '../harness/river-workload.ts';
import { until } from '../harness/until.ts';
import { testQueueSource } from './queue-source-fixture.ts';
import {
  expectExact,
  expectHolds,
  queueTruths,
  seeded,
  tenantOf,
  type QueueTruth,
  type TrueJob,
} from './queue-state-index-fixture.ts';

const never = new AbortController().signal;
const SCHEMA = 'Jobs of "River" 📮';
const AT = `"${SCHEMA.replaceAll('"', '""')}"`;
const ODD = `O'Brien "& sons" \\ %s; 📮 Пошта`;
const LONG = 'q'.repeat(127);
let pg: Postgres;
let root: Client;
let river: RiverWorkload;

beforeAll(async () => {
  // A zone with half an hour, east of UTC: a forgotten conversion shows.
  pg = await startPostgres({ settings: { timezone: 'Asia/Kolkata', autovacuum: 'off' } });
  root = await pg.connect();
  await root.query("CREATE ROLE reader LOGIN PASSWORD 'r'; CREATE ROLE blind LOGIN PASSWORD 'b'");
  river = new RiverWorkload(root, SCHEMA);
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await createRiver(root, SCHEMA);
  await grantTo('reader');
});

const grantTo = (role: string) =>
  root.query(`GRANT USAGE ON SCHEMA ${AT} TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA ${AT} TO ${role}`);
const sourceFor = (schema = SCHEMA, [user, password]: readonly [string, string] = ['reader', 'r']) =>
  testQueueSource({ server: pg, system: 'river', user, password, database: 'postgres', schema });

/** Reads every job and says what it is at database time `nowMs`. */
async function bruteForce(nowMs: number): Promise<Map<string, QueueTruth>> {
  const ms = (column: string) => `extract(epoch FROM ${column})::float8 * 1000`;
  const { rows } = await root.query<{
    queue: string;
    state: string;
    scheduled: number;
    created: number;
    attempted: number | null;
    staged: string | null;
  }>(
    `SELECT queue, state, ${ms('scheduled_at')} AS scheduled, ${ms('created_at')} AS created, ${ms('attempted_at')} AS attempted,
            metadata ->> 'workflow_staged_at' AS staged
       FROM ${AT}.river_job`,
  );
  const jobs = rows.map(({ queue, state, scheduled, created, attempted, staged }): TrueJob => {
    const waits = ['available', 'retryable', 'scheduled'].includes(state);
    const stagedAt = staged === null ? NaN : Date.parse(staged);
    const times = [created, scheduled, attempted ?? 0, Number.isNaN(stagedAt) ? 0 : stagedAt];
    return {
      queue,
      is: waits
        ? scheduled <= nowMs
          ? 'ready'
          : 'delayed'
        : (({ running: 'running', discarded: 'dead', pending: 'blocked' } as const)[state] ?? 'done'),
      readyAt: Math.max(...times),
      createdAt: created,
      startedAt: attempted,
    };
  });
  const { rows: names } = await root.query<{ name: string }>(`SELECT name FROM ${AT}.river_queue`);
  return queueTruths(
    jobs,
    nowMs,
    true,
    names.map(({ name }) => name),
  );
}

/** Many jobs at once; `columns`: their SQL over n. */
const bulk = (queue: string, count: number, columns: Record<string, string> = {}) => {
  const all = {
    created_at: "now() - interval '3 h'",
    scheduled_at: `now() - interval '1 s' * n`,
    max_attempts: '25',
    ...columns,
  };
  return root.query(
    `INSERT INTO ${AT}.river_job (queue, kind, args, ${Object.keys(all).join(', ')})
     SELECT $1, 'send', '{}', ${Object.values(all).join(', ')} FROM generate_series(1, ${count}) n`,
    [queue],
  );
};

test('an empty River has no queues and nothing to warn of', async () => {
  await using source = sourceFor();
  const { system, tenantWord, warnings } = await source.probe(never);
  expect(system).toMatch(/^River \(migration 8\) on PostgreSQL \d/);
  expect({ tenantWord, warnings }).toEqual({ tenantWord: 'queue', warnings: [] });
  const sample = await source.snapshot(never);
  expect(sample.tenants).toEqual([]);
  expect(sample.workers).toEqual({ busy: 0, total: null, lastSeenAtMs: null });
  expect(sample.claimOrder).toBe('within each queue by priority, then by scheduled time, then by id');
  expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(5_000);
});

test('jobs inserted, claimed, finished, failed, snoozed and cancelled are each where they belong', async () => {
  for (const queue of [ODD, LONG, 'mail']) {
    await river.report(queue);
    const priorities = [4, 2, 1, 1, 3, 1, 1];
    for (const priority of priorities) await river.insert(queue, { priority, maxAttempts: 1 });
    await river.insert(queue, { inS: 600, maxAttempts: 3 });
    await river.insert(queue, { maxAttempts: 3 });
    const [done = '', failed = '', dead = '', snoozed = '', running] = await river.claim(
      queue,
      5,
      `${queue} client`,
    );
    await river.complete(done);
    await river.fail(dead, 60, 'no');
    await river.snooze(snoozed, 600);
    await root.query(`UPDATE ${AT}.river_job SET max_attempts = 3 WHERE id = $1`, [failed]);
    await river.fail(failed, -90, 'not yet');
    expect(running).toBeDefined();
  }
  await river.cancel(await river.insert('mail'));
  await river.report('quiet');
  await river.pause('quiet');
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  const truth = await bruteForce(sample.databaseTimeMs);
  expectExact(sample, truth);
  expect(truth.get(ODD)).toMatchObject({ ready: 4, delayed: 2, running: 1, dead: 1, blocked: 0 });
  // One is retryable since before its own attempt: it was not free before that began.
  expect(sample.databaseTimeMs - (tenantOf(sample, LONG).oldestReady?.readyAtMs ?? NaN)).toBeLessThan(60_000);
  expect(sample.workers.busy).toBe(3);
  expect(sample.workers.lastSeenAtMs).toBeLessThanOrEqual(sample.databaseTimeMs);
  expect(tenantOf(sample, 'mail').paused).toBeNull();
  const { rows } = await root.query<{ at: number }>(
    `SELECT extract(epoch FROM paused_at)::float8 * 1000 AS at FROM ${AT}.river_queue WHERE name = 'quiet'`,
  );
  expect(tenantOf(sample, 'quiet').paused).toEqual({ by: 'River', sinceMs: rows[0]?.at, reason: '' });
  await river.resume('quiet');
  expect(tenantOf(await source.snapshot(never), 'quiet').paused).toBeNull();
  expect((await source.tenants(never)).map(({ name }) => name).sort()).toEqual([...truth.keys()].sort());
});

test.each([1, 2, 3])(
  'random jobs in every state, with times that contradict each other (%i)',
  async (seed) => {
    const random = seeded(seed);
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
    const states = [
      'available',
      'retryable',
      'scheduled',
      'running',
      'pending',
      'discarded',
      'completed',
      'cancelled',
    ];
    const values = Array.from({ length: 400 }, () => {
      const state = pick(states);
      const seconds = () => `now() - interval '1 s' * ${Math.round((random() - 0.3) * 9_000) + 0.5}`;
      const past = () => `now() - interval '1 s' * ${Math.round(random() * 9_000) + 1.5}`;
      const staged = pick([
        '{}',
        '{}',
        'null',
        '{"workflow_staged_at":"soon"}',
        '{"workflow_staged_at":"2026-01-02T03:04:05.678901Z"}',
      ]);
      return `(${[
        `'${pick(['a', 'b', `o''k`, LONG])}'`,
        `'${state}'`,
        1 + Math.floor(random() * 4),
        state === 'running' ? past() : pick(['NULL', past()]),
        past(),
        pick([seconds(), seconds(), seconds(), "'infinity'", "'-infinity'"]),
        ['discarded', 'completed', 'cancelled'].includes(state) ? past() : 'NULL',
        `'${staged === 'null' ? '{"a":null}' : staged}'::jsonb`,
      ].join(', ')}, 'k', '{}', 5)`;
    });
    await root.query(
      `INSERT INTO ${AT}.river_job (queue, state, priority, attempted_at, created_at, scheduled_at, finalized_at, metadata, kind, args, max_attempts)
     VALUES ${values.join(', ')}`,
    );
    await using source = sourceFor();
    const sample = await source.snapshot(never);
    expectExact(sample, await bruteForce(sample.databaseTimeMs));
  },
);

test('a lock is stale when River would rescue it by default', async () => {
  await bulk('worked', 6, {
    state: "'running'",
    attempted_at: "now() - interval '1 h' + interval '1 minute' * (n - 3.5)",
    attempted_by: "ARRAY['before', 'client ' || n]",
  });
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  expectExact(sample, await bruteForce(sample.databaseTimeMs));
  expect(tenantOf(sample, 'worked')).toMatchObject({ running: { value: 6 }, stale: { value: 3 } });
  expect(sample.workers.busy).toBe(3);
  const { locks, more, rule } = await source.details.locks({ tenantId: null, limit: 4 }, never);
  expect(more).toBe(true);
  expect(rule).toContain('After 1 h');
  expect(locks.map(({ owner, stale }) => [owner, stale])).toEqual(
    [1, 2, 3, 4].map((n) => [`client ${n}`, n <= 3]),
  );
  expect(locks[0]?.expiresAtMs).toBe((locks[0]?.lockedAtMs ?? 0) + 3_600_000);
});

test('a leader is a sign of life; without one the jobs that it should move are named', async () => {
  await river.insert('late');
  await bulk('late', 3, { state: "'scheduled'", scheduled_at: "now() - interval '4 min 30 s'" });
  await using source = sourceFor();
  const warned = async () => {
    const sample = await source.snapshot(never);
    return { sample, warnings: (await source.probe(never)).warnings };
  };
  const none = await warned();
  expect(tenantOf(none.sample, 'late').ready).toEqual({ value: 4, kind: 'exact' });
  expect(none.warnings).toEqual([
    expect.stringMatching(/not made them available for 4 min\. .*none is elected/),
  ]);
  expect(none.sample.workers.lastSeenAtMs).toBeNull();
  await river.lead('host-1 "α"', -600);
  expect((await warned()).warnings).toEqual([expect.stringContaining('host-1 "α" did that until')]);
  await river.lead('host-2', 14);
  const led = await warned();
  expect(led.warnings).toEqual([expect.stringContaining('host-2 does that')]);
  expect(led.sample.databaseTimeMs - (led.sample.workers.lastSeenAtMs ?? NaN)).toBeLessThan(5_000);
  await river.schedule();
  expect((await warned()).warnings).toEqual([]);
});

test('what is too much to count is bounded, and the oldest is proven or not claimed', async () => {
  await bulk('many', 500);
  await bulk('many', 300, { state: "'scheduled'", scheduled_at: "now() + interval '1 h'", priority: '2' });
  await bulk('many', 250, { state: "'discarded'", finalized_at: 'now()' });
  await bulk('many', 250, { state: "'running'", attempted_at: 'now()', attempted_by: "ARRAY['c']" });
  // Of long ago, but ready only since they were created: nobody can tell without reading all.
  await bulk('backdated', 400, {
    scheduled_at: "now() - interval '2 days' + interval '1 s' * n",
    created_at: "now() - interval '1 s' * n",
  });
  await using source = sourceFor();
  const sample = await source.snapshot(never);
  expectHolds(sample, await bruteForce(sample.databaseTimeMs));
  expect(tenantOf(sample, 'many')).toMatchObject({
    ready: { value: 201, kind: 'at-least' },
    delayed: { value: 201, kind: 'at-least' },
    dead: { value: 201, kind: 'at-least' },
    running: { value: 201, kind: 'at-least' },
    oldestReady: { bound: 'exact' },
  });
  expect(tenantOf(sample, 'backdated').oldestReady?.bound).toBe('at-least');
  expect(sample.workers.busy).toBeNull();
});

test('jobs that change during polls are counted once, in one state', async () => {
  await bulk('kept', 150);
  const writer = await pg.connect();
  const stopped = new AbortController();
  const churn = async () => {
    while (!stopped.signal.aborted) {
      await writer.query(
        `UPDATE ${AT}.river_job SET state = 'running', attempted_at = now() WHERE id % 3 = 0;
         UPDATE ${AT}.river_job SET state = 'discarded', finalized_at = now() WHERE id % 3 = 0;
         UPDATE ${AT}.river_job SET state = 'available', finalized_at = NULL, priority = 1 + id % 4 WHERE id % 3 = 0`,
      );
    }
  };
  const churning = churn();
  try {
    await using source = sourceFor();
    for (let i = 0; i < 30; i++) {
      const { ready, running, dead } = tenantOf(await source.snapshot(never), 'kept');
      expect(ready.value + running.value + (dead?.value ?? NaN)).toBe(150);
    }
  } finally {
    stopped.abort();
    await churning;
    await writer.end();
  }
});

describe('what is not as it should be', () => {
  test('no River, a view, or a half migrated one is a mismatch with the next step', async () => {
    const probing = async (schema: string) => {
      await using source = sourceFor(schema);
      return await source.probe(never).catch((error: unknown) => error);
    };
    expect(await probing('nowhere')).toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('river migrate-up') as string,
    });
    await root.query(`CREATE OR REPLACE VIEW public.river_job AS SELECT * FROM ${AT}.river_job`);
    expect(await probing('public')).toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('view') as string,
    });
    await root.query('DROP VIEW public.river_job');
    await root.query(`DROP TABLE ${AT}.river_queue`);
    expect(await probing(SCHEMA)).toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('half migrated') as string,
    });
    await root.query(`ALTER TABLE ${AT}.river_job DROP COLUMN attempted_at`);
    expect(await probing(SCHEMA)).toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringMatching(/without column attempted_at/) as string,
    });
  });

  test('older generations are read, without pauses before they were there', async () => {
    for (const version of [3, 4] as const) {
      await createRiver(root, SCHEMA, version);
      await grantTo('reader');
      await river.insert('mail');
      await river.insert('mail', { inS: 60 });
      await using source = sourceFor();
      const probe = await source.probe(never);
      expect(probe.system).toMatch(new RegExp(`^River \\(migration ${version}\\)`));
      expect(probe.warnings).toEqual([]);
      const sample = await source.snapshot(never);
      expect(tenantOf(sample, 'mail')).toMatchObject({ ready: { value: 1 }, delayed: { value: 1 } });
      expect(tenantOf(sample, 'mail').blocked).toEqual(version === 3 ? null : { value: 0, kind: 'exact' });
      expect((await source.details.capabilities(never)).actions.pause.support).toBe(
        version === 3 ? 'none' : 'native',
      );
    }
  });

  test('one that is newer, half migrated, or has states and migrations of its own says so', async () => {
    await root.query(
      `ALTER TYPE ${AT}.river_job_state ADD VALUE 'sleeping';
       INSERT INTO ${AT}.river_migration (line, version) VALUES ('main', 12)`,
    );
    await root.query(`ALTER TABLE ${AT}.river_job DROP COLUMN unique_states CASCADE`);
    await using source = sourceFor();
    expect((await source.probe(never)).warnings).toEqual([
      expect.stringContaining('migration 12 is newer than 8'),
      expect.stringContaining('column unique_states missing'),
      expect.stringContaining('state sleeping'),
    ]);
    await root.query(`DROP TABLE ${AT}.river_migration`);
    await using unversioned = sourceFor();
    expect((await unversioned.probe(never)).system).toMatch(/^River on/);
  });

  test('missing grants and row-level security', async () => {
    const blind = ['blind', 'b'] as const;
    await using source = sourceFor(SCHEMA, blind);
    expect(await source.probe(never).catch((error: unknown) => error)).toMatchObject({
      code: 'grant-missing',
      message: expect.stringContaining('GRANT SELECT') as string,
    });
    // Everything but the arguments, and none of the other tables.
    await root.query(
      `GRANT USAGE ON SCHEMA ${AT} TO blind;
       GRANT SELECT (id, state, queue, priority, scheduled_at, attempt, max_attempts, kind, attempted_at, attempted_by, created_at, finalized_at)
         ON ${AT}.river_job TO blind`,
    );
    const id = await river.insert('mail', { args: { secret: 1 } });
    await river.report('mail');
    expect((await source.probe(never)).warnings).toEqual([
      expect.stringContaining('river_queue: pauses are not seen'),
      expect.stringContaining('river_leader'),
    ]);
    const detail = await source.details.job(id, never);
    expect(detail).toMatchObject({ payload: null, attempts: [], job: { state: 'ready' } });
    await root.query(`ALTER TABLE ${AT}.river_job ENABLE ROW LEVEL SECURITY`);
    await using hidden = sourceFor();
    expect((await hidden.probe(never)).warnings).toEqual([
      expect.stringContaining('hides rows of river_job'),
    ]);
    await root.query(`CREATE POLICY all_rows ON ${AT}.river_job FOR SELECT TO reader USING (true)`);
    await using shown = sourceFor();
    expect((await shown.probe(never)).warnings).toEqual([]);
    expect(tenantOf(await shown.snapshot(never), 'mail').ready.value).toBe(1);
  });

  test('a killed connection is unreachable once, and the next call works', async () => {
    await river.insert('mail');
    await using source = sourceFor();
    await source.snapshot(never);
    const kill = (and: string) =>
      root.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'Headway' ${and}`,
      );
    const migration = await pg.connect();
    await migration.query(`BEGIN; LOCK TABLE ${AT}.river_job`);
    const held = source.snapshot(never).catch((error: unknown) => error);
    await until(async () => (await kill(`AND wait_event_type = 'Lock'`)).rowCount === 1);
    expect(await held).toMatchObject({ code: 'unreachable', retryable: true });
    await migration.end();
    expect((await source.snapshot(never)).tenants).toHaveLength(1);
  });
});
