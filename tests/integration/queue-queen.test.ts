// The Queen source against its tables, worked by its own statements: every number equals its definition, by brute force.
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { SourceSample } from '../../src/core/sample.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { createQueen, queenMessages, queenPartition } from '../harness/queen-schema.ts';
import { QueenClient } from '../harness/queen-workload.ts';
import {
  bruteForce,
  expectExact,
  expectHolds,
  never,
  ODD,
  queenSource,
  tenantOf,
} from './queue-queen-fixture.ts';

let pg: Postgres;
let root: Client;
let queen: QueenClient;

beforeAll(async () => {
  // A zone with half an hour, east of UTC: a forgotten conversion shows.
  pg = await startPostgres({ settings: { timezone: 'Asia/Kolkata', autovacuum: 'off' } });
  root = await pg.connect();
  queen = new QueenClient(root);
  await root.query("CREATE ROLE reader LOGIN PASSWORD 'r'");
});
afterAll(async () => {
  await root.end();
  await pg[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await createQueen(root, 'current');
  await root.query(
    'GRANT USAGE ON SCHEMA queen TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA queen TO reader',
  );
});

const reader = { user: 'reader', password: 'r' };
async function snapshot(): Promise<SourceSample> {
  await using source = queenSource(pg, reader);
  return await source.snapshot(never);
}
const ago = (seconds: number) => `now() - interval '${seconds} s'`;

test('an empty Queen has no tenants; partitions appear with their names', async () => {
  await using source = queenSource(pg, reader);
  expect(await source.probe(never)).toEqual({
    system: expect.stringMatching(/^Queen on PostgreSQL \d/) as string,
    tenantWord: 'partition',
    warnings: [],
  });
  expect((await source.snapshot(never)).tenants).toEqual([]);
  await queenPartition(root, ODD, 'a/b');
  await queenPartition(root, 'x'.repeat(255), 'y'.repeat(255));
  const tenants = await source.tenants(never);
  expect(tenants.map(({ name }) => name)).toEqual([
    `${ODD} / a/b`,
    `${'x'.repeat(255)} / ${'y'.repeat(255)}`,
  ]);
  expect(tenants[0]?.id).toBe(`it's "quoted" \\ 100%25%2Fday 📮; --/a%2Fb`);
  const sample = await source.snapshot(never);
  expect(sample.tenants.map(({ tenantId }) => tenantId).sort()).toEqual(tenants.map(({ id }) => id).sort());
  await expectExact(root, sample);
});

test('pushed, leased, acknowledged in part, failed, dead: each message is where it belongs', async () => {
  const mail = await queenPartition(root, 'mail', 'anna', { retry_limit: 1 });
  await queen.push(
    'mail',
    mail,
    Array.from({ length: 12 }, (_, n) => ({ n })),
  );
  expect((await expectExact(root, await snapshot())).get('mail/anna')).toMatchObject({
    ready: 12,
    running: 0,
  });

  const batch = await queen.pop(mail, { size: 5 });
  if (!batch) throw new Error('nothing popped');
  expect(await queen.pop(mail)).toBeNull();
  await queen.ack(batch, 2);
  let sample = await snapshot();
  expect((await expectExact(root, sample)).get('mail/anna')).toMatchObject({
    ready: 7,
    running: 3,
    attemptsTotal: 2,
  });
  expect(sample.workers.busy).toBe(1);
  expect(sample.workers.lastSeenAtMs).toBeGreaterThan(sample.databaseTimeMs - 60_000);

  expect(await queen.fail(batch, 'no')).toBe('released');
  expect((await expectExact(root, await snapshot())).get('mail/anna')).toMatchObject({
    ready: 10,
    running: 0,
  });
  const again = await queen.pop(mail, { size: 5 });
  if (!again) throw new Error('nothing popped');
  expect(await queen.fail(again, 'no more')).toBe('dead');
  sample = await snapshot();
  expect((await expectExact(root, sample)).get('mail/anna')).toMatchObject({ ready: 5, running: 4, dead: 1 });
  await queen.ack(again);
  sample = await snapshot();
  expect((await expectExact(root, sample)).get('mail/anna')).toMatchObject({ ready: 5, running: 0, dead: 1 });
  expect(sample.workers.busy).toBe(0);
});

test('a lease that ran out holds nothing: its messages are ready since then, those behind it all the time', async () => {
  const only = await queenPartition(root, 'lost', 'batch alone');
  const behind = await queenPartition(root, 'lost', 'with others behind');
  for (const [partition, count] of [
    [only, 4],
    [behind, 9],
  ] as const) {
    await queenMessages(root, partition, count, '1000 - n');
    await queen.pop(partition, { size: 4 });
  }
  await root.query(
    `UPDATE queen.partition_consumers SET lease_acquired_at = ${ago(400)}, lease_expires_at = ${ago(100)}`,
  );
  const sample = await snapshot();
  const truth = await expectExact(root, sample);
  expect(truth.get('lost/batch alone')).toMatchObject({ ready: 4, running: 0, stale: 0 });
  const lag = (id: string) => sample.databaseTimeMs - (tenantOf(sample, id).oldestReady?.readyAtMs ?? NaN);
  expect(lag('lost/batch alone')).toBeLessThan(160_000);
  expect(lag('lost/with others behind')).toBeGreaterThan(900_000);
  expect(sample.workers.busy).toBe(0);
});

test("Queen's own lag, the age of the newest message, misleads; ours is the age of the oldest by definition", async () => {
  const stuck = await queenPartition(root, 'orders');
  await queenMessages(root, stuck, 50, '7241 - (n - 1) * 144.9');
  await queen.push('orders', stuck, [{ last: true }]);
  await root.query('INSERT INTO queen.partition_consumers (partition_id) VALUES ($1)', [stuck]);
  // What get_consumer_groups_v3 and v4 call maxTimeLag: the age of the newest unconsumed message, by the lookup.
  const { rows } = await root.query<{ lag: number }>(
    `SELECT max(extract(epoch FROM now() - l.last_message_created_at))::float8 AS lag
       FROM queen.partition_consumers c JOIN queen.partition_lookup l USING (partition_id)
      WHERE c.last_consumed_created_at IS NULL OR l.last_message_created_at > c.last_consumed_created_at`,
  );
  const sample = await snapshot();
  await expectExact(root, sample);
  const lagMs = sample.databaseTimeMs - (tenantOf(sample, 'orders/Default').oldestReady?.readyAtMs ?? NaN);
  expect(lagMs).toBeGreaterThanOrEqual(7_241_000);
  expect(lagMs).toBeLessThan(7_301_000);
  expect((rows[0]?.lag ?? NaN) * 1000).toBeLessThan(lagMs / 20);
});

describe('consumer groups', () => {
  test('a message counts for each group, the lag is the worst one’s, which the name tells', async () => {
    const bus = await queenPartition(root, 'events');
    await queenMessages(root, bus, 20, '600 - n');
    for (const [group, size] of [
      ['billing', 3],
      ['audit', 15],
    ] as const) {
      const batch = await queen.pop(bus, { group, size });
      if (batch) await queen.ack(batch);
    }
    await queen.pop(bus, { group: 'audit', size: 2 });
    await using source = queenSource(pg, reader);
    const sample = await source.snapshot(never);
    const truth = await expectExact(root, sample);
    expect(truth.get('events/Default')).toMatchObject({ ready: 17 + 3, running: 2, attemptsTotal: 18 });
    expect(
      sample.databaseTimeMs - (tenantOf(sample, 'events/Default').oldestReady?.readyAtMs ?? 0),
    ).toBeGreaterThan(590_000);
    expect((await source.tenants(never))[0]?.detail).toBe('2 consumer groups, furthest behind: billing');
    await root.query('DELETE FROM queen.messages');
    await source.snapshot(never);
    expect((await source.tenants(never))[0]?.detail).toBe('2 consumer groups: audit, billing');
  });

  test('a group that never consumed begins at its subscription; one of the partition before that of the queue', async () => {
    const ids: string[] = [];
    for (const name of ['plain', 'own', 'fresh']) {
      const id = await queenPartition(root, 'subscribed', name);
      await queenMessages(root, id, 30, '300 - n * 10');
      ids.push(id);
    }
    await root.query(
      `INSERT INTO queen.partition_consumers (partition_id, consumer_group) VALUES ($1, 'new'), ($2, 'new'), ($1, 'all')`,
      ids.slice(0, 2),
    );
    await root.query(
      `INSERT INTO queen.consumer_groups_metadata (consumer_group, queue_name, partition_name, subscription_mode, subscription_timestamp)
       VALUES ('new', 'subscribed', '', 'new', ${ago(95)}), ('new', 'subscribed', 'own', 'new', ${ago(45)}), ('new', 'elsewhere', '', 'new', now())`,
    );
    const truth = await expectExact(root, await snapshot());
    expect([...truth].map(([id, { ready }]) => [id, ready]).sort()).toEqual([
      ['subscribed/fresh', 10],
      ['subscribed/own', 5],
      ['subscribed/plain', 30 + 10],
    ]);
  });
});

test('delayed processing and the wait for quiet make messages ready later', async () => {
  const delayed = await queenPartition(root, 'delayed', 'some due', { delayed_processing: 60 });
  await queenMessages(root, delayed, 30, '(30 - n) * 10');
  const leased = await queenPartition(root, 'delayed', 'leased');
  await queenMessages(root, leased, 30, '(30 - n) * 10');
  await queen.pop(leased, { size: 7 });
  const loud = await queenPartition(root, 'window', 'loud', { window_buffer: 120 });
  await queenMessages(root, loud, 10, '(10 - n) * 40 + 5');
  const quiet = await queenPartition(root, 'window', 'quiet');
  await queenMessages(root, quiet, 10, '(10 - n) * 40 + 300');
  const both = await queenPartition(root, 'both', 'Default', { window_buffer: 10, delayed_processing: 200 });
  await queenMessages(root, both, 10, '(10 - n) * 40 + 20');
  const sample = await snapshot();
  const truth = await expectExact(root, sample);
  expect(truth.get('delayed/some due')).toMatchObject({ ready: 24, delayed: 6 });
  expect(truth.get('delayed/leased')).toMatchObject({ ready: 17, delayed: 6, running: 7 });
  expect(truth.get('window/loud')).toMatchObject({ ready: 0, delayed: 10, oldestReady: null });
  expect(truth.get('both/Default')).toMatchObject({ ready: 5, delayed: 5 });
  const waits = sample.databaseTimeMs - (tenantOf(sample, 'window/quiet').oldestReady?.readyAtMs ?? NaN);
  expect(waits).toBeGreaterThan(175_000);
  expect(waits).toBeLessThan(240_000);
});

describe('pauses', () => {
  test("Queen's own stops every tenant, and its end none", async () => {
    await queenMessages(root, await queenPartition(root, 'a'), 2);
    await queenPartition(root, 'b');
    await root.query(
      `INSERT INTO queen.system_state VALUES ('pop_maintenance_mode', '{"enabled": true}', ${ago(30)}), ('maintenance_mode', '{"enabled": true}', now())`,
    );
    await using source = queenSource(pg, reader);
    const paused = await source.snapshot(never);
    expect(paused.tenants.map((tenant) => tenant.paused?.by)).toEqual(['Queen', 'Queen']);
    expect(tenantOf(paused, 'a/Default').ready).toEqual({ value: 2, kind: 'exact' });
    expect(paused.databaseTimeMs - (paused.tenants[0]?.paused?.sinceMs ?? 0)).toBeGreaterThanOrEqual(30_000);
    await root.query(`UPDATE queen.system_state SET value = '{"enabled": false}'`);
    expect((await source.snapshot(never)).tenants.map((tenant) => tenant.paused)).toEqual([null, null]);
  });

  test('a parking lease stops its tenant, and names its operation; one that ran out stops nobody', async () => {
    for (const name of ['parked', 'over', 'half']) {
      const partition = await queenPartition(root, 'p', name);
      await queenMessages(root, partition, 5);
      await root.query(
        `INSERT INTO queen.partition_consumers (partition_id, worker_id, lease_acquired_at, lease_expires_at, batch_size)
         VALUES ($1, 'headway-pause:op-7', ${ago(60)}, $2::timestamptz, 0)`,
        [partition, name === 'over' ? '2020-01-01' : '2036-01-01'],
      );
      if (name === 'half') await queen.pop(partition, { group: 'g', size: 1 });
    }
    const sample = await snapshot();
    const truth = await expectExact(root, sample);
    expect(truth.get('p/parked')).toMatchObject({ ready: 5, running: 0, lastStartedAtMs: null });
    const pauseOf = (id: string) => tenantOf(sample, id).paused;
    expect(pauseOf('p/parked')).toMatchObject({ by: 'Headway', reason: 'operation op-7' });
    expect(sample.databaseTimeMs - (pauseOf('p/parked')?.sinceMs ?? 0)).toBeGreaterThanOrEqual(60_000);
    expect(pauseOf('p/half')?.reason).toBe('operation op-7, 1 of 2 consumer groups');
    expect(pauseOf('p/over')).toBeNull();
    // A parked lease is nobody's work.
    expect(sample.workers.busy).toBe(1);
  });
});

test('more than is counted is "at least", and a batch too long to walk past bounds what is behind it', async () => {
  const deep = await queenPartition(root, 'deep');
  await queenMessages(root, deep, 900, '5000 - n');
  const dead = await queenPartition(root, 'dead');
  await queenMessages(root, dead, 300);
  await root.query(
    'INSERT INTO queen.dead_letter_queue (message_id, partition_id, consumer_group) SELECT id, partition_id, $2 FROM queen.messages WHERE partition_id = $1',
    [dead, 'g'],
  );
  for (const [name, expires] of [
    ['long', 3600],
    ['long, over', -60],
  ] as const) {
    const long = await queenPartition(root, name);
    await queenMessages(root, long, 3000, '5000 - n');
    await queen.pop(long, { size: 2500 });
    // Half of what is behind the batch came after it began.
    await root.query(
      `UPDATE queen.partition_consumers SET lease_acquired_at = ${ago(2250)}, lease_expires_at = now() + $2 * interval '1 s' WHERE partition_id = $1`,
      [long, expires],
    );
  }
  const sample = await snapshot();
  await expectHolds(root, sample);
  expect(tenantOf(sample, 'deep/Default')).toMatchObject({
    ready: { value: 201, kind: 'at-least' },
    oldestReady: { bound: 'exact' },
  });
  expect(tenantOf(sample, 'dead/Default').dead).toEqual({ value: 201, kind: 'at-least' });
  expect(tenantOf(sample, 'long/Default')).toMatchObject({
    running: { value: 1000, kind: 'at-least' },
    oldestReady: { bound: 'at-least' },
  });
  expect(tenantOf(sample, 'long, over/Default')).toMatchObject({
    running: { value: 0, kind: 'exact' },
    oldestReady: { bound: 'at-least' },
  });
});

test('random partitions, groups, cursors, leases and delays: every number is true', async () => {
  let seed = 20_260;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let i = 0; i < 60; i++) {
    const settings = {
      retry_limit: random(2),
      delayed_processing: [0, 0, 90][random(3)],
      window_buffer: [0, 0, 0, 100][random(4)],
    };
    const partition = await queenPartition(root, `queue ${i % 13}`, `partition ${i}`, i < 13 ? settings : {});
    const count = random(60);
    await queenMessages(root, partition, count, `(${count} - n) * ${1 + random(9)} + ${random(200)}`);
    for (const group of ['__QUEUE_MODE__', 'a', ODD].slice(0, random(4))) {
      for (let round = random(4); round > 0; round--) {
        const batch = await queen.pop(partition, { group, size: 1 + random(12), leaseS: 300 });
        const turn = random(4);
        if (batch && turn < 2) await queen.ack(batch);
        else if (batch && turn === 2) await queen.fail(batch, 'random');
        else if (batch) await queen.ack(batch, random(batch.messages.length + 1));
      }
      if (random(3) === 0)
        await root.query(
          `UPDATE queen.partition_consumers SET lease_expires_at = lease_acquired_at - $3 * interval '1 s', lease_acquired_at = lease_acquired_at - interval '400 s'
            WHERE partition_id = $1 AND consumer_group = $2 AND lease_expires_at IS NOT NULL`,
          [partition, group, random(300)],
        );
    }
  }
  const truth = await expectExact(root, await snapshot());
  const sum = (of: 'ready' | 'delayed' | 'running' | 'dead') =>
    [...truth.values()].reduce((all, one) => all + one[of], 0);
  // The data hold some of everything.
  for (const state of ['ready', 'delayed', 'running', 'dead'] as const)
    expect(sum(state), state).toBeGreaterThan(9);
});

