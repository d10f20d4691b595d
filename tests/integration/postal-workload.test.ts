// The simulated Postal behaves as the real one: its statements, its order, its losses and its log.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMariaDb } from '../harness/mariadb.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import { BURSTING_ID, incident1Servers, MAILFLOW_ID, playIncident1 } from '../harness/postal-incident.ts';
import { createPostal, quote, withPostal } from '../harness/postal-schema.ts';
import type { Postal } from '../harness/postal-schema.ts';
import type { ServiceModel } from '../harness/postal-service.ts';
import type { Attempt } from '../harness/postal-worker.ts';
import { PostalWorkload } from '../harness/postal-workload.ts';
import { tempDir } from '../harness/temp.ts';

let db: MariaDb;
let count = 0;
beforeAll(async () => {
  db = await startMariaDb();
});
afterAll(() => db[Symbol.asyncDispose]());

/** A Postal of its own on the shared server. */
function newPostal(servers = [1, 2, 3]): Promise<Postal> {
  const name = `postal${++count}`;
  return createPostal(db, {
    database: name,
    messageDatabasePrefix: `${name}-server-`,
    servers: servers.map((id) => ({ id, name: `server ${id}` })),
  });
}

const quick: ServiceModel = () => ({ meanMs: { load: 1, inspect: 1, dkim: 1, deliver: 4 }, failureRate: 0 });

async function query(postal: Postal, sql: string): Promise<RowDataPacket[]> {
  return withPostal(postal, async (connection) => (await connection.query<RowDataPacket[]>(sql))[0]);
}

/** What the server was asked in the queue's name while `work` ran, with values as `?`. */
async function statements(postal: Postal, work: () => Promise<void>): Promise<string[]> {
  await query(
    postal,
    "SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1",
  );
  try {
    await work();
  } finally {
    await query(postal, 'SET GLOBAL general_log = 0');
  }
  const rows = await query(
    postal,
    `SELECT CONVERT(argument USING utf8mb4) AS sql_text FROM mysql.general_log
      WHERE command_type = 'Query' AND argument LIKE '%queued_messages%' ORDER BY event_time`,
  );
  return rows.map((row) =>
    String(row['sql_text'])
      .replaceAll(/'[^']*'/g, '?')
      .replaceAll(/(!?=) \d+/g, '$1 ?')
      .replaceAll(/\s+/g, ' '),
  );
}

const CLAIM =
  'UPDATE queued_messages SET locked_by = ?, locked_at = ? WHERE (ip_address_id IS NULL) ' +
  'AND locked_by IS NULL AND locked_at IS NULL AND (retry_after IS NULL OR retry_after < ?) LIMIT 1';
const OBTAIN = 'SELECT * FROM queued_messages WHERE locked_by = ? AND locked_at = ?';
const LOCK_BATCH =
  'UPDATE queued_messages SET locked_by = ?, locked_at = ? WHERE (retry_after IS NULL OR retry_after < ?) ' +
  'AND batch_key = ? AND ip_address_id IS NULL AND locked_by IS NULL AND locked_at IS NULL LIMIT 100';
const OBTAIN_BATCH =
  'SELECT * FROM queued_messages WHERE batch_key = ? AND ip_address_id IS NULL ' +
  'AND locked_by = ? AND locked_at = ? AND id != ?';
const REMOVE = 'DELETE FROM queued_messages WHERE id = ?';

