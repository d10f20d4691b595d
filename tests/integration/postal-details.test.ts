// Lists, a job's page and the locks of a Postal, against a real MariaDB and compared with all rows.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobList, JobsPage, QueueJob } from '../../src/contract/queue-jobs.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader, type Postal, type Reader } from '../harness/postal-schema.ts';
import { never, sourceFor } from './postal-source-fixture.ts';

let db: MariaDb;
let root: Connection;
let postal: Postal;
let reader: Reader;

beforeAll(async () => {
  db = await startMariaDb({ args: ['--default-time-zone=+05:30'] });
  postal = await createPostal(db, {
    servers: [1, 2, 3].map((id) => ({ id, name: `server ${id}` })),
  });
  reader = await createReader(postal);
  root = await db.connect('postal');
});
afterAll(async () => {
  await root.end();
  await db[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await root.query('TRUNCATE queued_messages');
  for (const { id } of postal.servers)
    await root.query(
      `TRUNCATE ${postal.messageDatabase(id)}.messages; TRUNCATE ${postal.messageDatabase(id)}.deliveries`,
    );
});

/** Every page of a list, by its cursors. */
async function pages(
  source: Source,
  list: JobList,
  tenantId: string | null,
  limit: number,
): Promise<JobsPage[]> {
  const all: JobsPage[] = [];
  for (let after: string | null = null; ;) {
    const page = await source.details.jobs({ list, tenantId, after, limit }, never);
    all.push(page);
    if (page.next === null) return all;
    after = page.next;
  }
}
const jobsOf = (all: readonly JobsPage[]): QueueJob[] => all.flatMap(({ jobs }) => jobs);

/** Ids of a state by brute force, in the order of the list: what has waited, or run, longest comes first. */
async function idsBy(where: string, order: string, serverId: number | null): Promise<string[]> {
  const [rows] = await root.query<RowDataPacket[]>(
    `SELECT id FROM queued_messages WHERE (${where}) ${serverId === null ? '' : `AND server_id = ${serverId}`} ORDER BY ${order}, id`,
  );
  return rows.map((row) => String(row['id']));
}
const truth: Record<'ready' | 'delayed' | 'running', [where: string, order: string]> = {
  ready: [
    'locked_by IS NULL AND locked_at IS NULL AND (retry_after IS NULL OR retry_after < UTC_TIMESTAMP())',
    'GREATEST(created_at, COALESCE(retry_after, created_at))',
  ],
  delayed: ['locked_by IS NULL AND locked_at IS NULL AND retry_after >= UTC_TIMESTAMP()', 'retry_after'],
  running: ['locked_by IS NOT NULL OR locked_at IS NOT NULL', `COALESCE(locked_at, '1970-01-02')`],
};

/** Rows of every state, for three servers in turn; a minute lies between now and any retry time. */
async function fill(rows: number): Promise<void> {
  await root.query(
    `INSERT INTO queued_messages (server_id, message_id, created_at, attempts, retry_after, locked_at, locked_by)
     SELECT 1 + MOD(n, 3), n, UTC_TIMESTAMP(6) - INTERVAL (${rows} - n) SECOND - INTERVAL 1 HOUR, MOD(n, 19),
            CASE MOD(n, 7) WHEN 1 THEN UTC_TIMESTAMP() - INTERVAL 1 + MOD(n * 31, 50) MINUTE
                           WHEN 2 THEN UTC_TIMESTAMP() + INTERVAL 1 + MOD(n * 31, 500) MINUTE END,
            IF(MOD(n, 11) = 3 AND MOD(n, 7) > 2, UTC_TIMESTAMP(6) - INTERVAL MOD(n * 17, 2000) MINUTE, NULL),
            IF(MOD(n, 11) = 3 AND MOD(n, 7) > 2, CONCAT('host:a pid:', MOD(n, 5), ' thread:1'), NULL)
       FROM (SELECT seq AS n FROM seq_0_to_${rows - 1}) numbers ORDER BY n`,
  );
}

describe('lists of the queue', () => {
  test.each(['ready', 'delayed', 'running'] as const)(
    '%s: all of it, in order, page by page',
    async (list) => {
      await fill(3_000);
      await using source = sourceFor(db, reader);
      for (const serverId of [2, null]) {
        const all = await pages(source, list, serverId === null ? null : String(serverId), 20);
        expect(jobsOf(all).map(({ id }) => id)).toEqual(await idsBy(...truth[list], serverId));
        expect(all.length).toBeGreaterThan(2);
        expect(all.every(({ jobs }) => jobs.length <= 20)).toBe(true);
      }
    },
  );

  test('a queue longer than one look through it is listed whole, none twice', async () => {
    await fill(45_000);
    await using source = sourceFor(db, reader);
    const ids = jobsOf(await pages(source, 'running', null, 500)).map(({ id }) => id);
    const expected = await idsBy(...truth.running, null);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.toSorted()).toEqual(expected.toSorted());
  });

  test('a page reads no more of a queue a hundred times as long', async () => {
    await using source = sourceFor(db, reader);
    const reads = async (rows: number) => {
      await root.query('TRUNCATE queued_messages');
      await fill(rows);
      const before = await handlerReads();
      await source.details.jobs({ list: 'delayed', tenantId: '2', after: null, limit: 50 }, never);
      return (await handlerReads()) - before;
    };
    await source.details.capabilities(never);
    const small = await reads(2_000);
    expect(small).toBeGreaterThan(600);
    // 20,000 rows looked through, written to a temporary table and read again.
    expect(await reads(200_000)).toBeLessThan(70_000);
  });

  test('a job says what its row says', async () => {
    await root.query(
      `INSERT INTO queued_messages (id, server_id, message_id, created_at, attempts, retry_after, locked_at, locked_by, domain)
       VALUES (7, 2, 70, '2026-01-02 03:04:05.678', 3, '2026-01-02 04:00:00', '2026-01-02 05:00:00.25', 'host:a pid:1 thread:2', 'a.example')`,
    );
    await root.query(
      `INSERT INTO ${postal.messageDatabase(2)}.deliveries (message_id, status, code, output, details, timestamp)
       VALUES (70, 'SoftFail', 451, 'try again', 'Temporary problem.', 1767326645.5), (71, 'Sent', 250, 'ok', '', 1767326645)`,
    );
    await using source = sourceFor(db, reader);
    const detail = await source.details.job('7', never);
    expect(detail?.job).toEqual({
      id: '7',
      tenantId: '2',
      kind: null,
      state: 'running',
      stateWord: 'locked',
      createdAtMs: Date.parse('2026-01-02T03:04:05.678Z'),
      readyAtMs: Date.parse('2026-01-02T04:00:00Z'),
      startedAtMs: Date.parse('2026-01-02T05:00:00.250Z'),
      finishedAtMs: null,
      attempts: 3,
      maxAttempts: 18,
      priority: null,
      owner: 'host:a pid:1 thread:2',
      stale: true,
      error: 'Temporary problem. try again',
    });
    expect(detail?.attempts).toEqual([
      {
        attempt: null,
        atMs: 1_767_326_645_500,
        error: 'SoftFail: Temporary problem. try again',
        owner: null,
      },
    ]);
    expect(detail?.fields).toContainEqual({ name: 'domain', value: 'a.example' });
    expect(detail?.fields).toContainEqual({ name: 'batch_key', value: null });
    expect(await source.details.job('8', never)).toBeNull();
    expect(await source.details.job("7' OR 1=1 --", never)).toBeNull();
  });

  test('locks: the oldest first, stale ones told, the rest counted', async () => {
    await fill(3_000);
    await using source = sourceFor(db, reader);
    const { locks, more, rule } = await source.details.locks({ tenantId: '1', limit: 20 }, never);
    expect(locks.map(({ jobId }) => jobId)).toEqual((await idsBy(...truth.running, 1)).slice(0, 20));
    expect(locks[0]).toMatchObject({ tenantId: '1', stale: true, beatAtMs: null });
    expect(locks[0]?.expiresAtMs).toBe((locks[0]?.lockedAtMs ?? 0) + 24 * 3_600_000);
    expect(more).toBe(true);
    expect(rule).toContain('24 h');
  });
});

