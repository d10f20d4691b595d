// The mapping that is proposed for a table, and the preview of a draft: each proposal is proved by reading the table with it.
import type { Connection } from 'mysql2/promise';
import { PgBoss } from 'pg-boss';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  mappingProposalSchema,
  queuePreviewSchema,
  type MappingProposal,
} from '../../src/contract/detection.ts';
import { HeadwayError } from '../../src/contract/errors.ts';
import {
  connectionSettingsSchema,
  type ConnectionSettings,
  type JobsMapping,
} from '../../src/contract/settings.ts';
import { previewOf } from '../../src/main/queue-drafts.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { auditedDdl, draftOf, drafts } from './queue-detection-fixture.ts';
import { auditedJobsMapping } from './queue-jobs-fixture.ts';
import { testQueueSource } from './queue-source-fixture.ts';

const never = new AbortController().signal;
const PASSWORD = 'password-of-a-reader';

let postgres: Postgres;
let pg: Client;
let mariaDb: MariaDb;
let my: Connection;

beforeAll(async () => {
  [postgres, mariaDb] = await Promise.all([startPostgres(), startMariaDb()]);
  pg = await postgres.connect();
  my = await mariaDb.connect();
  await pg.query(`CREATE ROLE reader LOGIN PASSWORD '${PASSWORD}'`);
  await my.query(`CREATE DATABASE app; CREATE USER reader IDENTIFIED BY '${PASSWORD}'`);
}, 30_000);
afterAll(async () => {
  await pg.end();
  await my.end();
  await Promise.all([postgres[Symbol.asyncDispose](), mariaDb[Symbol.asyncDispose]()]);
});
beforeEach(async () => {
  await pg.query(
    'DROP SCHEMA IF EXISTS app CASCADE; DROP SCHEMA IF EXISTS pgboss CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO reader',
  );
  await my.query('DROP DATABASE app; CREATE DATABASE app; USE app; GRANT SELECT ON app.* TO reader');
});

const users = {
  postgres: () => ({ ...postgres, database: 'postgres' }),
  mysql: () => ({ ...mariaDb, user: 'root', password: mariaDb.rootPassword, database: 'app' }),
};
type Kind = keyof typeof users;

const propose = async (kind: Kind, table: string, account: object = {}): Promise<MappingProposal> =>
  mappingProposalSchema.parse(
    await drafts().proposeMapping({ ...draftOf(kind, { ...users[kind](), ...account }), table }, never),
  );

function connection(kind: Kind, own: object): ConnectionSettings {
  const { host, port, user, database } = users[kind]();
  return connectionSettingsSchema.parse({
    ...{ id: 'draft', name: 'Draft', kind: 'queue' },
    database: { type: kind, host, port, user, database, password: { stored: 'draft.password' } },
    ...own,
  });
}
const preview = async (kind: Kind, own: object) =>
  queuePreviewSchema.parse(
    await drafts().preview(
      { connection: connection(kind, own), secrets: { 'draft.password': users[kind]().password } },
      never,
    ),
  );
const previewOfTable = (kind: Kind, mapping: JobsMapping) => preview(kind, { system: 'jobs-table', mapping });

/** Rows of the audited table in every state, the live ones the newest. */
async function fillAudited(kind: Kind): Promise<void> {
  const states = ['queued', 'processing', 'done', 'error', 'cancelled', 'paused'];
  for (const [at, status] of states.entries()) {
    const attempts = status === 'error' ? 3 : 0;
    const insert = `INSERT INTO jobs (id, user_id, kind, status, attempts) VALUES`;
    const [id, user] = [
      `00000000-0000-0000-0000-00000000000${at}`,
      `00000000-0000-0000-0001-00000000000${at % 2}`,
    ];
    if (kind === 'postgres')
      await pg.query(`${insert} ('${id}', '${user}', 'sync', '${status}', ${attempts})`);
    else await my.query(`${insert} ('${id}', '${user}', 'sync', '${status}', ${attempts})`);
  }
}

