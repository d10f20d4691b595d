// The BullMQ source against the real BullMQ on PostgreSQL: every number by brute force, and by BullMQ's own word.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Count } from '../../src/core/count.ts';
import type { SourceSample } from '../../src/core/sample.ts';
import { until } from '../harness/until.ts';
import { Bullmq, exactNumbers, LONG, never, ODD, tenantOf, type Truth } from './queue-bullmq-fixture.ts';

let bull: Bullmq;
beforeAll(async () => {
  bull = await Bullmq.start();
});
afterAll(() => bull[Symbol.asyncDispose]());
afterEach(() => bull.clear());

async function expectExact(sample: SourceSample): Promise<Map<string, Truth>> {
  const truth = await bull.truth(sample.databaseTimeMs);
  expect(new Map(sample.tenants.map((tenant) => [tenant.tenantId, exactNumbers(tenant)]))).toEqual(truth);
  return truth;
}

/** Every count and bound agrees with the truth, whether it is exact or not. */
async function expectHolds(sample: SourceSample): Promise<Map<string, Truth>> {
  const truth = await bull.truth(sample.databaseTimeMs);
  expect(sample.tenants.map(({ tenantId }) => tenantId).sort()).toEqual([...truth.keys()].sort());
  for (const tenant of sample.tenants) {
    const real = truth.get(tenant.tenantId);
    if (!real) throw new Error(tenant.tenantId);
    const holds = (count: Count | null, value: number, what: string) => {
      const said = `${tenant.tenantId} ${what} ${JSON.stringify(count)}`;
      if (count?.kind === 'exact') expect(count.value, said).toBe(value);
      else if (count) expect(count.value, said).toBeLessThanOrEqual(value);
    };
    for (const state of ['ready', 'delayed', 'running', 'stale', 'dead', 'blocked'] as const)
      holds(tenant[state], real[state], state);
    const { oldestReady } = tenant;
    if (oldestReady?.bound === 'exact') expect(oldestReady.readyAtMs, tenant.tenantId).toBe(real.readyAtMs);
    else if (oldestReady) expect(oldestReady.readyAtMs).toBeGreaterThanOrEqual(real.readyAtMs ?? Infinity);
    else expect(real.readyAtMs, tenant.tenantId).toBeNull();
  }
  return truth;
}

test('no queues, then queues without jobs', async () => {
  await using source = bull.source();
  const { system, tenantWord, warnings } = await source.probe(never);
  expect(system).toMatch(/^BullMQ 6 \(schema version 11\) on PostgreSQL \d/);
  expect({ tenantWord, warnings }).toEqual({ tenantWord: 'queue', warnings: [] });
  const empty = await source.snapshot(never);
  expect(empty.tenants).toEqual([]);
  expect(empty.workers).toEqual({ busy: 0, total: null, lastSeenAtMs: null });
  await bull.queue(ODD).waitUntilReady();
  await bull.queue(LONG).waitUntilReady();
  await until(async () => (await source.tenants(never)).length === 2);
  const sample = await source.snapshot(never);
  await expectExact(sample);
  expect(sample.claimOrder).toBe('within each queue by priority (0 first), then by place');
  expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(5_000);
});

