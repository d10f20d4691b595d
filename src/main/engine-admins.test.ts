import { describe, expect, it } from 'vitest';
import type { EngineView } from '../contract/engine-report.ts';
import { HeadwayError } from '../contract/errors.ts';
import { zero } from '../core/count.ts';
import { EngineAdmins } from './engine-admins.ts';
import type { EngineAdmin } from './engine/admin.ts';
import { FakeClock, settled } from './monitor/fake-clock.ts';
import { plainMonitor } from './monitor/plain-monitor.ts';

const never = new AbortController().signal;
const totals = { ready: zero, delayed: zero, running: zero, waiting: zero, blocked: zero, dead: zero };
const viewAt = (asOfMs: number): EngineView => ({
  asOfMs,
  store: 'a store',
  place: 'local',
  engines: [],
  holds: [],
  totals,
  deadGroups: [],
  bulks: [],
  recent: [],
  problem: null,
});

function setUp(safety: 'confirm' | 'read-only' = 'confirm') {
  const clock = new FakeClock();
  const log: string[] = [];
  let failure: Error | null = null;
  // Only what the tests ask of it.
  const engine = {
    view: () => {
      log.push('view');
      return failure ? Promise.reject(failure) : Promise.resolve(viewAt(clock.now()));
    },
    unhold: () => {
      log.push('unhold');
      return Promise.resolve(true);
    },
  } as unknown as EngineAdmin;
  const { monitor } = plainMonitor({ id: 'jobs', name: 'Jobs', safety });
  const postal = plainMonitor({ id: 'mail', name: 'Mail' }).monitor;
  const engines = new EngineAdmins({
    connections: {
      get: (id) => {
        if (id === 'jobs') return monitor;
        if (id === 'mail') return postal;
        throw new HeadwayError('not-found', `There is no connection "${id}".`);
      },
    },
    engineOf: (id) => (id === 'jobs' ? engine : null),
    clock,
  });
  return { engines, clock, log, fail: (error: Error | null) => (failure = error) };
}

describe('EngineAdmins', () => {
  it('reads a view about once a second while somebody watches, once for all of them, and then no more', async () => {
    const { engines, clock, log } = setUp();
    const first = new AbortController();
    const second = new AbortController();
    const seen: number[] = [];
    const beganMs = clock.now();
    await engines.follow('jobs', ({ asOfMs }) => seen.push(asOfMs - beganMs), first.signal);
    await engines.follow('jobs', ({ asOfMs }) => seen.push(asOfMs - beganMs), second.signal);
    await clock.advance(2_500);
    expect(seen).toEqual([1_000, 1_000, 2_000, 2_000]);
    expect(log).toHaveLength(3);
    first.abort();
    await clock.advance(1_000);
    expect(seen).toHaveLength(5);
    second.abort();
    await settled();
    expect(clock.sleepers).toBe(0);
    await clock.advance(10_000);
    expect(log).toHaveLength(4);
    // Whoever comes later sees the present.
    const late = new AbortController();
    expect((await engines.follow('jobs', () => undefined, late.signal)).asOfMs).toBe(clock.now());
    late.abort();
  });

  it('shows a change at once', async () => {
    const { engines, clock, log } = setUp();
    const watching = new AbortController();
    let views = 0;
    await engines.follow('jobs', () => (views += 1), watching.signal);
    await clock.advance(100);
    expect(await engines.act('jobs', (engine) => engine.unhold({ tenantId: 'a', kind: null }))).toBe(true);
    await settled();
    expect(views).toBe(1);
    expect(log).toEqual(['view', 'unhold', 'view']);
    watching.abort();
  });

  it('shows what was last known, and why, while the engine does not answer', async () => {
    const { engines, clock, fail } = setUp();
    const watching = new AbortController();
    const seen: EngineView[] = [];
    const { asOfMs } = await engines.follow('jobs', (view) => seen.push(view), watching.signal);
    fail(new HeadwayError('unreachable', 'The local engine stopped.'));
    await clock.advance(1_000);
    expect(seen.at(-1)).toMatchObject({ asOfMs, problem: 'The local engine stopped.' });
    fail(null);
    await clock.advance(1_000);
    expect(seen.at(-1)?.problem).toBeNull();
    watching.abort();
    await settled();
    fail(new HeadwayError('unreachable', 'The local engine stopped.'));
    await expect(engines.follow('jobs', () => undefined, never)).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect(clock.sleepers).toBe(0);
  });

  it('changes nothing through a read-only connection, and looks all the same', async () => {
    const { engines, log } = setUp('read-only');
    await expect(
      engines.act('jobs', (engine) => engine.unhold({ tenantId: null, kind: null })),
    ).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('Jobs is a read-only connection') as string,
    });
    expect(log).toEqual([]);
    await engines.look('jobs').view(never);
    expect(log).toEqual(['view']);
  });

  it('says that another system is no engine, and that an unknown one is unknown', () => {
    const { engines } = setUp();
    expect(() => engines.look('mail')).toThrow('Mail is not an engine of Headway');
    expect(() => engines.look('nobody')).toThrow('There is no connection "nobody"');
  });
});
