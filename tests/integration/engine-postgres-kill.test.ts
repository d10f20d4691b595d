// What a claim on PostgreSQL is worth when something is killed: the server under load, an engine, the line between them.
// Nothing that was claimed is lost, and nobody ends what is no longer his.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { HeadwayError } from '../../src/contract/errors.ts';
import type { Settlement } from '../../src/main/engine/job.ts';
import {
  ANY,
  asked,
  claim,
  ending,
  job,
  put,
  settle,
  statesOf,
} from '../../src/main/engine/stores/store-conformance-acts.ts';
import { PostgresStore, type PostgresStoreOptions } from '../../src/main/engine/stores/postgres-store.ts';
import type { Store } from '../../src/main/engine/stores/store.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { until } from '../harness/until.ts';

let server: Postgres;
let children: ChildProcess[] = [];
beforeEach(async () => {
  // What is committed must survive the server.
  server = await startPostgres({ settings: { fsync: 'on' } });
}, 30_000);
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await server[Symbol.asyncDispose]();
});

const open = (more: Partial<PostgresStoreOptions> = {}) =>
  PostgresStore.open({
    host: server.host,
    port: server.port,
    user: server.user,
    password: server.password,
    database: 'postgres',
    ...more,
  });

async function fill(store: Store, jobs: number): Promise<Set<number>> {
  const ids = new Set<number>();
  const nowMs = await store.time();
  for (let from = 0; from < jobs; from += 1_000)
    for (const { id } of await store.enqueue(
      Array.from({ length: Math.min(1_000, jobs - from) }, (_, i) => job(`t${(from + i) % 40}`)),
      nowMs,
    ))
      ids.add(id);
  return ids;
}

describe('kill -9 of the server under load', () => {
  const JOBS = 10_000;

  /** Claims, does nothing and settles until told to stop; what fails because the server is away is asked again. */
  async function work(
    store: Store,
    owner: string,
    signal: AbortSignal,
    seen: { done: Set<number>; refusals: Set<string> },
  ): Promise<void> {
    let ends: Settlement[] = [];
    while (!signal.aborted) {
      try {
        const tenants = await store.ready({ after: null, limit: 40, eligible: ANY });
        const { claims } = await store.exchange(
          asked(Object.fromEntries(tenants.map(({ tenantId }) => [tenantId, 4])), {
            owner,
            settlements: ends,
            nowMs: await store.time(),
          }),
        );
        for (const { id } of claims) seen.done.add(id);
        ends = claims.map((one) => ending(one, 'done'));
      } catch (error) {
        if (!(error instanceof HeadwayError) || !error.retryable) throw error;
        seen.refusals.add(error.code);
        await sleep(20);
      }
    }
  }

  it('goes on by itself, without a loss and without a job that nobody ever gives back', async () => {
    await using first = await open();
    await using second = await open();
    const ids = await fill(first, JOBS);
    const seen = { done: new Set<number>(), refusals: new Set<string>() };
    const over = new AbortController();
    const workers = Promise.all(
      [first, second, first, second].map((store, i) => work(store, `owner-${i}`, over.signal, seen)),
    );
    for (const share of [0.15, 0.4, 0.7]) {
      await until(() => seen.done.size > JOBS * share, `${share} of the jobs were not done`, 30_000);
      await server.kill();
      await sleep(50);
      await server.start();
    }
    // No owner falls silent, so nothing is reclaimed: whoever has a job must have ended it.
    const left = async () => {
      const { tenants } = await first.depths(0);
      return tenants.reduce((sum, { ready, running }) => sum + ready.value + running.value, 0);
    };
    await until(async () => (await left()) === 0, 'jobs were left behind', 30_000);
    over.abort();
    await workers;
    expect([...ids].filter((id) => !seen.done.has(id))).toEqual([]);
    expect([...seen.refusals]).toEqual(['unreachable']);
    const { tenants } = await second.depths(0);
    expect(tenants.reduce((sum, { attemptsTotal }) => sum + attemptsTotal, 0)).toBe(JOBS);
  }, 90_000);

  it('rejects with unreachable while it is away, and works again when it is back', async () => {
    await using store = await open();
    const [id = 0] = await put(store, [job('a')]);
    const [claimed] = await claim(store, 1);
    if (!claimed) throw new Error('nothing claimed');
    await server.kill();
    const away = { code: 'unreachable', retryable: true };
    await expect(store.time()).rejects.toMatchObject(away);
    await expect(settle(store, [ending(claimed, 'done')])).rejects.toMatchObject(away);
    await expect(store.depths(0)).rejects.toMatchObject(away);
    await server.start();
    // What was claimed before the crash is its owner's after it.
    expect(await statesOf(store, [id])).toEqual(['running']);
    expect(await settle(store, [ending(claimed, 'done')])).toEqual([true]);
  }, 30_000);
});

