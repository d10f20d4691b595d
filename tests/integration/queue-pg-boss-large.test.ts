// What looks at a large pg-boss cost, which indexes they lack, and the statements that are watched.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { WatchedTables } from '../../src/main/sources/health/watched-tables.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { inspectPgBoss } from '../../src/main/sources/queues/pg-boss/pg-boss-reader.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import {
  ago,
  idsBy,
  idsOf,
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

describe('large tables', () => {
  test('waiting jobs are walked a window at a time: all are shown once, and no page costs more', async () => {
    await on.boss.createQueue('mail');
    const buffers = async (after: string | null) => {
      await using source = on.source();
      await source.details.jobs({ list: 'ready', tenantId: 'mail', after: null, limit: 1 }, never);
      await on.root.query('SELECT pg_stat_force_next_flush()');
      const read = async () => {
        // Counted when a session ends.
        const { rows } = await on.root.query<{ n: string }>(
          `SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) AS n FROM pg_statio_all_tables WHERE schemaname = 'pgboss'`,
        );
        return Number(rows[0]?.n);
      };
      const before = await read();
      {
        await using measured = on.source();
        await measured.details.jobs({ list: 'ready', tenantId: 'mail', after, limit: 100 }, never);
      }
      return (await read()) - before;
    };
    expect(await buffers(null)).toBeGreaterThan(0);
    // Ties of creation at the borders of windows.
    const fill = (count: number) =>
      on.insert('mail', count, {
        priority: 'n % 2',
        created_on: ago('n / 7000 * 60 + 60'),
        start_after: ago(50),
      });
    await fill(21_000);
    await on.root.query('VACUUM ANALYZE pgboss.job_common');
    const few = await buffers(null);
    await using source = on.source();
    const all = await pages(source, 'ready', 'mail', 500);
    expect(idsOf(all).length).toBe(21_000);
    expect(new Set(idsOf(all)).size).toBe(21_000);
    expect(all[0]?.note).toContain('20,000 waiting jobs at a time');
    const last = all.at(-2)?.next ?? null;
    expect(await buffers(last)).toBeLessThan(few * 2);
    await fill(60_000);
    await on.root.query('VACUUM ANALYZE pgboss.job_common');
    expect(await buffers(null)).toBeLessThan(few * 2);
    expect(await buffers(last)).toBeLessThan(few * 2);
  });

  /** So many done jobs that nobody may scan them, on pages that are left nearly empty. */
  async function makeLarge(name: string): Promise<void> {
    await on.root.query('ALTER TABLE pgboss.job_common SET (fillfactor = 10)');
    await on.insert(name, 45_000, { state: `'completed'`, started_on: ago(9), completed_on: ago(8) });
    await on.root.query('ALTER TABLE pgboss.job_common RESET (fillfactor); ANALYZE pgboss.job_common');
    const { rows } = await on.root.query<{ size: string }>(
      `SELECT pg_relation_size('pgboss.job_common') AS size`,
    );
    expect(Number(rows[0]?.size)).toBeGreaterThan(64 * 1024 * 1024);
  }

  test('an index that is missing is named, and leads when it is made', async () => {
    await on.boss.createQueue('mail');
    await makeLarge('mail');
    await on.insert('mail', 12, { state: `'active'`, created_on: ago(90), started_on: ago('n % 5') });
    await on.insert('mail', 12, { state: `'failed'`, started_on: ago(9), completed_on: ago('n % 5') });
    await using source = on.source();
    for (const list of ['running', 'dead'] as const) {
      const [page] = await pages(source, list, 'mail');
      expect(page?.jobs).toEqual([]);
      const ddl = /CREATE INDEX CONCURRENTLY ON .*\.$/.exec(page?.note ?? '')?.[0].slice(0, -1) ?? '';
      if (list === 'running')
        expect((await source.details.locks({ tenantId: null, limit: 5 }, never)).rule).toContain(ddl);
      await on.root.query(ddl.replace('CONCURRENTLY', `made_${list}`));
      for (const name of ['mail', null]) {
        const all = await pages(source, list, name, 5);
        expect(idsOf(all)).toEqual(await idsBy(on.root, list, name));
        expect(all[0]?.note).toBeNull();
      }
    }
    await on.root.query('DROP INDEX pgboss.made_running, pgboss.made_dead');
  });

  test('blocked jobs of a large table are found through what they wait for', async () => {
    await on.boss.createQueue('mail');
    await makeLarge('mail');
    await on.insert('mail', 30, {
      created_on: ago('n * 7 % 20'),
      blocked: 'true',
      pending_dependencies: '2',
    });
    await on.root.query(
      `INSERT INTO pgboss.job_dependency SELECT 'mail', id, 'mail', p FROM pgboss.job, (VALUES (gen_random_uuid()), (gen_random_uuid())) v (p) WHERE blocked`,
    );
    await using source = on.source();
    for (const name of ['mail', null])
      expect(idsOf(await pages(source, 'blocked', name, 8))).toEqual(await idsBy(on.root, 'blocked', name));
  });
});

describe('watched', () => {
  async function watched(): Promise<WatchedTables> {
    const { host, port } = on.db;
    const settings = databaseSchema.parse({ host, port, user: 'reader', database: 'postgres' });
    const options = { settings, password: 'reads', statementTimeoutMs: 5000 };
    await using session = await PostgresSession.open(options, never);
    const reader = await inspectPgBoss(session, 'pgboss', never);
    return await reader.watched(session, never);
  }

  test('every statement can be explained, and only large tables want an index', async () => {
    await on.boss.createQueue('mail');
    await on.boss.createQueue('own-table', { partition: true });
    await on.root.query('SELECT pgboss.create_queue($1, $2)', [ODD, '{"policy": "standard"}']);
    const small = await watched();
    expect(small.tables).toHaveLength(3);
    expect(small.statements.flatMap(({ wants }) => wants)).toEqual([]);
    await on.insert('mail', 40_000, { state: `'completed'` });
    const { statements } = await watched();
    for (const { sql } of statements) await on.root.query(`EXPLAIN ${sql}`);
    const wants = statements.flatMap((each) => each.wants);
    const told = wants.map(({ table, columns, where }) => `${table} (${columns.join(', ')}) WHERE ${where}`);
    expect(new Set(told)).toEqual(
      new Set([
        `"pgboss"."job_common" (name, started_on) WHERE state = 'active'`,
        `"pgboss"."job_common" (name, completed_on) WHERE state = 'failed'`,
      ]),
    );
    for (const { table, columns, where } of wants)
      await on.root.query(`BEGIN; CREATE INDEX ON ${table} (${columns.join(', ')}) WHERE ${where}; ROLLBACK`);
  });

  test('the claim is the one that pg-boss sends', async () => {
    await on.boss.createQueue('mail');
    const jobs = { priority: 'n % 3', created_on: ago('n * 7 % 11'), start_after: ago('n % 5 - 2') };
    await on.insert('mail', 40, jobs);
    const claim = (await watched()).statements.find(({ name }) => name.startsWith('The claim'))?.sql ?? '';
    for (let i = 0; i < 10; i++) {
      await on.root.query('BEGIN');
      const { rows } = await on.root.query<{ id: string }>(claim);
      await on.root.query('ROLLBACK');
      const [fetched] = await on.boss.fetch('mail');
      expect(rows[0]?.id).toBe(fetched?.id);
    }
  });
});
