import { describe, expect, it } from 'vitest';
import { atLeast, exact, zero } from '../../../core/count.ts';
import { parseRoute, pathOf } from './route.ts';
import { tenantTabs } from './tenant-tabs.ts';
import { capabilities } from './test-queue.ts';

const row = {
  ready: atLeast(200),
  running: exact(2),
  delayed: zero,
  stale: zero,
  dead: exact(4),
  blocked: null,
};
const given = {
  connectionId: 'q',
  tenantId: '3',
  section: 'charts',
  row,
  abilities: null,
  foreign: {},
} as const;
const names = (changes: Partial<Parameters<typeof tenantTabs>[0]>): string =>
  tenantTabs({ ...given, ...changes })
    .map(({ key, name, count }) => `${key} ${name} ${count}`.trim())
    .join(', ');

describe('the tabs of a tenant', () => {
  it('offer every list until it is known what the system tells, with counts where they are known', () => {
    expect(names({})).toBe(
      '1 Charts, 2 Ready 200+, 3 Running 2, 4 Delayed 0, 5 Dead 4, 6 Held, 7 Blocked, 8 Locks',
    );
    expect(names({ row: null })).toBe(
      '1 Charts, 2 Ready, 3 Running, 4 Delayed, 5 Dead, 6 Held, 7 Blocked, 8 Locks',
    );
  });

  it('leave out what the system does not tell, but not where one is', () => {
    const abilities = capabilities({ dead: 'no', blocked: 'no', locks: 'no' });
    expect(names({ abilities })).toBe('1 Charts, 2 Ready 200+, 3 Running 2, 4 Delayed 0, 5 Dead 4, 6 Held');
    expect(names({ abilities, section: 'blocked' })).toContain('7 Blocked');
    expect(names({ abilities: capabilities({ jobs: 'no' }) })).toBe('1 Charts, 2 Locks');
  });

  it('point at what should be looked at: dead jobs and stale locks', () => {
    const bad = (changes: object): string[] =>
      tenantTabs({ ...given, row: { ...row, ...changes } })
        .filter((tab) => tab.bad)
        .map(({ id, count }) => `${id} ${count}`);
    expect(bad({})).toEqual(['dead 4']);
    expect(bad({ dead: zero, stale: exact(3) })).toEqual(['locks 3 stale']);
  });

  it('lead to places that have a path of their own, and say why a list is empty for good', () => {
    const tabs = tenantTabs({ ...given, foreign: { held: 'It holds nothing back.' } });
    for (const { id, route } of tabs)
      expect(parseRoute(pathOf(route))).toMatchObject(id === 'charts' ? { tenantId: '3' } : { section: id });
    expect(tabs.find(({ id }) => id === 'held')?.foreign).toBe('It holds nothing back.');
  });
});
