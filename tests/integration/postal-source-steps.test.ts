// "Test" of a database: every step is told when it starts and when it ends, and a failure skips the rest.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestStep } from '../../src/contract/connection-test.ts';
import type { DatabaseSettings } from '../../src/contract/settings.ts';
import { testDatabase } from '../../src/main/sources/postal/connection-steps.ts';
import type { DatabaseTestOptions } from '../../src/main/sources/postal/connection-steps.ts';
import { startMariaDb } from '../harness/mariadb.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader } from '../harness/postal-schema.ts';
import type { Reader } from '../harness/postal-schema.ts';
import { freePort } from '../harness/temp.ts';
import { databaseSettings, never, postalDefaults } from './postal-source-fixture.ts';

let db: MariaDb;
let root: Connection;
let reader: Reader;

beforeAll(async () => {
  db = await startMariaDb({ tls: true });
  const postal = await createPostal(db, { servers: [1, 2, 3].map((id) => ({ id, name: `server ${id}` })) });
  reader = await createReader(postal);
  root = await db.connect('postal');
});
afterAll(async () => {
  await root.end();
  await db[Symbol.asyncDispose]();
});

async function run(
  changes: Partial<DatabaseSettings> = {},
  options: Partial<DatabaseTestOptions> = {},
  signal = never,
): Promise<{ history: TestStep[]; last: TestStep[] }> {
  const history: TestStep[] = [];
  await testDatabase(
    {
      database: databaseSettings(db, reader, changes),
      postal: postalDefaults,
      safety: 'read-only',
      password: reader.password,
      now: () => Date.now(),
      report: (step) => history.push(step),
      ...options,
    },
    signal,
  );
  const last = new Map(history.map((step) => [step.id, step]));
  return { history, last: [...last.values()] };
}
const states = (steps: TestStep[]) => steps.map((step) => [step.id.replace('database.', ''), step.state]);

test('all is well', async () => {
  const { history, last } = await run();
  expect(states(last)).toEqual([
    ['resolve', 'ok'],
    ['connect', 'ok'],
    ['authenticate', 'ok'],
    ['grants', 'ok'],
    ['schema', 'ok'],
  ]);
  for (const step of last) {
    expect(step.durationMs).toBeGreaterThanOrEqual(0);
    expect(step.detail).not.toBe('');
    const told = history.filter((each) => each.id === step.id).map((each) => each.state);
    expect(told).toEqual(['waiting', 'running', 'ok']);
  }
  expect(last[2]?.detail).toMatch(/^'headway'@'%' on MariaDB \d+/);
  expect(last[3]?.detail).toContain('`postal-server-%`.*');
  expect(last[4]?.detail).toMatch(/3 servers.*3 of 3 message databases/);
  const [open] = await root.query<RowDataPacket[]>(
    "SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = 'headway'",
  );
  expect(open).toEqual([]);
});

test('with TLS, its protocol is told; a wrong authority fails there and not at the login', async () => {
  const tls = { mode: 'verify-identity' as const, caFile: db.tls?.caFile ?? '' };
  const { last } = await run({ tls });
  expect(states(last)[2]).toEqual(['tls', 'ok']);
  expect(last[2]?.detail).toMatch(/TLSv1\.[23], .*host name$/);
  const untrusted = await run({ tls: { mode: 'verify-ca' } });
  expect(states(untrusted.last).slice(2, 4)).toEqual([
    ['tls', 'failed'],
    ['authenticate', 'skipped'],
  ]);
  const refused = await run({ tls }, { password: 'guess' });
  expect(states(refused.last).slice(2, 5)).toEqual([
    ['tls', 'ok'],
    ['authenticate', 'failed'],
    ['grants', 'skipped'],
  ]);
});

test.each([
  ['resolve', 'host-unknown', { host: 'no-such-host.invalid' }, {}],
  ['authenticate', 'authentication-failed', {}, { password: 'guess' }],
  ['authenticate', 'grant-missing', { database: 'mysql' }, {}],
] as const)('a failure of %s is %s, and the rest is skipped', async (step, code, changes, options) => {
  const { last } = await run(changes, options);
  const failed = last.findIndex((each) => each.state === 'failed');
  expect(last[failed]).toMatchObject({ id: `database.${step}`, error: { code } });
  expect(last.slice(0, failed).every((each) => each.state === 'ok')).toBe(true);
  expect(last.slice(failed + 1).every((each) => each.state === 'skipped')).toBe(true);
});

test('nobody listens', async () => {
  const { last } = await run({ port: await freePort() });
  expect(last[1]).toMatchObject({ state: 'failed', error: { code: 'unreachable' } });
});

test('a missing grant fails the grants, a missing table the schema', async () => {
  await root.query(
    "CREATE USER half@'%' IDENTIFIED BY 'read-only'; GRANT SELECT ON postal.servers TO half@'%'; CREATE USER every@'%' IDENTIFIED BY 'read-only'; GRANT SELECT ON *.* TO every@'%'",
  );
  expect((await run({ user: 'half' })).last[3]).toMatchObject({
    id: 'database.grants',
    state: 'failed',
    error: { code: 'grant-missing' },
  });
  expect((await run({ user: 'every', database: 'postal-server-2' })).last[4]).toMatchObject({
    id: 'database.schema',
    state: 'failed',
    error: { code: 'schema-mismatch' },
  });
});

test('an account that may write is a warning on a read-only connection, and on no other', async () => {
  const asRoot = { user: 'root' };
  const readOnly = await run(asRoot, { password: db.rootPassword });
  expect(readOnly.last[3]?.state).toBe('warning');
  expect(readOnly.last[3]?.detail).toContain('ALL PRIVILEGES');
  const writing = await run(asRoot, { password: db.rootPassword, safety: 'confirm' });
  expect(writing.last[3]?.state).toBe('ok');
});

test('a clock that is off by more than a second is a warning', async () => {
  const { last } = await run({}, { now: () => Date.now() + 90_000 });
  expect(last[4]).toMatchObject({ state: 'warning' });
  expect(last[4]?.detail).toMatch(/clock −\d+ ms/);
});

test('a cancelled test ends: the step it was in fails as cancelled', async () => {
  const stop = new AbortController();
  const seen: TestStep[] = [];
  await run(
    {},
    {
      report: (step) => {
        seen.push(step);
        if (step.id === 'database.authenticate' && step.state === 'running') stop.abort();
      },
    },
    stop.signal,
  );
  const final = [...new Map(seen.map((step) => [step.id, step])).values()];
  expect(final[2]).toMatchObject({ state: 'failed', error: { code: 'cancelled' } });
  expect(final.slice(3).every((step) => step.state === 'skipped')).toBe(true);
});
