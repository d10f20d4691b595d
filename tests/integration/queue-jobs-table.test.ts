// A mapped table of jobs on a real PostgreSQL and a real MariaDB: every number against a count of all rows.
import type { Connection } from 'mysql2/promise';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jobsMappingSchema, type JobsMapping } from '../../src/contract/settings.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';
import { groups, heads, planning } from '../../src/main/sources/queues/jobs-table/postgres-sql.ts';
import {
  clearDatabases,
  databases,
  mysqlSource,
  never,
  owner,
  pgName,
  postgresSource,
  startDatabases,
  stopDatabases,
  TENANT,
} from './queue-jobs-databases.ts';
import {
  auditedJobsMapping,
  bruteForce,
  crowd,
  throng,
  type Truth,
  exactNumbers,
  fullMapping,
  mixture,
} from './queue-jobs-fixture.ts';

let pg: Client;
let my: Connection;

beforeAll(async () => {
  await startDatabases();
  [pg, my] = [owner.pg(), owner.my()];
});
afterAll(stopDatabases);
beforeEach(clearDatabases);

const indexes: Record<string, readonly string[] | null> = {
  '(state, tenant, run_at)': ['state', TENANT, 'run_at'],
  '(state, tenant)': ['state', TENANT],
  '(tenant, state, run_at)': [TENANT, 'state', 'run_at'],
  '(tenant, state)': [TENANT, 'state'],
  none: null,
};

function tenantOf(sample: SourceSample, id: string): TenantSample {
  const tenant = sample.tenants.find(({ tenantId }) => tenantId === id);
  if (tenant === undefined) throw new Error(`${id} is not in the sample`);
  return tenant;
}