describe('claiming', () => {
  test.each([
    { batching: false, expected: [CLAIM, OBTAIN, REMOVE, CLAIM, OBTAIN, REMOVE] },
    { batching: true, expected: [CLAIM, OBTAIN, LOCK_BATCH, OBTAIN_BATCH, REMOVE, REMOVE] },
  ])('the server sees the statements of Postal (batching: $batching)', async ({ batching, expected }) => {
    const postal = await newPostal();
    await using sender = new PostalWorkload({ postal, threads: 0 });
    await sender.enqueue(1, { domain: () => 'one.example' });
    await sender.enqueue(2, { domain: () => 'one.example' });
    const seen = await statements(postal, async () => {
      await using worker = new PostalWorkload({ postal, threads: 1, service: quick, batching, speed: 50 });
      await worker.drained();
      await worker.stop();
    });
    expect(seen.filter((sql) => !sql.startsWith('SELECT 1')).slice(0, expected.length)).toEqual(expected);
  });

  test('a batch crosses servers, its leader has a suffix of 16 digits, its followers share one lock', async () => {
    const postal = await newPostal();
    const forever: ServiceModel = () => ({
      meanMs: { load: 0, inspect: 0, dkim: 0, deliver: 3.6e6 },
      failureRate: 0,
    });
    await using sender = new PostalWorkload({ postal, threads: 0 });
    for (const server of [1, 2, 3]) await sender.enqueue(server, { domain: () => 'one.example' });
    await sender.enqueue(1, { domain: () => 'other.example' });
    await sender.enqueue(1, { domain: () => 'one.example', ipAddressId: 5 });
    const worker = new PostalWorkload({ postal, threads: 1, service: forever });
    await expect
      .poll(() => query(postal, 'SELECT 1 FROM queued_messages WHERE locked_at IS NULL'))
      .toHaveLength(2);
    // Killed in the middle: what it held stays locked, as after a crash of the real worker.
    await worker[Symbol.asyncDispose]();
    const rows = await query(
      postal,
      'SELECT server_id, locked_by, locked_at FROM queued_messages ORDER BY id',
    );
    const [leader, second, third, other, otherIp] = rows;
    expect(leader?.['locked_by']).toMatch(/^host:worker-1 pid:4711 thread:1000 [0-9a-f]{16}$/);
    expect(second?.['locked_by']).toBe('host:worker-1 pid:4711 thread:1000');
    expect(third).toEqual({ ...second, server_id: 3 });
    expect([other?.['locked_at'], otherIp?.['locked_at']]).toEqual([null, null]);
  });

  test('only the addresses of its own host are served', async () => {
    const postal = await newPostal();
    await using sender = new PostalWorkload({ postal, threads: 0 });
    const attempts: Attempt[] = [];
    const [foreign] = await sender.enqueue(1, { ipAddressId: 8 });
    const [own] = await sender.enqueue(2, { ipAddressId: 9 });
    await using worker = new PostalWorkload({
      postal,
      ipAddressIds: [9],
      service: quick,
      speed: 50,
      onAttempt: (attempt) => attempts.push(attempt),
    });
    await expect.poll(() => attempts.map(({ queueId }) => queueId)).toEqual([own?.queueId]);
    await worker.stop();
    expect(await query(postal, 'SELECT id FROM queued_messages')).toEqual([{ id: foreign?.queueId }]);
  });
});