describe('the audited table', () => {
  test.each(['postgres', 'mysql'] as const)(
    'is proposed as the preset on %s, empty and full',
    async (kind) => {
      if (kind === 'postgres') await pg.query(auditedDdl.postgres());
      else await my.query(auditedDdl.mysql());
      const empty = await propose(kind, 'jobs');
      expect(empty.mapping).toEqual(auditedJobsMapping);
      expect(empty.doubts).toEqual([]);
      await fillAudited(kind);
      const full = await propose(kind, 'jobs');
      expect(full.mapping).toEqual(auditedJobsMapping);
      expect([...full.stateValues].sort()).toEqual([
        'cancelled',
        'done',
        'error',
        'paused',
        'processing',
        'queued',
      ]);
      expect(full.columns.map(({ name }) => name)).toContain('batch_id');
      expect(full.reasons).toMatchObject({
        id: 'the primary key',
        tenant: 'named user_id',
        state: 'named status, 6 values',
        'states.ready': `queued is the column's default`,
        heartbeatAt: `the row's last change, for want of a heartbeat`,
      });
      const shown = await previewOfTable(kind, full.mapping);
      expect(shown).toMatchObject({ tenantWord: 'user_id', tenantCount: 2 });
      expect(shown.tenants.map(({ name, ready }) => [name.slice(-1), ready.value])).toEqual([
        ['0', 1],
        ['1', 0],
      ]);
    },
  );

  test('keeps its words where a schema names it, and in a schema of any name', async () => {
    await pg.query(
      `CREATE SCHEMA app; ${auditedDdl.postgres('app.jobs')}; ${auditedDdl.postgres('app."we""ird.jobs"')}`,
    );
    expect((await propose('postgres', 'app.jobs')).mapping).toEqual({
      ...auditedJobsMapping,
      table: 'app.jobs',
    });
    const odd = await propose('postgres', 'app.we"ird.jobs');
    expect(odd.mapping).toEqual({ ...auditedJobsMapping, table: 'app.we"ird.jobs' });
    expect((await previewOfTable('postgres', odd.mapping)).tenants).toEqual([]);
  });

  test('whose enum lacks a usual value is not given it', async () => {
    await pg.query(`DROP TYPE IF EXISTS how; CREATE TYPE how AS ENUM ('queued', 'processing', 'error', 'done');
      ${auditedDdl.postgres()}; ALTER TABLE jobs ALTER status DROP DEFAULT, ALTER status TYPE how USING status::how`);
    const { mapping } = await propose('postgres', 'jobs');
    expect(mapping.states).toEqual({
      ...{ ready: ['queued'], running: ['processing'], dead: ['error'], done: ['done'] },
      ...{ held: [], delayed: [] },
    });
    await expect(previewOfTable('postgres', mapping)).resolves.toBeDefined();
  });
});

