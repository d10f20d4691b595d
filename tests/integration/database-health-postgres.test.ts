// The health of PostgreSQL: each condition is produced by real sessions, and found.
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { databaseHealthSchema, type DatabaseHealth } from '../../src/contract/database-health.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { readPostgresHealth } from '../../src/main/sources/health/postgres-health.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { until } from '../harness/until.ts';
import { startStandby } from './postgres-standby-fixture.ts';

const never = new AbortController().signal;
const JOBS = '"s 1"."Jobs"';
let pg: Postgres;
let root: Client;

beforeAll(async () => {
  pg = await startPostgres({
    settings: {
      autovacuum: 'off',
      max_connections: '20',
      max_prepared_transactions: '5',
      timezone: 'Asia/Kolkata',
    },
  });
  root = await pg.connect();
  await root.query(
    `CREATE SCHEMA "s 1";
     CREATE ROLE reader LOGIN PASSWORD 'r';
     CREATE ROLE monitor LOGIN PASSWORD 'm';
     GRANT pg_monitor TO monitor;
     GRANT USAGE ON SCHEMA "s 1" TO reader, monitor`,
  );
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await root.query(
    `DROP TABLE IF EXISTS ${JOBS};
     CREATE TABLE ${JOBS} (id int PRIMARY KEY, state text);
     INSERT INTO ${JOBS} SELECT n, 'queued' FROM generate_series(1, 20) n;
     GRANT SELECT ON ${JOBS} TO reader, monitor`,
  );
});

async function health(
  user: 'reader' | 'monitor' = 'monitor',
  { host, port }: { host: string; port: number } = pg,
) {
  const settings = databaseSchema.parse({ host, port, user, database: 'postgres' });
  await using session = await PostgresSession.open(
    { settings, password: user.charAt(0), statementTimeoutMs: 3_000 },
    never,
  );
  return databaseHealthSchema.parse(
    await readPostgresHealth(session, { tables: [JOBS], statements: [] }, Date.now, never),
  );
}

/** A session of an application; it is ended, whatever it waits for. */
async function application(name: string): Promise<Client & AsyncDisposable> {
  const client = await pg.connect();
  await client.query(`SET application_name = '${name}'`);
  return Object.assign(client, {
    [Symbol.asyncDispose]: async () => {
      await root.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
        name,
      ]);
      await client.end().catch(() => undefined);
    },
  });
}

const findingOf = ({ findings }: DatabaseHealth, text: string) =>
  findings.find((finding) => finding.text.includes(text));

test('nothing is wrong with an idle server', async () => {
  const found = await health();
  expect(found).toMatchObject({
    server: expect.stringMatching(/^PostgreSQL \d+/) as string,
    connections: { max: 20, reserved: 3 },
    lockWaits: [],
    slow: [],
    deadRows: [{ table: JOBS, dead: 0, lastVacuumAtMs: null }],
    historyListLength: null,
    replicas: [],
    notes: [],
    findings: [],
  });
  const { rows } = await root.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'client backend'",
  );
  // The session that looked.
  expect(found.connections?.used).toBe((rows[0]?.n ?? NaN) + 1);
});