describe.each(databases)('$name', (db) => {
  describe.each(Object.entries(indexes))('index %s', (_, index) => {
    test.each(db.times)('every number of every tenant is exact (%s)', async (type) => {
      await db.create(index, type);
      await db.add(mixture);
      await using source = db.source();
      const sample = await source.snapshot(never);
      const truth = bruteForce(await db.all(), sample.databaseTimeMs);
      expect(truth.size).toBe(7);
      expect(new Map(sample.tenants.map((each) => [each.tenantId, exactNumbers(each)]))).toEqual(truth);
      // host-0 to host-4; the one that is gone holds stale jobs only.
      expect(sample.workers.busy).toBe(5);
      expect(Math.round((sample.databaseTimeMs - (sample.workers.lastSeenAtMs ?? 0)) / 1000)).toBeLessThan(
        10,
      );
      expect(Math.abs(sample.clock.offsetMs)).toBeLessThan(1000);
    });

    test('tenants that share the rows of a poll have their bounds, and soon their depths', async () => {
      await db.create(index);
      await db.add(throng);
      await using source = db.source();
      // In turn all long queues are looked deeper into.
      for (let poll = 0; poll < 4; poll++) {
        const sample = await source.snapshot(never);
        const truth = bruteForce(await db.all(), sample.databaseTimeMs);
        expect(sample.tenants).toHaveLength(truth.size);
        expectBounds(sample.tenants, truth);
      }
    });

    test('longer queues carry their bounds', async () => {
      await db.create(index);
      await db.add(crowd);
      await using source = db.source();
      const sample = await source.snapshot(never);
      const truth = bruteForce(await db.all(), sample.databaseTimeMs);
      expectBounds(sample.tenants, truth);
      const bounded = (value: number) =>
        index ? { value: 200, kind: 'at-least' } : { value, kind: 'exact' };
      // These have a time of readiness, or one state of that many: the looks fill.
      expect(tenantOf(sample, 'ready').ready).toEqual(bounded(201));
      expect(tenantOf(sample, 'running').running).toEqual(bounded(300));
      expect(tenantOf(sample, 'dead').dead).toEqual(bounded(250));
      expect(sample.workers.busy).toBe(index ? null : 1);
      if (index?.length === 2) return;
      expect(tenantOf(sample, 'later').ready).toEqual({ value: 3, kind: 'exact' });
      const { delayed } = tenantOf(sample, 'later');
      expect(delayed.kind).toBe(index ? 'at-least' : 'exact');
      // Up to three jobs without a time of readiness share the look.
      expect(delayed.value).toBeGreaterThanOrEqual(index ? 198 : 300);
      expect(tenantOf(sample, 'both').oldestReady).toMatchObject({ bound: 'exact' });
    });
  });

  test('an empty table has no tenants', async () => {
    await db.create(['state', TENANT, 'run_at']);
    await using source = db.source();
    expect(await source.tenants(never)).toEqual([]);
    const sample = await source.snapshot(never);
    expect(sample.tenants).toEqual([]);
    expect(sample.workers).toEqual({ busy: 0, total: null, lastSeenAtMs: null });
  });

  test('tenants are listed also when their jobs are done, and what is strange is told', async () => {
    await db.create(['state', TENANT, 'run_at'], db.times[0]);
    await db.add([...mixture, { tenant: 'anna', state: 'lost' }, { tenant: 'anna', state: 'odd' }]);
    await using source = db.source();
    const { system, tenantWord, warnings } = await source.probe(never);
    expect(system).toMatch(new RegExp(`^Jobs table jobs on ${db.name} \\d+\\.\\d+`));
    expect(tenantWord).toBe(TENANT);
    expect(warnings).toHaveLength(3);
    expect(warnings[0]).toContain(
      'created_at, run_at, started_at, beat_at have no time zone; they are read as UTC',
    );
    expect(warnings[1]).toContain("also holds 'lost', 'odd', which");
    expect(warnings[2]).toContain('is null');
    const ids = (await source.tenants(never)).map(({ id }) => id);
    expect(ids.sort()).toEqual(
      [...new Set(mixture.map(({ tenant }) => tenant).filter((id) => id !== null))].sort(),
    );
  });

  test('an index that is not there, or falls short, is proposed', async () => {
    await db.create(null);
    await db.add(mixture);
    const propose = async () => {
      await using source = db.source();
      return (await source.probe(never)).warnings.find((warning) => warning.includes('CREATE INDEX'));
    };
    const first = await propose();
    expect(first).toContain('every poll reads the whole table');
    const ddl = /CREATE INDEX.*;/.exec(first ?? '')?.[0] ?? '';
    await db.run(ddl);
    expect(await propose()).toBeUndefined();
    await db.run('DROP TABLE jobs');
    await db.create(['state', TENANT]);
    expect(await propose()).toContain('is a bound');
  });

  test('without an index, a table that is too long for the budget says which index would help', async () => {
    await db.create(null);
    await db.add(mixture);
    await db.run(
      db.name === 'MariaDB'
        ? `INSERT INTO jobs (\`${TENANT}\`, state, created_at) SELECT seq % 50, 'queued', NOW() FROM seq_1_to_300000`
        : `INSERT INTO jobs (${pgName(TENANT)}, state, created_at) SELECT n % 50, 'queued', now() FROM generate_series(1, 300000) n`,
    );
    await using source = db.source({ statementTimeoutMs: 40 });
    await expect(source.snapshot(never)).rejects.toMatchObject({
      code: 'budget-exceeded',
      retryable: true,
      message: expect.stringContaining('CREATE INDEX') as string,
    });
  });

  test('what is no such table is refused with its reason', async () => {
    const refusal = async (mapping: JobsMapping = fullMapping) => {
      await using source = db.source({ mapping });
      return await source.probe(never).then(
        () => null,
        (error: unknown) => error,
      );
    };
    expect(await refusal()).toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('There is no table jobs') as string,
    });
    await db.create(null);
    await db.run('CREATE VIEW jobs_view AS SELECT * FROM jobs');
    expect(await refusal({ ...fullMapping, table: 'jobs_view' })).toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('jobs_view is a view') as string,
    });
    expect(await refusal({ ...fullMapping, startedAt: 'state' })).toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('a time is needed') as string,
    });
    await db.run('DROP VIEW jobs_view');
    await db.run('ALTER TABLE jobs DROP COLUMN beat_at');
    expect(await refusal()).toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('no column beat_at (heartbeatAt)') as string,
    });
  });

  test('a column that vanishes while watched is named at the next call', async () => {
    await db.create(['state', TENANT, 'run_at']);
    await db.add(mixture);
    await using source = db.source();
    await source.snapshot(never);
    await db.run('ALTER TABLE jobs DROP COLUMN beat_at');
    await expect(source.snapshot(never)).rejects.toMatchObject({ code: 'schema-mismatch' });
    await expect(source.snapshot(never)).rejects.toThrow('no column beat_at (heartbeatAt)');
  });

  test('a killed connection is unreachable once', async () => {
    await db.create(['state', TENANT, 'run_at']);
    await db.add(mixture);
    await using source = db.source();
    await source.snapshot(never);
    await db.endSessions();
    const again = await source.snapshot(never).catch((error: unknown) => error);
    if (again instanceof Error) expect(again).toMatchObject({ code: 'unreachable' });
    expect((await source.snapshot(never)).tenants).toHaveLength(7);
  });
});

