// The table that the audited mapping is for, on both databases: what is wanted, what a page costs, what can be done.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobList } from '../../src/contract/queue-jobs.ts';
import { databaseSchema, jobsMappingSchema, type JobsMapping } from '../../src/contract/settings.ts';
import type { WatchedTables } from '../../src/main/sources/health/watched-tables.ts';
import { MysqlSession } from '../../src/main/sources/mysql-session.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { inspectMysqlJobs } from '../../src/main/sources/queues/jobs-table/mysql-jobs-reader.ts';
import { inspectPostgresJobs } from '../../src/main/sources/queues/jobs-table/postgres-jobs-reader.ts';
import {
  clearDatabases,
  databases,
  isPostgres,
  never,
  owner,
  pages,
  PASSWORD,
  servers,
  startDatabases,
  stopDatabases,
} from './queue-jobs-databases.ts';
import { auditedJobsMapping } from './queue-jobs-fixture.ts';

beforeAll(startDatabases);
afterAll(stopDatabases);
beforeEach(clearDatabases);

describe.each(databases)('the audited table on $name', (db) => {
  const [time] = isPostgres(db) ? ['timestamptz'] : ['datetime(6)'];
  const ids = isPostgres(db) ? 'uuid' : 'char(36)';
  const create = () =>
    db.run(
      `CREATE TABLE jobs (id ${ids} PRIMARY KEY, user_id ${ids} NOT NULL, kind varchar(50) NOT NULL, payload text, status varchar(20) NOT NULL, attempts int NOT NULL DEFAULT 0,
           last_error text, result text, batch_id ${ids}, created_at ${time} NOT NULL, updated_at ${time} NOT NULL)`,
    );
  const user = '00000000-0000-0000-0000-00000000000a';
  const rows = (count: number) => {
    const [n, from, zero] = isPostgres(db)
      ? ['n', `generate_series(1, ${count}) n`, `lpad(n::text, 12, '0')::text`]
      : ['seq', `seq_1_to_${count}`, `LPAD(seq, 12, '0')`];
    const of = (prefix: string) =>
      `CONCAT('${prefix}-0000-0000-0000-', ${zero})${isPostgres(db) ? '::uuid' : ''}`;
    const ago = isPostgres(db)
      ? `now() - ${n} * interval '1 second'`
      : `UTC_TIMESTAMP(6) - INTERVAL ${n} SECOND`;
    return `INSERT INTO jobs SELECT ${of('00000000')}, '${user}', 'sync', '{}', CASE MOD(${n}, 3) WHEN 0 THEN 'queued' WHEN 1 THEN 'error' ELSE 'done' END, 1, 'e', NULL, NULL, ${ago}, ${ago} FROM ${from}`;
  };

  async function watched(): Promise<WatchedTables> {
    const { host, port } = isPostgres(db) ? servers.postgres() : servers.mariaDb();
    const database = isPostgres(db) ? 'postgres' : 'shop';
    const settings = databaseSchema.parse({ host, port, user: 'reader', database });
    const options = { settings, password: PASSWORD, statementTimeoutMs: 5000 };
    if (isPostgres(db)) {
      await using session = await PostgresSession.open(options, never);
      return await (await inspectPostgresJobs(session, auditedJobsMapping, never)).watched(session, never);
    }
    await using session = await MysqlSession.open(options, never);
    return await (await inspectMysqlJobs(session, auditedJobsMapping, never)).watched(session, never);
  }

  test('wants the three indexes that it was found to lack, and the one of the polls', async () => {
    await create();
    for (const count of [0, 50]) {
      if (count > 0) await db.run(rows(count));
      const { tables, statements } = await watched();
      expect(tables).toHaveLength(1);
      for (const { sql } of statements) await db.run(`EXPLAIN ${sql}`);
      const wants = statements.flatMap((each) => each.wants);
      const where = (condition: string) => (isPostgres(db) ? condition : null);
      expect(wants.map(({ columns, where: condition }) => ({ columns, where: condition }))).toEqual([
        {
          columns: ['user_id', 'status', 'kind', 'updated_at'],
          where: where(`"status" IN ('queued', 'processing')`),
        },
        { columns: ['batch_id', 'status', 'user_id'], where: where('"batch_id" IS NOT NULL') },
        {
          columns: ['user_id', 'status', 'attempts', 'updated_at'],
          where: where(`"status" = 'error' AND "attempts" > 0`),
        },
        { columns: ['status', 'user_id', 'created_at'], where: null },
      ]);
      for (const [i, { table, columns, where: condition }] of wants.entries())
        await db.run(
          `CREATE INDEX wanted_${count}_${i} ON ${table} (${columns.join(', ')})${condition === null ? '' : ` WHERE ${condition}`}`,
        );
    }
  });

  test('a page of an indexed list costs no more when the list is long, nor when it is a late one', async () => {
    await create();
    await db.run('CREATE INDEX serving ON jobs (user_id, status, created_at)');
    await db.run('CREATE INDEX failures ON jobs (user_id, status, updated_at)');
    const analyse = () => db.run(isPostgres(db) ? 'ANALYZE jobs' : 'ANALYZE TABLE jobs');
    /** What a page reads, beyond what a session reads to begin with. */
    const cost = async (list: JobList, after: string | null) => {
      const counts = [await reads()];
      for (const looks of [false, true]) {
        {
          await using source = db.source({ mapping: auditedJobsMapping });
          await source.details.capabilities(never);
          const query = { list, tenantId: user, after, limit: 50 };
          if (looks)
            expect(await source.details.jobs(query, never)).toMatchObject({
              jobs: { length: 50 },
              note: null,
            });
        }
        counts.push(await reads());
      }
      const [before = NaN, opened = NaN, looked = NaN] = counts;
      return looked - opened - (opened - before);
    };
    /** Rows that all sessions have read, by the servers' own counters. */
    const reads = async (): Promise<number> => {
      if (isPostgres(db)) {
        // What this session did itself is counted first.
        await owner.pg().query('SELECT pg_stat_force_next_flush()');
        const { rows: told } = await owner
          .pg()
          .query<{ n: string }>(
            `SELECT coalesce(sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read), 0) AS n FROM pg_statio_user_tables`,
          );
        return Number(told[0]?.n);
      }
      const [told] = await owner.my().query(`SHOW GLOBAL STATUS LIKE 'Handler_read%'`);
      return (told as { Value: string }[]).reduce((sum, { Value }) => sum + Number(Value), 0);
    };
    await db.run(rows(2000));
    await analyse();
    await using source = db.source({ mapping: auditedJobsMapping });
    const lists = ['ready', 'dead'] as const;
    const few = new Map<JobList, number>();
    for (const list of lists) few.set(list, await cost(list, null));
    await db.run('DELETE FROM jobs');
    await db.run(rows(60_000));
    await analyse();
    for (const list of lists) {
      const late = (await pages(source, list, user, 500))[30]?.next ?? null;
      expect(late).not.toBeNull();
      for (const after of [null, late])
        expect(await cost(list, after)).toBeLessThan((few.get(list) ?? NaN) * 2 + 50);
    }
  });

  test('a list that no index serves is stopped in time, and says which would', async () => {
    await create();
    await using source = db.source({ mapping: auditedJobsMapping });
    const { note } = await source.details.jobs(
      { list: 'dead', tenantId: user, after: null, limit: 5 },
      never,
    );
    const ddl = /CREATE INDEX [^;]*;/.exec(note ?? '')?.[0] ?? '';
    expect(ddl).toMatch(/status.*user_id.*updated_at/);
    await db.run(ddl.replace('CONCURRENTLY', 'made'));
    await using after = db.source({ mapping: auditedJobsMapping });
    expect(
      (await after.details.jobs({ list: 'dead', tenantId: user, after: null, limit: 5 }, never)).note,
    ).toBeNull();
  });

  test('what can be done follows the mapping', async () => {
    await create();
    const supports = async (mapping: JobsMapping) => {
      await using source = db.source({ mapping });
      const { actions, facts } = await source.details.capabilities(never);
      const can = Object.entries(actions)
        .filter(([, { support }]) => support === 'emulated')
        .map(([name]) => name);
      return { can, facts, actions };
    };
    const audited = await supports(auditedJobsMapping);
    expect(audited.can).toEqual(['pause', 'resume', 'unlock', 'retry', 'discard', 'requeue', 'release']);
    expect(audited.actions.pause.how).toBe(`Sets status = 'paused' for rows that are 'queued'.`);
    expect(audited.actions.pause.hazards.join(' ')).toMatch(/leak in.*may not know 'paused'/);
    const bare = jobsMappingSchema.parse({
      ...{ table: 'jobs', id: 'id', tenant: 'user_id', state: 'status', createdAt: 'created_at' },
      states: { ready: ['queued'] },
    });
    const least = await supports(bare);
    expect(least.can).toEqual(['discard']);
    expect([least.facts.running.kind, least.facts.dead.kind, least.facts.locks.kind]).toEqual([
      'no',
      'no',
      'no',
    ]);
  });
});
