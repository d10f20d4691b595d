import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../core/seeded-random.ts';
import type { Claim } from '../job.ts';
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

const alter = (file: string, sql: string): void => {
  using db = new DatabaseSync(file);
  db.exec(sql);
};
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
    alter(foreign, 'CREATE TABLE notes (text)');
    expect(() => SqliteStore.open({ file: foreign })).toThrow(/not a job store of Headway/);
    const newer = freshFile();
    void SqliteStore.open({ file: newer })[Symbol.asyncDispose]();
    alter(newer, 'PRAGMA user_version = 99');
    expect(() => SqliteStore.open({ file: newer })).toThrow(/newer Headway \(store version 99/);
  });

  it('keeps counts that a look at every row confirms, whatever happens to the jobs', async () => {
    const file = freshFile();
    await using store = SqliteStore.open({ file });
    using reader = new DatabaseSync(file, { readOnly: true });
    const random = seededRandom(3);
    const held: Claim[] = [];
    for (let nowMs = 1; nowMs < 400; nowMs++) {
      const readyAtMs = nowMs + Math.floor(random() * 20) - 10;
      await store.enqueue(
        [{ tenantId: `t${Math.floor(random() * 5)}`, kind: 'mail', payload: 0, readyAtMs }],
        nowMs,
      );
      const order = random() < 0.5 ? 'fair' : 'first-come';
      held.push(...(await store.claim({ owner: `o${nowMs % 3}`, limit: 2, order, nowMs })));
      const [claim] = held.splice(Math.floor(random() * held.length), 1);
      if (claim) {
        const how = (['done', 'retry', 'dead', 'returned'] as const)[Math.floor(random() * 4)] ?? 'done';
        await store.settle([{ claim, how, atMs: nowMs + 5, error: 'failed' }], nowMs);
      }
      if (random() < 0.2) await store.promoteDue(nowMs);
      if (random() < 0.05) await store.reclaim({ except: 'o1', silentSinceMs: nowMs, nowMs });

      const { tenants } = await store.depths(1_000);
      for (const { tenantId, ready, delayed, running, dead, oldestReady, frontIds } of tenants) {
        const rows = reader
          .prepare('SELECT id, state, ready_at FROM job WHERE tenant_id = ? ORDER BY id')
          .all(tenantId);
        const count = (state: string) => rows.filter((row) => row['state'] === state).length;
        expect([ready.value, delayed.value, running.value, dead.value]).toEqual(
          ['ready', 'delayed', 'running', 'dead'].map(count),
        );
        const readyRows = rows.filter((row) => row['state'] === 'ready');
        expect(frontIds).toEqual(readyRows.map((row) => row['id']));
        expect(oldestReady?.readyAtMs ?? Infinity).toBe(
          Math.min(...readyRows.map((row) => Number(row['ready_at']))),
        );
      }
    }
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
