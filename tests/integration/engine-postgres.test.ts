// The store on a real PostgreSQL: what every store promises, and what only a shared database can be asked.
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Claim, NewJob } from '../../src/main/engine/job.ts';
import {
  ANY,
  asked,
  claim,
  depthOf,
  ending,
  job,
  put,
  settle,
  statesOf,
  T,
} from '../../src/main/engine/stores/store-conformance-acts.ts';
import { storeConformance } from '../../src/main/engine/stores/store-conformance.ts';
import { PostgresStore } from '../../src/main/engine/stores/postgres-store.ts';
import type { Store } from '../../src/main/engine/stores/store.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';

let server: Postgres;
let sql: Client;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
  sql = await server.connect();
}, 30_000);
afterAll(async () => {
  await sql.end();
  await server[Symbol.asyncDispose]();
});

const address = () => ({
  host: server.host,
  port: server.port,
  user: server.user,
  password: server.password,
  database: 'postgres',
});
const open = (schema: string) => PostgresStore.open({ ...address(), schema });
const fresh = () => open(`s${++schemas}`);
/** As another machine has it. */
const another = () => open(`s${schemas}`);

storeConformance('PostgreSQL', fresh, { another });

describe('several engines on one PostgreSQL', () => {
  it('end every job of a woven crowd exactly once, and lose count of none', async () => {
    await using first = await fresh();
    await using second = await another();
    const stores = [first, second];
    const FAMILIES = 60;
    const family = (n: number): NewJob[] => [
      job(`t${n % 5}`),
      job(`t${n % 5}`, { kind: 'sync', dependsOn: [{ row: 0 }] }),
      job(`t${(n + 1) % 5}`, { dependsOn: [{ row: 0 }] }),
      job(`t${n % 7}`, { dependsOn: [{ row: 1 }, { row: 2 }], priority: n % 3 }),
    ];
    const done = new Map<number, number>();
    let enqueued = 0;
    const send = async (store: Store, from: number) => {
      let earlier: number | null = null;
      for (let n = from; n < FAMILIES; n += 2) {
        // The first of a family also waits for the last of the one before, which may be ending just now.
        const [head = job('t0'), ...rest] = family(n);
        const dependsOn = earlier === null ? [] : [{ id: earlier }];
        const ids: number[] = await put(store, [{ ...head, dependsOn }, ...rest]);
        earlier = ids.at(-1) ?? null;
        enqueued += ids.length;
      }
    };
    const over = new AbortController();
    const work = async (store: Store, owner: string) => {
      let ends: ReturnType<typeof ending>[] = [];
      for (let turn = 0; !over.signal.aborted; turn++) {
        const tenants = await store.ready({ after: null, limit: 9, eligible: ANY });
        const take = Object.fromEntries(tenants.map(({ tenantId }) => [tenantId, 2]));
        const { taken, claims } = await store.exchange(
          asked(turn % 4 === 0 ? 3 : take, { owner, settlements: ends }),
        );
        for (const [i, end] of ends.entries())
          if (taken[i] && end.how === 'done') done.set(end.claim.id, (done.get(end.claim.id) ?? 0) + 1);
        // Some go back, and some are tried again at once.
        ends = claims.map((one: Claim) => {
          if (one.attempt === 1 && one.id % 5 === 0) return ending(one, 'retry');
          return ending(one, (one.id + turn) % 9 === 0 ? 'returned' : 'done');
        });
      }
    };
    const workers = Promise.all([0, 1, 2, 3, 4, 5].map((i) => work(stores[i % 2] ?? first, `owner-${i}`)));
    await Promise.all([send(first, 0), send(second, 1)]);
    await expect.poll(() => done.size, { timeout: 20_000 }).toBe(enqueued);
    over.abort();
    await workers;
    expect([...done.values()].filter((times) => times !== 1)).toEqual([]);
    const { tenants } = await first.depths(0);
    for (const { ready, delayed, running, waiting, blocked, dead } of tenants)
      expect([ready, delayed, running, waiting, blocked, dead].map(({ value }) => value)).toEqual([
        0, 0, 0, 0, 0, 0,
      ]);
    expect(tenants.reduce((sum, { arrivalsTotal }) => sum + arrivalsTotal, 0)).toBe(enqueued);
    const { rows } = await sql.query(
      `SELECT (SELECT count(*) FROM s${schemas}.dependency) + (SELECT count(*) FROM s${schemas}.lease) AS left_over`,
    );
    expect(rows).toEqual([{ left_over: '0' }]);
  }, 40_000);

  it('share one backlog without waiting for each other', async () => {
    await using first = await fresh();
    await using second = await another();
    await put(
      first,
      Array.from({ length: 20 }, () => job('a')),
    );
    // What another machine is claiming at this moment is locked: it is passed over.
    const busy = await server.connect();
    await busy.query(`BEGIN; SELECT id FROM s${schemas}.job ORDER BY id LIMIT 15 FOR UPDATE`);
    expect(await claim(second, { a: 20 })).toHaveLength(5);
    await busy.query('ROLLBACK');
    await busy.end();
    expect(await claim(first, 20)).toHaveLength(15);
  });

  it('store one job of a key that many send at once', async () => {
    await using first = await fresh();
    await using second = await another();
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        (i % 2 ? first : second).enqueue(
          [
            job('a', { idempotencyKey: `k${i % 3}` }),
            job('a', { idempotencyKey: `k${(i + 1) % 3}` }),
            job('b'),
          ],
          T,
        ),
      ),
    );
    expect(new Set(answers.flatMap((rows) => rows.slice(0, 2)).map(({ id }) => id)).size).toBe(3);
    expect(answers.flat().filter((row) => row.fresh)).toHaveLength(3 + 12);
    expect((await depthOf(first, 'a'))?.arrivalsTotal).toBe(3);
  });

  it('free a child whose last two parents end at the same moment', async () => {
    await using first = await fresh();
    await using second = await another();
    for (let round = 0; round < 15; round++) {
      const ids = await put(first, [job('a'), job('b'), job('c', { dependsOn: [{ row: 0 }, { row: 1 }] })]);
      const [one] = await claim(first, { a: 1 }, { owner: 'one' });
      const [two] = await claim(second, { b: 1 }, { owner: 'two' });
      if (!one || !two) throw new Error('nothing claimed');
      await Promise.all([
        settle(first, [ending(one, 'done')], { owner: 'one' }),
        settle(second, [ending(two, 'done')], { owner: 'two' }),
      ]);
      expect(await statesOf(first, ids)).toEqual([null, null, 'ready']);
      const [child] = await claim(first, { c: 1 });
      if (child) await settle(first, [ending(child, 'done')]);
    }
  });

  it('wait with a hold for claims that are under way', async () => {
    await using store = await fresh();
    await put(store, [job('a')]);
    const slow = await server.connect();
    await slow.query('BEGIN');
    await slow.query(
      `SELECT s${schemas}.ready(NULL, 1, '{mail}'), pg_advisory_xact_lock_shared(1214539601, 's${schemas}.job'::regclass::oid::int)`,
    );
    let isHeld = false;
    const holding = store
      .hold({ tenantId: null, kind: null, mode: 'pause', by: 'ann', reason: '', sinceMs: T })
      .then(() => {
        isHeld = true;
      });
    await expect
      .poll(
        async () =>
          (await sql.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)).rowCount,
      )
      .toBe(1);
    expect(isHeld).toBe(false);
    await slow.query('COMMIT');
    await slow.end();
    await holding;
    expect(await claim(store, 1)).toEqual([]);
  });

  it('set a schema up once when they start together', async () => {
    schemas++;
    const stores = await Promise.all([another(), another(), another(), another()]);
    await put(stores[0], [job('a')]);
    expect(await claim(stores[3], 1)).toHaveLength(1);
    for (const store of stores) await store[Symbol.asyncDispose]();
  });
});