describe('an answer that is lost on the way', () => {
  it('gives back what was claimed, without counting the attempt', async () => {
    await using line = await lossyLine(server.port);
    await using store = await open({ port: line.port, connections: 1 });
    const [id = 0] = await put(store, [job('a')]);
    line.loseNextClaim();
    await expect(claim(store, { a: 1 })).rejects.toMatchObject({ code: 'unreachable', retryable: true });
    // It did come about, and nobody was told.
    await until(async () => (await store.job(id))?.state === 'running');
    const [again] = await claim(store, { a: 1 });
    expect(again).toMatchObject({ id, attempt: 1 });
    if (again) expect(await settle(store, [ending(again, 'done')])).toEqual([true]);
  });

  /** Between a store and its server; when armed, the answer to the next exchange is lost. */
  async function lossyLine(port: number) {
    let armed = false;
    const sockets = new Set<Socket>();
    const between = createServer((client) => {
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
        losing = armed && chunk.includes('headway exchange');
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
    between.listen(0, '127.0.0.1');
    await once(between, 'listening');
    const address = between.address();
    return {
      port: typeof address === 'object' && address !== null ? address.port : 0,
      loseNextClaim: () => {
        armed = true;
      },
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        between.close();
        await once(between, 'close');
      },
    };
  }
});

describe('two engines on one PostgreSQL, one of them killed', () => {
  const JOBS = 10_000;
  const heard = z.object({
    ended: z.int().optional(),
    settled: z.int().optional(),
    problem: z.string().optional(),
  });

  function engineProcess(owner: string) {
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        join(import.meta.dirname, 'engine-postgres-child.ts'),
        ...[String(server.port), server.password, owner, '100', '20'],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    children.push(child);
    const lines = createInterface({ input: child.stdout });
    const said = { ended: new Set<number>(), settled: new Set<number>(), problems: [] as string[] };
    lines.on('line', (line) => {
      const { ended, settled, problem } = heard.parse(JSON.parse(line));
      if (ended !== undefined) said.ended.add(ended);
      if (settled !== undefined) said.settled.add(settled);
      if (problem !== undefined) said.problems.push(problem);
    });
    const gone = Promise.all([once(child, 'exit'), once(lines, 'close')]);
    return {
      ...said,
      async end(signal: 'SIGKILL' | 'SIGTERM') {
        child.kill(signal);
        await gone;
      },
    };
  }

  /** What the owner has, once the server has ended what it was still doing for it. */
  async function claimsOf(owner: string): Promise<{ owner: string; id: string; fence: string }[]> {
    const client = await server.connect();
    const look = async () =>
      (
        await client.query<{ owner: string; id: string; fence: string }>(
          `SELECT owner, i.id, lease.id * 4096 + place AS fence
            FROM headway_engine.lease, unnest(ids) WITH ORDINALITY AS i (id, place)
            WHERE owner LIKE $1 || '%' AND i.id <> 0 ORDER BY fence`,
          [owner],
        )
      ).rows;
    let seen = await look();
    for (let before: typeof seen | null = null; JSON.stringify(before) !== JSON.stringify(seen);) {
      before = seen;
      await sleep(200);
      seen = await look();
    }
    await client.end();
    return seen;
  }

  it('lose no job: all are done at least once, and late ends of the dead one are refused', async () => {
    await using store = await open();
    const ids = await fill(store, JOBS);
    const survivor = engineProcess('survivor');
    const victim = engineProcess('victim');
    await until(
      () => victim.ended.size > 1_500 && survivor.ended.size > 500,
      'the engines did not work',
      30_000,
    );
    await victim.end('SIGKILL');

    const rows = await claimsOf('victim');
    expect(rows.length).toBeGreaterThan(0);
    const silentSinceMs = Number.MAX_SAFE_INTEGER;
    expect(await store.reclaim({ except: 'survivor', silentSinceMs, nowMs: await store.time() })).toBe(
      rows.length,
    );
    for (const how of ['done', 'returned'] as const) {
      const ends = rows.map(({ id, fence }): Settlement => ({
        claim: { id: Number(id), fence: Number(fence), tenantId: 't0', kind: 'mail' },
        how,
      }));
      const late = await settle(store, ends, { owner: rows[0]?.owner ?? '', nowMs: await store.time() });
      expect(late).not.toContain(true);
    }

    const done = () => new Set([...victim.ended, ...survivor.ended]);
    await until(
      () => done().size === JOBS,
      () => `${done().size} of ${JOBS} were done`,
      45_000,
    );
    await survivor.end('SIGTERM');
    expect([...ids].filter((id) => !done().has(id))).toEqual([]);
    expect(survivor.problems).toEqual([]);
    const { tenants } = await store.depths(0);
    const sum = (of: 'ready' | 'delayed' | 'running' | 'dead') =>
      tenants.reduce((total, tenant) => total + tenant[of].value, 0);
    expect([sum('ready'), sum('delayed'), sum('running'), sum('dead')]).toEqual([0, 0, 0, 0]);
    // Every attempt is counted once: the successful one of each job and those that were cut off.
    expect(tenants.reduce((total, { attemptsTotal }) => total + attemptsTotal, 0)).toBe(JOBS + rows.length);
  }, 90_000);
});
