// Lists, pages, details and leases of Queen's messages, against what its own statements did and all rows say.
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { JobList, JobsPage, QueueJob } from '../../src/contract/queue-jobs.ts';
import { waiting } from '../../src/main/sources/queues/queen/look-sql.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { createQueen, queenMessages, queenPartition } from '../harness/queen-schema.ts';
import { QueenClient } from '../harness/queen-workload.ts';
import { bruteForce, never, ODD, queenSource } from './queue-queen-fixture.ts';

let pg: Postgres;
let root: Client;
let queen: QueenClient;
let source: Source;

beforeAll(async () => {
  pg = await startPostgres({ settings: { timezone: 'America/St_Johns', autovacuum: 'off' } });
  root = await pg.connect();
  queen = new QueenClient(root);
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await createQueen(root, 'current');
  source = queenSource(pg);
});
afterEach(() => source[Symbol.asyncDispose]());

const planRow = z.object({
  'QUERY PLAN': z.tuple([
    z.object({ Plan: z.object({ 'Shared Hit Blocks': z.number(), 'Shared Read Blocks': z.number() }) }),
  ]),
});

const page = (
  list: JobList,
  tenantId: string | null,
  after: string | null = null,
  limit = 100,
): Promise<JobsPage> => source.details.jobs({ list, tenantId, after, limit }, never);

/** Every page of a list, in pages of `limit`. */
async function all(list: JobList, tenantId: string | null, limit: number): Promise<QueueJob[]> {
  const jobs: QueueJob[] = [];
  let after: string | null = null;
  do {
    const next: JobsPage = await page(list, tenantId, after, limit);
    expect(next.jobs.length).toBeLessThanOrEqual(limit);
    jobs.push(...next.jobs);
    after = next.next;
  } while (after !== null);
  return jobs;
}

/** Partitions with several groups, leases that stand and ran out, delays, dead letters. */
async function someOfEverything(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    const settings = { delayed_processing: i === 3 ? 60 : 0, retry_limit: 0, task: i === 1 ? 'send' : '' };
    const partition = await queenPartition(root, `${ODD} ${i}`, `part/${i}`, settings);
    await queenMessages(root, partition, 40, `(40 - n) * ${i + 2} + ${i}`);
    for (const group of ['__QUEUE_MODE__', 'a/b'].slice(0, 1 + (i % 2))) {
      const first = await queen.pop(partition, { group, size: 6 });
      if (first) await queen.fail(first, `failed for ${group}`);
      if (first) await queen.ack(first);
      const second = await queen.pop(partition, { group, size: 9 });
      if (second) await queen.ack(second, i);
      if (i === 2)
        await root.query(
          `UPDATE queen.partition_consumers SET lease_acquired_at = now() - interval '400 s', lease_expires_at = now() - interval '5 s' WHERE partition_id = $1`,
          [partition],
        );
    }
  }
}

