// The Solid Queue source on both databases: every number equals its definition, by brute force.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Count } from '../../src/core/count.ts';
import { seededRandom } from '../../src/core/seeded-random.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';
import * as work from '../harness/solid-queue-workload.ts';
import {
  bruteForce,
  exactNumbers,
  LONG,
  never,
  ODD,
  seconds,
  startServer,
  type SolidQueueServer,
  type Truth,
} from './queue-solid-queue-fixture.ts';

function tenantOf(sample: SourceSample, id: string): TenantSample {
  const tenant = sample.tenants.find(({ tenantId }) => tenantId === id);
  if (!tenant) throw new Error(`no queue ${id}`);
  return tenant;
}

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

  const ago = (value: string | number) => seconds(dialect, value);
  const snapshot = async (): Promise<SourceSample> => {
    await using source = db.source();
    return await source.snapshot(never);
  };

  async function expectExact(sample: SourceSample): Promise<Map<string, Truth>> {
    const truth = await bruteForce(db, sample.databaseTimeMs);
    expect(new Map(sample.tenants.map((tenant) => [tenant.tenantId, exactNumbers(tenant)]))).toEqual(truth);
    return truth;
  }

  /** Every count and bound agrees with the truth, whether it is exact or not. */
  async function expectHolds(sample: SourceSample): Promise<void> {
    const truth = await bruteForce(db, sample.databaseTimeMs);
    expect(sample.tenants.map(({ tenantId }) => tenantId).sort()).toEqual([...truth.keys()].sort());
    for (const tenant of sample.tenants) {
      const real = truth.get(tenant.tenantId);
      if (!real) throw new Error(tenant.tenantId);
      for (const state of ['ready', 'delayed', 'running', 'stale', 'dead', 'blocked'] as const) {
        const count = tenant[state];
        const said = `${tenant.tenantId} ${state} ${JSON.stringify(count)} of ${real[state]}`;
        if (count?.kind === 'exact') expect(count.value, said).toBe(real[state]);
        else expect(count?.value ?? 0, said).toBeLessThanOrEqual(real[state]);
      }
      const { oldestReady } = tenant;
      if (oldestReady?.bound === 'exact')
        expect([tenant.tenantId, oldestReady.readyAtMs]).toEqual([tenant.tenantId, real.readyAtMs]);
      else if (oldestReady) expect(oldestReady.readyAtMs).toBeGreaterThanOrEqual(real.readyAtMs ?? Infinity);
      else
        expect([tenant.tenantId, tenant.ready.kind === 'exact' ? real.readyAtMs : null]).toEqual([
          tenant.tenantId,
          null,
        ]);
    }
  }

  test('without jobs there are no queues and nothing to warn of', async () => {
    await using source = db.source();
    const { system, tenantWord, warnings } = await source.probe(never);
    expect(system).toMatch(/^Solid Queue \(with batches\) on (PostgreSQL|MariaDB) \d/);
    expect({ tenantWord, warnings }).toEqual({ tenantWord: 'queue', warnings: [] });
    expect(await source.tenants(never)).toEqual([]);
    const sample = await source.snapshot(never);
    expect(sample.tenants).toEqual([]);
    expect(sample.workers).toEqual({ busy: 0, total: 0, lastSeenAtMs: null });
    expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(5_000);
  });

  test('jobs enqueued, scheduled, blocked, claimed, done and failed are each where they belong', async () => {
    const nowMs = Date.now();
    const worker = await work.startProcess(db, { name: 'worker-1', threads: 5 });
    await work.startProcess(db, { name: 'worker-2', threads: 2 });
    await work.startProcess(db, { kind: 'Dispatcher', name: 'dispatcher-1' });
    const silent = await work.startProcess(db, { name: 'worker-3', beatAgoS: 330 });
    for (const queue of ['mail', ODD, LONG]) {
      for (let i = 0; i < 8; i++)
        await work.enqueue(db, { queue, priority: i % 3 }, nowMs - 60_000 * (i + 1));
      await work.enqueue(db, { queue, inS: 600 });
      await work.enqueue(db, { queue, concurrencyKey: 'one', isBlocked: true });
      const [done = 0, failed = 0] = await work.claim(db, worker, queue, 3, nowMs - 30_000);
      await work.finish(db, done, nowMs - 20_000);
      await work.fail(db, failed, 'no');
    }
    await work.claim(db, silent, 'mail', 1, nowMs - 400_000);
    await work.pause(db, ODD);
    await work.pause(db, 'never used');
    const sample = await snapshot();
    const truth = await expectExact(sample);
    expect(truth.get('mail')).toMatchObject({
      ready: 4,
      delayed: 1,
      blocked: 1,
      running: 2,
      stale: 1,
      dead: 1,
    });
    expect(truth.get(ODD)).toMatchObject({ ready: 5, running: 1, stale: 0, paused: true });
    expect(tenantOf(sample, 'mail').paused).toBeNull();
    expect(tenantOf(sample, ODD).paused?.sinceMs).toBeGreaterThan(nowMs - 1_000);
    // Three claims of living workers; the silent one's threads count no more.
    expect(sample.workers).toMatchObject({ busy: 3, total: 7 });
    expect(sample.workers.lastSeenAtMs).toBeGreaterThan(nowMs - 1_000);
    await using source = db.source();
    expect((await source.tenants(never)).map(({ name }) => name).sort()).toEqual(['mail', ODD, LONG].sort());
  });

  test('a job is ready since it was dispatched, retried or released; a due one since its time', async () => {
    const nowMs = Date.now();
    const hours = (n: number) => nowMs - n * 3_600_000;
    const worker = await work.startProcess(db, { name: 'w' });
    await work.enqueue(db, { queue: 'dispatched', inS: 3600 }, hours(5));
    await work.dispatch(db, hours(3));
    await work.enqueue(db, { queue: 'due', inS: 600 }, hours(2));
    await work.enqueue(db, { queue: 'retried' }, hours(5));
    await work.enqueue(db, { queue: 'released' }, hours(5));
    const [failed = 0] = await work.claim(db, worker, 'retried');
    await work.fail(db, failed, 'no');
    await work.retry(db, failed, hours(1));
    const [held = 0] = await work.claim(db, worker, 'released');
    await work.release(db, held, hours(2));
    const sample = await snapshot();
    await expectExact(sample);
    const ageH = (queue: string) =>
      (sample.databaseTimeMs - (tenantOf(sample, queue).oldestReady?.readyAtMs ?? NaN)) / 3_600_000;
    expect(
      ['dispatched', 'due', 'retried', 'released'].map((queue) => Math.round(ageH(queue) * 100) / 100),
    ).toEqual([3, 1.83, 1, 2]);
    const createdH =
      (sample.databaseTimeMs - (tenantOf(sample, 'retried').oldestReady?.createdAtMs ?? NaN)) / 3_600_000;
    expect(createdH).toBeCloseTo(5, 1);
    // No dispatcher is there to move the due one.
    await using source = db.source();
    expect((await source.probe(never)).warnings).toEqual([expect.stringContaining('no dispatcher')]);
  });

  test('a claim is stale exactly when its process is silent for 5 min, gone, or was never named', async () => {
    const nowMs = Date.now();
    const beats = [0, 290, 310];
    for (const beatAgoS of beats) {
      const id = await work.startProcess(db, { name: `w${beatAgoS}`, beatAgoS });
      await work.enqueue(db, { queue: 'q' }, nowMs - 10_000);
      await work.claim(db, id, 'q', 1, nowMs - beatAgoS * 10);
    }
    await work.enqueue(db, { queue: 'q' });
    await work.enqueue(db, { queue: 'q' });
    await work.claim(db, 987_654, 'q', 2);
    await db.run(
      'UPDATE solid_queue_claimed_executions SET process_id = NULL WHERE id = (SELECT m FROM (SELECT MAX(id) AS m FROM solid_queue_claimed_executions) x)',
    );
    const sample = await snapshot();
    await expectExact(sample);
    expect(tenantOf(sample, 'q')).toMatchObject({ running: { value: 5 }, stale: { value: 3 } });
  });

  test('random queues of all states, twenty of them', async () => {
    const random = seededRandom(7);
    const roll = (n: number) => Math.floor(random() * n);
    const worker = await work.startProcess(db, { name: 'w' });
    const nowMs = Date.now();
    for (let i = 0; i < 220; i++) {
      const queue = `queue ${roll(20)}`;
      const atMs = nowMs - 5_000 - roll(1_000_000);
      const kind = roll(6);
      const id = await work.enqueue(
        db,
        {
          queue,
          priority: roll(4) - 2,
          ...(kind === 0 ? { inS: roll(2_000) + 1 } : {}),
          isBlocked: kind === 1,
          concurrencyKey: 'k',
        },
        atMs,
      );
      if (kind === 2) await work.claim(db, roll(3) === 0 ? 999 : worker, queue, 1, atMs + 1_000);
      if (kind === 3) {
        const [first] = await work.claim(db, worker, queue);
        if (first !== undefined) await (roll(2) === 0 ? work.fail(db, first, 'no') : work.finish(db, first));
      }
      expect(id).toBeGreaterThan(0);
    }
    const sample = await snapshot();
    const truth = await expectExact(sample);
    for (const state of ['ready', 'delayed', 'running', 'stale', 'dead', 'blocked'] as const)
      expect(
        [...truth.values()].some((numbers) => numbers[state] > 0),
        state,
      ).toBe(true);
  });

  test('long queues: every number holds with its bound', async () => {
    await db.bulk('ready', 'just', 200);
    await db.bulk('ready', 'over', 201);
    await db.bulk('ready', 'long', 3_000);
    await db.bulk('ready', 'two', 250, { priority: '1' });
    await db.bulk('ready', 'two', 3, { priority: '9' }, ago('90000 - n'));
    // Dispatched a moment ago, created long ago; behind them one that waits for longer.
    await db.bulk('ready', 'late', 2_000, { created_at: ago(5) }, ago('90000 - n'));
    await db.bulk('ready', 'late', 1, {}, ago(400));
    // The same, and the one that waits is among the first rows that became ready.
    await db.bulk('ready', 'found', 900, { created_at: ago(4) }, ago('90000 - n'));
    await db.bulk('ready', 'found', 1, {}, ago(2_950));
    await db.bulk('ready', 'many', 60, { priority: 'n' });
    await db.bulk('scheduled', 'later', 2_500, { scheduled_at: ago('-3600 - n') });
    await db.bulk('scheduled', 'sooner', 5, { scheduled_at: ago('-600 - n') });
    await db.bulk('scheduled', 'overdue', 7, { scheduled_at: ago('60 + n') });
    await db.bulk('blocked', 'waits', 2_100);
    await db.bulk('failed', 'fails', 2_100);
    await db.bulk('failed', 'fails too', 4);
    await db.renumber();
    const sample = await snapshot();
    await expectHolds(sample);
    const told = (queue: string) => {
      const { ready, delayed, blocked, dead, oldestReady } = tenantOf(sample, queue);
      const count = (c: Count | null) => (c ? `${c.value}${c.kind === 'exact' ? '' : '+'}` : 'null');
      return [count(ready), count(delayed), count(blocked), count(dead), oldestReady?.bound ?? 'none'].join(
        ' ',
      );
    };
    expect(told('just')).toBe('200 0+ 0+ 0+ exact');
    expect(told('over')).toBe('201+ 0+ 0+ 0+ exact');
    expect(told('long')).toBe('201+ 0+ 0+ 0+ exact');
    expect(told('two')).toBe('204+ 0+ 0+ 0+ exact');
    expect(told('late')).toBe('201+ 0+ 0+ 0+ at-least');
    expect(told('found')).toBe('201+ 0+ 0+ 0+ exact');
    expect(told('many')).toBe('60 0+ 0+ 0+ exact');
    expect(told('sooner')).toBe('0 5+ 0+ 0+ none');
    expect(told('overdue')).toBe('7 0+ 0+ 0+ exact');
    expect(told('later')).toBe('0 1989+ 0+ 0+ none');
    expect(told('waits')).toBe('0 0+ 2001+ 0+ none');
    expect(told('fails too')).toBe('0 0+ 0+ 4+ none');

    // The indexes that the warnings ask for tell more.
    await using source = db.source();
    const { warnings } = await source.probe(never);
    expect(warnings).toEqual([
      expect.stringContaining('jobs are scheduled'),
      expect.stringContaining('jobs are blocked'),
      expect.stringContaining('jobs have failed'),
      expect.stringContaining('no dispatcher'),
    ]);
    for (const ddl of warnings.flatMap((warning) => /CREATE INDEX .*?(?=\.$)/.exec(warning) ?? []))
      await db.run(ddl);
    try {
      const better = await snapshot();
      await expectHolds(better);
      expect(tenantOf(better, 'later').delayed).toEqual({ value: 201, kind: 'at-least' });
      expect(tenantOf(better, 'sooner').delayed).toEqual({ value: 5, kind: 'exact' });
      expect(tenantOf(better, 'overdue').ready).toEqual({ value: 7, kind: 'exact' });
      expect(tenantOf(better, 'waits').blocked).toEqual({ value: 201, kind: 'at-least' });
      expect(tenantOf(better, 'just').blocked).toEqual({ value: 0, kind: 'exact' });
    } finally {
      const drop = (table: string, name: string) =>
        db.run(dialect === 'postgres' ? `DROP INDEX ${name}` : `DROP INDEX headway_queue_name ON ${table}`);
      await drop(
        'solid_queue_scheduled_executions',
        'solid_queue_scheduled_executions_queue_name_scheduled_at_idx',
      );
      await drop('solid_queue_blocked_executions', 'solid_queue_blocked_executions_queue_name_idx');
    }
  });
});
