import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { versionOne } from './sqlite-schema-1.ts';
import { SqliteStore } from './sqlite-store.ts';
import { claim, idsOf, job, put, statesOf, T } from './store-conformance-acts.ts';

let folder = '';
let file = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headway-schema-'));
  file = join(folder, 'queue.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

const alter = (sql: string): void => {
  using db = new DatabaseSync(file);
  db.exec(sql);
};

describe('the file of a SQLite store', () => {
  it("is refused when it is another program's or a newer version's, and stays as it was", () => {
    alter('CREATE TABLE notes (text)');
    expect(() => SqliteStore.open({ file })).toThrow(/not a job store of Headway/);
    alter('DROP TABLE notes');
    void SqliteStore.open({ file })[Symbol.asyncDispose]();
    alter('PRAGMA user_version = 99');
    expect(() => SqliteStore.open({ file })).toThrow(/newer Headway \(store version 99/);
    expect(() => SqliteStore.openReadOnly(file)).toThrow(/newer Headway/);
  });

  it('is refused when it is no database, with the file’s name and what to do', () => {
    writeFileSync(file, 'Dear diary, '.repeat(1_000));
    expect(() => SqliteStore.open({ file })).toThrow(
      expect.objectContaining({ code: 'storage-failed', message: expect.stringContaining(file) as string }),
    );
  });

  it('of version 1 keeps its jobs, counts, claims and place in the circle', async () => {
    alter(`${versionOne} PRAGMA application_id = 0x48647751; PRAGMA user_version = 1;
      INSERT INTO job (id, tenant_id, kind, payload, state, created_at, ready_at, attempts, max_attempts, fence, owner, started_at, error)
      VALUES
        (3, 'a', 'mail', '{"n":3}', 'ready', ${T}, ${T}, 1, 5, 1, NULL, NULL, '451 later'),
        (4, 'a', 'sync', '4', 'delayed', ${T}, ${T + 9}, 0, 5, 0, NULL, NULL, NULL),
        (5, 'b', 'mail', '${JSON.stringify('x'.repeat(3_000))}', 'ready', ${T}, ${T}, 0, 5, 0, NULL, NULL, NULL),
        (6, 'b', 'mail', '6', 'ready', ${T}, ${T}, 4, 5, 4, NULL, NULL, NULL),
        (7, 'b', 'mail', '7', 'ready', ${T}, ${T}, 0, 5, 2, NULL, NULL, NULL);
      UPDATE job SET state = 'dead', attempts = 5, error = '550 no' WHERE id = 6;
      UPDATE job SET state = 'running', owner = 'one', started_at = ${T + 1}, fence = 3 WHERE id = 7;
      INSERT INTO tenant (id, arrivals, attempts, last_started_at) VALUES ('gone', 8, 9, ${T - 5});
      INSERT INTO idempotency VALUES ('k', 3, ${T});
      UPDATE circle SET cursor = 'a';`);
    await using store = SqliteStore.open({ file });
    expect(await store.cursor()).toBe('a');
    expect(await statesOf(store, [3, 4, 5, 6, 7])).toEqual(['ready', 'delayed', 'ready', 'dead', 'running']);
    expect(await store.job(3)).toMatchObject({
      attempts: 1,
      failedAttempts: [{ failure: { message: '451 later' } }],
    });
    expect(await store.deadGroups(9)).toMatchObject([
      { kind: 'mail', cause: '550 no', count: 1, example: '550 no' },
    ]);
    const { tenants } = await store.depths(9);
    expect(
      tenants.map((one) => [
        one.tenantId,
        one.ready.value,
        one.running.value,
        one.dead.value,
        one.arrivalsTotal,
        one.frontIds,
      ]),
    ).toEqual([
      ['a', 1, 0, 0, 2, [3]],
      ['b', 1, 1, 1, 3, [5]],
      ['gone', 0, 0, 0, 8, []],
    ]);
    expect(tenants[2]).toMatchObject({ attemptsTotal: 9, lastStartedAtMs: T - 5 });
    expect(await store.enqueue([job('a', { idempotencyKey: 'k' })], T)).toEqual([{ id: 3, fresh: false }]);
    expect(await put(store, [job('a')])).toEqual([8]);
    const claims = await claim(store, { a: 1, b: 1 });
    expect(claims).toMatchObject([
      { id: 3, fence: 2, attempt: 2, payload: { n: 3 } },
      { id: 5, payload: 'x'.repeat(3_000) },
    ]);
    const late = { id: 7, fence: 3, tenantId: 'b', kind: 'mail' };
    const { taken } = await store.exchange({
      owner: 'one',
      settlements: [{ claim: late, how: 'done' }],
      take: null,
      eligible: [],
      cursor: null,
      nowMs: T,
    });
    expect(taken).toEqual([true]);
    expect(await store.promoteDue(T + 9)).toBeNull();
    expect(idsOf(await claim(store, 9, { nowMs: T + 9 }))).toEqual([4, 8]);
  });

  it('is the same after a migration as when it is new', () => {
    const shape = (path: string) => {
      using db = new DatabaseSync(path);
      return db
        .prepare("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
        .all();
    };
    alter(`${versionOne} PRAGMA application_id = 0x48647751; PRAGMA user_version = 1;`);
    void SqliteStore.open({ file })[Symbol.asyncDispose]();
    const fresh = join(folder, 'fresh.db');
    void SqliteStore.open({ file: fresh })[Symbol.asyncDispose]();
    expect(shape(file)).toEqual(shape(fresh));
  });
});
