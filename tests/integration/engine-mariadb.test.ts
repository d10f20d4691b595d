// The store on a real MariaDB: what every store promises, and what only a shared database can be asked.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Claim, NewJob } from '../../src/main/engine/job.ts';
import {
  ANY,
  asked,
  claim,
  ending,
  job,
  put,
  T,
} from '../../src/main/engine/stores/store-conformance-acts.ts';
import { storeConformance } from '../../src/main/engine/stores/store-conformance.ts';
import type { Store } from '../../src/main/engine/stores/store.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import { emptyJobsDb, miscounts, openStore, rowsOf, startJobsDb } from './engine-mariadb-fixture.ts';

let db: MariaDb;
beforeAll(async () => {
  // Small packets, so that what is long must be sent in parts.
  db = await startJobsDb({ args: ['--max-allowed-packet=4M'] });
});
afterAll(() => db[Symbol.asyncDispose]());
beforeEach(() => emptyJobsDb(db));

storeConformance(
  'MysqlStore on MariaDB',
  async () => {
    await emptyJobsDb(db);
    return openStore(db);
  },
  { another: () => openStore(db), runs: 15 },
);

describe('several engines on one MariaDB', () => {
  it('end every job of a woven crowd exactly once, and lose count of none', async () => {
    await using first = await openStore(db);
    await using second = await openStore(db);
    const stores = [first, second];
    const FAMILIES = 40;
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
        const ids: number[] = await put(store, [
          { ...head, dependsOn: earlier === null ? [] : [{ id: earlier }] },
          ...rest,
        ]);
        earlier = ids.at(-1) ?? null;
        enqueued += ids.length;
      }
    };
    const work = async (store: Store, owner: string, signal: AbortSignal) => {
      let ends: ReturnType<typeof ending>[] = [];
      for (let turn = 0; !signal.aborted; turn++) {
        const tenants = await store.ready({ after: null, limit: 9, eligible: ANY });
        const take = Object.fromEntries(tenants.map(({ tenantId }) => [tenantId, 2]));
        const { taken, claims } = await store.exchange(
          asked(turn % 4 === 0 ? 3 : take, { owner, settlements: ends }),
        );
        for (const [i, counted] of taken.entries()) {
          const ended = ends[i];
          if (counted && ended?.how === 'done') done.set(ended.claim.id, (done.get(ended.claim.id) ?? 0) + 1);
        }
        // Some go back, and some are tried again at once.
        ends = claims.map((one: Claim) =>
          ending(
            one,
            one.attempt === 1 && one.id % 5 === 0 ? 'retry' : (one.id + turn) % 9 === 0 ? 'returned' : 'done',
          ),
        );
      }
    };
    const over = new AbortController();
    const workers = Promise.all(
      Array.from({ length: 6 }, (_, i) => work(stores[i % 2] ?? first, `owner-${i}`, over.signal)),
    );
    await Promise.all([send(first, 0), send(second, 1)]);
    await expect.poll(() => done.size, { timeout: 20_000 }).toBe(enqueued);
    over.abort();
    await workers;
    expect([...done.values()].filter((times) => times !== 1)).toEqual([]);
    expect(await miscounts(db)).toEqual([]);
    const [left] = await rowsOf(
      db,
      `SELECT (SELECT COUNT(*) FROM headway_job) AS jobs, (SELECT COUNT(*) FROM headway_dependency) AS bonds`,
    );
    expect(left).toEqual({ jobs: 0, bonds: 0 });
  });

  it('store one job of a key that many send at once', async () => {
    await using first = await openStore(db);
    await using second = await openStore(db);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        (i % 2 ? first : second).enqueue([job('a', { idempotencyKey: 'order-7' }), job('b')], T),
      ),
    );
    expect(new Set(answers.map(([keyed]) => keyed?.id)).size).toBe(1);
    expect(answers.filter(([keyed]) => keyed?.fresh)).toHaveLength(1);
    expect((await rowsOf(db, 'SELECT COUNT(*) AS jobs FROM headway_job'))[0]).toEqual({ jobs: 13 });
    expect(await miscounts(db)).toEqual([]);
  });

  it('set an empty database up once when they start together', async () => {
    await rowsOf(db, 'SELECT 1');
    const root = await db.connect();
    await root.query('CREATE DATABASE fresh');
    const stores = await Promise.all(Array.from({ length: 4 }, () => openStore(db, { database: 'fresh' })));
    await put(stores[0] ?? (await openStore(db)), [job('a')]);
    expect(await claim(stores[3] ?? (await openStore(db)), 1)).toHaveLength(1);
    for (const store of stores) await store[Symbol.asyncDispose]();
    await root.query('DROP DATABASE fresh');
    await root.end();
  });
});

