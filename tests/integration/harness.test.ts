// The harness itself: what every other integration test trusts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { startMariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader, fillQueue, withPostal } from '../harness/postal-schema.ts';
import { startPostgres } from '../harness/postgres.ts';
import { listensOn, startProcess } from '../harness/process.ts';
import { templateDir } from '../harness/template-dir.ts';
import { until } from '../harness/until.ts';

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function pidOf(server: { pid: () => number | null }): number {
  const pid = server.pid();
  if (pid === null) throw new Error('the server does not run');
  return pid;
}

describe('processes', () => {
  test('a process that ends before it is ready fails with its last words', async () => {
    const starting = startProcess({
      command: 'sh',
      args: ['-c', 'echo no such thing >&2; exit 3'],
      ready: () => false,
    });
    await expect(starting).rejects.toThrow(/ended before it was ready[^]*no such thing/);
  });

  test('a program that does not exist is an error, not a hang', async () => {
    const starting = startProcess({ command: '/does/not/exist', args: [], ready: () => false });
    await expect(starting).rejects.toThrow(/ended before it was ready/);
  });

  test('a process that ignores SIGTERM is killed', async () => {
    const script = 'trap "" TERM; echo ready; while :; do sleep 0.1; done';
    const stubborn = await startProcess({
      command: 'sh',
      args: ['-c', script],
      ready: ({ output }) => output.includes('ready'),
      stopGraceMs: 200,
    });
    await stubborn.stop();
    expect(await stubborn.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test.runIf(process.platform === 'linux').each(['process.exit(1)', 'process.kill(process.pid, "SIGKILL")'])(
    'children and folders do not outlive a test process that ends by %s',
    async (ending) => {
      const folder = await mkdtemp(join(tmpdir(), 'headway-ending-'));
      const script = join(folder, 'script.ts');
      const from = (name: string) => JSON.stringify(join(import.meta.dirname, '../harness', name));
      await writeFile(
        script,
        `import { startProcess } from ${from('process.ts')};
         import { tempDir } from ${from('temp.ts')};
         const dir = await tempDir('ending');
         const child = await startProcess({ command: 'sleep', args: ['600'], ready: () => true });
         process.stdout.write(child.pid + ' ' + dir.path + '\\n', () => { ${ending} });`,
      );
      const node = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script]);
      let output = '';
      node.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      await once(node, 'close');
      const [pid, path] = output.trim().split(' ');
      expect(Number(pid)).toBeGreaterThan(0);
      await until(() => !lives(Number(pid)));
      // After SIGKILL nobody is left to remove folders.
      if (ending.startsWith('process.exit')) expect(existsSync(path ?? '')).toBe(false);
      await rm(path ?? '', { recursive: true, force: true });
      await rm(folder, { recursive: true });
    },
  );

  test('a template is built once for those who ask at the same time, and a failed build leaves nothing', async () => {
    const name = `headway-template-test-${process.pid}`;
    const build = (path: string) => writeFile(join(path, 'file'), 'content');
    const paths = await Promise.all([templateDir(name, build), templateDir(name, build)]);
    expect(new Set(paths).size).toBe(1);
    expect(readdirSync(paths[0])).toEqual(['file']);
    await rm(paths[0], { recursive: true });
    await expect(templateDir(name, () => Promise.reject(new Error('disk full')))).rejects.toThrow(
      'disk full',
    );
    expect(readdirSync(dirname(paths[0])).filter((entry) => entry.startsWith(name))).toEqual([]);
  });
});

describe('MariaDB', () => {
  test('stop, start and a crash keep port and data; disposing leaves no process and no folder', async () => {
    await using db = await startMariaDb();
    const folder = dirname(db.socket);
    const firstPid = pidOf(db);
    const connection = await db.connect();
    await connection.query(
      'CREATE DATABASE a; CREATE TABLE a.t (id int PRIMARY KEY); INSERT INTO a.t VALUES (1)',
    );
    await connection.end();

    await db.stop();
    expect(lives(firstPid)).toBe(false);
    await expect(db.connect()).rejects.toThrow(/ECONNREFUSED/);
    await db.start();
    const second = await db.connect('a');
    await second.query('INSERT INTO t VALUES (2)');
    await db.kill();
    await expect(second.query('SELECT 1')).rejects.toThrow();
    await db.start();
    const third = await db.connect('a');
    const [rows] = await third.query<RowDataPacket[]>('SELECT id FROM t ORDER BY id');
    expect(rows.map((row) => row['id'] as unknown)).toEqual([1, 2]);
    await third.end();

    const lastPid = pidOf(db);
    await db[Symbol.asyncDispose]();
    expect(lives(lastPid)).toBe(false);
    expect(existsSync(folder)).toBe(false);
    expect(await listensOn(db.port)()).toBe(false);
  });

  test('TLS is served with a certificate that the authority and the address verify', async () => {
    await using db = await startMariaDb({ tls: true });
    if (db.tls === null) throw new Error('no certificate files');
    const login = { host: db.host, port: db.port, user: db.rootUser, password: db.rootPassword };
    const trusting = await mysql.createConnection({
      ...login,
      ssl: { ca: await readFile(db.tls.caFile, 'utf8') },
    });
    const [rows] = await trusting.query<RowDataPacket[]>("SHOW STATUS LIKE 'Ssl_cipher'");
    expect(rows[0]?.['Value']).toMatch(/./);
    await trusting.end();
    await expect(mysql.createConnection({ ...login, ssl: {} })).rejects.toThrow(/certificate/);
  });
});

describe('Postal', () => {
  test('the reader sees the queue and the messages, and can change nothing', async () => {
    await using db = await startMariaDb();
    const postal = await createPostal(db, {
      servers: [
        { id: 1, name: 'first' },
        { id: 7, name: 'seventh' },
      ],
    });
    const { user, password } = await createReader(postal);
    await using stack = new AsyncDisposableStack();
    const reader = await mysql.createConnection({
      host: db.host,
      port: db.port,
      user,
      password,
      database: 'postal',
    });
    stack.defer(() => reader.end());
    await reader.query('SELECT * FROM queued_messages');
    await reader.query('SELECT * FROM `postal-server-7`.messages');
    await reader.query('SELECT * FROM `postal-server-7`.deliveries');
    await expect(reader.query('DELETE FROM queued_messages')).rejects.toThrow(/denied/);
    await expect(reader.query('SELECT * FROM mysql.user')).rejects.toThrow(/denied/);
  });

  test('a filled queue has the rows, owners, ages and retries asked for', async () => {
    await using db = await startMariaDb();
    const postal = await createPostal(db, { servers: [1, 2, 3].map((id) => ({ id, name: `server ${id}` })) });
    await fillQueue(postal, { rows: 9_000, servers: [1, 3], oldestAgeMs: 60_000, delayedShare: 0.25 });
    const rows = await withPostal(postal, async (connection) => {
      const [result] = await connection.query<RowDataPacket[]>(
        `SELECT server_id, COUNT(*) AS n, SUM(retry_after > UTC_TIMESTAMP()) AS later,
                TIMESTAMPDIFF(SECOND, MIN(created_at), MAX(created_at)) AS span,
                MIN(created_at) = MIN(IF(id <= 2, created_at, NULL)) AS oldest_first
           FROM queued_messages GROUP BY server_id ORDER BY server_id`,
      );
      return result;
    });
    expect(rows.map((row) => [row['server_id'], row['n']] as unknown)).toEqual([
      [1, 4_500],
      [3, 4_500],
    ]);
    for (const row of rows) {
      expect(Number(row['later'])).toBeCloseTo(1_125, -2);
      expect(row['span']).toBe(59);
      expect(row['oldest_first']).toBe(1);
    }
  });
});

describe('PostgreSQL', () => {
  test('stop, start and a crash keep port and data; disposing leaves no process and no folder', async () => {
    await using db = await startPostgres();
    const client = await db.connect();
    const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory');
    const folder = dirname(rows[0]?.data_directory ?? '');
    expect(existsSync(folder)).toBe(true);
    await client.query('CREATE TABLE t (id int PRIMARY KEY)');
    await client.query('INSERT INTO t VALUES (1)');
    await client.end();
    await db.stop();
    await expect(db.connect()).rejects.toThrow(/ECONNREFUSED/);
    await db.start();
    const second = await db.connect();
    await second.query('INSERT INTO t VALUES (2)');
    await db.kill();
    await expect(second.query('SELECT 1')).rejects.toThrow();
    await db.start();
    const third = await db.connect();
    expect((await third.query('SELECT id FROM t ORDER BY id')).rows).toEqual([{ id: 1 }, { id: 2 }]);
    await third.end();
    const pid = pidOf(db);
    await db[Symbol.asyncDispose]();
    expect(lives(pid)).toBe(false);
    expect(existsSync(folder)).toBe(false);
  });
});