describe('delivering', () => {
  test.each([{ batching: false }, { batching: true }])(
    'every message is delivered exactly once (batching: $batching)',
    async ({ batching }) => {
      const postal = await newPostal();
      await using workload = new PostalWorkload({
        postal,
        threads: 8,
        service: quick,
        batching,
        speed: 50,
        arrivals: [{ serverId: 3, perSecond: 1 }],
      });
      await Promise.all([
        workload.enqueue(1, { count: 120 }),
        workload.enqueue(2, { count: 120, domain: () => 'one.example' }),
      ]);
      await workload.drained();
      await workload.stop();
      for (const server of [1, 2, 3]) {
        const messages = quote(`${postal.messageDatabasePrefix}${server}`);
        const [row] = await query(
          postal,
          `SELECT COUNT(*) AS messages, SUM(m.status = 'Sent') AS sent, MIN(d.n) AS fewest, MAX(d.n) AS most
             FROM ${messages}.messages m
             LEFT JOIN (SELECT message_id, COUNT(*) AS n FROM ${messages}.deliveries GROUP BY message_id) d
               ON d.message_id = m.id
            WHERE NOT EXISTS (SELECT 1 FROM queued_messages q WHERE q.server_id = ${server} AND q.message_id = m.id)`,
        );
        if (server !== 3) expect(row?.['messages']).toBe(120);
        expect(Number(row?.['messages'])).toBeGreaterThan(0);
        expect(row).toMatchObject({ sent: String(row?.['messages']), fewest: 1, most: 1 });
      }
    },
  );

  test('a soft failure waits 1.3^attempts × 5 min and the eighteenth is hard', async () => {
    const postal = await newPostal([1]);
    const failing: ServiceModel = () => ({
      ...quick({ serverId: 1, domain: '', sizeBytes: 0 }),
      failureRate: 1,
    });
    const attempts: Attempt[] = [];
    await using sender = new PostalWorkload({ postal, threads: 0 });
    const [fresh] = await sender.enqueue(1);
    const [worn] = await sender.enqueue(1);
    await query(postal, `UPDATE queued_messages SET attempts = 17 WHERE id = ${worn?.queueId ?? 0}`);
    await using workload = new PostalWorkload({
      postal,
      service: failing,
      batching: false,
      onAttempt: (attempt) => attempts.push(attempt),
    });
    await workload.drained();
    await workload.stop();
    expect(attempts.map(({ queueId, status }) => [queueId, status])).toEqual(
      expect.arrayContaining([
        [fresh?.queueId, 'SoftFail'],
        [worn?.queueId, 'HardFail'],
      ]),
    );
    const rows = await query(
      postal,
      `SELECT id, attempts, locked_by, TIMESTAMPDIFF(SECOND, created_at, retry_after) AS wait FROM queued_messages`,
    );
    expect(rows).toEqual([
      { id: fresh?.queueId, attempts: 1, locked_by: null, wait: expect.any(Number) as number },
    ]);
    expect(rows[0]?.['wait']).toBeGreaterThanOrEqual(299);
    expect(rows[0]?.['wait']).toBeLessThan(330);
    const statuses = await query(
      postal,
      `SELECT status FROM ${postal.messageDatabase(1)}.messages ORDER BY id`,
    );
    expect(statuses).toEqual([{ status: 'SoftFail' }, { status: 'HardFail' }]);
  });

  test('work goes on after the database was restarted in place', async () => {
    await using own = await startMariaDb();
    const postal = await createPostal(own, { servers: [{ id: 1, name: 'one' }] });
    const attempts: Attempt[] = [];
    await using workload = new PostalWorkload({
      postal,
      service: quick,
      speed: 50,
      onAttempt: (attempt) => attempts.push(attempt),
    });
    await workload.enqueue(1);
    await expect.poll(() => attempts.length).toBe(1);
    await own.stop();
    await own.start();
    await workload.enqueue(1);
    await expect.poll(() => attempts.length).toBe(2);
  });

  test('a mistake in the workload surfaces instead of hanging the test', async () => {
    const postal = await newPostal([1]);
    const workload = new PostalWorkload({ postal, service: quick, speed: 50 });
    await query(postal, 'DROP TABLE queued_messages');
    await expect
      .poll(() => workload.drained().catch((error: unknown) => String(error)))
      .toMatch('the workload failed');
    await expect(workload.stop()).rejects.toThrow('the workload failed');
  });

  test('each attempt has one [TIMING] line in the format of the log, with tags after the JSON', async () => {
    const postal = await newPostal();
    await using dir = await tempDir('log');
    const logFile = join(dir.path, 'worker.log');
    const attempts: Attempt[] = [];
    await using sender = new PostalWorkload({ postal, threads: 0 });
    await sender.enqueue(1, { count: 5, sizeBytes: 4_321, domain: () => 'one.example' });
    await sender.enqueue(2);
    await using workload = new PostalWorkload({
      postal,
      logFile,
      service: ({ serverId }) => ({
        ...quick({ serverId, domain: '', sizeBytes: 0 }),
        failureRate: serverId === 2 ? 1 : 0,
      }),
      onAttempt: (attempt) => attempts.push(attempt),
    });
    await workload.drained();
    await workload.stop();
    const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 INFO {4}\S/);
    const timings = lines
      .map(
        (line) => /\[TIMING\] (\{.*\}) component=worker thread=work\d .*queued_message=\d+$/.exec(line)?.[1],
      )
      .filter((json) => json !== undefined)
      .map((json) => JSON.parse(json) as Record<string, unknown>);
    expect(timings.map((timing) => timing['queue_id'])).toEqual(attempts.map(({ queueId }) => queueId));
    expect(timings).toHaveLength(6);
    const [first] = timings;
    expect(Object.keys(first ?? {})).toEqual(
      (
        'message_id server_id queue_id domain start_time message_size ' +
        'load_ms inspect_ms dkim_ms deliver_ms total_ms status error'
      ).split(' '),
    );
    expect(first).toMatchObject({
      server_id: 1,
      domain: 'one.example',
      message_size: 4_321,
      status: 'success',
      error: null,
    });
    for (const timing of timings) {
      const stages = ['load_ms', 'inspect_ms', 'dkim_ms', 'deliver_ms'].map((stage) => Number(timing[stage]));
      // Both are rounded to the clock's millisecond at their ends.
      expect(Number(timing['total_ms'])).toBeGreaterThanOrEqual(stages.reduce((a, b) => a + b) - 2);
    }
    expect(timings.find((timing) => timing['server_id'] === 2)).toMatchObject({
      status: 'error',
      error: /^451/,
    });
  });
});

describe('incident 1', () => {
  test('mailflow waits until the burst that came before it is worked off', async () => {
    const postal = await createPostal(db, {
      database: 'incident',
      messageDatabasePrefix: 'incident-server-',
      servers: [...incident1Servers],
    });
    const attempts: Attempt[] = [];
    await using incident = await playIncident1({
      postal,
      speed: 100,
      burstAtStart: false,
      backgroundPerSecond: 0,
      mailflowEverySeconds: 0,
      onAttempt: (attempt) => attempts.push(attempt),
    });
    const { burst, mailflow } = await incident.burst();
    await incident.workload.drained();
    await incident.stop();
    expect(burst).toHaveLength(50);
    expect(attempts).toHaveLength(51);
    const checked = attempts.find(({ queueId }) => queueId === mailflow.queueId);
    if (checked === undefined) throw new Error('the monitoring message was not delivered');
    expect(checked.serverId).toBe(MAILFLOW_ID);
    const neighbours = attempts.filter(({ serverId }) => serverId === BURSTING_ID);
    // All 50 were started before it: the order of the claims, not the speed, is what is asserted.
    expect(neighbours.filter(({ startedAtMs }) => startedAtMs <= checked.startedAtMs)).toHaveLength(50);
    expect(
      neighbours.filter(({ finishedAtMs }) => finishedAtMs <= checked.startedAtMs).length,
    ).toBeGreaterThanOrEqual(49);
  });
});