describe('cost', () => {
  test.each(['(state, tenant, run_at)', '(tenant, state, run_at)', '(state, tenant)', '(tenant, state)'])(
    'a poll of PostgreSQL reads no more when a tenant has 300,000 jobs, whatever the statistics say: %s',
    async (which) => {
      const index = indexes[which] ?? [];
      await databases[0]?.create(index);
      // Tempting for a plan that hopes to meet its rows soon.
      await pg.query(
        `CREATE INDEX ON jobs (run_at); CREATE INDEX ON jobs (state); CREATE INDEX ON jobs (${pgName(TENANT)})`,
      );
      const rare = Array.from({ length: 40 }, (_, n) => ({ tenant: `t${n}`, state: 'queued', runInS: -n }));
      await databases[0]?.add(Array.from({ length: 250 }, () => rare).flat());
      await pg.query(
        `INSERT INTO jobs (${pgName(TENANT)}, state, created_at, run_at)
         SELECT 't7', CASE n % 3 WHEN 0 THEN 'done' ELSE 'queued' END, now(), now() + (n % 2000 - 1000) * interval '1 s'
           FROM generate_series(1, 300000) n`,
      );
      const many = await buffers(index);
      await pg.query('ANALYZE jobs');
      const known = await buffers(index);
      await pg.query('VACUUM ANALYZE jobs');
      const tidied = await buffers(index);
      // 40 tenants with 201 rows read of each, most on a page with others.
      for (const each of [many, known, tidied]) expect(each.read).toBeLessThan(40 * 201);
    },
  );

  /** Pages that the poll's statement touches, by the executor's own count. */
  async function buffers(index: readonly string[]): Promise<{ read: number; ms: number }> {
    const table = {
      name: 'jobs',
      mapping: fullMapping,
      readyAt: { column: 'run_at', type: 'timestamp with time zone', nullable: true },
    };
    const leads = index[0] === 'state' ? 'state' : 'tenant';
    const serving = { name: 'any', leads, byReadyAt: index.length === 3 } as const;
    await pg.query(planning);
    const whole = { ...table, index: serving };
    const { rows: found } = await pg.query<{ place: number; tenant: string; ends_later: boolean }>(
      groups(whole, serving),
    );
    expect(new Set(found.map(({ tenant }) => tenant)).size).toBe(40);
    const column = (name: 'place' | 'tenant' | 'ends_later') => found.map((group) => group[name]);
    const array = (values: unknown[]) => `'{${values.join()}}'`;
    const asked = heads(whole, serving, 'text')
      .replace('$1', array(column('place')))
      .replace('$2', array(column('tenant')))
      .replace('$3', array(column('ends_later')))
      .replaceAll('$4', '201');
    const sums = { read: 0, ms: 0 };
    for (const sql of [groups(whole, serving), asked]) {
      const { rows } = await pg.query<{ 'QUERY PLAN': Record<string, unknown>[] }>(
        `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`,
      );
      const [explained] = rows[0]?.['QUERY PLAN'] ?? [];
      const plan = explained?.['Plan'] as Record<string, number>; // EXPLAIN's documented form
      sums.read += (plan['Shared Hit Blocks'] ?? NaN) + (plan['Shared Read Blocks'] ?? NaN);
      sums.ms += Number(explained?.['Execution Time']);
    }
    return sums;
  }

  test('a poll of MariaDB reads no more when a tenant has 300,000 jobs, whatever the statistics say', async () => {
    const maria = databases[1];
    for (const index of [indexes['(state, tenant, run_at)'], indexes['(tenant, state)']]) {
      await my.query('DROP TABLE IF EXISTS jobs');
      await maria?.create(index ?? null);
      await maria?.add(
        Array.from({ length: 40 * 250 }, (_, n) => ({ tenant: `t${n % 40}`, state: 'queued' })),
      );
      await using source = mysqlSource();
      const few = (await source.snapshot(never)).cost.rowsRead ?? NaN;
      await my.query(
        `INSERT INTO jobs (\`${TENANT}\`, state, created_at, run_at) SELECT 't7', IF(seq % 3 = 0, 'done', 'queued'), NOW(), NULL FROM seq_1_to_300000`,
      );
      const many = (await source.snapshot(never)).cost.rowsRead ?? NaN;
      await my.query('ANALYZE TABLE jobs');
      const known = (await source.snapshot(never)).cost.rowsRead ?? NaN;
      expect(few / 40).toBeLessThan(700);
      expect(many / few).toBeLessThan(1.05);
      expect(known / few).toBeLessThan(1.05);
    }
  });
});