describe('pages', () => {
  test('each list holds what the definitions say, in any size of page, of one partition and of all', async () => {
    await someOfEverything();
    const { tenants, databaseTimeMs } = await source.snapshot(never);
    const truth = await bruteForce(root, databaseTimeMs);
    for (const list of ['ready', 'delayed', 'running', 'dead'] as const) {
      const whole = await all(list, null, 500);
      expect(whole.length, list).toBe([...truth.values()].reduce((sum, one) => sum + one[list], 0));
      expect(whole.length, list).toBeGreaterThan(0);
      expect(new Set(whole.map(({ id }) => id)).size).toBe(whole.length);
      expect(await all(list, null, 7), list).toEqual(whole);
      for (const { tenantId } of tenants) {
        const own = await all(list, tenantId, 11);
        expect(own, `${tenantId} ${list}`).toEqual(whole.filter((job) => job.tenantId === tenantId));
        expect(own.length).toBe(truth.get(tenantId)?.[list]);
      }
      expect(whole.every((job) => job.state === list)).toBe(true);
    }
  });

  test('what has waited longest comes first, leases by their age, the last dead letter first', async () => {
    await someOfEverything();
    const times = async (list: JobList, of: (job: QueueJob) => number | null) =>
      (await all(list, null, 100)).map((job) => of(job) ?? NaN);
    for (const rising of [
      await times('ready', (job) => job.createdAtMs),
      await times('delayed', (job) => job.createdAtMs),
      await times('running', (job) => job.startedAtMs),
      (await times('dead', (job) => job.finishedAtMs)).reverse(),
    ])
      expect(rising).toEqual(rising.toSorted((a, b) => a - b));
    const [first] = (await page('running', `${ODD.replace('%/', '%25%2F')} 1/part%2F1`)).jobs;
    expect(first).toMatchObject({
      kind: 'send',
      stateWord: 'leased',
      attempts: 1,
      maxAttempts: 1,
      stale: false,
    });
    expect(first?.owner).toMatch(/^[0-9a-f-]{36}$/);
    const [dead] = (await page('dead', null)).jobs;
    expect(dead).toMatchObject({ stateWord: 'dead letter', error: 'failed for __QUEUE_MODE__', owner: null });
  });

  test('messages that arrive and leave between two pages shift nothing', async () => {
    const partition = await queenPartition(root, 'q');
    await queenMessages(root, partition, 30, '300 - n');
    const before = await all('ready', 'q/Default', 50);
    const first = await page('ready', 'q/Default', null, 10);
    const batch = await queen.pop(partition, { size: 4 });
    if (batch) await queen.ack(batch);
    await queen.push('q', partition, [{ new: true }]);
    const rest = await page('ready', 'q/Default', first.next, 50);
    expect(rest.jobs.slice(0, 20)).toEqual(before.slice(10));
    expect(rest.jobs.length).toBe(21);
  });

  test('a page far behind costs what the first one does', async () => {
    const partition = await queenPartition(root, 'deep');
    await queenMessages(root, partition, 40_000, '50000 - n');
    await queen.pop(partition, { size: 50 });
    await root.query('VACUUM ANALYZE');
    const dialect = { schema: 'queen', hasDeadLetters: true, hasSubscriptions: true, hasState: true };
    const buffersAfter = async (n: number) => {
      const { rows: places } = await root.query(
        'SELECT created_at::text AS at, id FROM queen.messages ORDER BY created_at, id OFFSET $1 LIMIT 1',
        [n],
      );
      const { at, id } = z.object({ at: z.string(), id: z.string() }).parse(places[0]);
      const { rows } = await root.query(
        `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${waiting(dialect, 'ready')}`,
        ['deep', 'Default', at, id, '', 100],
      );
      const [{ Plan: plan }] = planRow.parse(rows[0])['QUERY PLAN'];
      return plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
    };
    expect((await buffersAfter(39_000)) / (await buffersAfter(60))).toBeLessThan(1.5);
  });

  test('a place of another list, or none at all, is refused; so is a tenant that cannot be', async () => {
    const partition = await queenPartition(root, 'q');
    await queenMessages(root, partition, 5);
    const { next } = await page('ready', null, null, 2);
    expect(next).not.toBeNull();
    for (const after of [next ?? '', '{}', 'x', '["dead","2026-01-01T00:00:00Z"]', '["dead","1","2"]', '[]'])
      await expect(page('dead', null, after), after).rejects.toMatchObject({ code: 'bad-request' });
    await expect(page('ready', 'no partition')).rejects.toMatchObject({ code: 'bad-request' });
    expect((await page('ready', 'q/gone')).jobs).toEqual([]);
    for (const list of ['held', 'blocked'] as const)
      expect(await page(list, null)).toEqual({
        jobs: [],
        next: null,
        note: expect.stringMatching(/ready/) as string,
      });
  });

  test('a batch whose messages were deleted leaves nothing to another', async () => {
    const partition = await queenPartition(root, 'evicted');
    await queenMessages(root, partition, 10, '100 - n');
    await queen.pop(partition, { size: 8 });
    await root.query(
      'DELETE FROM queen.messages WHERE id IN (SELECT id FROM queen.messages ORDER BY created_at LIMIT 4)',
    );
    expect((await page('running', null)).jobs.length).toBe(6);
    expect((await page('ready', null)).jobs).toEqual([]);
  });
});