describe('other tables', () => {
  test('one of English words, with a check, a heartbeat and a limit of its own', async () => {
    await pg.query(`CREATE TABLE export_tasks (
      task_id bigserial PRIMARY KEY, account_id int NOT NULL, task_type varchar(40) NOT NULL, "job status" text,
      state varchar(20) NOT NULL DEFAULT 'Pending'
        CHECK (state IN ('Pending', 'In Progress', 'Scheduled', 'On Hold', 'Failed', 'Completed', 'Whatever')),
      inserted_at timestamptz NOT NULL DEFAULT now(), scheduled_for timestamptz, started_at timestamptz, finished_at timestamptz,
      last_heartbeat timestamptz, worker_id text, retry_count int, max_retries int, priority smallint, error_message text, args jsonb)`);
    const { mapping, doubts, reasons } = await propose('postgres', 'export_tasks');
    expect(mapping).toEqual({
      table: 'export_tasks',
      id: 'task_id',
      tenant: 'account_id',
      kind: 'task_type',
      state: 'state',
      states: {
        ready: ['Pending'],
        running: ['In Progress'],
        delayed: ['Scheduled'],
        held: ['On Hold'],
        dead: ['Failed'],
        done: ['Completed'],
      },
      createdAt: 'inserted_at',
      readyAt: 'scheduled_for',
      startedAt: 'started_at',
      finishedAt: 'finished_at',
      heartbeatAt: 'last_heartbeat',
      staleAfterSeconds: 600,
      lockedBy: 'worker_id',
      attempts: 'retry_count',
      maxAttempts: 'max_retries',
      priority: 'priority',
      error: 'error_message',
      payload: 'args',
    });
    expect(doubts.join(' ')).toContain(`What 'Whatever' of state means is not told`);
    expect(reasons['states.held']).toContain('On Hold is allowed by the column');
    await expect(previewOfTable('postgres', mapping)).resolves.toBeDefined();
  });

  test('numbers are told by the comment of their column', async () => {
    await my.query(`CREATE TABLE work_queue (
      id int AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL, user_id int,
      status tinyint NOT NULL DEFAULT 0 COMMENT '0 = waiting, 1 = running, 2: finished, 3 - failed, 9 = frobbed',
      created datetime NOT NULL, tries int, message text)`);
    await my.query(
      `INSERT INTO work_queue (customer_id, status, created, tries) VALUES (7, 0, NOW(), 0), (7, 3, NOW(), 5)`,
    );
    const { mapping, doubts } = await propose('mysql', 'work_queue');
    expect(mapping.states).toEqual({
      ...{ ready: ['0'], running: ['1'], done: ['2'], dead: ['3'] },
      ...{ held: [], delayed: [] },
    });
    expect(mapping).toMatchObject({ tenant: 'customer_id', attempts: 'tries', maxAttempts: 5 });
    expect(doubts.join(' ')).toMatch(
      /customer_id or user_id may be the tenant.*'9'|'9'.*customer_id or user_id/s,
    );
    const shown = await previewOfTable('mysql', mapping);
    expect(shown.tenants).toMatchObject([{ name: '7', ready: { value: 1 } }]);
  });

  test('live states that only the newest of many rows have are found', async () => {
    await pg.query(`CREATE TABLE jobs (id bigserial PRIMARY KEY, tenant_id int, status text, attempts int, created_at timestamptz DEFAULT now());
      INSERT INTO jobs (tenant_id, status) SELECT 1, 'done' FROM generate_series(1, 20000);
      INSERT INTO jobs (tenant_id, status) VALUES (1, 'pending'), (1, 'running')`);
    expect([...(await propose('postgres', 'jobs')).stateValues].sort()).toEqual([
      'done',
      'pending',
      'running',
    ]);
    // And in the middle, where neither end shows it, by an index.
    await pg.query(
      `UPDATE jobs SET status = 'failed' WHERE id = 12000; CREATE INDEX ON jobs (status, tenant_id)`,
    );
    expect((await propose('postgres', 'jobs')).mapping.states.dead).toEqual(['failed']);
  });

  test.each([
    ['postgres', 'int', 'timestamp'],
    ['mysql', 'int unsigned', 'datetime'],
  ] as const)(
    'delayed_job and Laravel keep no state: on %s a column that tells it makes them readable',
    async (kind, int, time) => {
      const run = (sql: string) => (kind === 'postgres' ? pg.query(sql) : my.query(sql));
      await run(`CREATE TABLE delayed_jobs (id int PRIMARY KEY, priority int, attempts int, handler text, last_error text,
      run_at ${time}, locked_at ${time}, failed_at ${time}, locked_by varchar(99), queue varchar(99), created_at ${time}, updated_at ${time})`);
      await run(`INSERT INTO delayed_jobs (id, queue, run_at, created_at, locked_at, failed_at) VALUES
      (1, 'mail', '2026-01-01', '2026-01-01', NULL, NULL), (2, 'mail', '2026-01-01', '2026-01-01', '2026-01-01', NULL),
      (3, 'mail', '2026-01-01', '2026-01-01', '2026-01-01', '2026-01-01')`);
      const delayed = await propose(kind, 'delayed_jobs');
      expect(delayed.mapping).toMatchObject({
        ...{
          tenant: 'queue',
          state: 'headway_state',
          readyAt: 'run_at',
          lockedBy: 'locked_by',
          priority: 'priority',
        },
        ...{ maxAttempts: 25, staleAfterSeconds: 14_400, heartbeatAt: 'locked_at', payload: 'handler' },
      });
      await run(`CREATE TABLE jobs (id int PRIMARY KEY, queue varchar(99) NOT NULL, payload text, attempts smallint,
      reserved_at ${int}, available_at ${int} NOT NULL, created_at ${int} NOT NULL)`);
      await run(
        `INSERT INTO jobs VALUES (1, 'default', '{}', 0, NULL, 1767225600, 1767225600), (2, 'default', '{}', 1, 1767225700, 1767225600, 1767225600)`,
      );
      const laravel = await propose(kind, 'jobs');
      expect(laravel.mapping).toMatchObject({
        createdAt: 'headway_created_at',
        readyAt: 'headway_available_at',
      });
      for (const proposal of [delayed, laravel]) {
        await expect(previewOfTable(kind, proposal.mapping)).rejects.toMatchObject({
          code: 'schema-mismatch',
        });
        const [ddl = ''] = /ALTER TABLE [^;]*;/.exec(proposal.doubts.join(' ')) ?? [];
        await run(ddl);
      }
      const [tenant] = (await previewOfTable(kind, delayed.mapping)).tenants;
      expect(tenant).toMatchObject({
        name: 'mail',
        ready: { value: 1 },
        running: { value: 1 },
        dead: { value: 1 },
      });
      const shown = await previewOfTable(kind, laravel.mapping);
      expect(shown.tenants).toMatchObject([{ name: 'default', ready: { value: 1 }, running: { value: 1 } }]);
      const ageMs = Date.now() - 1_767_225_600_000;
      expect(Math.abs((shown.tenants[0]?.lagMs ?? 0) - ageMs)).toBeLessThan(60_000);
    },
  );

  test('one like Que, and one with no more than a flag', async () => {
    await pg.query(`CREATE TABLE que_jobs (priority smallint, run_at timestamptz, id bigserial PRIMARY KEY, job_class text, error_count int,
      last_error_message text, queue text NOT NULL, finished_at timestamptz, expired_at timestamptz, args jsonb)`);
    const que = await propose('postgres', 'que_jobs');
    expect(que.mapping).toMatchObject({
      tenant: 'queue',
      kind: 'job_class',
      createdAt: 'run_at',
      maxAttempts: 15,
    });
    expect(que.mapping.states).toMatchObject({
      ready: ['ready'],
      running: [],
      dead: ['dead'],
      done: ['done'],
    });
    expect(que.doubts.join(' ')).toContain('Which jobs run is not kept in the table');
    await pg.query(`CREATE TABLE outbox (id bigserial PRIMARY KEY, topic text NOT NULL, payload jsonb, processed boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL DEFAULT now());
      INSERT INTO outbox (topic, processed) VALUES ('mail', false), ('mail', true)`);
    const outbox = await propose('postgres', 'outbox');
    expect(outbox.mapping.states).toMatchObject({ ready: ['false'], done: ['true'] });
    const shown = await previewOfTable('postgres', outbox.mapping);
    expect(shown.tenants).toMatchObject([{ name: 'mail', ready: { value: 1 } }]);
  });
});