describe('the PostgreSQL store', () => {
  it('tells how its connections are used', async () => {
    await using store = await fresh();
    expect(store.pool()).toEqual({ used: 0, size: 4, waiting: 0 });
    const asked = store.depths(1);
    expect(store.pool().used).toBe(1);
    await asked;
    expect(store.pool().used).toBe(0);
  });

  it('says what it is, and leaves no connection behind', async () => {
    const store = await fresh();
    expect(store.description).toMatch(/^PostgreSQL \d+(\.\d+)? at 127\.0\.0\.1:\d+\/postgres, schema s\d+$/);
    await Promise.all(Array.from({ length: 20 }, () => store.time()));
    const connections = async () =>
      (await sql.query(`SELECT FROM pg_stat_activity WHERE application_name = 'headway'`)).rowCount;
    expect(await connections()).toBeLessThanOrEqual(4);
    await store[Symbol.asyncDispose]();
    await expect.poll(connections).toBe(0);
  });

  it('refuses a schema that is another program’s, and leaves it as it was', async () => {
    const schema = `s${++schemas}`;
    await sql.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.job (id int)`);
    await expect(open(schema)).rejects.toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringContaining(schema) as string,
    });
    await sql.query(`CREATE TABLE ${schema}.about (product text, version int)`);
    await sql.query(`INSERT INTO ${schema}.about VALUES ('something else', 1)`);
    await expect(open(schema)).rejects.toMatchObject({ code: 'schema-mismatch' });
    const { rows } = await sql.query(
      `SELECT relname FROM pg_class WHERE relnamespace = '${schema}'::regnamespace ORDER BY relname`,
    );
    expect(rows).toEqual([{ relname: 'about' }, { relname: 'job' }]);
  });

  it('takes an empty schema that was made for it', async () => {
    await sql.query(`CREATE SCHEMA s${++schemas}`);
    await using store = await another();
    expect(await put(store, [job('a')])).toEqual([1]);
  });

  it('refuses the schema of a newer Headway', async () => {
    await (await fresh())[Symbol.asyncDispose]();
    await sql.query(`UPDATE s${schemas}.about SET version = version + 1`);
    await expect(another()).rejects.toMatchObject({
      code: 'schema-mismatch',
      message: expect.stringMatching(/newer.*update Headway/) as string,
    });
  });

  it.each(['Jobs', 'a-b', '1a', 'pg_catalog', 'a"; DROP SCHEMA public; --', '', 'x'.repeat(64)])(
    'refuses %j as the name of a schema',
    async (schema) => {
      await expect(open(schema)).rejects.toMatchObject({ code: 'bad-request' });
    },
  );

  it.each([
    ['a password that is wrong', { password: 'wrong' }, 'authentication-failed', false],
    ['a database that is not there', { database: 'nowhere' }, 'database-unknown', false],
    ['a server that is not there', { port: 1 }, 'unreachable', true],
    ['a server without TLS', { tls: { rejectUnauthorized: false } }, 'tls-failed', false],
  ])('says so at %s', async (_, changes, code, retryable) => {
    const opening = PostgresStore.open({ ...address(), schema: 'never', ...changes });
    await expect(opening).rejects.toMatchObject({ code, retryable });
    await expect(opening).rejects.not.toThrow(server.password);
  });

  it('says so where the user may not make a schema', async () => {
    await sql.query(`CREATE ROLE guest LOGIN PASSWORD 'guest'`);
    const opening = PostgresStore.open({ ...address(), user: 'guest', password: 'guest', schema: 'guests' });
    await expect(opening).rejects.toMatchObject({ code: 'grant-missing' });
  });

  it.each([
    ['tenantId', { tenantId: 'a\0' }],
    ['kind', { kind: 'ma\0il' }],
    ['batchId', { batchId: '\0' }],
    ['idempotencyKey', { idempotencyKey: 'half a \ud800' }],
  ])('refuses a %s that PostgreSQL cannot hold, naming the row', async (field, changes) => {
    await using store = await fresh();
    await expect(store.enqueue([job('a'), job('b', changes)], T)).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringMatching(new RegExp(`job 1 .*${field}`)) as string,
    });
    expect((await store.depths(0)).tenants).toEqual([]);
  });

  it('names the row that a drain refuses', async () => {
    await using store = await fresh();
    await store.hold({ tenantId: 'b', kind: null, mode: 'drain', by: 'ann', reason: '', sinceMs: T });
    await expect(store.enqueue([job('a'), job('b')], T)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/job 1 .*tenant b/) as string,
    });
  });

  it('stores a call of many rows and many bytes wholly or not at all', async () => {
    await using store = await fresh();
    const many = Array.from({ length: 12_000 }, (_, i) => job(`t${i % 3}`, { payload: i }));
    const ids = await put(store, many);
    expect(ids).toEqual(Array.from({ length: 12_000 }, (_, i) => (ids[0] ?? 0) + i));
    await store.hold({ tenantId: 'z', kind: null, mode: 'drain', by: 'ann', reason: '', sinceMs: T });
    await expect(store.enqueue([...many, job('z')], T)).rejects.toMatchObject({ code: 'conflict' });
    const { tenants } = await store.depths(0);
    expect(tenants.reduce((sum, { arrivalsTotal }) => sum + arrivalsTotal, 0)).toBe(12_000);
  }, 30_000);

  it('reads no more for a claim than it claims, however many jobs wait', async () => {
    await using store = await fresh();
    const schema = `s${schemas}`;
    const backlog = Array.from({ length: 20_000 }, (_, i) => job(i % 10 ? 'heavy' : `t${(i / 10) % 500}`));
    await put(store, backlog);
    const reads = async (call: string): Promise<number> => {
      await sql.query('BEGIN');
      // A plan is made for any arguments after five calls: that one is meant.
      for (let i = 0; i < 6; i++) await sql.query(call);
      const count = `SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS n
        FROM pg_stat_xact_user_tables WHERE relname = 'job' AND schemaname = '${schema}'`;
      const { rows: before } = await sql.query<{ n: string }>(count);
      await sql.query(call);
      const { rows: after } = await sql.query<{ n: string }>(count);
      await sql.query('ROLLBACK');
      return Number(after[0]?.n) - Number(before[0]?.n);
    };
    expect(await reads(`SELECT ${schema}.ready('t25', 10, '{mail,sync}')`)).toBeLessThanOrEqual(30);
    const exchange = (tenants: string, count: number) =>
      `SELECT ${schema}.exchange('one', '', 0, '{}', '{}', '{}', NULL, NULL, NULL, NULL, NULL, ${tenants}, '{10,10}', ${count}, '{mail,sync}', '{NULL,NULL}', NULL, false)`;
    // Looked at, locked and deleted; those that the calls before have deleted are passed on the way.
    expect(await reads(exchange(`'{heavy,t7}'`, 0))).toBeLessThanOrEqual(20 * 10);
    expect(await reads(exchange('NULL', 20))).toBeLessThanOrEqual(20 * 10);
  }, 30_000);

  it('counts the same before and after counts are folded', async () => {
    await using store = await fresh();
    await put(
      store,
      Array.from({ length: 90 }, (_, i) => job(`t${i % 3}`)),
    );
    // More exchanges than there are between two folds.
    for (let i = 0; i < 60; i++) {
      const claims = await claim(store, { t0: 1 }, { cursor: `c${i}` });
      await settle(
        store,
        claims.map((one) => ending(one, 'done')),
      );
    }
    const { rows } = await sql.query<{ n: string }>(`SELECT count(*) AS n FROM s${schemas}.delta`);
    expect(Number(rows[0]?.n)).toBeLessThan(60);
    const before = await store.depths(5);
    expect(before.cursor).toBe('c59');
    expect(before.tenants.map(({ ready, attemptsTotal }) => [ready.value, attemptsTotal])).toEqual([
      [0, 30],
      [30, 0],
      [30, 0],
    ]);
    await sql.query(`SELECT s${schemas}.fold()`);
    expect(await store.depths(5)).toEqual(before);
  });

  it('takes ten thousand claims back from a silent engine at once, and refuses each of its late ends', async () => {
    await using store = await fresh();
    const ids = await put(
      store,
      Array.from({ length: 10_000 }, (_, i) => job(`t${i % 7}`, { maxAttempts: i % 2 ? 1 : 5 })),
    );
    const claims: Claim[] = [];
    // An exchange hands over as many as one lease holds.
    for (let some = await claim(store, 10_000); some.length > 0; some = await claim(store, 10_000))
      claims.push(...some);
    expect(claims.map(({ id }) => id)).toEqual(ids);
    expect(await store.reclaim({ except: 'new', silentSinceMs: T, nowMs: T + 1 })).toBe(10_000);
    const late = await settle(
      store,
      claims.map((one) => ending(one, 'done')),
    );
    expect(late).not.toContain(true);
    const { tenants } = await store.depths(0);
    const sum = (of: 'ready' | 'running' | 'dead') =>
      tenants.reduce((total, tenant) => total + tenant[of].value, 0);
    expect([sum('ready'), sum('running'), sum('dead')]).toEqual([5_000, 0, 5_000]);
  }, 30_000);

  it('sweeps behind its claims, so that the next ones do not walk past them', async () => {
    await using store = await fresh();
    const swept = async () => {
      const { rows } = await sql.query<{ vacuum_count: string }>(
        `SELECT vacuum_count FROM pg_stat_user_tables WHERE schemaname = 's${schemas}' AND relname = 'job'`,
      );
      return Number(rows[0]?.vacuum_count);
    };
    await put(
      store,
      Array.from({ length: 21_000 }, () => job('a', { payload: 0 })),
    );
    expect(await swept()).toBe(0);
    for (let i = 0; i < 6; i++) await claim(store, { a: 4_000 });
    await expect.poll(swept, { timeout: 10_000 }).toBe(1);
  }, 30_000);
});
