// Solid Queue's tables as they may be found: older, newer, half there, hidden; connections that break; and what a poll costs.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  postgresStatements,
  sessionSettings,
} from '../../src/main/sources/queues/solid-queue/postgres-sql.ts';
import { servingIndexes } from '../../src/main/sources/queues/solid-queue/tables.ts';
import { solidQueueSchema } from '../harness/solid-queue-schema.ts';
import * as work from '../harness/solid-queue-workload.ts';
import { until } from '../harness/until.ts';
import {
  bruteForce,
  exactNumbers,
  never,
  startServer,
  type SolidQueueServer,
} from './queue-solid-queue-fixture.ts';

describe.each(['postgres', 'mysql'] as const)('on %s', (dialect) => {
  let db: SolidQueueServer;
  beforeAll(async () => {
    db = await startServer(dialect, 'early');
  });
  afterAll(async () => {
    await db[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await db.clear();
  });

  test('version 0.2 is read, and its processes have no names', async () => {
    const worker = await work.startProcess(db, { name: null });
    await work.enqueue(db, { queue: 'mail' });
    await work.enqueue(db, { queue: 'mail', inS: 60 });
    await work.claim(db, worker, 'mail');
    await work.enqueue(db, { queue: 'mail' }, Date.now() - 10_000);
    await using source = db.source();
    const { system, warnings } = await source.probe(never);
    expect(system).toContain('Solid Queue (tables from before 0.6)');
    expect(warnings).toEqual([]);
    const sample = await source.snapshot(never);
    const truth = await bruteForce(db, sample.databaseTimeMs);
    expect(new Map(sample.tenants.map((tenant) => [tenant.tenantId, exactNumbers(tenant)]))).toEqual(truth);
    const { locks } = await source.details.locks({ tenantId: null, limit: 5 }, never);
    expect(locks.map(({ owner }) => owner)).toEqual(['web-1, pid 4242']);
  });

  test('a newer one is read, and says what is not', async () => {
    await db.run('CREATE TABLE solid_queue_parked_executions (id int)');
    try {
      await using source = db.source();
      expect((await source.probe(never)).warnings).toEqual([
        expect.stringContaining('does not know: solid_queue_parked_executions'),
      ]);
    } finally {
      await db.run('DROP TABLE solid_queue_parked_executions');
    }
  });

  test('no tables, half of them, a view among them, and a lost column are told by name', async () => {
    const place = dialect === 'postgres' ? 'other' : 'other';
    await db.run(
      dialect === 'postgres'
        ? 'CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO reader; ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT SELECT ON TABLES TO reader'
        : 'CREATE DATABASE other',
    );
    if (dialect === 'mysql') await db.run('GRANT SELECT ON other.* TO reader');
    const probe = async () => {
      await using source = db.source({ place });
      await source.probe(never);
    };
    const mismatch = (text: string) => ({
      code: 'schema-mismatch',
      message: expect.stringContaining(text) as string,
    });
    await expect(probe()).rejects.toMatchObject(mismatch('has no tables of Solid Queue'));
    const inOther = (sql: string) =>
      db.run(dialect === 'postgres' ? sql : sql.replaceAll('`solid_queue', '`other`.`solid_queue'));
    const statements = solidQueueSchema(dialect, 'plain', 'other');
    for (const sql of statements.filter((sql) => !/pauses/.test(sql))) await inOther(sql);
    await expect(probe()).rejects.toMatchObject(mismatch('table solid_queue_pauses missing'));
    await db.run(
      'CREATE VIEW other.solid_queue_pauses AS SELECT 1 AS id, queue_name, created_at FROM other.solid_queue_jobs',
    );
    await expect(probe()).rejects.toMatchObject(mismatch('solid_queue_pauses in'));
    await db.run('DROP VIEW other.solid_queue_pauses');
    for (const sql of statements.filter((sql) => /pauses/.test(sql))) await inOther(sql);
    await probe();
    await db.run('ALTER TABLE other.solid_queue_processes DROP COLUMN last_heartbeat_at');
    await expect(probe()).rejects.toMatchObject(mismatch('solid_queue_processes.last_heartbeat_at missing'));
  });

  test('an index that Solid Queue brings and that is gone is named with its statement', async () => {
    const drop =
      dialect === 'postgres'
        ? 'DROP INDEX index_solid_queue_poll_by_queue'
        : 'DROP INDEX index_solid_queue_poll_by_queue ON solid_queue_ready_executions';
    await db.run(drop);
    await work.enqueue(db, { queue: 'mail' });
    await using source = db.source();
    const { warnings } = await source.probe(never);
    expect(warnings).toEqual([expect.stringContaining('(queue_name, priority, job_id)')]);
    expect((await source.snapshot(never)).tenants[0]?.ready).toEqual({ value: 1, kind: 'exact' });
    await db.run(/CREATE INDEX [^;]*?(?=\.$)/.exec(warnings[0] ?? '')?.[0] ?? 'no statement');
    await using again = db.source();
    expect((await again.probe(never)).warnings).toEqual([]);
  });

  test('an account without grants is told so', async () => {
    await using source = db.source({ user: 'stranger' });
    await expect(source.probe(never)).rejects.toMatchObject({ code: 'grant-missing' });
  });

  test('a connection that was cut is unreachable once, and replaced', async () => {
    await work.enqueue(db, { queue: 'mail' });
    await using source = db.source({ statementTimeoutMs: 5_000 });
    await source.snapshot(never);
    await db.kill();
    await until(async () => (await db.kill()) === 0);
    await source.snapshot(never).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'unreachable' });
    });
    expect((await source.snapshot(never)).tenants).toHaveLength(1);
  });

  test('what a poll costs does not grow with the number of jobs', async () => {
    const measure = async (): Promise<number> => {
      if (dialect === 'mysql') {
        await using source = db.source({ statementTimeoutMs: 10_000 });
        return (await source.snapshot(never)).cost.rowsRead ?? NaN;
      }
      const indexes = servingIndexes(
        (
          await db.query(
            `SELECT tablename AS table, indexname AS name, string_to_array(regexp_replace(indexdef, '.*\\((.*)\\)', '\\1'), ', ') AS columns FROM pg_indexes WHERE schemaname = 'public'`,
          )
        ).map(({ table, name, columns }) => ({
          table: String(table),
          name: String(name),
          columns: columns as string[],
        })),
      );
      const { queues, examples } = postgresStatements('public', indexes);
      await db.run(sessionSettings);
      let buffers = 0;
      for (const sql of [queues, ...examples.map((example) => example.sql)]) {
        const [row] = await db.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`);
        const [{ Plan: plan }] = row?.['QUERY PLAN'] as [{ Plan: Record<string, number> }];
        buffers += (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
      }
      return buffers;
    };
    const fill = async (count: number) => {
      for (const queue of ['a', 'b', 'c']) {
        await db.bulk('ready', queue, count);
        await db.bulk('scheduled', queue, count, {
          scheduled_at:
            dialect === 'postgres' ? `now() + interval '1 day'` : 'UTC_TIMESTAMP(6) + INTERVAL 1 DAY',
        });
        await db.bulk('failed', queue, count);
        await db.bulk('blocked', queue, count);
        await db.bulk(null, queue, count);
      }
      await db.run(
        dialect === 'postgres'
          ? 'VACUUM ANALYZE'
          : 'ANALYZE TABLE solid_queue_jobs, solid_queue_ready_executions, solid_queue_scheduled_executions, solid_queue_failed_executions, solid_queue_blocked_executions',
      );
    };
    await fill(2_500);
    const small = await measure();
    await fill(10_000);
    const large = await measure();
    if (dialect === 'postgres') {
      // Without statistics walks of the same cost are chosen.
      await db.run(
        `DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relname LIKE 'solid%')`,
      );
      expect(await measure()).toBeLessThan(small * 1.5);
    }
    // Five times the jobs: an index is a level deeper at most.
    expect(large).toBeLessThan(small * 1.5);
    expect(large).toBeLessThan(dialect === 'postgres' ? 20_000 : 35_000);
  });
});

test('row-level security that hides rows is told, until a policy shows them', async () => {
  await using db = await startServer('postgres', 'plain');
  await work.enqueue(db, { queue: 'mail' });
  await db.run('ALTER TABLE solid_queue_ready_executions ENABLE ROW LEVEL SECURITY');
  {
    await using source = db.source();
    const { warnings } = await source.probe(never);
    expect(warnings).toEqual([
      expect.stringContaining('Row-level security hides rows of solid_queue_ready_executions'),
    ]);
    expect((await source.snapshot(never)).tenants[0]?.ready.value).toBe(0);
    await db.run(
      /CREATE POLICY [^;]*USING \(true\)/.exec(warnings[0] ?? '')?.[0].replace('…', 'reader') ??
        'no statement',
    );
  }
  await using source = db.source();
  expect((await source.probe(never)).warnings).toEqual([]);
  expect((await source.snapshot(never)).tenants[0]?.ready.value).toBe(1);
});