describe('PostgreSQL alone', () => {
  const audited = `CREATE TABLE jobs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid, kind text NOT NULL DEFAULT 'mail',
    payload jsonb, status text NOT NULL DEFAULT 'queued', attempts int NOT NULL DEFAULT 0, last_error text, result jsonb,
    batch_id uuid, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now())`;

  test('the preset reads the table that it is for', async () => {
    await pg.query(audited);
    await pg.query(`CREATE INDEX ON jobs (status, user_id, created_at)`);
    await pg.query(
      `INSERT INTO jobs (user_id, status, created_at, updated_at)
       SELECT '00000000-0000-0000-0000-00000000000a', s, now() - interval '90 s', now() - age
         FROM (VALUES ('queued', interval '9 s'), ('processing', '5 s'), ('processing', '11 min'), ('error', '1 h'), ('done', '0 s')) v(s, age)`,
    );
    await using source = postgresSource({ mapping: auditedJobsMapping });
    expect((await source.probe(never)).warnings).toEqual([]);
    const sample = await source.snapshot(never);
    const exactly = (value: number) => ({ value, kind: 'exact' });
    expect(sample.tenants).toMatchObject([
      {
        tenantId: '00000000-0000-0000-0000-00000000000a',
        ready: exactly(1),
        delayed: exactly(0),
        running: exactly(2),
        stale: exactly(1),
        dead: exactly(1),
        lastStartedAtMs: null,
      },
    ]);
    expect(sample.workers.busy).toBeNull();
    const waitedMs = sample.databaseTimeMs - (sample.tenants[0]?.oldestReady?.readyAtMs ?? 0);
    expect(Math.round(waitedMs / 10_000)).toBe(9);
  });

  test('states that their column cannot hold are refused by name', async () => {
    await pg.query(`CREATE TYPE job_state AS ENUM ('queued', 'busy')`);
    await pg.query('CREATE TABLE jobs (id int, t int, state job_state, created_at timestamptz)');
    const mapping = (ready: string) =>
      jobsMappingSchema.parse({
        table: 'public.jobs',
        id: 'id',
        tenant: 't',
        state: 'state',
        states: { ready: [ready], running: ['busy'] },
        createdAt: 'created_at',
      });
    await using wrong = postgresSource({ mapping: mapping('waiting') });
    await expect(wrong.probe(never)).rejects.toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining('waiting') as string,
    });
    await pg.query('CREATE INDEX ON jobs (state, t, created_at)');
    await pg.query(
      `INSERT INTO jobs VALUES (1, 5, 'queued', now()), (2, 5, 'queued', 'infinity'), (3, 5, 'queued', NULL)`,
    );
    await using right = postgresSource({ mapping: mapping('queued') });
    expect((await right.snapshot(never)).tenants).toMatchObject([
      { tenantId: '5', ready: { value: 2 }, delayed: { value: 1 }, dead: null },
    ]);
  });

  test('rows that a policy hides, and a table that is not granted, are told', async () => {
    await databases[0]?.create(['state', TENANT, 'run_at']);
    await pg.query('ALTER TABLE jobs ENABLE ROW LEVEL SECURITY');
    await using hidden = postgresSource();
    expect((await hidden.probe(never)).warnings[0]).toContain('Row-level security hides rows of jobs');
    await pg.query('REVOKE ALL ON jobs FROM reader');
    await using denied = postgresSource();
    await expect(denied.probe(never)).rejects.toMatchObject({ code: 'grant-missing' });
  });
});

/** Every number is what it says to be: exact, at least so many, or within two times. */
function expectBounds(tenants: readonly TenantSample[], truth: ReadonlyMap<string, Truth>): void {
  for (const tenant of tenants) {
    const real = truth.get(tenant.tenantId);
    for (const state of ['ready', 'delayed', 'running', 'stale', 'dead'] as const) {
      const count = tenant[state] ?? { kind: 'exact', value: NaN };
      const where = `${tenant.tenantId} ${state} ${count.kind}`;
      const value = real?.[state] ?? NaN;
      if (count.kind === 'exact') expect(count.value, where).toBe(value);
      else if (count.kind === 'at-least') expect(count.value, where).toBeLessThanOrEqual(value);
      else expect(Math.abs(Math.log2((count.value + 10) / (value + 10))), where).toBeLessThanOrEqual(1);
    }
    const oldest = tenant.oldestReady;
    if (oldest?.bound === 'exact') expect(oldest.readyAtMs).toBe(real?.oldestReady?.readyAtMs);
    else if (oldest) expect(oldest.readyAtMs).toBeGreaterThanOrEqual(real?.oldestReady?.readyAtMs ?? NaN);
  }
}
