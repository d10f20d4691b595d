// Solid Queue's jobs, one by one, on both databases: lists, details, locks, and what the index advisor is given.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  jobsQuerySchema,
  locksQuerySchema,
  type JobList,
  type QueueJob,
} from '../../src/contract/queue-jobs.ts';
import { inspectMysqlSolidQueue } from '../../src/main/sources/queues/solid-queue/inspect-mysql.ts';
import { inspectPostgresSolidQueue } from '../../src/main/sources/queues/solid-queue/inspect-postgres.ts';
import * as work from '../harness/solid-queue-workload.ts';
import { never, ODD, seconds, startServer, type SolidQueueServer } from './queue-solid-queue-fixture.ts';

describe.each(['postgres', 'mysql'] as const)('on %s', (dialect) => {
  let db: SolidQueueServer;
  beforeAll(async () => {
    db = await startServer(dialect);
  });
  afterAll(async () => {
    await db[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await db.clear();
  });

  /** Every page of a list, `limit` at a time. */
  async function listed(list: JobList, tenantId: string | null = null, limit = 3): Promise<QueueJob[]> {
    await using source = db.source();
    const jobs: QueueJob[] = [];
    let after: string | null = null;
    do {
      const page = await source.details.jobs(jobsQuerySchema.parse({ list, tenantId, limit, after }), never);
      expect(page.jobs.length).toBeLessThanOrEqual(limit);
      jobs.push(...page.jobs);
      after = page.next;
    } while (after !== null);
    return jobs;
  }

  /** Ids of jobs in a table, in an order. */
  const idsOf = async (sql: string): Promise<string[]> => (await db.query(sql)).map(({ id }) => String(id));

  test('each list has its jobs in its order, over pages, of one queue and of all', async () => {
    const ago = (value: string) => seconds(dialect, value);
    for (const queue of ['mail', ODD]) {
      await db.bulk('ready', queue, 8);
      // Some share their time, and are told apart by priority and job.
      await db.bulk('scheduled', queue, 7, {
        scheduled_at: ago(dialect === 'postgres' ? '-600 - n / 3' : '-600 - n DIV 3'),
        priority: 'n % 2',
      });
      await db.bulk('scheduled', queue, 4, { scheduled_at: ago('60 + n') });
      await db.bulk('blocked', queue, 5);
      await db.bulk('failed', queue, 6);
      await db.bulk('claimed', queue, 4);
      await db.bulk(null, queue, 3);
    }
    await db.renumber();
    const now = dialect === 'postgres' ? "(now() AT TIME ZONE 'UTC')" : 'UTC_TIMESTAMP(6)';
    const inQueue = (queue: string | null, alias = 'x') =>
      queue === null
        ? '1 = 1'
        : `${alias}.queue_name = ${queue === 'mail' ? "'mail'" : `(SELECT MAX(queue_name) FROM solid_queue_jobs WHERE queue_name <> 'mail')`}`;
    for (const queue of [null, 'mail', ODD]) {
      const scheduled = (when: string) =>
        idsOf(
          `SELECT job_id AS id FROM solid_queue_scheduled_executions x WHERE scheduled_at ${when} ${now} AND ${inQueue(queue)} ORDER BY scheduled_at, priority, job_id`,
        );
      const rows = (table: string, order: string) =>
        idsOf(
          `SELECT x.job_id AS id FROM solid_queue_${table}_executions x JOIN solid_queue_jobs j ON j.id = x.job_id WHERE ${inQueue(queue, 'j')} ORDER BY x.${order}`,
        );
      const ids = async (list: JobList) => (await listed(list, queue)).map(({ id }) => id);
      expect(await ids('ready')).toEqual([
        ...(await scheduled('<=')),
        ...(await rows('ready', 'created_at, job_id')),
      ]);
      expect(await ids('delayed')).toEqual(await scheduled('>'));
      expect(await ids('running')).toEqual(await rows('claimed', 'id'));
      expect(await ids('blocked')).toEqual(await rows('blocked', 'id'));
      expect(await ids('dead')).toEqual(await rows('failed', 'id DESC'));
      expect(await ids('held')).toEqual([]);
    }
    expect((await listed('ready')).length).toBe(24);
    expect(
      new Set((await listed('delayed')).map(({ state, stateWord }) => `${state}: ${stateWord}`)),
    ).toEqual(new Set(['delayed: scheduled']));
    expect(new Set((await listed('ready')).map(({ state, stateWord }) => `${state}: ${stateWord}`))).toEqual(
      new Set(['ready: ready', 'ready: due, not dispatched yet']),
    );
  });

  test('a cursor of another list, or of nobody, is refused', async () => {
    await db.bulk('ready', 'mail', 3);
    await db.bulk('failed', 'mail', 3);
    await using source = db.source();
    const page = (list: JobList, after: string | null) =>
      source.details.jobs(jobsQuerySchema.parse({ list, after, limit: 1 }), never);
    const { next } = await page('dead', null);
    await expect(page('ready', next)).rejects.toMatchObject({ code: 'bad-request' });
    for (const bad of [
      '',
      '{}',
      '[1]',
      '{"list":"ready","id":"1 OR 1=1"}',
      '{"list":"due","at":"x\'","priority":0,"id":"1"}',
    ])
      await expect(page('ready', bad)).rejects.toMatchObject({ code: 'bad-request' });
    expect((await page('dead', next)).jobs).toHaveLength(1);
  });

  test('a failed job is told whole: its columns, its arguments without secrets, its error, the attempts before', async () => {
    const nowMs = Date.now();
    const worker = await work.startProcess(db, { name: 'worker-1' });
    const first = await work.enqueue(db, { queue: ODD, activeJobId: 'aj-7' }, nowMs - 90_000);
    await work.claim(db, worker, ODD, 1, nowMs - 80_000);
    await work.finish(db, first, nowMs - 70_000);
    const id = await work.enqueue(
      db,
      {
        queue: ODD,
        priority: -3,
        activeJobId: 'aj-7',
        executions: 1,
        arguments: [{ to: 'x@y.z', api_key: 'k-123', deep: { password: 'p' } }],
      },
      nowMs - 60_000,
    );
    await work.claim(db, worker, ODD, 1, nowMs - 50_000);
    await work.fail(db, id, `broke ${ODD}`, nowMs - 40_000);
    await using source = db.source();
    const detail = await source.details.job(String(id), never);
    expect(detail?.job).toMatchObject({
      ...{ id: String(id), tenantId: ODD, kind: 'MailJob', state: 'dead', stateWord: 'failed', priority: -3 },
      ...{
        createdAtMs: nowMs - 60_000,
        finishedAtMs: nowMs - 40_000,
        attempts: 2,
        error: `RuntimeError: broke ${ODD}`,
      },
    });
    const names = detail?.fields.map(({ name }) => name) ?? [];
    expect(names.slice(0, 4)).toEqual(['id', 'queue_name', 'class_name', 'priority']);
    expect(names).toContain('failed_executions.error');
    expect(names).not.toContain('arguments');
    expect(detail?.fields.find(({ name }) => name === 'active_job_id')?.value).toBe('aj-7');
    expect(detail?.payload?.text).toContain('x@y.z');
    expect(detail?.payload?.text).not.toMatch(/k-123|"p"/);
    expect(detail?.attempts).toEqual([{ attempt: 1, atMs: nowMs - 70_000, error: null, owner: null }]);
    const [dead] = await listed('dead', ODD);
    expect(dead).toEqual(detail?.job);
    expect((await source.details.job(String(first), never))?.job).toMatchObject({
      state: 'done',
      finishedAtMs: nowMs - 70_000,
    });
    for (const absent of ['999999', 'x', '1; DROP', ''])
      expect(await source.details.job(absent, never)).toBeNull();
  });

  test('long arguments are cut, and an error that is no JSON is shown as it is', async () => {
    const id = await work.enqueue(db, { queue: 'mail', arguments: ['é'.repeat(60_000 / 2), 'token'] });
    const worker = await work.startProcess(db, { name: 'w' });
    await work.claim(db, worker, 'mail');
    await db.query('INSERT INTO solid_queue_failed_executions (job_id, error, created_at) VALUES (?, ?, ?)', [
      ...[id, 'plain '.repeat(1_000), work.utc(Date.now())],
    ]);
    await db.run('DELETE FROM solid_queue_claimed_executions');
    await using source = db.source();
    const detail = await source.details.job(String(id), never);
    expect(detail?.payload?.shortened).toBe(false);
    expect(detail?.job.error).toHaveLength(2_000);
    if (dialect === 'mysql') return;
    await db.query('UPDATE solid_queue_jobs SET arguments = ? WHERE id = ?', [
      `["${'x'.repeat(70_000)}"]`,
      id,
    ]);
    const long = await source.details.job(String(id), never);
    expect(long?.payload).toMatchObject({ shortened: true });
    expect(long?.payload?.text).toHaveLength(65_536);
    expect(long?.job.attempts).toBeNull();
  });

  test('locks: who holds what since when, until when, and which are stale', async () => {
    const nowMs = Date.now();
    const alive = await work.startProcess(db, { name: 'worker-a' });
    const silent = await work.startProcess(db, { name: 'worker-b', beatAgoS: 400 });
    for (const [i, processId] of [alive, silent, 31_337].entries()) {
      await work.enqueue(db, { queue: i === 1 ? 'other' : 'mail' }, nowMs - 60_000);
      await work.claim(db, processId, i === 1 ? 'other' : 'mail', 1, nowMs - 30_000 + i * 1_000);
    }
    await using source = db.source();
    const read = (query: object) => source.details.locks(locksQuerySchema.parse(query), never);
    const { locks, rule, more } = await read({});
    expect(more).toBe(false);
    expect(rule).toContain('5 min');
    expect(locks.map(({ tenantId, owner, stale }) => [tenantId, owner, stale])).toEqual([
      ['mail', 'worker-a (web-1, pid 4242)', false],
      ['other', 'worker-b (web-1, pid 4242)', true],
      ['mail', 'process 31337, which is gone', true],
    ]);
    expect(locks.map(({ lockedAtMs }) => lockedAtMs)).toEqual(
      [0, 1, 2].map((i) => nowMs - 30_000 + i * 1_000),
    );
    expect(locks[0]?.expiresAtMs).toBe((locks[0]?.beatAtMs ?? 0) + 300_000);
    expect(locks[2]).toMatchObject({ beatAtMs: null, expiresAtMs: null });
    expect((await read({ tenantId: 'mail', limit: 1 })).more).toBe(true);
    expect((await read({ tenantId: 'other' })).locks).toHaveLength(1);
  });

  test('what can be done is declared in full; what the advisor looks at can be explained', async () => {
    await db.bulk('ready', 'default', 50);
    await using source = db.source();
    const { actions, facts } = await source.details.capabilities(never);
    expect(actions.pause).toMatchObject({ support: 'native', durable: true, coversNewArrivals: true });
    expect(actions.drain.support).toBe('none');
    expect(Object.keys(facts)).toHaveLength(12);
    const session = await db.session();
    await using _ended = session;
    const reader =
      'version' in session
        ? await inspectPostgresSolidQueue(session, 'public', never)
        : await inspectMysqlSolidQueue(session, 'app "queue', never);
    const watched = await reader.watched(session as never, never);
    expect(watched.tables).toHaveLength(8);
    for (const { sql, name } of watched.statements) {
      const plan = await db.query(`EXPLAIN ${sql.replaceAll('?', '')}`);
      expect(plan.length, name).toBeGreaterThan(0);
    }
    expect(
      watched.statements.flatMap(({ wants }) => wants).every(({ table }) => watched.tables.includes(table)),
    ).toBe(true);
  });
});
