// The measured cost of polls: rows that a poll reads, against what EXPLAIN ANALYZE and the handler's counters tell.
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { databaseSchema } from '../../src/contract/settings.ts';
import { MysqlSession } from '../../src/main/sources/mysql-session.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import type { QueueReader, QueueSession } from '../../src/main/sources/queues/queue-reader.ts';
import { QueueSource } from '../../src/main/sources/queues/queue-source.ts';
import { mysqlRowsRead, postgresRowsRead } from '../../src/main/sources/queues/rows-read.ts';
import { startMariaDb } from '../harness/mariadb.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';

const never = new AbortController().signal;
const TABLE = '"s 1"."Jobs"';
let pg: Postgres;
let root: Client;

beforeAll(async () => {
  pg = await startPostgres();
  root = await pg.connect();
  await root.query(
    `CREATE SCHEMA "s 1";
     CREATE TABLE ${TABLE} (id bigint, queue int, state text, pad text) PARTITION BY LIST (state);
     CREATE TABLE "s 1".waiting PARTITION OF ${TABLE} FOR VALUES IN ('waiting');
     CREATE TABLE "s 1".done PARTITION OF ${TABLE} FOR VALUES IN ('done');
     INSERT INTO ${TABLE} SELECT n, n % 40, CASE n % 4 WHEN 0 THEN 'done' ELSE 'waiting' END, repeat('x', 200) FROM generate_series(1, 40000) n;
     CREATE INDEX ON ${TABLE} (queue, id);
     CREATE TABLE other AS SELECT n FROM generate_series(1, 500) n;
     ANALYZE;
     CREATE ROLE reader LOGIN PASSWORD 'r';
     GRANT USAGE ON SCHEMA "s 1" TO reader;
     GRANT SELECT ON ${TABLE}, other TO reader`,
  );
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});

type Poll<S> = (session: S, signal: AbortSignal) => Promise<unknown>;

/** A reader of nothing but statements. */
function readerOf<S extends QueueSession>(poll: Poll<S>, tables: readonly string[]): QueueReader<S> {
  const unused = () => Promise.reject(new Error('not asked here'));
  return {
    system: 'Test',
    tenantWord: 'queue',
    warnings: [],
    claimOrder: null,
    capabilities: { facts: {}, actions: {} } as never, // not asked here
    tenants: unused,
    jobs: unused,
    job: unused,
    locks: unused,
    watched: () => Promise.resolve({ tables, statements: [] }),
    async sample(session, signal) {
      await poll(session, signal);
      const workers = { busy: null, total: null, lastSeenAtMs: null };
      return { databaseTimeMs: Date.now(), tenants: [], workers, kinds: null, rowsRead: null };
    },
  };
}

function postgresSource(
  poll: Poll<PostgresSession>,
  options: { tables?: string[]; now?: () => number } = {},
) {
  const { tables = [TABLE], now = Date.now } = options;
  const { host, port } = pg;
  const settings = databaseSchema.parse({ host, port, user: 'reader', database: 'postgres' });
  const unused = () => Promise.reject(new Error('not asked here'));
  return new QueueSource<PostgresSession>({
    open: (statementTimeoutMs, signal) =>
      PostgresSession.open({ settings, password: 'r', statementTimeoutMs }, signal),
    inspect: () => Promise.resolve(readerOf(poll, tables)),
    health: unused,
    indexAdvice: unused,
    server: () => '',
    countRows: postgresRowsRead(now),
    now,
  });
}

const statements = [
  `SELECT id FROM ${TABLE} WHERE queue = 7 ORDER BY id LIMIT 300`,
  `SELECT count(*) FROM ${TABLE} WHERE pad = 'y'`,
  `SELECT count(*) FROM ${TABLE} WHERE queue IN (1, 2) AND state = 'waiting'`,
  `SELECT q, first.id FROM generate_series(0, 39) q, LATERAL (SELECT id FROM ${TABLE} WHERE queue = q ORDER BY id LIMIT 1) first`,
];
const run: Poll<PostgresSession> = async (session, signal) => {
  for (const statement of statements) await session.rows(z.unknown(), statement, signal);
};

interface Node {
  'Node Type': string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Node[];
}

