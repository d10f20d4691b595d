import { describe, expect, it } from 'vitest';
import type { EngineReport, KindReport } from '../../../contract/engine-report.ts';
import { enginesSeen } from './engines.ts';
import type { StoreOwner } from './store-reader.ts';

const T = 1_700_000_000_000;
const none = { count: 0, p50Ms: null, p95Ms: null, p99Ms: null, maxMs: null };
const kind = (name: string, failureRatio: number | null, attempts: number): KindReport => ({
  kind: name,
  running: 0,
  limit: null,
  heldBy: null,
  finishedPerMinute: 0,
  failedPerMinute: 0,
  failureRatio,
  wait: none,
  run: { ...none, count: attempts },
  errors: {},
  breaker: null,
  throttle: null,
  rate: null,
});
const worker = (id: number, more: Partial<EngineReport['workers'][number]> = {}) => ({
  id,
  state: 'idle' as const,
  runsIn: null,
  job: null,
  memoryBytes: null,
  memoryLimitBytes: null,
  loopDelayMs: null,
  restarts: 0,
  jobs: 0,
  errors: 0,
  ...more,
});
const report = (owner: string, more: Partial<EngineReport> = {}): EngineReport => ({
  owner,
  host: 'host',
  pid: 1,
  version: '1.0.0',
  startedAtMs: T,
  atMs: T,
  state: 'working',
  order: 'fair',
  workersWanted: 2,
  workers: [],
  restarts: 0,
  buffered: 0,
  finishedPerS: 0,
  finishedTotal: 0,
  failedTotal: 0,
  kinds: [],
  breakers: [],
  memory: { rssBytes: 100, limitBytes: 1_000, pressure: 'normal' },
  loopDelay: { p50Ms: 0, p99Ms: 0, maxMs: 0 },
  pool: null,
  balance: null,
  ...more,
});
const owner = (of: EngineReport, agoMs: number, id = of.owner): StoreOwner => ({
  id,
  beatAtMs: T - agoMs,
  report: JSON.stringify(of),
});

describe('enginesSeen', () => {
  it('adds up workers, memory and failures of the engines that were heard lately', () => {
    const busy = worker(0, { state: 'busy', memoryBytes: 70, memoryLimitBytes: 80 });
    const seen = enginesSeen(
      [
        owner(
          report('a', { workers: [busy, worker(1)], kinds: [kind('mail', 0.5, 10), kind('sync', null, 3)] }),
          9_000,
        ),
        owner(report('b', { workersWanted: 5, kinds: [kind('mail', 0, 30)] }), 50_000),
        owner(report('silent', { workersWanted: 99, order: 'first-come' }), 61_000),
      ],
      T,
    );
    expect(seen.fresh.map((one) => one.owner)).toEqual(['a', 'b']);
    expect(seen.workers).toEqual({ busy: 1, total: 7, lastSeenAtMs: T - 9_000 });
    expect(seen.order).toBe('fair');
    expect(seen.kinds).toEqual([
      { kind: 'mail', failureRatio: 0.125 },
      { kind: 'sync', failureRatio: null },
    ]);
    expect(seen.workerMemory).toEqual([
      { id: 'a', rssBytes: 100, limitBytes: 1_000 },
      { id: 'a worker 0', rssBytes: 70, limitBytes: 80 },
      { id: 'b', rssBytes: 100, limitBytes: 1_000 },
    ]);
  });

  it('counts an engine with several names once, by its newest word', () => {
    const seen = enginesSeen(
      [
        owner(report('a', { workersWanted: 9 }), 5_000, 'a'),
        owner(report('a', { workersWanted: 3 }), 0, 'a~2'),
      ],
      T,
    );
    expect(seen.workers.total).toBe(3);
  });

  it('names no order where engines differ', () => {
    expect(
      enginesSeen([owner(report('a'), 0), owner(report('b', { order: 'fair-time' }), 0)], T).order,
    ).toBeNull();
  });

  it('says nothing of now when nobody was heard lately, and when nobody is understood', () => {
    const nothing = { fresh: [], order: null, kinds: null, workerMemory: null };
    expect(enginesSeen([], T)).toEqual({
      ...nothing,
      workers: { busy: null, total: null, lastSeenAtMs: null },
    });
    expect(enginesSeen([{ id: 'x', beatAtMs: T - 1, report: '{"words":"others"}' }], T)).toEqual({
      ...nothing,
      workers: { busy: null, total: null, lastSeenAtMs: T - 1 },
    });
  });
});