test('while consumers work, each message is in one state, and none before it was there', async () => {
  const partitions: string[] = [];
  for (let i = 0; i < 4; i++) {
    partitions.push(await queenPartition(root, 'busy', `p${i}`, { retry_limit: 2 }));
    await queenMessages(root, partitions[i] ?? '', 150, '100 - n * 0.1');
  }
  const [stopped, worker] = [new AbortController(), await pg.connect()];
  const client = new QueenClient(worker);
  const consume = async () => {
    for (let i = 0; !stopped.signal.aborted; i++) {
      const partition = partitions[i % 4] ?? '';
      const batch = await client.pop(partition, { size: 3 });
      if (batch && i % 3 === 0) await client.fail(batch, 'now and then');
      else if (batch) await client.ack(batch);
    }
  };
  const working = consume();
  try {
    await using source = queenSource(pg, reader);
    let before = 0;
    for (let i = 0; i < 25; i++) {
      const sample = await source.snapshot(never);
      for (const { ready, running, dead, attemptsTotal, oldestReady, lastStartedAtMs } of sample.tenants) {
        const seen = ready.value + running.value + (attemptsTotal ?? NaN);
        // Dead letters are counted a moment later than the rest.
        expect(seen).toBeLessThanOrEqual(150);
        expect(seen + (dead?.value ?? NaN)).toBeGreaterThanOrEqual(150);
        for (const at of [oldestReady?.readyAtMs, lastStartedAtMs])
          expect(at ?? 0).toBeLessThanOrEqual(sample.databaseTimeMs);
      }
      const all = sample.tenants.reduce((sum, tenant) => sum + (tenant.attemptsTotal ?? NaN), 0);
      expect(all).toBeGreaterThanOrEqual(before);
      before = all;
    }
    expect(before).toBeGreaterThan(0);
  } finally {
    stopped.abort();
    await working;
    await worker.end();
  }
  const sample = await snapshot();
  expect(await bruteForce(root, sample.databaseTimeMs)).toBeDefined();
  await expectExact(root, sample);
});
