import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it } from 'vitest';
import { claim, claimOne, ending, idsOf, job, put, settle, T } from './store-conformance-acts.ts';
import { storeConformance } from './store-conformance.ts';
import { readingStatements, writingStatements } from './sqlite-statements.ts';
import { SqliteStore } from './sqlite-store.ts';

const folders: string[] = [];
const freshFile = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'headway-store-'));
  folders.push(folder);
  return join(folder, 'queue.db');
};
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

storeConformance('the SQLite store in a file', () =>
  Promise.resolve(SqliteStore.open({ file: freshFile() })),
);
storeConformance('the SQLite store in memory', () => Promise.resolve(SqliteStore.inMemory()), { runs: 60 });

const jobs = (count: number) => Array.from({ length: count }, (_, i) => job(`t${i % 3}`, { payload: i }));

describe('the SQLite store', () => {
  it('keeps jobs, claims, holds and the place in the circle over a restart', async () => {
    const file = freshFile();
    const hold = {
      tenantId: 't1',
      kind: null,
      mode: 'pause' as const,
      by: 'ann',
      reason: 'a flood',
      sinceMs: T,
    };
    let running;
    {
      await using store = SqliteStore.open({ file });
      await put(store, jobs(9));
      await store.hold(hold);
      running = await claim(store, { t0: 1, t2: 1 }, { cursor: 't2' });
    }
    await using store = SqliteStore.open({ file });
    expect(await store.cursor()).toBe('t2');
    expect(await store.holds()).toEqual([hold]);
    expect(idsOf(await claim(store, { t1: 9 }))).toEqual([]);
    expect(
      await settle(
        store,
        running.map((one) => ending(one, 'done')),
      ),
    ).toEqual([true, true]);
    expect(idsOf(await claim(store, 9))).toEqual([4, 6, 7, 9]);
    expect(await put(store, jobs(1))).toEqual([10]);
  });

  it('is empty when opened fresh', async () => {
    const file = freshFile();
    {
      await using store = SqliteStore.open({ file });
      await put(store, jobs(9));
    }
    await using store = SqliteStore.open({ file, fresh: true });
    expect((await store.depths(1)).tenants).toEqual([]);
  });

  it('lets one engine at a time work on a file, and touches nothing when it is refused', async () => {
    const file = freshFile();
    await using store = SqliteStore.open({ file });
    await put(store, jobs(3));
    expect(() => SqliteStore.open({ file, fresh: true })).toThrow(/Another engine works on .*queue\.db/);
    expect(await claim(store, 9)).toHaveLength(3);
  });

  it('leaves no row behind of jobs that are done or discarded', async () => {
    const file = freshFile();
    await using store = SqliteStore.open({ file });
    using reader = new DatabaseSync(file, { readOnly: true });
    const large = 'x'.repeat(5_000);
    await put(store, [
      job('a', { payload: large, idempotencyKey: 'k' }),
      job('a', { payload: large, dependsOn: [{ row: 0 }] }),
      job('a', { dependsOn: [{ row: 0 }] }),
      job('b', { payload: large }),
    ]);
    const [first, other] = await claim(store, 2);
    if (!first || !other) throw new Error('too few claims');
    await settle(store, [ending(first, 'retry', T), ending(other, 'dead')]);
    expect(await claimOne(store)).toMatchObject({ payload: large, attempt: 2 });
    await settle(store, [ending({ ...first, fence: first.fence + 1 }, 'done')]);
    await settle(
      store,
      (await claim(store, 9)).map((one) => ending(one, 'done')),
    );
    await store.discard({}, 9, T);
    const counts = ['job', 'large_payload', 'failed_attempt', 'dependency'].map(
      (table) => reader.prepare(`SELECT count(*) AS count FROM ${table}`).get()?.['count'],
    );
    expect(counts).toEqual([0, 0, 0, 0]);
  });

  it('walks an index for every statement that reads jobs', async () => {
    const file = freshFile();
    await using store = SqliteStore.open({ file });
    await put(store, jobs(300));
    using reader = new DatabaseSync(file, { readOnly: true });
    for (const [name, sql] of Object.entries({ ...readingStatements, ...writingStatements })) {
      const plan = reader
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map((row) => String(row['detail']));
      // A walk of the whole table grows with the backlog, and so does a sort of what is ready.
      expect({ name, bad: plan.filter((step) => /^SCAN (job|head)$/.test(step)) }).toEqual({ name, bad: [] });
      if (['turns', 'firstCome', 'firstComeUnheld', 'front', 'dead', 'blocked', 'circleAfter'].includes(name))
        expect({ name, bad: plan.filter((step) => step.includes('TEMP B-TREE')) }).toEqual({ name, bad: [] });
    }
  });
});
