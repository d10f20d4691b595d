// The health of MariaDB: each condition is produced by real sessions, and found.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { databaseHealthSchema } from '../../src/contract/database-health.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { readMysqlHealth } from '../../src/main/sources/health/mysql-health.ts';
import { MysqlSession } from '../../src/main/sources/mysql-session.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';
import { until } from '../harness/until.ts';

const never = new AbortController().signal;
const JOBS = '`s-1`.`Jobs`';
let maria: MariaDb;
let root: Connection;

beforeAll(async () => {
  // InnoDB tells times in the system's zone, not in the session's: half an hour off shows a forgotten conversion.
  const zone = process.env['TZ'];
  process.env['TZ'] = 'Asia/Kolkata';
  maria = await startMariaDb({ args: ['--max-connections=12', '--log-bin=changes', '--server-id=1'] });
  process.env['TZ'] = zone;
  root = await maria.connect();
  await root.query(
    `CREATE DATABASE \`s-1\`; USE \`s-1\`;
     CREATE USER reader@'%' IDENTIFIED BY 'pass'; GRANT SELECT ON \`s-1\`.* TO reader@'%';
     CREATE USER monitor@'%' IDENTIFIED BY 'pass'; GRANT SELECT ON \`s-1\`.* TO monitor@'%';
     GRANT PROCESS, SLAVE MONITOR ON *.* TO monitor@'%'`,
  );
});
afterAll(async () => {
  await root.end();
  await maria[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await root.query(
    `DROP TABLE IF EXISTS ${JOBS}; CREATE TABLE ${JOBS} (id int PRIMARY KEY, state varchar(20)) ENGINE=InnoDB;
     INSERT INTO ${JOBS} SELECT seq, 'queued' FROM seq_1_to_20`,
  );
});

function open(
  user: 'reader' | 'monitor' = 'monitor',
  { host, port }: { host: string; port: number } = maria,
) {
  const settings = databaseSchema.parse({ host, port, user, database: 's-1' });
  return MysqlSession.open({ settings, password: 'pass', statementTimeoutMs: 3_000 }, never);
}

async function health(user?: 'reader' | 'monitor', server?: { host: string; port: number }) {
  await using session = await open(user, server);
  return await read(session);
}

/** InnoDB gives out its list of transactions anew only when nobody has asked for 0.1 s. */
async function read(session: MysqlSession) {
  await sleep(120);
  return databaseHealthSchema.parse(
    await readMysqlHealth(session, { tables: [JOBS], statements: [] }, Date.now, never),
  );
}

/** A session that ends, whatever it waits for. */
async function application(): Promise<{ client: Connection; id: number } & AsyncDisposable> {
  const client = await maria.connect('s-1');
  client.on('error', () => undefined);
  const [rows] = await client.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
  const id = Number(rows[0]?.['id']);
  return {
    client,
    id,
    async [Symbol.asyncDispose]() {
      await root.query(`KILL ${id}`).catch(() => undefined);
      client.destroy();
    },
  };
}

test('nothing is wrong with an idle server', async () => {
  await until(async () => (await health()).connections?.used === 2);
  expect(await health()).toMatchObject({
    server: expect.stringMatching(/^MariaDB \d+\.\d+\.\d+$/) as string,
    connections: { used: 2, max: 12 },
    lockWaits: [],
    slow: [],
    deadRows: null,
    horizon: null,
    replicas: [],
    notes: [],
    findings: [],
  });
});

test('who waits for whom, on what; no literal is shown', async () => {
  await using first = await application();
  await using second = await application();
  await using third = await application();
  await first.client.query(`BEGIN; UPDATE ${JOBS} SET state = 'SECRET' WHERE id = 7`);
  const waits = [
    second.client.query(`UPDATE ${JOBS} SET state = "SECRET" WHERE id = 7`).catch(() => undefined),
  ];
  await until(async () => (await health()).lockWaits.length === 1);
  waits.push(
    third.client.query(`ALTER TABLE ${JOBS} ADD COLUMN pin text DEFAULT 'SECRET'`).catch(() => undefined),
  );
  await until(async () => (await health()).lockWaits.length === 2);
  const { lockWaits, notes } = await health();
  expect(lockWaits).toMatchObject([
    {
      waiting: {
        sessionId: String(second.id),
        user: 'root',
        client: '127.0.0.1',
        text: 'UPDATE `s-1`.`Jobs` SET state = ? WHERE id = ?',
      },
      blockedBy: [{ sessionId: String(first.id), state: 'Sleep' }],
      on: JOBS,
    },
    { waiting: { sessionId: String(third.id), state: 'Waiting for table metadata lock' }, blockedBy: [] },
  ]);
  // Half an hour would be a zone's.
  for (const { waiting, blockedBy } of lockWaits) {
    for (const { forMs } of [waiting, ...blockedBy]) expect(forMs).toBeLessThan(60_000);
  }
  expect(lockWaits[0]?.blockedBy[0]?.forMs).toBeGreaterThan(0);
  expect(JSON.stringify(lockWaits)).not.toContain('SECRET');
  expect(notes).toEqual([]);
  await first.client.query('ROLLBACK');
  await Promise.all(waits);
  expect((await health()).lockWaits).toEqual([]);
});

test('an account without grants learns which, and what it may read all the same', async () => {
  await using first = await application();
  await using second = await application();
  await first.client.query(`BEGIN; UPDATE ${JOBS} SET state = 'x' WHERE id = 7`);
  const waiting = second.client.query(`UPDATE ${JOBS} SET state = 'y' WHERE id = 7`).catch(() => undefined);
  await until(async () => (await health()).lockWaits.length === 1);
  const found = await health('reader');
  expect(found).toMatchObject({ lockWaits: [], slow: [], replicas: null, connections: { max: 12 } });
  expect(found.historyListLength).not.toBeNull();
  expect(found.notes).toEqual([
    expect.stringContaining("GRANT PROCESS ON *.* TO 'reader'@'%'"),
    expect.stringContaining("GRANT PROCESS ON *.* TO 'reader'@'%'"),
    expect.stringContaining("GRANT SLAVE MONITOR ON *.* TO 'reader'@'%'"),
  ]);
  await first.client.query('ROLLBACK');
  await waiting;
});

test('a prepared transaction of XA is found, though it has no session', async () => {
  await using second = await application();
  {
    await using first = await application();
    await first.client.query(
      `XA START 'x'; UPDATE ${JOBS} SET state = 'x' WHERE id = 7; XA END 'x'; XA PREPARE 'x'`,
    );
  }
  const waiting = second.client.query(`UPDATE ${JOBS} SET state = 'y' WHERE id = 7`).catch(() => undefined);
  await until(async () => (await health()).lockWaits.length === 1);
  expect((await health()).lockWaits[0]?.blockedBy).toMatchObject([
    { sessionId: '0', state: 'prepared transaction (XA)' },
  ]);
  await root.query("XA ROLLBACK 'x'");
  await waiting;
});

test('statements that run on the watched tables for over a second, and no others', async () => {
  await root.query('CREATE TABLE IF NOT EXISTS `s-1`.NotJobs AS SELECT 1 AS id');
  await using slow = await application();
  await using other = await application();
  const running = [
    slow.client.query("SELECT SLEEP(60), 'SECRET' FROM Jobs WHERE id = 1"),
    other.client.query("SELECT SLEEP(60), 'jobs' FROM NotJobs"),
  ].map((query) => query.catch(() => undefined));
  await until(async () => (await health()).slow.length > 0);
  const found = await health();
  expect(found.slow).toMatchObject([
    { sessionId: String(slow.id), text: 'SELECT SLEEP(?), ? FROM Jobs WHERE id = ?' },
  ]);
  expect(found.slow[0]?.forMs).toBeGreaterThanOrEqual(1_000);
  for (const { id } of [slow, other]) await root.query(`KILL QUERY ${id}`);
  await Promise.all(running);
  expect((await health()).slow).toEqual([]);
});

test('history that an open snapshot keeps', async () => {
  await using idle = await application();
  await idle.client.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  for (let i = 0; i < 300; i++) await root.query(`UPDATE ${JOBS} SET state = 'state ${i}'`);
  for (const user of ['monitor', 'reader'] as const) {
    const { historyListLength } = await health(user);
    const [rows] = await root.query<RowDataPacket[]>('SHOW ENGINE INNODB STATUS');
    const told = /History list length (\d+)/.exec(String(rows[0]?.['Status']))?.[1];
    expect(historyListLength).toBe(Number(told));
    expect(historyListLength).toBeGreaterThanOrEqual(300);
  }
  await idle.client.query('ROLLBACK');
  await until(async () => ((await health()).historyListLength ?? NaN) < 300);
});

test('connections that run out', async () => {
  await using session = await open();
  await using all = new AsyncDisposableStack();
  // Until the server refuses the next.
  for (let full = false; !full;) {
    try {
      all.use(await open('reader'));
    } catch (error) {
      expect(error).toMatchObject({ code: 'unreachable' });
      full = true;
    }
  }
  const found = await read(session);
  expect(found.connections).toEqual({ used: 12, max: 12, reserved: 0 });
  expect(found.findings).toMatchObject([
    { severity: 'critical', text: expect.stringContaining('12 of the 12') as string },
  ]);
});

test('a replica is seen from both sides, and when it stops', async () => {
  await using replica = await startMariaDb({ args: ['--server-id=2'] });
  const follower = await replica.connect();
  await root.query(
    "CREATE USER IF NOT EXISTS copier@'%' IDENTIFIED BY 'c'; GRANT REPLICATION SLAVE ON *.* TO copier@'%'",
  );
  await follower.query(
    `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${maria.port}, MASTER_USER = 'copier', MASTER_PASSWORD = 'c';
     START SLAVE`,
  );
  const primaries = async () => (await health()).replicas;
  await until(async () => (await primaries())?.length === 1);
  expect(await primaries()).toMatchObject([
    { name: expect.stringContaining('127.0.0.1') as string, lagMs: null },
  ]);
  // The accounts came with the changes.
  const replicas = async () => (await health('monitor', replica).catch(() => null))?.replicas ?? null;
  await until(async () => (await replicas())?.[0]?.lagMs === 0);
  expect(await replicas()).toEqual([{ name: 'this server', state: 'follows 127.0.0.1', lagMs: 0 }]);
  await follower.query('STOP SLAVE SQL_THREAD');
  const stopped = await health('monitor', replica);
  expect(stopped.replicas).toEqual([
    { name: 'this server', state: 'applying of 127.0.0.1 stopped', lagMs: null },
  ]);
  expect(stopped.findings).toMatchObject([{ severity: 'warning' }]);
  await follower.query('STOP SLAVE');
  await follower.end();
});

test('a session that is lost fails as a whole', async () => {
  await using session = await open();
  await read(session);
  const [rows] = await root.query<RowDataPacket[]>(
    "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'monitor'",
  );
  for (const row of rows) await root.query(`KILL ${String(row['id'])}`);
  await expect(read(session)).rejects.toMatchObject({ code: 'unreachable' });
});
