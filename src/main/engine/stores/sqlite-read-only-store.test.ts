import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteStore } from './sqlite-store.ts';
import { ANY, asked, claim, ending, job, put, settle, T } from './store-conformance-acts.ts';
import type { Store } from './store.ts';

let folder = '';
let file = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headway-watch-'));
  file = join(folder, 'queue.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

const HOLD = {
  tenantId: null,
  kind: 'sync',
  mode: 'pause' as const,
  by: 'ann',
  reason: 'release',
  sinceMs: T,
};

/** Everything that can be seen of a store. */
const all = async (store: Store) => ({
  cursor: await store.cursor(),
  owners: await store.owners(),
  holds: await store.holds(),
  depths: await store.depths(3),
  ready: await store.ready({ after: 'a', limit: 9, eligible: ANY }),
  jobs: [await store.job(1), await store.job(2), await store.job(99)],
  payload: await store.payload(1, 5),
  lists: await Promise.all(
    (['ready', 'waiting', 'blocked', 'running', 'dead'] as const).map((state) =>
      store.list({ state, tenantId: null, after: null, limit: 2 }),
    ),
  ),
  groups: await store.deadGroups(9),
  dead: await store.deadJobs({ kind: 'mail' }, 0, 9),
  blocked: await store.blockedJobs({ ids: [2, 3] }, 0, 9),
});

describe('a SQLite store that is only watched', () => {
  it('shows what the engine that works on the file sees, as it goes on', async () => {
    await using store = SqliteStore.open({ file });
    await using watched = SqliteStore.openReadOnly(file);
    expect(await all(watched)).toEqual(await all(store));
    await put(store, [
      job('a'),
      job('a', { dependsOn: [{ row: 0 }] }),
      job('b', { kind: 'sync' }),
      job('c'),
      job('é', { kind: 'report' }),
    ]);
    await store.beat('one', '{"state":"working"}', T);
    await store.hold(HOLD);
    const claims = await claim(store, { a: 1 }, { cursor: 'a' });
    expect(await all(watched)).toEqual(await all(store));
    await settle(
      store,
      claims.map((one) => ending(one, 'dead')),
    );
    const seen = await all(watched);
    expect(seen).toEqual(await all(store));
    expect(seen.blocked).toMatchObject([{ job: { id: 2 }, ancestorId: 1 }]);
    expect(seen.ready.map(({ tenantId }) => tenantId)).toEqual(['c', 'é']);
  });

  it('refuses whatever would change it, and changes nothing', async () => {
    await using store = SqliteStore.open({ file });
    await put(store, [job('a')]);
    await using watched = SqliteStore.openReadOnly(file);
    const before = await all(store);
    const changes = [
      () => watched.enqueue([job('a')], T),
      () => watched.exchange(asked(1)),
      () => watched.promoteDue(T),
      () => watched.beat('one', '{}', T),
      () => watched.leave('one'),
      () => watched.reclaim({ except: 'x', silentSinceMs: T, nowMs: T }),
      () => watched.hold(HOLD),
      () => watched.unhold(HOLD),
      () => watched.requeue({}, 9, T),
      () => watched.discard({}, 9, T),
      () => watched.unblock({}, 'release', 9, T),
    ];
    for (const change of changes)
      await expect(change()).rejects.toMatchObject({
        code: 'unauthorized',
        message: expect.stringContaining(file) as string,
      });
    expect(await all(store)).toEqual(before);
  });

  it('says what is wrong with a file that it cannot read', () => {
    expect(() => SqliteStore.openReadOnly(file)).toThrow(
      expect.objectContaining({ code: 'file-missing', message: expect.stringContaining(file) as string }),
    );
    {
      using db = new DatabaseSync(file);
      db.exec('CREATE TABLE notes (text)');
    }
    expect(() => SqliteStore.openReadOnly(file)).toThrow(/not a job store of Headway/);
    {
      using db = new DatabaseSync(file);
      db.exec(`PRAGMA application_id = 0x48647751; PRAGMA user_version = 1`);
    }
    expect(() => SqliteStore.openReadOnly(file)).toThrow(/older Headway \(store version 1/);
  });
});