describe('MysqlStore', () => {
  it('looks at lanes with work alone, however many jobs and idle tenants there are', async () => {
    await using store = await openStore(db);
    await put(
      store,
      Array.from({ length: 3_000 }, (_, i) => job(`t${String(i % 1_500).padStart(4, '0')}`)),
    );
    await rowsOf(db, 'UPDATE headway_job SET state = 5 WHERE id % 100 <> 0');
    await rowsOf(
      db,
      `UPDATE headway_lane AS lane SET n_ready =
      (SELECT COUNT(*) FROM headway_job AS job WHERE job.lane_id = lane.id AND job.state = 0)`,
    );
    const reads = async () => {
      const rows = await rowsOf(db, `SHOW GLOBAL STATUS LIKE 'Handler_read%'`);
      return rows.reduce((sum, row) => sum + Number(row['Value']), 0);
    };
    const before = await reads();
    expect(await store.ready({ after: 't0700', limit: 10, eligible: ANY })).toHaveLength(10);
    // Asking for the counters reads some rows itself.
    expect((await reads()) - before).toBeLessThan(150);
  });

  it('takes payloads longer than a packet, and gives them back as they were', async () => {
    await using store = await openStore(db);
    // Nowhere can it be cut between two of its code units without harm.
    const payload = { text: '📦'.repeat(1_500_000), tail: 'ä' };
    const [id = 0] = await put(store, [job('a', { payload })]);
    expect((await store.job(id))?.payloadBytes).toBe(Buffer.byteLength(JSON.stringify(payload)));
    expect((await store.payload(id, 900_000))?.length).toBe(899_999);
    const [claimed] = await claim(store, { a: 1 });
    expect(claimed?.payload).toEqual(payload);
    await store.exchange(asked(null, { settlements: claimed ? [ending(claimed, 'done')] : [] }));
    expect(await rowsOf(db, 'SELECT COUNT(*) AS parts FROM headway_payload')).toEqual([{ parts: 0 }]);
  });

  it('refuses ids that its tables do not hold, naming the row', async () => {
    await using store = await openStore(db);
    await expect(store.enqueue([job('a'), job('x'.repeat(1_021))], T)).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringMatching(/Row 1 .*tenantId/) as string,
    });
    expect((await store.depths(1)).tenants).toEqual([]);
  });

  it('says what it is, and keeps its password to itself', async () => {
    await using store = await openStore(db);
    expect(store.description).toMatch(/^MariaDB 1\d\.\d+\.\d+ at 127\.0\.0\.1:\d+\/jobs$/);
    const refused = await openStore(db, { password: 'hunter2' }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'authentication-failed', retryable: false });
    expect(String(refused)).not.toContain('hunter2');
    await expect(openStore(db, { database: 'nowhere' })).rejects.toMatchObject({ code: 'database-unknown' });
    await expect(openStore(db, { port: 1 })).rejects.toMatchObject({ code: 'unreachable', retryable: true });
  });

  it('goes on by itself after the server was away', async () => {
    await using store = await openStore(db);
    await put(store, [job('a')]);
    await db.kill();
    await expect(store.depths(1)).rejects.toMatchObject({ code: 'unreachable', retryable: true });
    await db.start();
    expect(await claim(store, 1)).toHaveLength(1);
  });
});

describe('a database that is not the store of this version', () => {
  const withDatabase = async (sql: string, work: (name: string) => Promise<void>) => {
    const root = await db.connect();
    await root.query(`CREATE DATABASE odd; USE odd; ${sql}`);
    try {
      await work('odd');
    } finally {
      await root.query('DROP DATABASE odd');
      await root.end();
    }
  };
  const refusal = (database: string, access: 'work' | 'change' | 'look' = 'work') =>
    expect(openStore(db, { database, access })).rejects;

  it('is refused when its tables are of somebody else, and left as it is', async () => {
    await withDatabase(
      'CREATE TABLE headway_job (id INT); INSERT INTO headway_job VALUES (7)',
      async (odd) => {
        await refusal(odd).toMatchObject({
          code: 'schema-mismatch',
          message: expect.stringContaining('headway_job') as string,
        });
        expect(await rowsOf(db, 'SHOW TABLES FROM odd')).toHaveLength(1);
      },
    );
    await withDatabase('CREATE TABLE headway_store (id INT)', (odd) =>
      refusal(odd).toMatchObject({ code: 'schema-mismatch' }),
    );
  });

  it('is refused when a newer version wrote it', async () => {
    const ours = `CREATE TABLE headway_store (one INT PRIMARY KEY, signature TEXT, version INT);
      INSERT INTO headway_store VALUES (1, 'headway engine store', 99)`;
    await withDatabase(ours, (odd) =>
      refusal(odd).toMatchObject({
        code: 'schema-mismatch',
        message: expect.stringMatching(/version 99.*update Headway/) as string,
      }),
    );
  });

  it('is set up to the end when that was cut off', async () => {
    await withDatabase(
      `CREATE TABLE headway_store (one TINYINT NOT NULL PRIMARY KEY, signature VARCHAR(64) NOT NULL, version INT NOT NULL)`,
      async (database) => {
        await using store = await openStore(db, { database });
        expect(await put(store, [job('a')])).toHaveLength(1);
      },
    );
  });

  it('is not set up by those who only look or change', async () => {
    for (const access of ['look', 'change'] as const)
      await withDatabase('SELECT 1', async (odd) => {
        await refusal(odd, access).toMatchObject({
          code: 'schema-mismatch',
          message: expect.stringContaining('holds no job store') as string,
        });
        expect(await rowsOf(db, 'SHOW TABLES FROM odd')).toEqual([]);
      });
  });

  it('lets those who look change nothing, and asks for no more than SELECT', async () => {
    await using store = await openStore(db);
    await put(store, [job('a')]);
    await rowsOf(db, "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'look'");
    await rowsOf(db, "GRANT SELECT ON jobs.* TO reader@'127.0.0.1'");
    await using granted = await openStore(db, { access: 'look', user: 'reader', password: 'look' });
    expect((await granted.depths(1)).tenants).toHaveLength(1);
    await using looking = await openStore(db, { access: 'look' });
    expect((await looking.depths(1)).tenants).toHaveLength(1);
    expect(await looking.ready({ after: null, limit: 9, eligible: ANY })).toHaveLength(1);
    expect(await looking.deadGroups(9)).toEqual([]);
    await expect(looking.enqueue([job('a')], T)).rejects.toMatchObject({ code: 'unauthorized' });
    await expect(claim(looking, 1)).rejects.toMatchObject({ code: 'unauthorized' });
  });
});
