// What the Postal source says when something is wrong, and that it goes on when it is right again.
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { HeadwayError } from '../../src/contract/errors.ts';
import type { DatabaseSettings } from '../../src/contract/settings.ts';
import { MysqlSession } from '../../src/main/sources/mysql-session.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { freePort } from '../harness/temp.ts';
import { startMariaDb } from '../harness/mariadb.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader } from '../harness/postal-schema.ts';
import type { Postal, Reader } from '../harness/postal-schema.ts';
import { databaseSettings, never, sourceFor, tenantOf } from './postal-source-fixture.ts';

let db: MariaDb;
let root: Connection;
let postal: Postal;
let reader: Reader;

beforeAll(async () => {
  db = await startMariaDb({ tls: true, args: ['--bind-address=*'] });
  postal = await createPostal(db, { servers: [1, 2, 3].map((id) => ({ id, name: `server ${id}` })) });
  reader = await createReader(postal);
  root = await db.connect('postal');
  await root.query('INSERT INTO queued_messages (server_id, created_at) VALUES (3, UTC_TIMESTAMP(6))');
});
afterAll(async () => {
  await root.end();
  await db[Symbol.asyncDispose]();
});

/** The failure of one snapshot; fails the test when there is none or it shows the password. */
async function failureOf(source: Source, signal = never): Promise<HeadwayError> {
  const outcome: unknown = await source.snapshot(signal).catch((error: unknown) => error);
  if (!(outcome instanceof HeadwayError)) throw new Error(`expected a HeadwayError, got ${String(outcome)}`);
  expect(JSON.stringify(outcome.toWire())).not.toContain(reader.password);
  return outcome;
}
const failureWith = async (changes: Partial<DatabaseSettings>, password = reader.password) => {
  await using source = sourceFor(db, reader, {
    database: databaseSettings(db, reader, changes),
    password: () => Promise.resolve(password),
  });
  return await failureOf(source);
};
async function withUser<T>(
  user: string,
  grants: string[],
  work: (account: Reader) => Promise<T>,
): Promise<T> {
  await root.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${reader.password}'`);
  for (const grant of grants) await root.query(`GRANT ${grant} TO '${user}'@'%'`);
  try {
    return await work({ user, password: reader.password });
  } finally {
    await root.query(`DROP USER '${user}'@'%'`);
  }
}
async function connectionsOf(user: string): Promise<number[]> {
  const [rows] = await root.query<RowDataPacket[]>(
    'SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = ?',
    [user],
  );
  return rows.map((row) => Number(row['id']));
}

describe('wrong settings', () => {
  test('wrong password', async () => {
    const error = await failureWith({}, 'guess');
    expect(error).toMatchObject({ code: 'authentication-failed', retryable: false });
    expect(error.message).toContain(`127.0.0.1:${db.port}`);
    expect(error.message).toContain('headway');
    expect(error.message).not.toContain('guess');
  });
  test('unknown host', async () => {
    const error = await failureWith({ host: 'no-such-host.invalid' });
    expect(error.code).toBe('host-unknown');
    expect(error.message).toContain('no-such-host.invalid');
  });
  test('nobody listens', async () => {
    const port = await freePort();
    const error = await failureWith({ port });
    expect(error).toMatchObject({ code: 'unreachable', retryable: true });
    expect(error.message).toContain(`127.0.0.1:${port}`);
  });
  test('a database that does not exist', async () => {
    await withUser('all', ['SELECT ON *.*'], async ({ user }) => {
      const error = await failureWith({ user, database: 'postel' });
      expect(error.code).toBe('database-unknown');
      expect(error.message).toContain('postel');
    });
  });
  test('a database that may not be opened', async () => {
    const error = await failureWith({ database: 'mysql' });
    expect(error.code).toBe('grant-missing');
    expect(error.message).toContain('GRANT SELECT ON `mysql`.* TO');
  });
  test('a database that is not Postal', async () => {
    const error = await failureWith({ database: 'postal-server-1' });
    expect(error.code).toBe('schema-mismatch');
    expect(error.message).toContain('queued_messages');
    expect(error.message).toContain('postal-server-1');
  });
});

