// The GoodJob source on both of its generations: every number equals its definition, by brute force.
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/core/seeded-random.ts';
import type { SourceSample } from '../../src/core/sample.ts';
import * as work from '../harness/good-job-workload.ts';
import {
  ago,
  bruteForce,
  exactNumbers,
  LONG,
  never,
  ODD,
  startServer,
  tenantOf,
  type GoodJobServer,
  type Truth,
} from './queue-good-job-fixture.ts';

describe.each(['newest', 'legacy'] as const)('the %s generation', (generation) => {
  const byRow = generation === 'newest';
  let server: GoodJobServer;
  let db: Client;
  const threads: Client[] = [];
  beforeAll(async () => {
    server = await startServer(generation);
    db = server.root;
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    for (const thread of threads.splice(0)) await thread.end();
    await server.clear();
  });

  /** A worker's connection, which holds its locks until the test is over. */
  const thread = async (): Promise<Client> => {
    const client = await server.db.connect();
    threads.push(client);
    return client;
  };

  async function expectExact(sample: SourceSample): Promise<Map<string, Truth>> {
    const truth = await bruteForce(server, sample.databaseTimeMs);
    expect(new Map(sample.tenants.map((tenant) => [tenant.tenantId, exactNumbers(tenant)]))).toEqual(truth);
    return truth;
  }

  test('without jobs there are no queues', async () => {
    await using source = server.source();
    const { system, tenantWord } = await source.probe(never);
    expect(system).toMatch(byRow ? /^GoodJob 4 on PostgreSQL \d/ : /^GoodJob 3 on PostgreSQL \d/);
    expect(tenantWord).toBe('queue');
    expect(await source.tenants(never)).toEqual([]);
    const sample = await source.snapshot(never);
    expect(sample.tenants).toEqual([]);
    expect(sample.workers).toEqual({ busy: 0, total: 0, lastSeenAtMs: null });
    expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(5_000);
  });

  test('jobs enqueued, scheduled, begun, done, retried and discarded are each where they belong', async () => {
    const nowMs = Date.now();
    const owner = await thread();
    const process = await work.startProcess(db, { locks: owner, threads: 4, hasLockType: byRow });
    const by = byRow ? process : null;
    for (const queue of ['mail', ODD, LONG]) {
      for (let i = 0; i < 7; i++)
        await work.enqueue(
          db,
          { queue, priority: i % 3, isUnscheduled: !byRow && i % 2 === 0 },
          nowMs - 60_000 * (i + 1),
        );
      await work.enqueue(db, { queue, inS: 600 });
      const worker = await thread();
      const begin = async (agoS: number) =>
        (await work.begin(worker, { queue, by, nowMs: nowMs - agoS * 1000 })) ?? '';
      await work.end(worker, await begin(50), { byRow, nowMs: nowMs - 40_000 });
      await work.end(worker, await begin(30), { byRow, error: 'RuntimeError: no', nowMs: nowMs - 20_000 });
      await work.end(worker, await begin(15), {
        byRow,
        error: 'Net::Timeout: slow',
        retryInS: 900,
        nowMs: nowMs - 10_000,
      });
      await begin(5);
    }
    const sample = await server.snapshot();
    const truth = await expectExact(sample);
    expect(truth.get('mail')).toMatchObject({ ready: 3, delayed: 2, running: 1, stale: 0, dead: 1 });
    expect(sample.workers).toMatchObject({ busy: 3, total: 4 });
    expect(sample.workers.lastSeenAtMs).toBeGreaterThan(nowMs - 1_000);
    await using source = server.source();
    expect((await source.tenants(never)).map(({ name }) => name).sort()).toEqual(['mail', ODD, LONG].sort());
  });

  test('a retried job is ready since its retry, a backdated one since its creation, an interrupted one since its start', async () => {
    const nowMs = Date.now();
    await work.enqueue(db, { queue: 'backdated', inS: -9_000 }, nowMs - 60_000);
    const worker = await thread();
    const by = byRow ? await work.startProcess(db) : null;
    await work.enqueue(db, { queue: 'retried' }, nowMs - 7_200_000);
    const retried = (await work.begin(worker, { queue: 'retried', by })) ?? '';
    await work.end(worker, retried, { byRow, error: 'E: x', retryInS: 60, nowMs: nowMs - 180_000 });
    await work.enqueue(db, { queue: 'interrupted' }, nowMs - 7_200_000);
    const dying = await server.db.connect();
    const interrupted = await work.begin(dying, { queue: 'interrupted', by, nowMs: nowMs - 300_000 });
    await dying.end();
    // As the cleanup of a dead process does it.
    if (byRow)
      await db.query('UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE id = $1', [
        interrupted,
      ]);
    const sample = await server.snapshot();
    await expectExact(sample);
    const ageS = (queue: string) =>
      Math.round((sample.databaseTimeMs - (tenantOf(sample, queue).oldestReady?.readyAtMs ?? NaN)) / 10_000) *
      10;
    expect([ageS('backdated'), ageS('retried'), ageS('interrupted')]).toEqual([60, 120, 300]);
  });

  test('random queues of all states', async () => {
    const random = seededRandom(11);
    const roll = (n: number) => Math.floor(random() * n);
    const worker = await thread();
    const owner = await thread();
    const hasLockType = byRow;
    const processes = [
      await work.startProcess(db, { locks: owner, hasLockType }),
      await work.startProcess(db, { beatAgoS: 200, hasLockType }),
      await work.startProcess(db, { beatAgoS: 400, hasLockType }),
    ];
    const nowMs = Date.now();
    for (let i = 0; i < 150; i++) {
      const queue = `queue ${roll(15)}`;
      const atMs = nowMs - 5_000 - roll(1_000_000);
      await work.enqueue(
        db,
        {
          queue,
          priority: roll(4) - 2,
          inS: roll(3) === 0 ? roll(2_000) : 0,
          isUnscheduled: !byRow && roll(3) === 0,
        },
        atMs,
      );
      const what = roll(4);
      if (what === 0) continue;
      const by = byRow ? (processes[roll(3)] ?? null) : null;
      const id = await work.begin(worker, { queue, by, nowMs: nowMs - roll(4_000) - 100 });
      if (id === null) continue;
      if (what === 1) await work.end(worker, id, { byRow, error: roll(2) === 0 ? 'E: no' : null });
      // The lock goes, the row stays: a process that was killed.
      if (what === 2) await worker.query(`SELECT pg_advisory_unlock_all()`);
    }
    const truth = await expectExact(await server.snapshot());
    for (const state of [
      'ready',
      'delayed',
      'running',
      'dead',
      ...(byRow ? (['stale'] as const) : []),
    ] as const)
      expect(
        [...truth.values()].some((numbers) => numbers[state] > 0),
        state,
      ).toBe(true);
  });

  test('long queues: every number holds with its bound', async () => {
    await server.bulk('just', 401);
    await server.bulk('over', 402);
    await server.bulk('long', 3_000);
    await server.bulk('later', 500, { scheduled_at: ago('-600 - n') });
    // Written long after the times they were meant for.
    await server.bulk('late', 900, { scheduled_at: ago('90000 - n'), created_at: ago('5') });
    await server.bulk('late', 1, { scheduled_at: ago(400), created_at: ago(400) });
    await server.bulk('fails', 2_200, { finished_at: ago('n'), error: `'E: no'` });
    const sample = await server.snapshot();
    const truth = await bruteForce(server, sample.databaseTimeMs);
    const told = (queue: string) => {
      const { ready, delayed, dead, oldestReady } = tenantOf(sample, queue);
      const count = (c: { value: number; kind: string } | null) =>
        c ? `${c.value}${c.kind === 'exact' ? '' : '+'}` : 'null';
      if (oldestReady?.bound === 'exact') expect(oldestReady.readyAtMs).toBe(truth.get(queue)?.readyAtMs);
      expect(ready.value).toBeLessThanOrEqual(truth.get(queue)?.ready ?? 0);
      return [count(ready), count(delayed), count(dead), oldestReady?.bound ?? 'none'].join(' ');
    };
    expect(told('just')).toBe('401 0 0+ exact');
    expect(told('over')).toBe('402+ 0 0+ exact');
    expect(told('long')).toBe('402+ 0 0+ exact');
    expect(told('later')).toBe('0 201+ 0+ none');
    expect(told('late')).toBe('402+ 0 0+ at-least');
    expect(told('fails')).toBe('0 0 2001+ none');
  });

  test.runIf(!byRow)(
    'before 4.0 a retry was a new row: the one before is neither dead nor done for',
    async () => {
      const worker = await thread();
      const first = await work.enqueue(db, { queue: 'mail' }, Date.now() - 60_000);
      await work.begin(worker, { queue: 'mail', by: null });
      const second = await work.retryAsRow(worker, first, 'E: once');
      const sample = await server.snapshot();
      const truth = await expectExact(sample);
      expect(truth.get('mail')).toMatchObject({ ready: 1, dead: 0 });
      await using source = server.source();
      const detail = await source.details.job(second, never);
      expect(detail?.job).toMatchObject({ state: 'ready', attempts: 1 });
      expect(detail?.attempts.map(({ error }) => error)).toContain('E: once');
      expect((await source.details.job(first, never))?.job).toMatchObject({
        state: 'done',
        stateWord: 'retried',
      });
    },
  );

  test('pauses are told of their queue, and what they are worth', async () => {
    await work.enqueue(db, { queue: 'mail' });
    await work.pause(db, { queues: ['mail', ODD], job_classes: ['SlowJob'], labels: ['eu'] });
    const sample = await server.snapshot();
    expect(sample.tenants.map(({ tenantId, paused }) => [tenantId, paused?.by])).toEqual([
      ['mail', 'GoodJob'],
      [ODD, 'GoodJob'],
    ]);
    expect(tenantOf(sample, 'mail').ready).toEqual({ value: 1, kind: 'exact' });
    await using source = server.source();
    const { warnings } = await source.probe(never);
    expect(warnings).toContainEqual(expect.stringContaining('enable_pauses'));
    expect(warnings).toContainEqual(expect.stringContaining('job class SlowJob, label eu'));
    await db.query(`UPDATE good_job_settings SET value = '{"queues": "mail"}'`);
    expect((await server.snapshot()).tenants.every(({ paused }) => paused === null)).toBe(true);
  });
});
