import { describe, expect, it } from 'vitest';
import { exact } from './count.ts';
import { nothingQueued, type TenantSample } from './sample.ts';
import { WorkerWatch } from './worker-watch.ts';

const T0 = Date.UTC(2026, 0, 9, 12);

const tenant = (changes: Partial<TenantSample> = {}): TenantSample => ({ ...nothingQueued('3'), ...changes });

function poll(
  watch: WorkerWatch,
  offsetMs: number,
  tenants: TenantSample[],
  lastSeenAtMs: number | null = null,
  busy: number | null = 0,
) {
  watch.add({ databaseTimeMs: T0 + offsetMs, workers: { busy, total: null, lastSeenAtMs }, tenants });
}

describe('WorkerWatch', () => {
  it('is silent since the newest sign while there is work', () => {
    const watch = new WorkerWatch();
    poll(watch, 0, [tenant({ ready: exact(5) })], T0 - 100_000);
    poll(watch, 10_000, [tenant({ ready: exact(5) })], T0 + 4_000);
    poll(watch, 60_000, [tenant({ ready: exact(5) })], T0 + 4_000);
    expect(watch.lastSeenAtMs).toBe(T0 + 4_000);
    expect(watch.silentMs(T0 + 60_000)).toBe(56_000);
  });

  it('counts silence from when work appeared, not from the night before', () => {
    const watch = new WorkerWatch();
    poll(watch, 0, [tenant()], T0 - 8 * 3_600_000);
    expect(watch.silentMs(T0 + 5_000)).toBe(0);
    poll(watch, 10_000, [tenant({ ready: exact(1) })], T0 - 8 * 3_600_000);
    expect(watch.silentMs(T0 + 12_000)).toBe(2_000);
    poll(watch, 14_000, [tenant()], null);
    expect(watch.silentMs(T0 + 100_000)).toBe(0);
  });

  it('concludes nothing from the silence of workers that the source cannot see', () => {
    const watch = new WorkerWatch();
    poll(watch, 0, [tenant({ ready: exact(5) })], null, null);
    poll(watch, 600_000, [tenant({ ready: exact(5) })], null, null);
    expect(watch.silentMs(T0 + 600_000)).toBe(0);
    // From when it sees them.
    poll(watch, 610_000, [tenant({ ready: exact(5) })], T0 + 1_000);
    expect(watch.silentMs(T0 + 640_000)).toBe(30_000);
  });

  it('takes any tenant whose attempts move for a sign', () => {
    const watch = new WorkerWatch();
    const both = (attempts: number) => [
      tenant({ ready: exact(5), attemptsTotal: 7 }),
      tenant({ tenantId: '12', attemptsTotal: attempts }),
    ];
    poll(watch, 0, both(100));
    poll(watch, 10_000, both(100));
    expect(watch.lastSeenAtMs).toBeNull();
    expect(watch.silentMs(T0 + 10_000)).toBe(10_000);
    poll(watch, 20_000, both(101));
    expect(watch.silentMs(T0 + 21_000)).toBe(1_000);
  });

  it('does not take a reset counter or a new tenant for a sign', () => {
    const watch = new WorkerWatch();
    poll(watch, 0, [tenant({ ready: exact(5), attemptsTotal: 7 })]);
    poll(watch, 10_000, [
      tenant({ ready: exact(5), attemptsTotal: 0 }),
      tenant({ tenantId: '12', attemptsTotal: 50 }),
    ]);
    expect(watch.lastSeenAtMs).toBeNull();
  });

  it('does not owe its signs to paused tenants', () => {
    const watch = new WorkerWatch();
    poll(watch, 0, [tenant({ ready: exact(5), paused: { by: 'ann', sinceMs: null, reason: '' } })]);
    expect(watch.silentMs(T0 + 60_000)).toBe(0);
  });

  it('does not believe a sign from the future', () => {
    const watch = new WorkerWatch();
    poll(watch, 0, [tenant({ ready: exact(5) })], T0 + 3_600_000);
    poll(watch, 60_000, [tenant({ ready: exact(5) })]);
    expect(watch.silentMs(T0 + 60_000)).toBe(60_000);
  });
});
