import { describe, expect, it } from 'vitest';
import { exact } from '../../../core/count.ts';
import type { EngineReading, EngineTenant } from './engine-reader.ts';
import { LocalEngineSource } from './local-engine-source.ts';

const T = 1_700_000_000_000;
const signal = new AbortController().signal;
const tenant = (tenantId: string, frontIds: number[], more: Partial<EngineTenant> = {}): EngineTenant => ({
  tenantId,
  ready: exact(frontIds.length),
  delayed: exact(0),
  running: exact(0),
  dead: exact(0),
  blocked: exact(0),
  oldestReady: frontIds[0] === undefined ? null : { id: frontIds[0], readyAtMs: T, createdAtMs: T },
  oldestRunningAtMs: null,
  lastStartedAtMs: null,
  arrivalsTotal: 100,
  attemptsTotal: 90,
  frontIds,
  ...more,
});
const snapshotOf = async (reading: Partial<EngineReading>) => {
  const whole: EngineReading = {
    atMs: T,
    order: 'first-come',
    workers: 2,
    busy: 1,
    cursor: null,
    frontEndId: null,
    readMs: 1,
    holds: [],
    kinds: [],
    memory: [],
    tenantWord: 'server',
    names: [],
    tenants: [],
    ...reading,
  };
  const notAsked = () => Promise.reject(new Error('not asked'));
  const reader = { sample: () => Promise.resolve(whole), list: notAsked, job: notAsked };
  await using source = new LocalEngineSource(reader, 'an engine');
  const sample = await source.snapshot(signal);
  return { sample, behind: Object.fromEntries(sample.tenants.map((t) => [t.tenantId, t.behind])) };
};

describe('LocalEngineSource', () => {
  it('counts lower ids as ahead when the order is first come first served', async () => {
    const { sample, behind } = await snapshotOf({
      tenants: [tenant('3', [60]), tenant('12', [5, 6, 7, 70]), tenant('17', [8]), tenant('20', [])],
    });
    expect(behind['3']).toEqual({
      ahead: exact(4),
      tenants: [
        { tenantId: '12', share: 0.75 },
        { tenantId: '17', share: 0.25 },
      ],
    });
    expect(behind['12']).toEqual({ ahead: exact(0), tenants: [] });
    expect(behind['20']).toBeNull();
    expect(sample.claimOrder).toBe('first come, first served, by id');
  });

  it('says "at least" when its oldest job lies deeper than was looked at', async () => {
    const oldestReady = { id: 6_000, readyAtMs: T, createdAtMs: T };
    const { behind } = await snapshotOf({
      frontEndId: 7,
      tenants: [
        tenant('3', [], { ready: exact(1), oldestReady }),
        tenant('12', [5, 6, 7], { ready: exact(5_000) }),
      ],
    });
    expect(behind['3']).toEqual({
      ahead: { value: 3, kind: 'at-least' },
      tenants: [{ tenantId: '12', share: 1 }],
    });
    expect(behind['12']?.ahead).toEqual(exact(0));
  });

  it('counts the tenants whose turn comes first when the order is fair', async () => {
    const tenants = [
      tenant('a', [1, 2, 3]),
      tenant('b', [4]),
      tenant('c', [5, 6]),
      tenant('d', []),
      tenant('e', [7]),
    ];
    const ahead = async (cursor: string | null) => {
      const { behind } = await snapshotOf({ order: 'fair', cursor, tenants });
      return Object.fromEntries(Object.entries(behind).map(([id, it]) => [id, it?.ahead.value]));
    };
    expect(await ahead(null)).toEqual({ a: 0, b: 1, c: 2, d: undefined, e: 3 });
    expect(await ahead('b')).toEqual({ c: 0, e: 1, a: 2, b: 3, d: undefined });
    expect(await ahead('d')).toEqual({ e: 0, a: 1, b: 2, c: 3, d: undefined });
    expect(await ahead('zz')).toEqual({ a: 0, b: 1, c: 2, d: undefined, e: 3 });
  });

  it("passes on the engine's exact counts, times and workers", async () => {
    const { sample } = await snapshotOf({
      tenants: [
        tenant('3', [9], {
          oldestReady: { id: 9, readyAtMs: T - 5_000, createdAtMs: T - 60_000 },
          lastStartedAtMs: T - 1,
        }),
      ],
    });
    expect(sample.tenants[0]).toMatchObject({
      ready: exact(1),
      stale: exact(0),
      oldestReady: { readyAtMs: T - 5_000, createdAtMs: T - 60_000, bound: 'exact' },
      lastStartedAtMs: T - 1,
      arrivalsTotal: 100,
      attemptsTotal: 90,
    });
    expect(sample.workers).toEqual({ busy: 1, total: 2, lastSeenAtMs: T });
  });

  it('says who is held by hand, which kinds fail, and what workers hold', async () => {
    const hold = { mode: 'pause' as const, by: 'ada', reason: 'maintenance', sinceMs: T - 9 };
    const { sample } = await snapshotOf({
      holds: [
        { ...hold, tenantId: '3', kind: null },
        { ...hold, tenantId: '4', kind: 'mail' },
      ],
      kinds: [{ kind: 'mail', failureRatio: 0.2 }],
      memory: [{ worker: 2, usedBytes: 7, limitBytes: 8 }],
      tenants: [tenant('3', [1], { dead: exact(5) }), tenant('4', [2])],
    });
    expect(sample.tenants.map(({ paused, dead }) => [paused, dead])).toEqual([
      [{ by: 'ada', sinceMs: T - 9, reason: 'maintenance' }, exact(5)],
      [null, exact(0)],
    ]);
    expect(sample.kinds).toEqual([{ kind: 'mail', failureRatio: 0.2 }]);
    expect(sample.workerMemory).toEqual([{ id: 'worker 2', rssBytes: 7, limitBytes: 8 }]);
    const whole = await snapshotOf({
      holds: [{ ...hold, tenantId: null, kind: null }],
      tenants: [tenant('3', [1])],
    });
    expect(whole.sample.tenants[0]?.paused?.by).toBe('ada');
  });
});
