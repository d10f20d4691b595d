import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../contract/errors.ts';
import type { StoreAccess } from './stores/store-access.ts';
import { MemoryStore } from './stores/memory-store.ts';
import type { Store } from './stores/store.ts';
import { StoreAdmin } from './store-admin.ts';

const never = new AbortController().signal;

/** An admin of a store that stays when it is closed, and how it was opened. */
function adminOf(store: MemoryStore, isReadOnly = false) {
  const opened: StoreAccess[] = [];
  let closed = 0;
  const trouble: { error: HeadwayError | null } = { error: null };
  const view = (): Store =>
    new Proxy<Store>(store, {
      get(target, name) {
        if (name === Symbol.asyncDispose)
          return () => {
            closed += 1;
            return Promise.resolve();
          };
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  const admin = new StoreAdmin({
    name: 'Jobs',
    isReadOnly,
    open: (access) => {
      if (trouble.error !== null) return Promise.reject(trouble.error);
      opened.push(access);
      return Promise.resolve(view());
    },
  });
  return { admin, opened, trouble, closed: () => closed };
}

describe('StoreAdmin', () => {
  it('changes nothing over a read-only connection, and opens nothing for it', async () => {
    const { admin, opened } = adminOf(new MemoryStore(), true);
    const scope = { tenantId: 'a', kind: null };
    const changes = [
      () => admin.hold({ ...scope, mode: 'pause', by: 'ada', reason: '' }),
      () => admin.unhold(scope),
      () => admin.bulk('requeue', {}),
      () => admin.enqueue([{ tenantId: 'a', kind: 'mail', payload: 1 }]),
    ];
    for (const change of changes) await expect(change()).rejects.toMatchObject({ code: 'unauthorized' });
    expect(opened).toEqual([]);
  });

  it('looks through one store, and opens another for each change', async () => {
    const store = new MemoryStore();
    const { admin, opened, closed } = adminOf(store);
    await admin.enqueue([{ tenantId: 'a', kind: 'mail', payload: { password: 'hunter2' } }]);
    await admin.hold({ tenantId: 'a', kind: null, mode: 'pause', by: 'ada', reason: 'flood' });
    const view = await admin.view(never);
    expect(view).toMatchObject({
      place: 'database',
      totals: { ready: { value: 1 } },
      holds: [{ tenantId: 'a', by: 'ada', reason: 'flood' }],
      engines: [],
      bulks: [],
    });
    const [id = 0] = (await store.depths(9)).tenants.flatMap(({ frontIds }) => frontIds);
    const page = await admin.job(id);
    expect(page.job).toMatchObject({ id, tenantId: 'a' });
    expect(page.payload?.text).not.toContain('hunter2');
    expect(await admin.job(id + 1)).toEqual({ job: null, payload: null, recent: [] });
    expect(opened).toEqual(['change', 'change', 'look']);
    expect(closed()).toBe(2);
    await admin[Symbol.asyncDispose]();
    expect(closed()).toBe(3);
  });

  it('follows the long operations that were begun here by their jobs', async () => {
    const store = new MemoryStore();
    const { admin } = adminOf(store);
    const id = await admin.bulk('requeue', { kind: 'mail' });
    expect((await admin.view(never)).bulks).toMatchObject([
      { jobId: id, what: 'requeue', filter: { kind: 'mail' }, state: 'waiting' },
    ]);
    const eligible = [{ kind: 'headway.bulk', limit: null }];
    const asked = { owner: 'one', eligible, cursor: null, nowMs: await store.time() };
    const { claims } = await store.exchange({
      ...asked,
      settlements: [],
      take: { order: 'first-come', count: 1 },
    });
    expect((await admin.view(never)).bulks).toMatchObject([{ jobId: id, state: 'running' }]);
    await store.exchange({
      ...asked,
      settlements: claims.map((claim) => ({ claim, how: 'done' })),
      take: null,
    });
    expect((await admin.view(never)).bulks).toMatchObject([{ jobId: id, state: 'done' }]);
    await expect(admin.stopBulk(id)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('begins anew after the store could not be opened', async () => {
    const { admin, trouble, opened } = adminOf(new MemoryStore());
    trouble.error = new HeadwayError('unreachable', 'away', { retryable: true });
    await expect(admin.view(never)).rejects.toMatchObject({ code: 'unreachable' });
    trouble.error = null;
    await admin.view(never);
    expect(opened).toEqual(['look']);
    await expect(admin.view(AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
  });
});