test('jobs added, delayed, prioritised, run, failed, blocked and paused are where BullMQ says they are', async () => {
  const release = Promise.withResolvers<undefined>();
  const mail = bull.queue(ODD);
  for (let i = 0; i < 6; i++) await mail.add('fails', { i });
  const failing = bull.worker(
    ODD,
    () => {
      throw new Error('no');
    },
    { name: 'north' },
  );
  await until(async () => (await mail.getFailedCount()) === 6);
  await failing.close();
  await mail.addBulk([1, 2, 3].map((i) => ({ name: 'held', data: { i } })));
  const holding = bull.worker(ODD, () => release.promise, { concurrency: 2, name: 'south' });
  try {
    await until(async () => (await mail.getActiveCount()) === 2);
    await mail.add('later', {}, { delay: 3_600_000 });
    await mail.add('urgent', {}, { priority: 1 });
    await mail.add('bulk', {}, { priority: 9 });
    await mail.add('first', {}, { lifo: true });
    await bull.flows().add({
      ...{ name: 'report', queueName: 'reports', data: {} },
      children: [1, 2].map((i) => ({ name: 'part', queueName: 'parts', data: { i } })),
    });
    await bull.queue('parts').pause();
    const sample = await bull.sample();
    await expectExact(sample);
    for (const name of [ODD, 'reports', 'parts']) {
      const said = await bull.queue(name).getJobCounts();
      const byPriority = await bull.queue(name).getCountsPerPriority([0, 1, 9]);
      const { ready, delayed, running, dead, blocked, paused } = exactNumbers(tenantOf(sample, name));
      expect({ ready, delayed, running, dead, blocked }, name).toEqual({
        // Of a paused queue too.
        ready: Object.values(byPriority).reduce((sum, count) => sum + count, 0),
        delayed: said['delayed'],
        running: said['active'],
        dead: said['failed'],
        blocked: said['waiting-children'],
      });
      expect(paused, name).toBe(await bull.queue(name).isPaused());
    }
    expect(tenantOf(sample, 'parts').paused).toMatchObject({
      by: 'BullMQ',
      sinceMs: expect.any(Number) as number,
    });
    expect(sample.databaseTimeMs - (tenantOf(sample, 'parts').paused?.sinceMs ?? 0)).toBeLessThan(5_000);
    // Two jobs at once are one worker's.
    expect(sample.workers.busy).toBe(1);
    await bull.queue('parts').resume();
    expect(tenantOf(await bull.sample(), 'parts').paused).toBeNull();
  } finally {
    release.resolve(undefined);
    await holding.close();
  }
});

test('a parent is late from when its last child ended, not from when it was added', async () => {
  const parts = bull.queue('parts');
  await bull.flows().add({
    ...{ name: 'report', queueName: 'reports', data: {}, opts: { timestamp: Date.now() - 7_200_000 } },
    children: [{ name: 'part', queueName: 'parts', data: {} }],
  });
  const blocked = await bull.sample();
  expect(tenantOf(blocked, 'reports')).toMatchObject({
    blocked: { value: 1 },
    ready: { value: 0 },
    oldestReady: null,
  });
  const began = Date.now();
  const worker = bull.worker('parts', () => Promise.resolve());
  await until(async () => (await parts.getCompletedCount()) === 1);
  await worker.close();
  const sample = await bull.sample();
  await expectExact(sample);
  const head = tenantOf(sample, 'reports').oldestReady;
  expect(head?.readyAtMs).toBeGreaterThanOrEqual(began);
  expect(head?.createdAtMs).toBeLessThan(began - 7_000_000);
  expect(sample.workers.lastSeenAtMs).toBeGreaterThanOrEqual(began);
});

test('a retried job is not late from its creation: those enqueued before it were created later', async () => {
  const queue = bull.queue('mail');
  const old = await queue.add('old', {}, { timestamp: Date.now() - 86_400_000, attempts: 1 });
  const worker = bull.worker('mail', () => Promise.reject(new Error('no')));
  await until(async () => (await queue.getFailedCount()) === 1);
  await worker.close();
  await queue.add('fresh', {});
  const addedMs = (await queue.getWaiting())[0]?.timestamp ?? NaN;
  await queue.retryJobs();
  expect((await queue.getJob(old.id ?? ''))?.timestamp).toBeLessThan(addedMs - 86_000_000);
  const sample = await bull.sample();
  expect(tenantOf(sample, 'mail')).toMatchObject({
    ready: { value: 2, kind: 'exact' },
    dead: { value: 0 },
    oldestReady: { readyAtMs: addedMs, bound: 'exact' },
  });
});

