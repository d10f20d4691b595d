import { describe, expect, it } from 'vitest';
import { exact } from '../../core/count.ts';
import type { TenantSample } from '../../core/sample.ts';
import type { TimingRecord } from '../../core/timing.ts';
import {
  connectionObservations,
  sourceObservations,
  tenantObservations,
  type Observation,
} from './observations.ts';
import { lateTenant, sampleAt, tenantSample } from './plain-source.ts';
import { TenantTracker, type RowContext } from './tenant-tracker.ts';

const START = 1_700_000_000_000;
const WINDOW = 60_000;

const context = (nowMs: number): RowContext => ({
  nowMs,
  databaseNowMs: nowMs,
  allowedLagMs: 180_000,
  warningLagMs: 180_000,
  criticalLagMs: 300_000,
  claimOrder: null,
  nameOf: (id) => id,
  unreachableMs: null,
  shares: null,
  workers: { silentMs: 0, lastSeenMs: 0, patienceMs: WINDOW, utilisation: null },
});
const timing = (stages: Record<string, number>, more: Partial<TimingRecord> = {}): TimingRecord => ({
  tenantId: '3',
  jobId: null,
  kind: null,
  startedAtMs: null,
  totalMs: Object.values(stages).reduce((sum, ms) => sum + ms, 0),
  stages,
  status: 'success',
  error: null,
  sizeBytes: null,
  ...more,
});

/** A tenant that is polled every two seconds for `seconds`, and what the rules see of it after that. */
function watched(
  seconds: number,
  sample: (nowMs: number) => TenantSample,
  {
    records = [],
    canary = false,
    hasDeadSet = false,
  }: { records?: TimingRecord[]; canary?: boolean; hasDeadSet?: boolean } = {},
) {
  const tracker = new TenantTracker(
    { id: '3', name: 'mailflow', detail: '' },
    { windowMs: WINDOW, timingWindowMs: 900_000, sparkBucketMs: WINDOW },
  );
  let nowMs = START;
  for (const record of records) tracker.addTiming(record, nowMs);
  for (; nowMs <= START + seconds * 1_000; nowMs += 2_000) tracker.addSample(sample(nowMs), nowMs);
  nowMs -= 2_000;
  const observe = (atMs: number) => {
    const row = tracker.row(context(atMs));
    return { row, seen: tenantObservations(tracker, row, { nowMs: atMs, canary, hasDeadSet }) };
  };
  return { ...observe(nowMs), observe, nowMs };
}
const valueOf = (seen: Observation[], metric: Observation['metric']) =>
  seen.find((observation) => observation.metric === metric)?.value;
const metrics = (seen: Observation[]) => seen.map(({ metric }) => metric);