describe('a message', () => {
  test('is told for its group, with its row, and a payload without secrets', async () => {
    const partition = await queenPartition(root, 'orders', 'eu', { retry_limit: 4 });
    await queenMessages(root, partition, 4, '100 - n');
    await queen.pop(partition, { group: 'g/h', size: 1 });
    await queen.pop(partition, { group: 'other', size: 2 });
    for (const list of ['running', 'ready'] as const)
      for (const job of await all(list, 'orders/eu', 100))
        expect((await source.details.job(job.id, never))?.job).toEqual({
          ...job,
          // A list tells no attempts of what was never leased.
          attempts: list === 'running' ? 1 : null,
        });
    const [job] = await all('running', 'orders/eu', 100);
    const detail = await source.details.job(job?.id ?? '', never);
    expect(job?.id).toMatch(/^[0-9a-f-]{36}\/g\/h$/);
    expect(detail?.fields.map(({ name }) => name)).toEqual([
      ...[
        'id',
        'transaction_id',
        'trace_id',
        'partition_id',
        'created_at',
        'is_encrypted',
        'producer_sub',
        'queue',
      ],
      ...[
        'partition',
        'consumer_group',
        'worker_id',
        'lease_acquired_at',
        'lease_expires_at',
        'batch_retry_count',
      ],
    ]);
    expect(detail?.fields.find(({ name }) => name === 'producer_sub')?.value).toBeNull();
    expect(detail?.payload).toEqual({ text: '{"n": 1, "password": "redacted"}', shortened: false });
    expect(detail?.job).toMatchObject({ attempts: 1, maxAttempts: 5 });
  });

  test('that is encrypted, long, consumed, dead or gone', async () => {
    const partition = await queenPartition(root, 'q', 'p', { retry_limit: 0 });
    await queenMessages(root, partition, 3, '100 - n');
    await root.query(
      `UPDATE queen.messages SET is_encrypted = true, payload = '{"encrypted": "c2VjcmV0"}' WHERE payload ->> 'n' = '1'`,
    );
    await root.query(
      `UPDATE queen.messages SET payload = jsonb_build_object('long', repeat('x', 200000)) WHERE payload ->> 'n' = '2'`,
    );
    const [encrypted, long] = await all('ready', 'q/p', 10);
    expect((await source.details.job(encrypted?.id ?? '', never))?.payload).toBeNull();
    expect((await source.details.job(long?.id ?? '', never))?.payload).toMatchObject({ shortened: true });
    const batch = await queen.pop(partition, { size: 2 });
    if (batch) await queen.fail(batch, 'e'.repeat(5_000));
    if (batch) await queen.ack(batch);
    const [dead] = await all('dead', 'q/p', 10);
    expect(dead?.error).toBe('e'.repeat(2_000));
    expect(dead?.createdAtMs).toBe(encrypted?.createdAtMs);
    const detail = await source.details.job(dead?.id ?? '', never);
    expect(detail?.job).toEqual(dead);
    expect(detail?.attempts).toEqual([
      { attempt: null, atMs: dead?.finishedAtMs, error: dead?.error, owner: null },
    ]);
    expect((await source.details.job(long?.id ?? '', never))?.job).toMatchObject({
      state: 'done',
      stateWord: 'consumed',
    });
    await root.query('DELETE FROM queen.messages');
    for (const id of [long?.id, dead?.id, 'x', '', 'dead/x', `${long?.id.slice(0, 36)}/nobody`])
      expect(await source.details.job(id ?? '', never), id).toBeNull();
  });
});

test('leases: oldest first, those that ran out as stale, a parking one as what it is', async () => {
  await someOfEverything();
  const parked = await queenPartition(root, 'parked');
  await root.query(
    `INSERT INTO queen.partition_consumers (partition_id, worker_id, lease_acquired_at, lease_expires_at, batch_size)
     VALUES ($1, 'headway-pause:op-1', now() - interval '1 h', now() + interval '10 y', 0)`,
    [parked],
  );
  const { locks, rule, more } = await source.details.locks({ tenantId: null, limit: 100 }, never);
  expect(rule).toContain('headway-pause:');
  expect(more).toBe(false);
  expect(locks.map(({ stale }) => stale)).toEqual([false, true, ...Array<boolean>(6).fill(false)]);
  expect(locks[0]).toMatchObject({
    tenantId: 'parked/Default',
    owner: 'headway-pause:op-1',
    jobId: `${parked}/__QUEUE_MODE__`,
  });
  const running = new Set((await all('running', null, 100)).map(({ id }) => id));
  for (const { jobId } of locks.slice(2)) expect(running).toContain(jobId);
  expect(locks.map(({ lockedAtMs }) => lockedAtMs)).toEqual(
    locks.map(({ lockedAtMs }) => lockedAtMs).toSorted((a, b) => (a ?? 0) - (b ?? 0)),
  );
  const first = await source.details.locks({ tenantId: null, limit: 2 }, never);
  expect(first).toEqual({ locks: locks.slice(0, 2), rule, more: true });
  const own = await source.details.locks({ tenantId: 'parked/Default', limit: 100 }, never);
  expect(own.locks).toEqual(locks.slice(0, 1));
});