describe('grants', () => {
  test('reading alone is enough', async () => {
    await using source = sourceFor(db, reader);
    expect((await source.probe(never)).warnings).toEqual([]);
    expect(tenantOf(await source.snapshot(never), 3).ready.value).toBe(1);
  });
  test('the queue may not be read', async () => {
    await withUser('half', ['SELECT ON postal.servers'], async (half) => {
      await using source = sourceFor(db, half);
      const error = await failureOf(source);
      expect(error.code).toBe('grant-missing');
      expect(error.message).toContain('queued_messages');
      expect(error.message).toContain("GRANT SELECT ON `postal`.* TO 'half'@'%';");
      // Once an administrator has run the statement, the next call works.
      await root.query("GRANT SELECT ON `postal`.* TO 'half'@'%'");
      expect((await source.snapshot(never)).tenants).toHaveLength(3);
    });
  });
  test('some columns may not be read', async () => {
    await withUser(
      'columns',
      ['SELECT ON postal.servers', 'SELECT (id, server_id) ON postal.queued_messages'],
      async (columns) => {
        await using source = sourceFor(db, columns);
        const error = await failureOf(source);
        expect(error.code).toBe('grant-missing');
        expect(error.message).toContain('locked_by');
      },
    );
  });
  test('only what is indispensable: names, heartbeats and totals are missed with a warning each', async () => {
    await withUser(
      'least',
      ['SELECT ON postal.servers', 'SELECT ON postal.queued_messages'],
      async (least) => {
        await using source = sourceFor(db, least);
        const { warnings } = await source.probe(never);
        expect(warnings).toHaveLength(3);
        expect(warnings.join('\n')).toMatch(/organizations[^]*worker_roles[^]*3 of 3 servers/);
        expect(warnings.at(-1)).toContain("GRANT SELECT ON `postal-server-%`.* TO 'least'@'%';");
        expect((await source.tenants(never))[0]).toEqual({ id: '1', name: 'server 1', detail: 'server-1' });
        expect(tenantOf(await source.snapshot(never), 3)).toMatchObject({
          ready: { value: 1, kind: 'exact' },
          arrivalsTotal: null,
        });
      },
    );
  });
  test('a session of an account that may write is read-only all the same', async () => {
    const settings = databaseSettings(db, { user: 'root' });
    await using session = await MysqlSession.open(
      { settings, password: db.rootPassword, statementTimeoutMs: 500 },
      never,
    );
    await expect(session.rows(z.unknown(), 'DELETE FROM queued_messages', never)).rejects.toThrow(
      /READ ONLY/i,
    );
  });
});

describe('other schemas', () => {
  test('columns and tables that are not known do not matter', async () => {
    await root.query(
      'ALTER TABLE queued_messages ADD COLUMN colour geometry, ADD COLUMN `select` varchar(9) FIRST',
    );
    try {
      await using source = sourceFor(db, reader);
      expect(tenantOf(await source.snapshot(never), 3).ready.value).toBe(1);
    } finally {
      await root.query('ALTER TABLE queued_messages DROP COLUMN colour, DROP COLUMN `select`');
    }
  });
  test('a missing column is named', async () => {
    await root.query('ALTER TABLE queued_messages RENAME COLUMN retry_after TO retry_at');
    try {
      await using source = sourceFor(db, reader);
      const error = await failureOf(source);
      expect(error.code).toBe('schema-mismatch');
      expect(error.message).toContain('queued_messages');
      expect(error.message).toContain('retry_after');
    } finally {
      await root.query('ALTER TABLE queued_messages RENAME COLUMN retry_at TO retry_after');
    }
  });
  test('without its index the queue is not read at all', async () => {
    await root.query('DROP INDEX index_queued_messages_on_server_id ON queued_messages');
    try {
      await using source = sourceFor(db, reader);
      const error = await failureOf(source);
      expect(error.code).toBe('schema-mismatch');
      expect(error.message).toContain('no index on server_id');
    } finally {
      await root.query('CREATE INDEX index_queued_messages_on_server_id ON queued_messages (server_id)');
    }
  });
});