test('a delayed job that is due waits like the others, though nobody has promoted it', async () => {
  await bull.queue('mail').add('due', {}, { delay: 1 });
  await bull.queue('mail').add('soon', {}, { delay: 600_000 });
  await until(async () => (await bull.queue('mail').getDelayedCount()) === 2);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const sample = await bull.sample();
  await expectExact(sample);
  expect(tenantOf(sample, 'mail')).toMatchObject({ ready: { value: 1 }, delayed: { value: 1 } });
});

test('a lock is stale exactly when BullMQ takes it back', async () => {
  const queue = bull.queue('work');
  await bull.bulk('work', 6, {
    state: `'active'`,
    lock_token: `'w' || n % 2 || ':' || n`,
    processed_at_ms: 'now_ms - 60000 * n',
    locked_until_ms: 'now_ms + 40000 * (n - 3) - 1000',
    stalled_marked: 'true',
  });
  const sample = await bull.sample();
  const truth = await expectExact(sample);
  expect(truth.get('work')).toMatchObject({ running: 6, stale: 3 });
  expect(sample.workers.busy).toBe(2);
  expect(Math.abs((sample.workers.lastSeenAtMs ?? 0) - sample.databaseTimeMs)).toBeLessThan(60_000);
  await queue.pause();
  const worker = bull.worker('work', () => Promise.resolve(), { autorun: false });
  await worker.startStalledCheckTimer();
  await until(async () => (await queue.getActiveCount()) === 3);
  await worker.close();
  expect(tenantOf(await bull.sample(), 'work')).toMatchObject({
    stale: { value: 0 },
    running: { value: 3 },
    ready: { value: 3 },
  });
});

test('limits that hold jobs back are told', async () => {
  const queue = bull.queue('slow');
  await queue.setGlobalRateLimit(1, 60_000);
  await bull.queue('narrow').setGlobalConcurrency(3);
  await queue.addBulk([1, 2].map((i) => ({ name: 'n', data: { i } })));
  const worker = bull.worker('slow', () => Promise.resolve());
  await until(async () => (await queue.getCompletedCount()) === 1);
  // It waits for the window otherwise.
  await worker.close(true);
  await using source = bull.source();
  await source.snapshot(never);
  expect((await source.probe(never)).warnings).toEqual([
    'Jobs may wait although workers are free: narrow runs at most 3 at once; slow starts at most 1 per 60000 ms (reached now).',
  ]);
});

test('random queues of every state, each number exact', async () => {
  for (let i = 0; i < 12; i++) {
    const name = `queue ${i}`;
    await bull.bulk(name, 1 + ((i * 37) % 90), {
      priority: '(n * 7) % 5',
      seq: `nextval('bullmq.job_seq') * CASE n % 4 WHEN 0 THEN -1 ELSE 1 END`,
    });
    if (i % 2 === 0)
      await bull.bulk(name, i * 3 + 1, {
        state: `'delayed'`,
        process_at_ms: 'now_ms + 60000 * (n - 5)',
        added_at_ms: 'now_ms - 900000',
      });
    if (i % 3 === 0)
      await bull.bulk(name, 7, {
        state: `'active'`,
        processed_at_ms: 'now_ms - n * 1000',
        locked_until_ms: 'now_ms + 20000 * (n - 3) - 1',
        lock_token: `'w:' || n`,
      });
    if (i % 4 === 0) await bull.bulk(name, 5, { state: `'failed'`, finished_at_ms: 'now_ms - n' });
    if (i % 5 === 0) await bull.bulk(name, 4, { state: `'waiting-children'` });
    if (i % 6 === 0) await bull.queue(name).pause();
  }
  const truth = await expectExact(await bull.sample());
  expect(truth.size).toBe(12);
  expect([...truth.values()].filter(({ paused }) => paused)).toHaveLength(2);
});