describe('tenantObservations', () => {
  it('tells lag, depth, stale locks and the oldest run, each with its scope', () => {
    const { seen } = watched(70, (nowMs) => ({
      ...lateTenant('3', 200_000, nowMs),
      ready: exact(7),
      running: exact(1),
      stale: exact(2),
      oldestRunningAtMs: nowMs - 90_000,
    }));
    expect(seen.every(({ scope }) => scope.kind === 'tenant' && scope.name === 'mailflow')).toBe(true);
    expect(valueOf(seen, 'lag')).toBe(200_000);
    expect(valueOf(seen, 'depth')).toBe(7);
    expect(valueOf(seen, 'staleLocks')).toBe(2);
    expect(valueOf(seen, 'runningFor')).toBe(90_000);
    expect(seen.find(({ metric }) => metric === 'lag')?.cause).toEqual(expect.any(String));
    expect(metrics(seen)).not.toContain('canary');
  });

  it('has no run of negative age when the worker clock is ahead', () => {
    const { seen } = watched(0, (nowMs) =>
      tenantSample('3', { running: exact(1), oldestRunningAtMs: nowMs + 5_000 }),
    );
    expect(valueOf(seen, 'runningFor')).toBe(0);
  });

  it('says stalled, and not stuck, when there is work and nothing was started in a full window', () => {
    const { row, seen } = watched(70, (nowMs) => lateTenant('3', 400_000, nowMs));
    expect(row.status).toBe('stalled');
    expect([valueOf(seen, 'stalled'), valueOf(seen, 'stuck')]).toEqual([1, 0]);
  });

  it('leaves stalled and stuck out while the window fills: a 0 would end an alert that still holds', () => {
    const { row, seen } = watched(30, (nowMs) => lateTenant('3', 400_000, nowMs));
    expect(row.status).toBe('warming-up');
    expect(metrics(seen)).toEqual(['lag', 'depth', 'staleLocks', 'runningFor']);
  });

  it('has the metrics without values once there is no data: missing is neither zero nor gone', () => {
    const { observe, nowMs } = watched(70, (at) => lateTenant('3', 400_000, at), { canary: true });
    const { row, seen } = observe(nowMs + WINDOW + 1);
    expect(row.status).toBe('no-data');
    expect(seen.map(({ metric, value }) => [metric, value])).toEqual(
      ['lag', 'depth', 'staleLocks', 'runningFor', 'stalled', 'stuck', 'canary'].map((each) => [each, null]),
    );
  });

  it('yields error rate and slowest stage only when there are enough attempts in the log', () => {
    const few = Array.from({ length: 9 }, () => timing({ load: 5 }, { status: 'error' }));
    const quiet = watched(0, () => tenantSample('3'), { records: few }).seen;
    expect(metrics(quiet)).not.toContain('errorRate');
    expect(metrics(quiet)).not.toContain('stageP95');

    const many = Array.from({ length: 20 }, (_, index) =>
      timing({ wait: 90_000, load: 5, deliver: 3_000 }, { status: index < 5 ? 'error' : 'success' }),
    );
    const { seen } = watched(0, () => tenantSample('3'), { records: many });
    expect(valueOf(seen, 'errorRate')).toBe(0.25);
    const slowest = seen.find(({ metric }) => metric === 'stageP95');
    expect(slowest?.cause).toBe('stage deliver');
    expect(slowest?.value).toBeGreaterThan(2_900);
    expect(slowest?.value).toBeLessThan(3_100);
  });

  it('adds the newest run of a canary to its lag: end to end', () => {
    const records = [timing({ deliver: 8_000 }), timing({ deliver: 11_000 })];
    const late = (nowMs: number) => lateTenant('3', 170_000, nowMs);
    expect(valueOf(watched(0, late, { records, canary: true }).seen, 'canary')).toBe(181_000);
    expect(valueOf(watched(0, late, { canary: true }).seen, 'canary')).toBe(170_000);
    const unknown = watched(0, () => tenantSample('3', { ready: { value: 5, kind: 'at-least' } }), {
      records,
      canary: true,
    });
    expect(valueOf(unknown.seen, 'canary')).toBeNull();
    expect(valueOf(unknown.seen, 'lag')).toBeNull();
  });
});

describe('what engines tell beside their queues', () => {
  it('judges the dead set of a tenant only where there is one', () => {
    const { observe, nowMs, seen } = watched(4, () => tenantSample('3', { dead: exact(2) }), {
      hasDeadSet: true,
    });
    expect(valueOf(seen, 'deadSet')).toBe(2);
    expect(metrics(watched(4, () => tenantSample('3')).seen)).not.toContain('deadSet');
    expect(valueOf(observe(nowMs + WINDOW * 2).seen, 'deadSet')).toBeNull();
  });

  it('judges kinds and workers, each with its scope, where there is enough to judge', () => {
    const sample = sampleAt(START, [], {
      kinds: [
        { kind: 'extract', failureRatio: 0.4 },
        { kind: 'rare', failureRatio: null },
      ],
      workerMemory: [
        { id: 'host-1', rssBytes: 450e6, limitBytes: 500e6 },
        { id: 'host-2', rssBytes: 450e6, limitBytes: null },
        { id: 'host-3', rssBytes: 2.4e9, limitBytes: 8e9 },
      ],
    });
    expect(sourceObservations(sample)).toEqual([
      {
        metric: 'kindFailureRate',
        scope: { kind: 'kind', id: 'extract', name: 'extract' },
        value: 0.4,
        cause: null,
      },
      {
        metric: 'workerMemory',
        scope: { kind: 'worker', id: 'host-1', name: 'host-1' },
        value: 0.9,
        cause: null,
      },
      {
        metric: 'workerMemory',
        scope: { kind: 'worker', id: 'host-3', name: 'host-3' },
        value: 2.4,
        cause: null,
      },
    ]);
    expect(sourceObservations(sampleAt(START, []))).toEqual([]);
  });
});

describe('connectionObservations', () => {
  it('tells trouble, silent workers, and success only where it is known', () => {
    const figures = { unreachableMs: 31_000, workersSilentMs: null, successRate: null, error: 'no route' };
    const scope = { kind: 'connection', id: 'mail', name: 'Mail' };
    expect(connectionObservations({ id: 'mail', name: 'Mail' }, figures)).toEqual([
      { metric: 'unreachable', scope, value: 31_000, cause: 'no route' },
      { metric: 'workersSeen', scope, value: null, cause: null },
    ]);
    expect(
      connectionObservations({ id: 'mail', name: 'Mail' }, { ...figures, successRate: 0.95 }).at(-1),
    ).toEqual({ metric: 'successRate', scope, value: 0.95, cause: null });
  });
});
