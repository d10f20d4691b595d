// What is found in a database: every system by its own tables, what stands in the way of reading it, and what was sought in vain.
import { runMigrations as migrateBullmq } from 'bullmq';
import { makeWorkerUtils } from 'graphile-worker';
import type { Connection } from 'mysql2/promise';
import type { Client } from 'pg';
import { PgBoss } from 'pg-boss';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { detectionSchema, type DetectedQueue, type Detection } from '../../src/contract/detection.ts';
import { MysqlStore } from '../../src/main/engine/stores/mysql-store.ts';
import { PostgresStore } from '../../src/main/engine/stores/postgres-store.ts';
import { createOban } from '../harness/oban-schema.ts';
import { createRiver } from '../harness/river-schema.ts';
import { createPostal } from '../harness/postal-schema.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { auditedDdl, ddlOf, draftOf, drafts } from './queue-detection-fixture.ts';

const never = new AbortController().signal;
const PASSWORD = 'password-of-a-reader';
const ODD = `odd "schema" ☂ it's; --`;

let postgres: Postgres;
let pg: Client;
let mariaDb: MariaDb;
let my: Connection;

beforeAll(async () => {
  [postgres, mariaDb] = await Promise.all([
    startPostgres({ settings: { max_locks_per_transaction: '512' } }),
    startMariaDb(),
  ]);
  const root = await postgres.connect();
  await root.query(`CREATE ROLE reader LOGIN PASSWORD '${PASSWORD}'`);
  await root.query('CREATE DATABASE app');
  await root.end();
  my = await mariaDb.connect();
  await my.query(`CREATE DATABASE app`);
  pg = await postgres.connect('app');
}, 30_000);
afterAll(async () => {
  await pg.end();
  await my.end();
  await Promise.all([postgres[Symbol.asyncDispose](), mariaDb[Symbol.asyncDispose]()]);
});
beforeEach(async () => {
  await pg.query(`
    DO $$ DECLARE name text; BEGIN
      FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
      END LOOP;
    END $$;
    CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO reader`);
  await my.query(
    `DROP DATABASE app; CREATE DATABASE app; USE app; DROP USER IF EXISTS reader; CREATE USER reader IDENTIFIED BY '${PASSWORD}'`,
  );
});

const detect = async (user = 'postgres', password = postgres.password): Promise<Detection> =>
  detectionSchema.parse(
    await drafts().detect(draftOf('postgres', { ...postgres, user, password, database: 'app' }), never),
  );
const detectMysql = async (user = 'root', password = mariaDb.rootPassword): Promise<Detection> =>
  detectionSchema.parse(
    await drafts().detect(draftOf('mysql', { ...mariaDb, user, password, database: 'app' }), never),
  );
const placeOf = ({ system, schema, table }: DetectedQueue) => [
  system,
  schema,
  ...(table === null ? [] : [table]),
];
const one = ({ queues }: Detection): DetectedQueue => {
  expect(queues).toHaveLength(1);
  return queues[0] as DetectedQueue;
};

