// The Postal source against a real MariaDB: every number equals its definition, computed by brute force.
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startMariaDb } from '../harness/mariadb.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader, quote } from '../harness/postal-schema.ts';
import type { Postal, Reader } from '../harness/postal-schema.ts';
import {
  bruteForce,
  contradiction,
  databaseSettings,
  exactNumbers,
  never,
  nothing,
  postalDefaults,
  sourceFor,
  tenantOf,
} from './postal-source-fixture.ts';

const SERVERS = 41;
const oddNames: Record<number, string> = {
  1: `O'Brien "& sons" \`;-- DROP`,
  2: '📮 Пошта \\ %s',
  3: 'mailflow',
  4: 'x'.repeat(255),
};
let db: MariaDb;
let root: Connection;
let postal: Postal;
let reader: Reader;

beforeAll(async () => {
  // A zone with half an hour, east of UTC: a forgotten conversion shows.
  db = await startMariaDb({ args: ['--default-time-zone=+05:30'] });
  const servers = Array.from({ length: SERVERS }, (_, i) => ({
    id: i + 1,
    name: oddNames[i + 1] ?? `server ${i + 1}`,
  }));
  postal = await createPostal(db, { servers });
  reader = await createReader(postal);
  root = await db.connect('postal');
});
afterAll(async () => {
  await root.end();
  await db[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await root.query('TRUNCATE queued_messages; DELETE FROM worker_roles');
});

/** Adds `count` rows for a server, one a second from `ageS` seconds ago on; `columns` are SQL over `n` from 0. */
async function add(
  serverId: number,
  count: number,
  columns: { retry?: string; lockedAt?: string; lockedBy?: string; ageS?: number } = {},
): Promise<void> {
  const { retry = 'NULL', lockedAt = 'NULL', lockedBy = 'NULL', ageS = count + 60 } = columns;
  await root.query(
    `INSERT INTO queued_messages (server_id, message_id, created_at, updated_at, retry_after, locked_at, locked_by)
     SELECT ${serverId}, n, UTC_TIMESTAMP(6) - INTERVAL ${ageS} SECOND + INTERVAL n SECOND, UTC_TIMESTAMP(6),
            ${retry}, ${lockedAt}, ${lockedBy}
       FROM (SELECT seq AS n FROM seq_0_to_${count - 1}) numbers ORDER BY n`,
  );
}
const ago = (seconds: number) => `UTC_TIMESTAMP(6) - INTERVAL ${seconds} SECOND`;
const soon = (seconds: number) => `UTC_TIMESTAMP() + INTERVAL ${seconds} SECOND`;

test('an empty queue is 41 servers with nothing to do', async () => {
  await using source = sourceFor(db, reader);
  const sample = await source.snapshot(never);
  expect(sample.tenants).toHaveLength(SERVERS);
  for (const tenant of sample.tenants) {
    expect(exactNumbers(tenant)).toEqual(nothing());
    expect(tenant).toMatchObject({ arrivalsTotal: 0, attemptsTotal: 0, paused: null });
  }
  expect(sample.workers).toEqual({ busy: 0, total: null, lastSeenAtMs: null });
  expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(5000);
});

test('names are shown as they are, with what tells namesakes apart', async () => {
  await using source = sourceFor(db, reader);
  const tenants = await source.tenants(never);
  expect(tenants).toHaveLength(SERVERS);
  for (const [id, name] of Object.entries(oddNames)) {
    expect(tenants.find((tenant) => tenant.id === id)?.name).toBe(name);
  }
  expect(tenants[2]).toEqual({ id: '3', name: 'mailflow', detail: 'Example / mailflow' });
});

test('41 servers with rows in all states, each number exact', async () => {
  for (let id = 1; id <= SERVERS; id++) {
    // A different mixture for each server; some states are absent for some of them.
    await add(id, 1 + ((id * 37) % 61));
    if (id % 2 === 0) await add(id, 1 + ((id * 7) % 19), { retry: soon(600 + id), ageS: 3000 });
    if (id % 3 === 0) await add(id, 5, { lockedAt: ago(id), lockedBy: `'host:a pid:1 thread:${id % 5}'` });
    if (id % 5 === 0)
      await add(id, 2, { lockedAt: ago(86_400 + id), lockedBy: `'host:gone pid:9 thread:1'` });
    if (id % 7 === 0) await add(id, 3, { retry: ago(40), ageS: 9000 });
  }
  await using source = sourceFor(db, reader);
  const sample = await source.snapshot(never);
  const truth = await bruteForce(root, sample.databaseTimeMs);
  expect(truth.size).toBe(SERVERS);
  for (const tenant of sample.tenants) {
    expect({ id: tenant.tenantId, ...exactNumbers(tenant) }).toEqual({
      id: tenant.tenantId,
      ...truth.get(tenant.tenantId),
    });
  }
});

test('a retried row is ready since its retry time, and is as old as its creation', async () => {
  await add(3, 1, { ageS: 7200, retry: ago(90) });
  await using source = sourceFor(db, reader);
  const sample = await source.snapshot(never);
  const oldest = tenantOf(sample, 3).oldestReady;
  expect(Math.round((sample.databaseTimeMs - (oldest?.readyAtMs ?? 0)) / 1000)).toBeCloseTo(90, -1);
  expect(Math.round((sample.databaseTimeMs - (oldest?.createdAtMs ?? 0)) / 1000)).toBeCloseTo(7200, -1);
});

describe('queues longer than a head', () => {
  test('every number holds with its bound', async () => {
    await add(1, 200);
    await add(2, 201);
    await add(3, 230, { retry: 'IF(n % 3 = 0, UTC_TIMESTAMP() + INTERVAL 1 HOUR, NULL)' });
    await add(4, 6000);
    // Retries gather at the head of a burst.
    await add(5, 150, { retry: soon(900), ageS: 90_000 });
    await add(5, 6000);
    await add(6, 4000, { retry: soon(900) });
    // A batch locks the whole head.
    await add(7, 230, { lockedAt: ago(3), lockedBy: `CONCAT('host:a pid:1 thread:', n % 3)`, ageS: 9000 });
    await add(7, 3000);
    // All rows of the head became ready again a moment ago; rows after it have waited longer.
    await add(8, 201, { retry: ago(40), ageS: 90_000 });
    await add(8, 3000, { ageS: 8000 });
    await add(9, 5000, { retry: 'IF(n % 2 = 0, UTC_TIMESTAMP() + INTERVAL 1 HOUR, NULL)' });
    await root.query('ANALYZE TABLE queued_messages');

    await using source = sourceFor(db, reader);
    const sample = await source.snapshot(never);
    const truth = await bruteForce(root, sample.databaseTimeMs);
    for (const tenant of sample.tenants) {
      const real = truth.get(tenant.tenantId) ?? nothing();
      for (const state of ['ready', 'delayed', 'running', 'stale'] as const) {
        expect(contradiction(tenant[state], real[state]), `server ${tenant.tenantId} ${state}`).toBeNull();
      }
      const reported = tenant.oldestReady;
      if (reported?.bound === 'exact') expect(reported.readyAtMs).toBe(real.oldestReadyAtMs);
      else if (reported) expect(reported.readyAtMs).toBeGreaterThanOrEqual(real.oldestReadyAtMs ?? Infinity);
    }
    const kinds = (id: number) => {
      const { ready, delayed, oldestReady } = tenantOf(sample, id);
      return [ready.kind, delayed.kind, oldestReady?.bound ?? 'none'];
    };
    expect(kinds(1)).toEqual(['exact', 'exact', 'exact']);
    expect(kinds(2), 'head and tail meet').toEqual(['exact', 'exact', 'exact']);
    expect(kinds(3), 'head and tail meet').toEqual(['exact', 'exact', 'exact']);
    expect(kinds(4)).toEqual(['estimate', 'at-least', 'exact']);
    expect(kinds(5)).toEqual(['estimate', 'at-least', 'exact']);
    expect(kinds(6)).toEqual(['at-least', 'estimate', 'none']);
    expect(kinds(7)).toEqual(['estimate', 'at-least', 'at-least']);
    expect(kinds(8)).toEqual(['estimate', 'at-least', 'at-least']);
    expect(kinds(9)).toEqual(['estimate', 'estimate', 'exact']);
  });

  test('a poll reads no more when one server owns a hundred times as many rows, whatever the statistics say', async () => {
    for (let id = 1; id <= SERVERS; id++) await add(id, 300);
    await using source = sourceFor(db, reader);
    await source.snapshot(never);
    const few = (await source.snapshot(never)).cost.rowsRead ?? NaN;
    await add(7, 100_000);
    const many = (await source.snapshot(never)).cost.rowsRead ?? NaN;
    await root.query('ANALYZE TABLE queued_messages');
    const known = (await source.snapshot(never)).cost.rowsRead ?? NaN;
    expect(few / SERVERS).toBeLessThan(300);
    expect(many / few).toBeLessThan(1.01);
    expect(known / few).toBeLessThan(1.01);
  });
});

describe('arrivals, attempts and workers', () => {
  test('totals are the newest ids, and stay when old messages are deleted', async () => {
    const messages = postal.messageDatabase(5);
    await root.query(
      `INSERT INTO ${messages}.messages (id) VALUES (1), (2), (17);
       INSERT INTO ${messages}.deliveries (id, message_id, timestamp) VALUES (1, 1, 1000), (9, 2, 1700000000.25)`,
    );
    await using source = sourceFor(db, reader);
    const first = await source.snapshot(never);
    expect(tenantOf(first, 5)).toMatchObject({ arrivalsTotal: 17, attemptsTotal: 9 });
    expect(first.workers.lastSeenAtMs).toBe(1_700_000_000_250);
    await root.query(`DELETE FROM ${messages}.messages; DELETE FROM ${messages}.deliveries`);
    expect(tenantOf(await source.snapshot(never), 5)).toMatchObject({ arrivalsTotal: 17, attemptsTotal: 9 });
  });

  test('busy threads are distinct owners of fresh locks; a leader and its followers are one thread', async () => {
    await add(1, 1, { lockedAt: ago(20), lockedBy: "'host:a pid:1 thread:1 0123456789abcdef'" });
    await add(2, 9, { lockedAt: ago(19), lockedBy: "'host:a pid:1 thread:1'" });
    await add(3, 1, { lockedAt: ago(10), lockedBy: "'host:a pid:1 thread:2 fedcba9876543210'" });
    await add(4, 4, { lockedAt: ago(200_000), lockedBy: "'host:dead pid:1 thread:1'" });
    await using source = sourceFor(db, reader);
    const { workers, databaseTimeMs } = await source.snapshot(never);
    expect(workers.busy).toBe(2);
    expect(Math.round((databaseTimeMs - (workers.lastSeenAtMs ?? 0)) / 1000)).toBeCloseTo(10, -1);
  });

  test('with nothing running, a leader heartbeat is a sign of life', async () => {
    await root.query(
      `INSERT INTO worker_roles (role, worker, acquired_at) VALUES ('tasks', 'a', '2026-01-02 03:04:05')`,
    );
    await using source = sourceFor(db, reader);
    const { workers } = await source.snapshot(never);
    expect(workers.lastSeenAtMs).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
  });

  test('a server without message database has unknown totals, and the probe says so', async () => {
    await root.query(
      `RENAME TABLE ${postal.messageDatabase(6)}.deliveries TO ${postal.messageDatabase(6)}.gone`,
    );
    try {
      await using source = sourceFor(db, reader);
      const { warnings, system } = await source.probe(never);
      expect(system).toMatch(/^Postal on MariaDB \d+\.\d+\.\d+$/);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('1 of 41 servers');
      expect(warnings[0]).toContain('postal-server-6');
      const sample = await source.snapshot(never);
      expect(tenantOf(sample, 6)).toMatchObject({ arrivalsTotal: null, attemptsTotal: null });
      expect(tenantOf(sample, 7)).toMatchObject({ arrivalsTotal: 0, attemptsTotal: 0 });
    } finally {
      await root.query(
        `RENAME TABLE ${postal.messageDatabase(6)}.gone TO ${postal.messageDatabase(6)}.deliveries`,
      );
    }
  });

  test('a message database that goes away while watched costs only its own totals', async () => {
    await using source = sourceFor(db, reader);
    expect(tenantOf(await source.snapshot(never), 8).arrivalsTotal).toBe(0);
    await root.query(
      `RENAME TABLE ${postal.messageDatabase(8)}.messages TO ${postal.messageDatabase(8)}.gone`,
    );
    try {
      const sample = await source.snapshot(never);
      expect(tenantOf(sample, 8).arrivalsTotal).toBeNull();
      expect(tenantOf(sample, 9).arrivalsTotal).toBe(0);
    } finally {
      await root.query(
        `RENAME TABLE ${postal.messageDatabase(8)}.gone TO ${postal.messageDatabase(8)}.messages`,
      );
    }
    await source.tenants(never);
    expect(tenantOf(await source.snapshot(never), 8).arrivalsTotal).toBe(0);
  });

  test('rows of deleted and of vanished servers are still seen', async () => {
    await root.query('UPDATE servers SET deleted_at = UTC_TIMESTAMP(6) WHERE id IN (10, 11)');
    try {
      await add(10, 4);
      await add(777, 3);
      await using source = sourceFor(db, reader);
      const names = new Map((await source.tenants(never)).map((tenant) => [tenant.id, tenant.detail]));
      expect(names.get('10')).toContain('deleted');
      expect(names.has('11')).toBe(false);
      expect(names.has('777')).toBe(true);
      const sample = await source.snapshot(never);
      expect(tenantOf(sample, 10).ready.value).toBe(4);
      expect(tenantOf(sample, 777).ready.value).toBe(3);
      expect(sample.tenants).toHaveLength(SERVERS);
    } finally {
      await root.query('UPDATE servers SET deleted_at = NULL');
    }
  });
});

test('a burst in front of mailflow is counted, and whose it is', async () => {
  await add(17, 50, { ageS: 300 });
  await add(3, 1, { ageS: 200 });
  await using source = sourceFor(db, reader);
  const sample = await source.snapshot(never);
  expect(tenantOf(sample, 3).behind).toEqual({
    ahead: { value: 50, kind: 'exact' },
    tenants: [{ tenantId: '17', share: 1 }],
  });
  expect(sample.claimOrder).toContain('lowest queue id first');
});

test('odd names of databases are quoted wherever they stand', async () => {
  const odd = { database: "main`'_%\\\\ db", messageDatabasePrefix: 'a`b_%\'"-' };
  const other = await createPostal(db, { servers: [{ id: 4, name: 'four' }], ...odd });
  await root.query(`INSERT INTO ${other.messageDatabase(4)}.messages (id) VALUES (44)`);
  const account = await createReader(other, 'odd');
  await using source = sourceFor(db, account, {
    database: databaseSettings(db, account, { database: odd.database }),
    postal: { ...postalDefaults, messageDatabasePrefix: odd.messageDatabasePrefix },
  });
  expect((await source.probe(never)).warnings).toEqual([]);
  expect(tenantOf(await source.snapshot(never), 4).arrivalsTotal).toBe(44);
});

test('a poll of very many servers shares its rows among them', async () => {
  await root.query(
    `INSERT INTO servers (id, organization_id, name, permalink) SELECT seq, 1, seq, seq FROM seq_1001_to_1500;
     INSERT INTO queued_messages (server_id, created_at) SELECT 1001 + MOD(seq, 500), UTC_TIMESTAMP(6) FROM seq_0_to_49999`,
  );
  try {
    await using source = sourceFor(db, reader);
    await source.snapshot(never);
    const sample = await source.snapshot(never);
    expect(sample.cost.rowsRead).toBeLessThan(30_000);
    for (const id of [1001, 1250, 1500]) {
      expect(contradiction(tenantOf(sample, id).ready, 100), `server ${id}`).toBeNull();
    }
  } finally {
    await root.query('DELETE FROM servers WHERE id > 1000');
  }
});

test('rows that change during polls are counted once, in one state', async () => {
  await add(3, 150);
  await add(4, 150);
  const writer = await db.connect('postal');
  const stopped = new AbortController();
  const churn = async () => {
    for (let i = 1; !stopped.signal.aborted; i++) {
      const [lock, free] = i % 2 === 0 ? [3, 4] : [4, 3];
      await writer.query(
        `UPDATE queued_messages SET locked_by = 'host:a pid:1 thread:1', locked_at = UTC_TIMESTAMP(6) WHERE server_id = ${lock} LIMIT 100;
         UPDATE queued_messages SET locked_by = NULL, locked_at = NULL WHERE server_id = ${free};
         INSERT INTO queued_messages (server_id, created_at) VALUES (5, UTC_TIMESTAMP(6)), (5, UTC_TIMESTAMP(6));
         DELETE FROM queued_messages WHERE server_id = 5 ORDER BY id LIMIT 1`,
      );
    }
  };
  const churning = churn();
  try {
    await using source = sourceFor(db, reader);
    const seen = new Set<number>();
    for (let i = 0; i < 40; i++) {
      const sample = await source.snapshot(never);
      for (const id of [3, 4]) {
        const { ready, running } = tenantOf(sample, id);
        expect(ready.value + running.value).toBe(150);
        seen.add(running.value);
      }
      for (const tenant of sample.tenants) {
        expect(tenant.lastStartedAtMs ?? 0).toBeLessThanOrEqual(sample.databaseTimeMs);
        expect(tenant.oldestReady?.readyAtMs ?? 0).toBeLessThanOrEqual(sample.databaseTimeMs);
      }
    }
    expect(seen.size).toBeGreaterThan(1);
  } finally {
    stopped.abort();
    await churning;
    await writer.end();
  }
});

test('a clock that differs is measured, not believed', async () => {
  await using source = sourceFor(db, reader, { now: () => Date.now() - 7000 });
  const { clock, databaseTimeMs } = await source.snapshot(never);
  expect(Math.abs(databaseTimeMs - Date.now())).toBeLessThan(3000);
  expect(clock.offsetMs).toBeGreaterThan(6000 - clock.errorMs);
  expect(clock.offsetMs).toBeLessThan(8000 + clock.errorMs);
});

test('more servers than one statement asks about', async () => {
  const more = Array.from({ length: 260 }, (_, i) => 1000 + i);
  await root.query(
    `INSERT INTO servers (id, organization_id, name, permalink) VALUES ${more.map((id) => `(${id}, 1, 's${id}', 's${id}')`).join(', ')}`,
  );
  try {
    await root.query(
      `INSERT INTO queued_messages (server_id, created_at) SELECT 1000 + seq % 260, UTC_TIMESTAMP(6) FROM seq_0_to_779`,
    );
    await root.query(
      more
        .slice(0, 150)
        .map(
          (id) =>
            `CREATE DATABASE ${quote(`postal-server-${id}`)}; CREATE TABLE ${quote(`postal-server-${id}`)}.messages (id int PRIMARY KEY); CREATE TABLE ${quote(`postal-server-${id}`)}.deliveries (id int PRIMARY KEY, timestamp decimal(18,6)); INSERT INTO ${quote(`postal-server-${id}`)}.messages VALUES (${id})`,
        )
        .join('; '),
    );
    await using source = sourceFor(db, reader);
    const sample = await source.snapshot(never);
    expect(sample.tenants).toHaveLength(SERVERS + more.length);
    for (const id of more) {
      expect(tenantOf(sample, id).ready).toEqual({ value: 3, kind: 'exact' });
      expect(tenantOf(sample, id).arrivalsTotal).toBe(id < 1150 ? id : null);
    }
  } finally {
    await root.query(
      more
        .slice(0, 150)
        .map((id) => `DROP DATABASE ${quote(`postal-server-${id}`)}`)
        .join('; '),
    );
    await root.query('DELETE FROM servers WHERE id >= 1000');
  }
});
