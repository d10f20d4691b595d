// BullMQ schemas that are not as they should be, and connections that break.
import { runMigrations } from 'bullmq';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { Bullmq, never, tenantOf } from './queue-bullmq-fixture.ts';

let bull: Bullmq;
beforeAll(async () => {
  bull = await Bullmq.start();
});
afterAll(() => bull[Symbol.asyncDispose]());
afterEach(() => bull.clear());

const probe = async (options: Parameters<Bullmq['source']>[0]) => {
  await using source = bull.source(options);
  return await source.probe(never);
};
const superuser = () => ({ user: 'postgres', password: bull.pg.password });
const mismatch = (message: RegExp) => ({
  ...{ code: 'schema-mismatch', message: expect.stringMatching(message) as unknown },
});

test('what is missing is said, with what to do', async () => {
  await bull.root.query(`CREATE DATABASE other; `);
  await expect(probe({ database: 'other' })).rejects.toMatchObject(
    mismatch(/no schema "bullmq" .* Check the database/),
  );
  await bull.root.query('CREATE SCHEMA stranger; CREATE TABLE stranger.job (id int)');
  await expect(probe({ ...superuser(), schema: 'stranger' })).rejects.toMatchObject(
    mismatch(/no meta, job_dependency\. Check the schema/),
  );
  await bull.root.query(
    'CREATE SCHEMA half; CREATE TABLE half.migration (version int, name text, min_client_version int)',
  );
  await expect(probe({ ...superuser(), schema: 'half' })).rejects.toMatchObject(
    mismatch(/migrations have not all been run\. Run them/),
  );
});

test('another schema is read; columns that are missing and views are told', async () => {
  await runMigrations(bull.root, 'Other_queues');
  await bull.root.query(
    `INSERT INTO "Other_queues".job (queue, id, seq, name, state, added_at_ms) VALUES ('q', '1', 1, 'n', 'waiting', 5)`,
  );
  const other = { ...superuser(), schema: 'Other_queues' };
  expect(tenantOf(await bull.sample(other), 'q').ready).toEqual({ value: 1, kind: 'exact' });
  await bull.root.query('ALTER TABLE "Other_queues".job RENAME COLUMN lock_token TO token');
  await expect(probe(other)).rejects.toMatchObject(mismatch(/job\.lock_token missing/));
  await bull.root.query(
    'ALTER TABLE "Other_queues".job RENAME TO job_table; CREATE VIEW "Other_queues".job AS SELECT *, token AS lock_token FROM "Other_queues".job_table',
  );
  await expect(probe(other)).rejects.toMatchObject(mismatch(/views in place of job/));
});

test('a newer schema is read, with a warning', async () => {
  await bull.root.query(
    `INSERT INTO bullmq.migration (version, name, min_client_version) VALUES (12, 'x', 7)`,
  );
  try {
    const { warnings, system } = await probe({});
    expect(system).toContain('schema version 12');
    expect(warnings).toEqual([expect.stringContaining('version 12 is newer than 11')]);
  } finally {
    await bull.root.query('DELETE FROM bullmq.migration WHERE version = 12');
  }
});

test('without an index its numbers are left out, until the statement that is named is run', async () => {
  await bull.bulk('mail', 20);
  await bull.bulk('mail', 5, { state: `'delayed'`, process_at_ms: 'now_ms + 90000' });
  await bull.bulk('mail', 4, {
    state: `'active'`,
    processed_at_ms: 'now_ms',
    locked_until_ms: 'now_ms + 90000',
  });
  await bull.bulk('mail', 3, { state: `'failed'`, finished_at_ms: 'now_ms' });
  await bull.bulk('mail', 2, { state: `'waiting-children'` });
  const numbers = async () => {
    const { ready, delayed, running, stale, dead, blocked, oldestReady } = tenantOf(
      await bull.sample(),
      'mail',
    );
    return { ready, delayed, running, stale, dead, blocked, bound: oldestReady?.bound };
  };
  const whole = await numbers();
  expect(whole).toMatchObject({
    ready: { value: 20, kind: 'exact' },
    dead: { value: 3 },
    blocked: { value: 2 },
    bound: 'exact',
  });
  await bull.root.query(
    `SET search_path = bullmq; DROP INDEX job_ready_idx, job_delayed_idx, job_active_idx, job_finished_idx, job_waiting_children_idx; RESET search_path`,
  );
  const unknown = { value: 0, kind: 'at-least' };
  expect(await numbers()).toEqual({
    ...{
      ready: unknown,
      delayed: unknown,
      running: unknown,
      stale: unknown,
      dead: null,
      blocked: null,
      bound: undefined,
    },
  });
  await using blind = bull.source();
  expect((await blind.details.capabilities(never)).facts.lag.kind).toBe('no');
  const { warnings } = await probe({});
  expect(warnings).toHaveLength(5);
  for (const [ddl] of warnings.join('\n').matchAll(/CREATE INDEX CONCURRENTLY .*(?=\.$)/gm))
    await bull.root.query(ddl);
  expect(await numbers()).toEqual(whole);
  expect((await probe({})).warnings).toEqual([]);
});