describe('in PostgreSQL', () => {
  test('programs that run here are found as they migrate, with their versions and nothing in the way', async () => {
    const { host, port, user, password } = postgres;
    const at = { host, port, user, password, database: 'app' };
    const boss = new PgBoss({ ...at, schema: 'boss_of_it', supervise: false, schedule: false });
    await boss.start();
    await boss.createQueue('mail');
    await boss.stop({ graceful: false });
    const url = `postgres://${user}:${password}@${host}:${port}/app`;
    const graphile = await makeWorkerUtils({ connectionString: url, schema: ODD });
    await graphile.migrate();
    await graphile.release();
    await migrateBullmq(pg, 'bullmq');
    await using store = await PostgresStore.open({ ...at });
    await pg.query(auditedDdl.postgres());
    const { queues, server, notes } = await detect();
    expect(server).toMatch(/^PostgreSQL \d+/);
    expect(queues.map((queue) => [...placeOf(queue), queue.version, queue.problems])).toEqual(
      expect.arrayContaining([
        ['pg-boss', 'boss_of_it', expect.stringMatching(/^schema version \d+$/), []],
        ['graphile-worker', ODD, expect.stringMatching(/^migration \d+$/), []],
        ['bullmq', 'bullmq', expect.stringMatching(/^migration \d+$/), []],
        ['engine', 'headway_engine', expect.stringMatching(/^store version \d+$/), []],
        ['jobs-table', 'public', 'jobs', null, []],
      ]),
    );
    // No table of theirs is taken for a table of jobs.
    expect(queues).toHaveLength(5);
    expect(notes).toEqual([]);
    expect(store).toBeDefined();
  });

  test.each([
    ['queen', undefined],
    ['queen', 'schema of 2025'],
    ['solid-queue', undefined],
    ['good-job', undefined],
  ] as const)('%s %s is found in a schema of any name', async (system, variant) => {
    await pg.query(ddlOf(system, ODD, variant === undefined ? {} : { variant }));
    const version = variant ?? null;
    expect(one(await detect())).toMatchObject({ system, schema: ODD, table: null, version, problems: [] });
  });

  test('River and Oban are found at every version', async () => {
    for (const version of [3, 4, 8] as const) await createRiver(pg, `${ODD} ${version}`, version);
    for (const version of [10, 12, 15] as const) await createOban(pg, `${ODD} ${version}`, version);
    const { queues } = await detect();
    expect(queues.map(({ system, version, problems }) => [system, version, problems])).toEqual([
      ...[3, 4, 8].map((version) => ['river', `migration ${version}`, []]),
      ...[10, 12, 15].map((version) => ['oban', `migration ${version}`, []]),
    ]);
    await pg.query(`DROP TABLE "${`${ODD} 4`.replaceAll('"', '""')}".river_queue`);
    const after = await detect();
    expect(after.queues.at(-1)?.problems.join(' ')).toContain(
      'river_queue is not there, which River has since version 4',
    );
  });

  test('what is half migrated says which parts are missing, and stands behind what is whole', async () => {
    await pg.query(
      ddlOf('solid-queue', 'public', { without: ['solid_queue_pauses', 'solid_queue_processes'] }),
    );
    await pg.query(ddlOf('river', 'public', { without: ['river_job.finalized_at'] }));
    await pg.query(ddlOf('oban', 'other'));
    // Of pg-boss nothing is left but a table that other programs have too.
    await pg.query('CREATE SCHEMA pgboss; CREATE TABLE pgboss.version (version int)');
    const { queues } = await detect();
    expect(queues.map(({ system }) => system)).toEqual(['oban', 'pg-boss', 'river', 'solid-queue']);
    const [, boss, river, solid] = queues;
    expect(boss?.problems.join(' ')).toContain('Tables queue, job are not there');
    expect(river?.problems.join(' ')).toContain('Column river_job.finalized_at is not there');
    expect(solid?.problems.join(' ')).toContain(
      'Tables solid_queue_processes, solid_queue_pauses are not there',
    );
  });

  test('a version that is too old or newer than known is told', async () => {
    await pg.query(`${ddlOf('pg-boss', 'old')}; ${ddlOf('pg-boss', 'new')}`);
    await pg.query(`INSERT INTO old.version VALUES (20)`);
    await pg.query(
      `ALTER TABLE old.version ALTER version TYPE int USING version::int; ALTER TABLE new.version ALTER version TYPE int USING version::int;
       INSERT INTO new.version VALUES (9999)`,
    );
    const { queues } = await detect();
    const told = queues.map(({ schema, problems }) => `${schema}: ${problems.join(' ')}`).join('\n');
    expect(told).toMatch(/old: .*older than 21/);
    expect(told).toMatch(/new: .*newer than 43/);
  });

  test('an account without grants sees what is there, which grant it lacks, and what it would be', async () => {
    await pg.query(ddlOf('good-job', ODD));
    await pg.query(auditedDdl.postgres());
    await pg.query(`ALTER TABLE jobs ENABLE ROW LEVEL SECURITY; GRANT SELECT ON jobs TO reader`);
    const { queues } = await detect('reader', PASSWORD);
    expect(queues.map(({ system }) => system)).toEqual(['good-job', 'jobs-table']);
    const [goodJob, table] = queues;
    expect(goodJob?.problems.join(' ')).toContain(
      'may not read good_jobs, good_job_processes, good_job_settings',
    );
    const [grant = ''] = /GRANT USAGE.*;/.exec(goodJob?.problems.join(' ') ?? '') ?? [];
    expect(table?.problems).toEqual([expect.stringContaining('Row-level security hides rows') as string]);
    // The statement that is shown does what it says.
    await pg.query(grant);
    await pg.query('CREATE POLICY all_rows ON jobs FOR SELECT TO reader USING (true)');
    const after = await detect('reader', PASSWORD);
    expect(after.queues.map(({ problems }) => problems)).toEqual([[], []]);
  });

  test('a view in place of a table is told', async () => {
    await pg.query(ddlOf('queen', 'hidden'));
    await pg.query(
      'CREATE SCHEMA queen; CREATE VIEW queen.messages AS SELECT * FROM hidden.messages; CREATE TABLE queen.queues AS TABLE hidden.queues',
    );
    await pg.query(`${auditedDdl.postgres('hidden.jobs')}; CREATE VIEW jobs AS SELECT * FROM hidden.jobs`);
    const { queues } = await detect();
    const problems = queues.map((queue) => [...placeOf(queue), queue.problems.join(' ')]);
    expect(problems).toContainEqual([
      'queen',
      'queen',
      expect.stringContaining('messages is a view') as string,
    ]);
    expect(problems).toContainEqual([
      'jobs-table',
      'public',
      'jobs',
      expect.stringContaining('It is a view') as string,
    ]);
  });

  test('tables of jobs are ranked, and orders are none', async () => {
    await pg.query(auditedDdl.postgres());
    await pg.query(`
      CREATE TABLE orders (id int, customer_id int, status text, total numeric, created_at timestamptz, updated_at timestamptz);
      CREATE TABLE exports (id int, state text, attempts int, error text, created_at timestamptz);
      CREATE TABLE delayed_jobs (id int, priority int, attempts int, handler text, last_error text, run_at timestamp,
        locked_at timestamp, failed_at timestamp, locked_by text, queue text, created_at timestamp, updated_at timestamp);
      CREATE TABLE "weird.name" (id int, status text, attempts int, locked_by text, created_at timestamptz)`);
    const { queues } = await detect();
    expect(queues.map(({ table }) => table)).toEqual(['jobs', 'exports', 'weird.name', 'delayed_jobs']);
    expect(queues.at(-1)?.problems).toEqual([expect.stringContaining('no column of states') as string]);
  });

  test('thousands of tables are one look, and at most ten of them are told', async () => {
    await pg.query(`
      DO $$ BEGIN
        FOR i IN 1..2500 LOOP
          EXECUTE format('CREATE TABLE t_%s (id int, status name, note name, created_at timestamptz, payload name %s)', i,
            CASE WHEN i % 100 = 0 THEN ', attempts int, locked_by name' ELSE '' END);
        END LOOP;
      END $$`);
    await pg.query(ddlOf('oban', 'z_last'));
    const { queues, notes } = await detect();
    expect(queues[0]?.system).toBe('oban');
    expect(queues.filter(({ system }) => system === 'jobs-table')).toHaveLength(10);
    expect(notes.join(' ')).toContain('25 tables look like jobs');
  }, 30_000);

  test('nothing found says what was sought and what came nearest', async () => {
    expect((await detect()).notes.join(' ')).toMatch(/None of these.*pg-boss.*No table comes near/s);
    await pg.query('CREATE TABLE letters (id int, status text, sent_at timestamptz, payload text)');
    expect((await detect()).notes.join(' ')).toContain(
      'The nearest: public.letters (it lacks the time of creation)',
    );
  });

  test('a refused password and a database that is not there keep their codes', async () => {
    await expect(detect('reader', 'wrong')).rejects.toMatchObject({ code: 'authentication-failed' });
    const draft = draftOf('postgres', { ...postgres, database: 'nowhere' });
    await expect(drafts().detect(draft, never)).rejects.toMatchObject({ code: 'database-unknown' });
  });

  test('no session stays open', async () => {
    await detect();
    await expect(detect('reader', 'wrong')).rejects.toThrow();
    const { rows } = await pg.query(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'Headway'`);
    expect(rows).toEqual([]);
  });
});

describe('in MariaDB', () => {
  test('Postal, an engine, Solid Queue and a table of jobs are told apart in one database', async () => {
    const postal = await createPostal(mariaDb, { servers: [{ id: 1, name: 'A' }], database: 'postal' });
    const draft = draftOf('mysql', {
      ...mariaDb,
      user: 'root',
      password: mariaDb.rootPassword,
      database: 'postal',
    });
    const found = await drafts().detect(draft, never);
    expect(found.server).toMatch(/^MariaDB /);
    expect(found.queues.map(placeOf)).toEqual([['postal', null]]);
    expect(one(found).problems).toEqual([]);
    // Beside it, in the same database.
    const { host, port } = mariaDb;
    await using store = await MysqlStore.open({
      host,
      port,
      user: 'root',
      password: mariaDb.rootPassword,
      database: postal.database,
    });
    await my.query(`USE postal; ${auditedDdl.mysql()}; USE app`);
    const all = await drafts().detect(draft, never);
    expect(all.queues.map((queue) => [...placeOf(queue), queue.version, queue.problems])).toEqual([
      ['postal', null, null, []],
      ['engine', null, 'store version 1', []],
      ['jobs-table', null, 'jobs', null, []],
    ]);
    expect(store).toBeDefined();
    // From another database of the server the way is shown.
    expect((await detectMysql()).notes.join(' ')).toContain('postal has a table queued_messages');
    await my.query('DROP DATABASE postal');
  });

  test('grants decide what is seen, and that is said', async () => {
    await my.query(
      `${auditedDdl.mysql()}; CREATE TABLE hidden_jobs LIKE jobs; GRANT SELECT ON app.jobs TO reader`,
    );
    const { queues, notes } = await detectMysql('reader', PASSWORD);
    expect(queues.map(({ table }) => table)).toEqual(['jobs']);
    expect(notes.join(' ')).toContain('sees only the tables that are granted');
    const [grant = ''] = /GRANT SELECT.*;/.exec(notes.join(' ')) ?? [];
    await my.query(grant);
    const after = await detectMysql('reader', PASSWORD);
    expect(after.queues.map(({ table }) => table)).toEqual(['hidden_jobs', 'jobs']);
    expect(after.notes).toEqual([]);
  });

  test('a table that may be written but not read is told', async () => {
    await my.query(`${auditedDdl.mysql()}; GRANT INSERT ON app.jobs TO reader`);
    expect(one(await detectMysql('reader', PASSWORD)).problems).toEqual(['This account may not read it.']);
  });

  test('views, half a Solid Queue, and many tables', async () => {
    await my.query(`${auditedDdl.mysql('real_jobs')}; CREATE VIEW job_view AS SELECT * FROM real_jobs`);
    await my.query(
      'CREATE TABLE solid_queue_jobs (id int, queue_name text, class_name text, priority int, finished_at datetime, created_at datetime)',
    );
    for (let i = 0; i < 100; i += 100)
      await my.query(
        Array.from(
          { length: 100 },
          (_, at) => `CREATE TABLE t${i + at} (id int, status int, note text) ENGINE=Aria`,
        ).join(';'),
      );
    const { queues } = await detectMysql();
    expect(queues.map(placeOf)).toEqual([
      ['jobs-table', null, 'real_jobs'],
      ['solid-queue', null],
      ['jobs-table', null, 'job_view'],
    ]);
    expect(queues[1]?.problems.join(' ')).toContain('solid_queue_ready_executions');
    expect(queues[2]?.problems.join(' ')).toContain('It is a view');
  }, 30_000);
});