describe('more jobs than one look sees', () => {
  test('every number holds with its bound; the oldest is proven at both ends of each priority', async () => {
    await bull.bulk('flood', 3_000);
    await bull.bulk('ranked', 900, { priority: 'n % 3' });
    await bull.bulk('last in', 900, { seq: `-nextval('bullmq.job_seq')`, priority: '4' });
    await bull.bulk('many ranks', 900, { priority: 'n' });
    await bull.bulk('was delayed', 900, { process_at_ms: 'now_ms - 1000 * (n % 7)' });
    await bull.bulk('later', 900, { state: `'delayed'`, process_at_ms: 'now_ms + 60000 * n' });
    await bull.bulk('lost', 400, {
      state: `'active'`,
      processed_at_ms: 'now_ms - 90000',
      locked_until_ms: 'now_ms - n * 1000',
    });
    await bull.bulk('failed', 400, { state: `'failed'`, finished_at_ms: 'now_ms - n' });
    const sample = await bull.sample();
    await expectHolds(sample);
    const of = (name: string) => tenantOf(sample, name);
    expect(of('flood')).toMatchObject({
      ready: { value: 201, kind: 'at-least' },
      oldestReady: { bound: 'exact' },
    });
    expect(of('ranked').oldestReady?.bound).toBe('exact');
    expect(of('last in').oldestReady?.bound, 'the oldest of these is claimed last').toBe('exact');
    expect(of('many ranks').oldestReady?.bound).toBe('at-least');
    expect(of('was delayed').oldestReady?.bound).toBe('at-least');
    expect(of('later').delayed).toEqual({ value: 201, kind: 'at-least' });
    expect(of('lost')).toMatchObject({
      running: { value: 201, kind: 'at-least' },
      stale: { value: 201, kind: 'at-least' },
    });
    expect(of('failed').dead).toEqual({ value: 201, kind: 'at-least' });
    expect(sample.workers.busy).toBeNull();
  });

  test('a poll of 90,000 jobs reads as few as one of 3,000, with statistics or without', async () => {
    const fill = async (count: number) => {
      const data = `jsonb_build_object('x', repeat('x', 100))`;
      // Enqueued in another order than they lie in, as after many updates.
      const place = `(n * 7919 % ${count})`;
      await bull.bulk('flood', count, {
        ...{
          data,
          priority: `${place} % 3`,
          seq: `1 + ${place}`,
          added_at_ms: `now_ms - 1000 * (${count} - ${place})`,
        },
      });
      const ended = { data, finished_at_ms: `now_ms - ${place}`, processed_at_ms: `now_ms - 1 - ${place}` };
      await bull.bulk('done', count, { ...ended, state: `'completed'` });
      await bull.bulk('done', count / 10, { ...ended, state: `'failed'` });
      await bull.bulk('flood', count / 10, {
        data,
        state: `'delayed'`,
        process_at_ms: `now_ms + 60000 + ${place}`,
      });
      await bull.bulk('flood', 20, {
        ...{
          state: `'active'`,
          processed_at_ms: 'now_ms',
          locked_until_ms: 'now_ms + 60000',
          lock_token: `'w:1'`,
        },
      });
    };
    const polled = async () => {
      const before = await bull.blocksRead();
      const sample = await bull.sample();
      const read = (await bull.blocksRead()) - before;
      await expectHolds(sample);
      expect(tenantOf(sample, 'flood').running).toEqual({ value: 20, kind: 'exact' });
      return read;
    };
    await fill(3_000);
    const small = await polled();
    await bull.clear();
    await fill(40_000);
    const large = await polled();
    await bull.root.query('ANALYZE bullmq.job');
    const analysed = await polled();
    // 201 rows of each of seven looks, each in a block of its own, with what leads to them.
    expect(
      [small, large, analysed].map((blocks) => blocks < 2_500),
      `${small}, ${large}, ${analysed}`,
    ).toEqual([true, true, true]);
    expect(large).toBeLessThan(small * 1.2);
  });

  test('many queues: states that few jobs are in are exact, those of many hold with their bound', async () => {
    // Some have settings, and some lie between those, before and behind them.
    for (let i = 10; i < 60; i += 7) await bull.queue(`q${i}`).pause();
    await bull.root.query(
      `INSERT INTO bullmq.job (queue, id, seq, name, state, priority, added_at_ms, process_at_ms, processed_at_ms, locked_until_ms, lock_token)
       SELECT 'q' || q, s || '-' || n, CASE WHEN q % 9 = 0 THEN -1 ELSE 1 END * (n * 100 + q), 'n', s::bullmq.job_state,
              CASE WHEN q % 4 = 0 THEN n % 3 ELSE 0 END, now_ms - 900000 + 1000 * n, CASE s WHEN 'delayed' THEN now_ms + 20000 * (n - 2) + 10000 END,
              CASE s WHEN 'active' THEN now_ms - 5000 * n END, CASE s WHEN 'active' THEN now_ms + 60000 * (n - 2) - 30000 END, s || q || ':1'
         FROM (SELECT floor(extract(epoch FROM now()) * 1000)::bigint AS now_ms) t, generate_series(1, 70) q,
              unnest(ARRAY['waiting', 'delayed', 'active', 'waiting-children']) s, generate_series(1, CASE s WHEN 'waiting' THEN 5 * (q % 50) ELSE q % 5 END) n`,
    );
    await using source = bull.source();
    const few = await source.snapshot(never);
    await expectHolds(few);
    for (const { tenantId, delayed, running, stale, blocked } of few.tenants)
      expect([tenantId, ...[delayed, running, stale, blocked].map((count) => count?.kind)]).toEqual([
        tenantId,
        ...Array.from({ length: 4 }, () => 'exact'),
      ]);
    // Of the queues with three or four that run, those whose lock stands.
    expect(few.workers.busy).toBe(28);
    const row = { state: `'delayed'`, process_at_ms: 'now_ms + 60000 * n' };
    await bull.bulk('q7', 800, row);
    await bull.bulk('q8', 800, row);
    await bull.bulk('q9', 1_200, {
      state: `'active'`,
      processed_at_ms: 'now_ms',
      locked_until_ms: 'now_ms - n',
    });
    const many = await source.snapshot(never);
    const truth = await bull.truth(many.databaseTimeMs);
    expect(tenantOf(many, 'q7').delayed).toMatchObject({ kind: 'estimate' });
    expect(tenantOf(many, 'q6').delayed).toEqual({ value: truth.get('q6')?.delayed, kind: 'exact' });
    expect(tenantOf(many, 'q9')).toMatchObject({
      running: { kind: 'at-least' },
      stale: { kind: 'at-least' },
    });
    expect(tenantOf(many, 'q10').running).toEqual({ value: 0, kind: 'exact' });
  });

  test('2,500 queues: the first 2,000 are polled, and it is said', async () => {
    await bull.root.query(
      `INSERT INTO bullmq.job (queue, id, seq, name, state, added_at_ms)
       SELECT 'q' || to_char(q, 'FM0000'), n::text, nextval('bullmq.job_seq'), 'n', 'waiting', 1000 * n
         FROM generate_series(1, 2500) q, generate_series(1, 30) n`,
    );
    await using source = bull.source();
    const sample = await source.snapshot(never);
    expect(sample.tenants).toHaveLength(2_000);
    expect(await source.tenants(never)).toHaveLength(2_000);
    expect(tenantOf(sample, 'q1999')).toMatchObject({
      ready: { value: 8, kind: 'at-least' },
      oldestReady: { readyAtMs: 1_000, bound: 'exact' },
    });
    expect((await source.probe(never)).warnings).toEqual([
      'Only the first 2000 queues by name are polled; no more are watched.',
    ]);
  });
});