test('who waits for whom, on what, and for how long; no literal is shown', async () => {
  await using first = await application('first');
  await using second = await application('second');
  await using third = await application('third');
  await first.query(`BEGIN; UPDATE ${JOBS} SET state = 'SECRET' WHERE id = 7`);
  const waits = [second.query(`UPDATE ${JOBS} SET state = 'SECRET' WHERE id = 7`).catch(() => undefined)];
  await until(async () => (await health()).lockWaits.length === 1);
  waits.push(third.query(`ALTER TABLE ${JOBS} ADD COLUMN pin text DEFAULT 'SECRET'`).catch(() => undefined));
  await until(async () => (await health()).lockWaits.length === 2);
  const { lockWaits, notes } = await health();
  const whoWaits = lockWaits.map(({ waiting, blockedBy, on }) => [
    waiting.application,
    blockedBy.map(({ application }) => application).sort(),
    on,
  ]);
  expect(whoWaits).toContainEqual(['second', ['first'], JOBS]);
  expect(whoWaits).toContainEqual(['third', ['first', 'second'], JOBS]);
  expect(
    lockWaits.flatMap(({ blockedBy }) => blockedBy).find(({ application }) => application === 'first'),
  ).toMatchObject({
    state: 'idle in transaction',
    user: 'postgres',
    client: '127.0.0.1',
    text: `BEGIN; UPDATE ${JOBS} SET state = ? WHERE id = ?`,
  });
  expect(JSON.stringify(lockWaits)).not.toContain('SECRET');
  expect(notes).toEqual([]);

  const { lockWaits: hidden, notes: missing } = await health('reader');
  expect(hidden.map(({ blockedBy }) => blockedBy.length)).toEqual([1, 2]);
  expect(hidden[0]?.waiting).toMatchObject({ text: '', state: 'unknown', user: 'postgres' });
  expect(hidden[0]?.waiting.forMs).toBeGreaterThan(0);
  expect(missing).toEqual([expect.stringContaining('GRANT pg_monitor TO reader')]);
  await first.query('ROLLBACK');
  await Promise.all(waits);
  expect((await health()).lockWaits).toEqual([]);
});

test('a prepared transaction holds locks and the horizon', async () => {
  await using writer = await application('writer');
  await root.query(
    `BEGIN; LOCK TABLE ${JOBS}; INSERT INTO ${JOBS} VALUES (99); PREPARE TRANSACTION 'two phases'`,
  );
  try {
    const waiting = writer.query(`DELETE FROM ${JOBS}`);
    await until(async () => (await health()).lockWaits.length === 1);
    const { lockWaits, horizon } = await health();
    expect(lockWaits[0]?.blockedBy).toMatchObject([{ state: 'prepared transaction' }]);
    expect(horizon).toMatchObject({ heldBy: 'prepared transaction "two phases" of postgres' });
    expect(horizon?.heldForMs).toBeGreaterThan(0);
    await root.query("ROLLBACK PREPARED 'two phases'");
    await waiting;
  } finally {
    await root.query("ROLLBACK PREPARED 'two phases'").catch(() => undefined);
  }
});

test('statements that run on the watched tables for over a second, and no others', async () => {
  await root.query('CREATE TABLE IF NOT EXISTS elsewhere AS SELECT 1 AS id');
  await using slow = await application('slow worker');
  await using other = await application('other');
  const running = [
    slow.query(`SELECT pg_sleep(60), 'SECRET' FROM ${JOBS} WHERE id = 1`),
    other.query('SELECT pg_sleep(60) FROM elsewhere'),
  ].map((query) => query.catch(() => undefined));
  await until(async () => (await health()).slow.length > 0);
  const { slow: found } = await health();
  expect(found).toMatchObject([
    { application: 'slow worker', state: 'active', text: `SELECT pg_sleep(?), ? FROM ${JOBS} WHERE id = ?` },
  ]);
  expect(found[0]?.forMs).toBeGreaterThan(1_000);
  // Without the grant nobody knows what others do; the note says so.
  expect((await health('reader')).slow).toEqual([]);
  for (const { sessionId } of found) await root.query('SELECT pg_cancel_backend($1::int)', [sessionId]);
  await root.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'other'");
  await Promise.all(running);
  expect((await health()).slow).toEqual([]);
});

