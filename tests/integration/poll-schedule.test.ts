// Connections are polled on schedules of their own: what one server does delays no other.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OverviewHead } from '../../src/contract/live.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { tempDir } from '../harness/temp.ts';
import { soon, TestBackend } from './backend-fixture.ts';

let db: Postgres;
beforeAll(async () => {
  db = await startPostgres();
  const root = await db.connect();
  await root.query(
    `CREATE TABLE jobs (id bigserial PRIMARY KEY, owner text NOT NULL, state text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
     CREATE INDEX ON jobs (state, owner, created_at);
     INSERT INTO jobs (owner, state) VALUES ('a', 'queued');
     CREATE TABLE slow_jobs (LIKE jobs INCLUDING ALL);
     CREATE ROLE reader LOGIN PASSWORD 'r' IN ROLE pg_read_all_data`,
  );
  await root.end();
});
afterAll(() => db[Symbol.asyncDispose]());

/** Accepts every connection and never says a word. */
async function silentServer(): Promise<{ port: number; accepted: () => number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket.on('error', () => undefined));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    accepted: () => accepted,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const connection = (id: string, port: number, changes: object = {}) => ({
  id,
  name: id,
  kind: 'queue',
  system: 'jobs-table',
  pollSeconds: 0.25,
  database: {
    type: 'postgres',
    host: '127.0.0.1',
    port,
    user: 'reader',
    database: 'postgres',
    password: { env: 'HEADWAY_TEST_READER' },
  },
  mapping: {
    table: 'jobs',
    id: 'id',
    tenant: 'owner',
    state: 'state',
    states: { ready: ['queued'] },
    createdAt: 'created_at',
  },
  ...changes,
});

describe('the schedules of connections', () => {
  it('a server that hangs and one that refuses delay no other, whose age and cost are told', async () => {
    process.env['HEADWAY_TEST_READER'] = 'r';
    await using silent = await silentServer();
    await using gone = await silentServer();
    const refused = gone.port;
    await gone[Symbol.asyncDispose]();
    await using dir = await tempDir('schedule');
    const hanging = Array.from({ length: 5 }, (_, i) => connection(`hangs-${i}`, silent.port));
    await using backend = await TestBackend.start(dir.path, {
      version: 1,
      thisComputer: { enabled: false },
      connections: [...hanging, connection('refuses', refused), connection('lives', db.port)],
    });
    await backend.untilLive('lives');
    const { deltas, leave } = await backend.follow('overview', { connectionId: 'lives' });
    const heads = (): OverviewHead[] => deltas.flatMap(({ head }) => head ?? []);
    const polls = () => new Set(heads().map(({ asOfMs }) => asOfMs)).size;
    await expect.poll(polls, soon).toBeGreaterThanOrEqual(8);
    leave();
    // All that time the others waited for their first answer, or were refused.
    expect(silent.accepted()).toBe(hanging.length);
    for (const { id } of hanging) expect(await backend.stateOf(id)).toBe('connecting');
    expect(await backend.stateOf('refuses')).toBe('unreachable');
    const last = heads().at(-1);
    expect(last?.pollEveryMs).toBe(250);
    expect(last?.cost?.msPerMin).toBeGreaterThan(0);
    expect(last?.cost?.rowsPerMin).toBeGreaterThan(0);
  });

  it('a poll over its budget is made rarer, and the window says so; the others keep their pace', async () => {
    process.env['HEADWAY_TEST_READER'] = 'r';
    await using dir = await tempDir('schedule');
    const slow = connection('slow', db.port);
    await using backend = await TestBackend.start(dir.path, {
      version: 1,
      thisComputer: { enabled: false },
      connections: [
        { ...slow, mapping: { ...slow.mapping, table: 'slow_jobs' } },
        connection('lives', db.port),
      ],
    });
    await backend.untilLive('lives');
    await backend.untilLive('slow');
    const root = await db.connect();
    try {
      // The table is locked as a migration does it: each poll waits for its limit and is given up.
      await root.query('BEGIN; LOCK TABLE slow_jobs IN ACCESS EXCLUSIVE MODE');
      const slowOverview = await backend.follow('overview', { connectionId: 'slow' });
      const lives = await backend.follow('overview', { connectionId: 'lives' });
      const slowHead = () => slowOverview.deltas.flatMap(({ head }) => head ?? []).at(-1);
      await expect.poll(() => slowHead()?.pollEveryMs ?? 0, soon).toBeGreaterThan(250);
      expect(slowHead()?.pollNote).toMatch(/budget|slow|longer/i);
      const lived = () => lives.deltas.flatMap(({ head }) => head ?? []);
      const polls = () => new Set(lived().map(({ asOfMs }) => asOfMs)).size;
      const before = polls();
      await expect.poll(polls, soon).toBeGreaterThan(before + 4);
      expect(lived().every(({ pollEveryMs }) => pollEveryMs === 250)).toBe(true);
      expect(slowHead()?.pollEveryMs).toBeGreaterThan(250);
      await root.query('ROLLBACK');
      await expect.poll(() => backend.stateOf('slow'), soon).toBe('live');
    } finally {
      await root.end();
    }
  });
});
