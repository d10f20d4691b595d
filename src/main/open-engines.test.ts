import { describe, expect, it } from 'vitest';
import { engineConnectionSchema, type EngineConnection } from '../contract/settings.ts';
import type { EngineAdmin } from './engine/admin.ts';
import { OpenEngines } from './open-engines.ts';

const connection = (id: string, file: string): EngineConnection =>
  engineConnectionSchema.parse({ id, name: id, kind: 'engine', store: { type: 'sqlite', file } });

function setUp() {
  const log: string[] = [];
  const engines = new OpenEngines(({ id, store }) => {
    const name = `${id} ${store.type === 'sqlite' ? store.file : ''}`;
    log.push(`open ${name}`);
    const close = (): Promise<void> => {
      log.push(`close ${name}`);
      return id === 'broken' ? Promise.reject(new Error('already gone')) : Promise.resolve();
    };
    // Nothing is asked of it here.
    return { [Symbol.asyncDispose]: close } as unknown as EngineAdmin & AsyncDisposable;
  });
  return { engines, log };
}

describe('OpenEngines', () => {
  it('opens each once, anew when its connection changed, and closes what is gone', async () => {
    const { engines, log } = setUp();
    const first = engines.of(connection('a', '1.db'));
    expect(engines.of(connection('a', '1.db'))).toBe(first);
    engines.of(connection('b', '1.db'));
    expect(engines.of(connection('a', '2.db'))).not.toBe(first);
    expect(log).toEqual(['open a 1.db', 'open b 1.db', 'close a 1.db', 'open a 2.db']);
    engines.keepOnly(new Set(['a']));
    expect(log.at(-1)).toBe('close b 1.db');
    await engines[Symbol.asyncDispose]();
    expect(log.at(-1)).toBe('close a 2.db');
  });

  it('lets nobody wait for one that cannot be closed in good order', async () => {
    const { engines } = setUp();
    engines.of(connection('broken', '1.db'));
    await expect(engines[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });
});
