import { describe, expect, it } from 'vitest';
import { WorkerLoad } from './worker-load.ts';

describe('WorkerLoad', () => {
  it('is busy of available worker time over the window', () => {
    const load = new WorkerLoad(60_000);
    load.add(0, { busy: 2, total: 2 });
    load.add(10_000, { busy: 1, total: 2 });
    load.add(20_000, { busy: 3, total: 10 });
    expect(load.utilisation(20_000)).toBeCloseTo(6 / 14);
  });

  it('forgets what has left the window', () => {
    const load = new WorkerLoad(60_000);
    load.add(0, { busy: 2, total: 2 });
    load.add(59_000, { busy: 0, total: 2 });
    expect(load.utilisation(59_000)).toBe(0.5);
    expect(load.utilisation(60_000)).toBe(0);
    expect(load.utilisation(120_000)).toBeNull();
  });

  it('is not known where the source does not tell both numbers, nor without any worker', () => {
    const load = new WorkerLoad(60_000);
    load.add(0, { busy: 2, total: null });
    load.add(1, { busy: null, total: 2 });
    load.add(2, { busy: 0, total: 0 });
    expect(load.utilisation(3)).toBeNull();
  });
});
