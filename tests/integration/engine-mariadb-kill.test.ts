// The database server is killed under load and started again in place: nothing that was claimed is lost, every job is
// done at least once.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HeadwayError } from '../../src/contract/errors.ts';
import type { Settlement } from '../../src/main/engine/job.ts';
import { ANY, claim, ending, job, put } from '../../src/main/engine/stores/store-conformance-acts.ts';
import type { Store } from '../../src/main/engine/stores/store.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import { until } from '../harness/until.ts';
import { emptyJobsDb, miscounts, openStore, rowsOf, startJobsDb } from './engine-mariadb-fixture.ts';

let db: MariaDb;
beforeAll(async () => {
  db = await startJobsDb({ flushLogAtCommit: 1 });
});
afterAll(() => db[Symbol.asyncDispose]());

const JOBS = 6_000;

/** Claims, does nothing and settles until told to stop; what fails because the server is away is asked again. */
async function work(
  store: Store,
  owner: string,
  signal: AbortSignal,
  seen: { done: Map<number, number>; refusals: Set<string> },
): Promise<void> {
  let ends: Settlement[] = [];
  while (!signal.aborted) {
    try {
      const nowMs = await store.time();
      const tenants = await store.ready({ after: null, limit: 20, eligible: ANY });
      const { claims } = await store.exchange({
        owner,
        settlements: ends,
        take: { order: 'turns', takes: tenants.map(({ tenantId }) => ({ tenantId, count: 5 })) },
        eligible: ANY,
        cursor: tenants.at(-1)?.tenantId ?? null,
        nowMs,
      });
      for (const { id } of claims) seen.done.set(id, (seen.done.get(id) ?? 0) + 1);
      ends = claims.map((one) => ending(one, 'done'));
    } catch (error) {
      if (!(error instanceof HeadwayError) || !error.retryable) throw error;
      seen.refusals.add(error.code);
      await sleep(20);
    }
  }
}

/** Between a store and its server; when armed, the answer to the next commit is lost on the way. */
async function lossyLine(port: number) {
  let armed = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port });
    let losing = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => {
      losing = armed && chunk.includes('COMMIT');
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!losing) {
        client.write(chunk);
        return;
      }
      armed = false;
      client.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    loseNextCommit: () => {
      armed = true;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

it('gives back what was claimed by a commit whose answer was lost', async () => {
  await using line = await lossyLine(db.port);
  await using store = await openStore(db, { port: line.port });
  const [id] = await put(store, [job('a')]);
  line.loseNextCommit();
  await expect(claim(store, { a: 1 })).rejects.toMatchObject({ code: 'unreachable', retryable: true });
  // It did come about, and nobody was told.
  await until(async () => (await store.job(id ?? 0))?.state === 'running');
  expect(await claim(store, { a: 1 })).toMatchObject([{ id, attempt: 1, fence: 2 }]);
  const [again] = await rowsOf(db, `SELECT fence, owner FROM headway_job WHERE id = ${id ?? 0}`);
  expect(again).toMatchObject({ fence: 2 });
  await emptyJobsDb(db);
});

it('goes on after kill -9 of the server, without a loss and without a job that nobody ever gives back', async () => {
  await using first = await openStore(db);
  await using second = await openStore(db);
  const nowMs = await first.time();
  const ids = new Set<number>();
  for (let from = 0; from < JOBS; from += 500)
    for (const { id } of await first.enqueue(
      Array.from({ length: 500 }, (_, i) => job(`t${(from + i) % 30}`)),
      nowMs,
    ))
      ids.add(id);

  const seen = { done: new Map<number, number>(), refusals: new Set<string>() };
  const over = new AbortController();
  const workers = Promise.all(
    [first, second, first, second].map((store, i) => work(store, `owner-${i}`, over.signal, seen)),
  );
  for (const share of [0.15, 0.4, 0.7]) {
    await until(() => seen.done.size > JOBS * share, `${share} of the jobs were not done`);
    await db.kill();
    await sleep(50);
    await db.start();
  }
  const left = async () =>
    Number((await rowsOf(db, 'SELECT COUNT(*) AS jobs FROM headway_job'))[0]?.['jobs']);
  // No owner falls silent, so nothing is reclaimed: whoever has a job must have ended it.
  await until(async () => (await left()) === 0, 'jobs were left behind', 30_000);
  over.abort();
  await workers;
  expect([...ids].filter((id) => !seen.done.has(id))).toEqual([]);
  expect(seen.refusals).toContain('unreachable');
  expect(await miscounts(db)).toEqual([]);
}, 60_000);