/** Rows that the scans of a statement returned, before their filters. */
async function truth(statement: string): Promise<number> {
  await root.query('SET max_parallel_workers_per_gather = 0');
  const { rows } = await root.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${statement}`,
  );
  const read = (node: Node): number => {
    const isRead = /^(Seq|Index|Index Only|Bitmap Index) Scan$/.test(node['Node Type']);
    const here = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
    return (isRead ? here : 0) + (node.Plans ?? []).reduce((sum, below) => sum + read(below), 0);
  };
  const plan = rows[0]?.['QUERY PLAN'][0].Plan;
  return plan ? read(plan) : NaN;
}

test('rows read by a poll are those that its plans returned, poll after poll', async () => {
  let expected = 0;
  for (const statement of statements) expected += await truth(statement);
  expect(expected).toBeGreaterThan(40_000);
  await using source = postgresSource(run);
  for (let i = 0; i < 3; i++) {
    const { rowsRead } = (await source.snapshot(never)).cost;
    // A merge of two partitions looks one entry ahead in each.
    expect(Math.abs((rowsRead ?? NaN) - expected)).toBeLessThan(100);
  }
});

test('a poll that reads nothing of the watched tables costs no rows, whatever was read before it', async () => {
  let reads = true;
  await using source = postgresSource(async (session, signal) => {
    if (reads) await run(session, signal);
    await session.rows(z.unknown(), 'SELECT * FROM other', signal);
  });
  expect((await source.snapshot(never)).cost.rowsRead).toBeGreaterThan(40_000);
  reads = false;
  expect((await source.snapshot(never)).cost.rowsRead).toBe(0);
});

test('what cannot be measured is null, and the poll goes on', async () => {
  await using unknown = postgresSource(run, { tables: ['gone', '"no schema"."gone"'] });
  expect((await unknown.snapshot(never)).cost.rowsRead).toBeNull();
  await using refused = postgresSource(run, { tables: ['not ( a name'] });
  expect((await refused.snapshot(never)).cost.rowsRead).toBeNull();
  // A clock of which each look is 0.5 s later: part of a slow poll's counts may have been handed in.
  let nowMs = 0;
  await using slow = postgresSource(run, { now: () => (nowMs += 500) });
  expect((await slow.snapshot(never)).cost.rowsRead).toBeNull();
  await root.query("ALTER SYSTEM SET track_counts = 'off'");
  await root.query('SELECT pg_reload_conf()');
  try {
    await using blind = postgresSource(run);
    await expect.poll(async () => (await blind.snapshot(never)).cost.rowsRead).toBeNull();
  } finally {
    await root.query('ALTER SYSTEM RESET track_counts');
    await root.query('SELECT pg_reload_conf()');
  }
});

test('a session compiles no statement and takes no workers of the server, whatever its role is set to', async () => {
  await root.query(
    'ALTER ROLE reader SET jit = on; ALTER ROLE reader SET max_parallel_workers_per_gather = 4',
  );
  const settings = z.object({ jit: z.string(), workers: z.string() });
  let found: z.infer<typeof settings> | null = null;
  await using source = postgresSource(async (session, signal) => {
    found = await session.row(
      settings,
      `SELECT current_setting('jit') AS jit, current_setting('max_parallel_workers_per_gather') AS workers`,
      signal,
    );
  });
  await source.snapshot(never);
  expect(found).toEqual({ jit: 'off', workers: '0' });
});

test('MariaDB: rows read are those that the handler counts', async () => {
  await using maria = await startMariaDb();
  const client = await maria.connect();
  await client.query(
    `CREATE DATABASE q; USE q; CREATE TABLE q.jobs (id int PRIMARY KEY, queue int, KEY (queue, id));
     INSERT INTO q.jobs SELECT seq, seq % 40 FROM seq_1_to_4000`,
  );
  await client.end();
  const { host, port } = maria;
  const settings = databaseSchema.parse({ host, port, user: maria.rootUser, database: 'q' });
  const unused = () => Promise.reject(new Error('not asked here'));
  await using source = new QueueSource<MysqlSession>({
    open: (statementTimeoutMs, signal) =>
      MysqlSession.open({ settings, password: maria.rootPassword, statementTimeoutMs }, signal),
    inspect: () =>
      Promise.resolve(
        readerOf<MysqlSession>(
          (session, signal) =>
            session.rows(z.unknown(), 'SELECT id FROM jobs WHERE queue = 3 ORDER BY id', signal),
          ['jobs'],
        ),
      ),
    health: unused,
    indexAdvice: unused,
    server: () => '',
    countRows: mysqlRowsRead(),
    now: Date.now,
  });
  for (let i = 0; i < 2; i++) {
    // 100 rows, and the look past the last.
    expect((await source.snapshot(never)).cost.rowsRead).toBe(101);
  }
});