describe('messages that left the queue', () => {
  beforeEach(async () => {
    const database = postal.messageDatabase(2);
    await root.query(
      `INSERT INTO ${database}.messages (id, status, held, timestamp, last_delivery_attempt)
       SELECT n, ELT(1 + MOD(n, 3), 'Sent', 'HardFail', 'Pending'), MOD(n, 3) = 2 AND MOD(n, 2) = 0, 1767326645 + n, 1767326700 + n
         FROM (SELECT seq AS n FROM seq_1_to_500) numbers`,
    );
    await root.query(
      `INSERT INTO ${database}.deliveries (message_id, status, code, output, details, timestamp)
       SELECT n, 'HardFail', 550, CONCAT('no such user ', n), 'Permanent failure.', 1767326700 + n
         FROM (SELECT seq AS n FROM seq_1_to_500) numbers WHERE MOD(n, 3) = 1`,
    );
  });

  test('dead mail, the newest first, with what the other side said', async () => {
    await using source = sourceFor(db, reader);
    const jobs = jobsOf(await pages(source, 'dead', '2', 50));
    const expected = Array.from({ length: 500 }, (_, i) => 500 - i).filter((n) => n % 3 === 1);
    expect(jobs.map(({ id }) => id)).toEqual(expected.map((n) => `2/${n}`));
    expect(jobs[0]).toMatchObject({
      state: 'dead',
      error: `Permanent failure. no such user ${expected[0]}`,
      finishedAtMs: (1_767_326_700 + (expected[0] ?? 0)) * 1000,
    });
    const detail = await source.details.job(`2/${expected[0]}`, never);
    expect(detail?.job.state).toBe('dead');
    expect(detail?.attempts).toHaveLength(1);
    expect(await source.details.job('2/9999', never)).toBeNull();
  });

  test('held mail, the oldest first', async () => {
    await using source = sourceFor(db, reader);
    const jobs = jobsOf(await pages(source, 'held', '2', 30));
    const expected = Array.from({ length: 500 }, (_, i) => i + 1).filter((n) => n % 3 === 2 && n % 2 === 0);
    expect(jobs.map(({ id }) => id)).toEqual(expected.map((n) => `2/${n}`));
  });

  test('asks for a server, and says which grant is missing', async () => {
    await using source = sourceFor(db, reader);
    const everywhere = await source.details.jobs(
      { list: 'dead', tenantId: null, after: null, limit: 10 },
      never,
    );
    expect(everywhere).toMatchObject({ jobs: [], next: null });
    expect(everywhere.note).toContain('Choose a server');
    await root.query(`CREATE USER 'narrow'@'%' IDENTIFIED BY 'n'; GRANT SELECT ON postal.* TO 'narrow'@'%'`);
    await using narrow = sourceFor(db, { user: 'narrow', password: 'n' });
    const page = await narrow.details.jobs({ list: 'held', tenantId: '2', after: null, limit: 10 }, never);
    expect(page.jobs).toEqual([]);
    expect(page.note).toContain('GRANT SELECT ON `postal-server-2`.* TO');
    await root.query(
      `INSERT INTO queued_messages (id, server_id, message_id, created_at) VALUES (1, 2, 3, UTC_TIMESTAMP(6))`,
    );
    const detail = await narrow.details.job('1', never);
    expect(detail?.fields.at(-1)?.value).toContain('GRANT SELECT');
  });
});