test('row-level security that hides rows is told, until a policy shows them', async () => {
  await bull.queue('mail').add('n', {});
  await bull.root.query('ALTER TABLE bullmq.job ENABLE ROW LEVEL SECURITY');
  try {
    const { warnings } = await probe({});
    expect(warnings).toEqual([expect.stringContaining('hides rows of job from this account')]);
    expect(tenantOf(await bull.sample(), 'mail').ready.value).toBe(0);
    const policy = /CREATE POLICY [^;]*USING \(true\)/.exec(warnings[0] ?? '')?.[0] ?? '';
    await bull.root.query(policy.replace('…', 'reader'));
    expect((await probe({})).warnings).toEqual([]);
    expect(tenantOf(await bull.sample(), 'mail').ready.value).toBe(1);
  } finally {
    await bull.root.query('ALTER TABLE bullmq.job DISABLE ROW LEVEL SECURITY');
  }
});

test('an account without grants is told so; one without the optional tables reads the rest', async () => {
  await bull.root.query(
    `CREATE ROLE stranger LOGIN PASSWORD 's'; CREATE ROLE least LOGIN PASSWORD 'l'; GRANT USAGE ON SCHEMA bullmq TO least;
     GRANT SELECT ON bullmq.job, bullmq.meta, bullmq.job_dependency TO least`,
  );
  await expect(probe({ user: 'stranger', password: 's' })).rejects.toMatchObject({ code: 'grant-missing' });
  await bull.queue('mail').add('n', {});
  await bull.queue('mail').pause();
  const least = { user: 'least', password: 'l' };
  expect((await probe(least)).system).toMatch(/^BullMQ on/);
  expect(tenantOf(await bull.sample(least), 'mail')).toMatchObject({
    ready: { value: 1 },
    paused: { sinceMs: null },
  });
});

test('jobs that change during polls are counted once, in one state', async () => {
  await bull.bulk('mail', 150);
  const writer = await bull.pg.connect();
  const stopped = new AbortController();
  const churn = async () => {
    while (!stopped.signal.aborted) {
      await writer.query(
        `UPDATE bullmq.job SET state = 'active', locked_until_ms = 9e12, processed_at_ms = added_at_ms WHERE seq % 3 = 0;
         UPDATE bullmq.job SET state = 'delayed', process_at_ms = 9e12 WHERE seq % 3 = 0;
         UPDATE bullmq.job SET state = 'failed', finished_at_ms = 1 WHERE seq % 3 = 0;
         UPDATE bullmq.job SET state = 'waiting', process_at_ms = NULL, priority = 1 - priority WHERE seq % 3 = 0`,
      );
    }
  };
  const churning = churn();
  try {
    await using source = bull.source();
    for (let i = 0; i < 30; i++) {
      const { ready, delayed, running, dead } = tenantOf(await source.snapshot(never), 'mail');
      expect(ready.value + delayed.value + running.value + (dead?.value ?? NaN)).toBe(150);
    }
  } finally {
    stopped.abort();
    await churning;
    await writer.end();
  }
});

test('a connection that was cut is unreachable once, and replaced', async () => {
  await bull.bulk('mail', 1);
  await using source = bull.source();
  await source.snapshot(never);
  // The poll waits for the lock when it is cut.
  await bull.root.query('BEGIN; LOCK TABLE bullmq.job');
  const polled = expect(source.snapshot(never)).rejects.toMatchObject({ code: 'unreachable' });
  await until(async () => {
    const { rowCount } = await bull.root.query(
      `SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'Headway' AND NOT granted`,
    );
    return rowCount === 1;
  });
  await polled;
  await bull.root.query('ROLLBACK');
  // The server says goodbye a moment before it hangs up.
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