describe('losses', () => {
  test('a killed connection is replaced on the next call', async () => {
    await using source = sourceFor(db, reader);
    await source.snapshot(never);
    const [before] = await connectionsOf(reader.user);
    await root.query(`KILL ${before ?? 0}`);
    await expect.poll(() => connectionsOf(reader.user)).toEqual([]);
    expect((await source.snapshot(never)).tenants).toHaveLength(3);
    expect(await connectionsOf(reader.user)).not.toContain(before);
  });
  test('a server that stops, crashes and starts again', async () => {
    await using own = await startMariaDb();
    const ownReader = await createReader(await createPostal(own, { servers: [{ id: 1, name: 'one' }] }));
    await using source = sourceFor(own, ownReader);
    await source.snapshot(never);
    for (const end of ['stop', 'kill'] as const) {
      await own[end]();
      expect(await failureOf(source)).toMatchObject({ code: 'unreachable', retryable: true });
      await own.start();
      expect((await source.snapshot(never)).tenants).toHaveLength(1);
    }
  });
  test('a statement over its budget is stopped by the server, and the connection goes on', async () => {
    await using source = sourceFor(db, reader, { statementTimeoutMs: 50 });
    await source.snapshot(never);
    const [connection] = await connectionsOf(reader.user);
    await root.query('LOCK TABLES queued_messages WRITE');
    expect(await failureOf(source)).toMatchObject({ code: 'budget-exceeded', retryable: true });
    await root.query('UNLOCK TABLES');
    await source.snapshot(never);
    expect(await connectionsOf(reader.user)).toEqual([connection]);
  });
  test('a call that is cancelled ends at once, and the next one connects anew', async () => {
    await using source = sourceFor(db, reader, { statementTimeoutMs: 5000 });
    await source.snapshot(never);
    await root.query('LOCK TABLES queued_messages WRITE');
    const stop = new AbortController();
    const failing = failureOf(source, stop.signal);
    stop.abort();
    expect((await failing).code).toBe('cancelled');
    await root.query('UNLOCK TABLES');
    expect((await source.snapshot(never)).tenants).toHaveLength(3);
  });
  test('a host that accepts and says nothing', async () => {
    await using silent = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    await using source = sourceFor(db, reader, {
      database: databaseSettings(db, reader, { port }),
      callTimeoutMs: 100,
    });
    expect(await failureOf(source)).toMatchObject({ code: 'timeout', retryable: true });
  });
  test('a server that is full', async () => {
    await using own = await startMariaDb({ args: ['--max-connections=10', '--extra-max-connections=1'] });
    const ownReader = await createReader(await createPostal(own, { servers: [{ id: 1, name: 'one' }] }));
    // The eleventh seat is kept for an administrator: ten are for users like the reader.
    const seats = await Promise.all(Array.from({ length: 11 }, () => own.connect()));
    await using source = sourceFor(own, ownReader);
    const error = await failureOf(source);
    await Promise.all(seats.map((seat) => seat.end()));
    expect(error).toMatchObject({ code: 'unreachable', retryable: true });
    expect(error.message).toContain('no more connections');
  });
  test('disposing ends a call under way and leaves no connection', async () => {
    const source = sourceFor(db, reader, { statementTimeoutMs: 5000 });
    await source.snapshot(never);
    await root.query('LOCK TABLES queued_messages WRITE');
    const failing = failureOf(source);
    await source[Symbol.asyncDispose]();
    expect((await failing).code).toBe('cancelled');
    await root.query('UNLOCK TABLES');
    expect((await failureOf(source)).code).toBe('cancelled');
    await expect.poll(() => connectionsOf(reader.user)).toEqual([]);
  });
});

describe('TLS', () => {
  const outcome = async (changes: Partial<DatabaseSettings>, server = db) => {
    await using source = sourceFor(server, reader, { database: databaseSettings(server, reader, changes) });
    return await source.snapshot(never).then(
      () => 'ok',
      (error: unknown) => (error instanceof HeadwayError ? error.code : String(error)),
    );
  };
  const caFile = () => db.tls?.caFile ?? '';

  test('required: encrypted, whoever signed', async () => {
    expect(await outcome({ tls: { mode: 'required' } })).toBe('ok');
  });
  test('verify-ca: the authority must have signed', async () => {
    expect(await outcome({ tls: { mode: 'verify-ca' } })).toBe('tls-failed');
    expect(await outcome({ tls: { mode: 'verify-ca', caFile: caFile() } })).toBe('ok');
  });
  test('verify-identity: the certificate must be for this host, by name or address', async () => {
    const tls = { mode: 'verify-identity' as const, caFile: caFile() };
    expect(await outcome({ tls })).toBe('ok');
    expect(await outcome({ tls, host: 'localhost' })).toBe('ok');
    expect(await outcome({ tls, host: '127.0.0.2' })).toBe('tls-failed');
    expect(await outcome({ tls: { ...tls, mode: 'verify-ca' }, host: '127.0.0.2' })).toBe('ok');
  });
  test('a server without TLS, and a CA file that is not there', async () => {
    await using plain = await startMariaDb();
    expect(await outcome({ tls: { mode: 'required' } }, plain)).toBe('tls-failed');
    expect(await outcome({ tls: { mode: 'verify-ca', caFile: '/no/such/ca.pem' } })).toBe('file-missing');
  });
  test('an account that must use TLS and does not', async () => {
    await root.query(`CREATE USER 'encrypted'@'%' IDENTIFIED BY '${reader.password}' REQUIRE SSL`);
    const error = await failureWith({ user: 'encrypted' });
    await root.query("DROP USER 'encrypted'@'%'");
    expect(error.code).toBe('authentication-failed');
    expect(error.message).toContain('TLS');
  });
});