test('dead rows, and the idle transaction that keeps vacuum from removing them', async () => {
  await using idle = await application('idle one');
  await idle.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
  await root.query(
    `INSERT INTO ${JOBS} SELECT n, 'queued' FROM generate_series(21, 12000) n;
     UPDATE ${JOBS} SET state = 'done';
     UPDATE ${JOBS} SET state = 'gone'`,
  );
  for (let i = 0; i < 50; i++) await root.query('SELECT pg_current_xact_id()');
  await root.query(`VACUUM ${JOBS}`);
  const { rows } = await root.query<{ at: number }>(
    `SELECT extract(epoch FROM last_vacuum)::float8 * 1000 AS at FROM pg_stat_user_tables WHERE relname = 'Jobs'`,
  );
  for (const user of ['monitor', 'reader'] as const) {
    const found = await health(user);
    expect(found.deadRows).toMatchObject([{ table: JOBS, live: 12_000, dead: 23_960 + 20 + 20 }]);
    expect(found.deadRows?.[0]?.lastVacuumAtMs).toBeCloseTo(rows[0]?.at ?? NaN, 0);
    expect(findingOf(found, 'rows of')).toMatchObject({ severity: 'critical' });
    expect(found.horizon?.transactions).toBeGreaterThanOrEqual(50);
    expect(found.horizon?.heldBy).toMatch(/^session \d+/);
  }
  const { horizon } = await health();
  expect(horizon?.heldBy).toMatch(/^session \d+ of postgres \(idle in transaction, idle one\)$/);
  expect(horizon?.heldForMs).toBeGreaterThan(0);
  await idle.query('ROLLBACK');
  await root.query(`VACUUM ${JOBS}`);
  const after = await health();
  expect(after.deadRows).toMatchObject([{ dead: 0 }]);
  expect(after.findings).toEqual([]);
});

test('connections that run out', async () => {
  const clients: PostgresSession[] = [];
  const { host, port } = pg;
  const settings = databaseSchema.parse({ host, port, user: 'reader', database: 'postgres' });
  try {
    // One is left for the look.
    for (let i = 0; i < 15; i++) {
      clients.push(await PostgresSession.open({ settings, password: 'r', statementTimeoutMs: 100 }, never));
    }
    for (const user of ['monitor', 'reader'] as const) {
      await until(async () => (await health(user)).connections?.used === 17);
      const found = await health(user);
      expect(found.connections).toEqual({ used: 17, max: 20, reserved: 3 });
      expect(found.findings).toMatchObject([
        { severity: 'critical', text: expect.stringContaining('17 of the 17') as string },
      ]);
    }
  } finally {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  }
});

describe('a standby', () => {
  test('is seen from its primary and tells of itself; its snapshots hold back vacuum', async () => {
    await using standby = await startStandby(pg);
    const reader = await standby.connect();
    await until(async () => (await health()).replicas?.[0]?.state === 'streaming');
    await root.query(`INSERT INTO ${JOBS} VALUES (1000, 'new')`);
    await until(async () => (await health()).replicas?.[0]?.lagMs === 0);
    expect((await health()).replicas).toEqual([{ name: 'standby one', state: 'streaming', lagMs: 0 }]);
    const asReader = await health('reader');
    expect([asReader.replicas, asReader.notes.length]).toEqual([null, 1]);

    // What it has received and not replayed.
    await reader.query('SELECT pg_wal_replay_pause()');
    await until(async () => {
      const { rows } = await reader.query<{ state: string }>(
        'SELECT pg_get_wal_replay_pause_state() AS state',
      );
      return rows[0]?.state === 'paused';
    });
    await root.query(`INSERT INTO ${JOBS} VALUES (1001, 'unseen')`);
    await until(async () => ((await health('monitor', standby)).replicas?.[0]?.lagMs ?? 0) > 0);
    expect((await health('monitor', standby)).replicas).toMatchObject([
      { name: 'this server', state: 'standby' },
    ]);
    await reader.query('SELECT pg_wal_replay_resume()');

    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    await until(
      async () => (await health()).horizon?.heldBy === 'standby standby one (hot_standby_feedback)',
    );
    await reader.end();
  });
});

test('odd names and lost sessions', async () => {
  const { host, port } = pg;
  const settings = databaseSchema.parse({ host, port, user: 'monitor', database: 'postgres' });
  await using session = await PostgresSession.open(
    { settings, password: 'm', statementTimeoutMs: 3_000 },
    never,
  );
  const of = (tables: string[]) => readPostgresHealth(session, { tables, statements: [] }, Date.now, never);
  expect(await of(['"not there"', 'no.such'])).toMatchObject({ deadRows: [], slow: [], notes: [] });
  const odd = await of(['not ( a name']);
  expect(odd.notes).toEqual([expect.stringContaining('The watched tables cannot be read')]);
  expect(odd.connections?.max).toBe(20);
  await root.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'monitor'");
  await expect(of([JOBS])).rejects.toMatchObject({ code: 'unreachable' });
});