describe('what cannot be proposed', () => {
  test.each(['postgres', 'mysql'] as const)(
    'a view, a table that is not there, and one of no jobs on %s',
    async (kind) => {
      const run = (sql: string) => (kind === 'postgres' ? pg.query(sql) : my.query(sql));
      await run(auditedDdl[kind]('import_jobs'));
      await run('CREATE VIEW job_view AS SELECT * FROM import_jobs');
      await run('CREATE TABLE colours (id int, name varchar(9))');
      const refusal = async (table: string) => {
        const error: unknown = await propose(kind, table).catch((thrown: unknown) => thrown);
        return error instanceof HeadwayError ? [error.code, error.message] : error;
      };
      expect(await refusal('job_view')).toEqual(['schema-mismatch', expect.stringMatching(/is a view/)]);
      expect(await refusal('jobs')).toEqual([
        'schema-mismatch',
        expect.stringContaining('Perhaps import_jobs is meant'),
      ]);
      expect(await refusal('colours')).toEqual([
        'schema-mismatch',
        expect.stringContaining('does not look like jobs'),
      ]);
    },
  );

  test('without a grant the columns are still known, and the grant is named', async () => {
    await pg.query(auditedDdl.postgres());
    const { mapping, doubts } = await propose('postgres', 'jobs', { user: 'reader', password: PASSWORD });
    expect(mapping).toEqual(auditedJobsMapping);
    expect(doubts.join(' ')).toContain('GRANT SELECT ON "public"."jobs" TO "reader";');
  });
});