describe('what is not there', () => {
  test('blocked mail does not exist in Postal', async () => {
    await using source = sourceFor(db, reader);
    const page = await source.details.jobs(
      { list: 'blocked', tenantId: null, after: null, limit: 10 },
      never,
    );
    expect(page).toEqual({ jobs: [], next: null, note: expect.stringContaining('no other mail') as string });
  });

  test.each([
    ['a cursor of another list', { after: '{"priority":3}', tenantId: '1' }],
    ['a cursor that is no JSON', { after: "'; DROP TABLE", tenantId: '1' }],
    ['a tenant that is no number', { after: null, tenantId: '1 OR 1=1' }],
  ])('refuses %s', async (_what, change) => {
    await using source = sourceFor(db, reader);
    await expect(source.details.jobs({ list: 'ready', limit: 10, ...change }, never)).rejects.toMatchObject({
      code: 'bad-request',
    });
  });

  test('a lost session is replaced', async () => {
    await fill(10);
    await using source = sourceFor(db, reader);
    await source.details.capabilities(never);
    const [threads] = await root.query<RowDataPacket[]>(
      `SELECT id FROM information_schema.processlist WHERE user = '${reader.user}'`,
    );
    for (const { id } of threads as { id: number }[]) await root.query(`KILL ${id}`);
    const ask = () => source.details.jobs({ list: 'ready', tenantId: null, after: null, limit: 5 }, never);
    const first = await ask().catch((error: unknown) => error);
    if (first instanceof Error) expect(first).toMatchObject({ code: 'unreachable' });
    expect((await ask()).jobs.length).toBeGreaterThan(0);
  });
});

async function handlerReads(): Promise<number> {
  const [rows] = await root.query<RowDataPacket[]>(
    `SELECT SUM(VARIABLE_VALUE) AS n FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME LIKE 'Handler_read%'`,
  );
  return Number(rows[0]?.['n']);
}
