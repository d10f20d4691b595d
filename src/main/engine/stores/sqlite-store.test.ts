import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it } from 'vitest';
import { SqliteStore } from './sqlite-store.ts';
import { storeConformance } from './store-conformance.ts';

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
storeConformance('the SQLite store in memory', () => Promise.resolve(SqliteStore.inMemory()));

const jobs = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ tenantId: `t${i % 3}`, kind: 'mail', payload: i }));

describe('the SQLite store', () => {
  it('keeps jobs and the place in the circle over a restart', async () => {
    const file = freshFile();
    {
      await using store = SqliteStore.open({ file });
      await store.enqueue(jobs(9), 1);
      await store.claim({ owner: 'one', limit: 2, order: 'fair', nowMs: 2 });
    }
    await using store = SqliteStore.open({ file });
    const claims = await store.claim({ owner: 'two', limit: 2, order: 'fair', nowMs: 3 });
    expect(claims.map((claim) => claim.tenantId)).toEqual(['t2', 't0']);
  });

  it('is empty when opened fresh', async () => {
    const file = freshFile();
    {
      await using store = SqliteStore.open({ file });
      await store.enqueue(jobs(9), 1);
    }
    await using store = SqliteStore.open({ file, fresh: true });
    expect((await store.depths(1)).tenants).toEqual([]);
  });

  it('lets one engine at a time work on a file, and touches nothing when it is refused', async () => {
    const file = freshFile();
    await using store = SqliteStore.open({ file });
    await store.enqueue(jobs(3), 1);
    expect(() => SqliteStore.open({ file, fresh: true })).toThrow(/Another engine works on .*queue\.db/);
    expect(await store.claim({ owner: 'one', limit: 9, order: 'fair', nowMs: 2 })).toHaveLength(3);
  });

  it("refuses another program's file and a newer version's", () => {
    const foreign = freshFile();
    new DatabaseSync(foreign).exec('CREATE TABLE notes (text)');
    expect(() => SqliteStore.open({ file: foreign })).toThrow(/not a job store of Headway/);
    const newer = freshFile();
    void SqliteStore.open({ file: newer })[Symbol.asyncDispose]();
    new DatabaseSync(newer).exec('PRAGMA user_version = 99');
    expect(() => SqliteStore.open({ file: newer })).toThrow(/newer Headway \(store version 99/);
  });

  it('walks an index for every statement that reads jobs', async () => {
    const file = freshFile();
    await using store = SqliteStore.open({ file });
    await store.enqueue(jobs(300), 1);
    const { statements } = await import('./sqlite-statements.ts');
    using reader = new DatabaseSync(file, { readOnly: true });
    for (const [name, sql] of Object.entries(statements)) {
      const plan = reader
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map((row) => String(row['detail']));
      // A walk of a whole table, or a sort of everything ready, grows with the backlog.
      expect({ name, bad: plan.filter((step) => /^SCAN job$|TEMP B-TREE FOR ORDER/.test(step)) }).toEqual({
        name,
        bad: [],
      });
    }
  });
});