describe('a preview', () => {
  test('of pg-boss shows tenants latest first, and warnings', async () => {
    const { host, port, user, password } = postgres;
    const boss = new PgBoss({
      host,
      port,
      user,
      password,
      database: 'postgres',
      supervise: false,
      schedule: false,
    });
    await boss.start();
    for (const name of ['calm', 'late', 'empty']) await boss.createQueue(name);
    await boss.send('calm', {});
    await boss.send('late', {});
    await boss.stop({ graceful: false });
    await pg.query(
      `UPDATE pgboss.job SET created_on = now() - interval '1 hour', start_after = now() - interval '1 hour' WHERE name = 'late'`,
    );
    const shown = await preview('postgres', { system: 'pg-boss' });
    expect(shown.system).toMatch(/^pg-boss .* on PostgreSQL/);
    expect(shown.tenantCount).toBe(3);
    expect(shown.tenants.slice(0, 2).map(({ name }) => name)).toEqual(['late', 'calm']);
    expect(shown.tenants[0]?.lagMs).toBeGreaterThan(3_599_000);
  });

  test('shows the rest where jobs cannot be listed, and closes what it opened', async () => {
    await pg.query(auditedDdl.postgres());
    await fillAudited('postgres');
    const { user, password } = postgres;
    const source = testQueueSource({
      ...{ server: postgres, system: 'jobs-table', user, password, database: 'postgres' },
      mapping: auditedJobsMapping,
    });
    await using _closing = source;
    const withoutDetails = Object.assign(Object.create(source) as typeof source, {
      probe: source.probe.bind(source),
      tenants: source.tenants.bind(source),
      snapshot: source.snapshot.bind(source),
      details: { ...source.details, jobs: () => Promise.reject(new Error('no list')) },
    });
    const shown = await previewOf(withoutDetails, never);
    expect(shown.warnings.join(' ')).toContain('Jobs cannot be listed');
    expect(shown.tenants).toHaveLength(2);
  });

  test('leaves no session behind, whether it succeeds or not', async () => {
    await pg.query(auditedDdl.postgres());
    await previewOfTable('postgres', auditedJobsMapping);
    await expect(
      previewOfTable('postgres', { ...auditedJobsMapping, state: 'nothing' }),
    ).rejects.toMatchObject({
      code: 'schema-mismatch',
    });
    const open = await pg.query(
      `SELECT 1 FROM pg_stat_activity WHERE application_name = 'Headway' AND backend_type = 'client backend'`,
    );
    expect(open.rows).toEqual([]);
  });
});
