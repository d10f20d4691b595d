import { describe, expect, it } from 'vitest';
import type { TimingAnalysis } from '../../../contract/log-search.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import { TestBackend } from './test-backend.ts';
import { parseTiming, type TimingWish } from './timing-query.ts';
import { TimingState } from './timing.svelte.ts';

const analysis: TimingAnalysis = { bucketMs: 30_000, buckets: [], tenants: [], shares: [], movers: [] };
const NOW = 10_000_000_000;
const wish = (change: Partial<TimingWish> = {}): TimingWish => ({ ...parseTiming({}), ...change });
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

function opened(): {
  backend: TestBackend;
  timing: TimingState;
  asked: (method: string) => unknown[];
  clock: { nowMs: number };
} {
  const backend = new TestBackend();
  const clock = { nowMs: NOW };
  backend.answer = (method) =>
    method === 'timing.analysis'
      ? analysis
      : Promise.reject(new HeadwayError('storage-failed', 'logs are off'));
  const asked = (method: string): unknown[] =>
    backend.calls.filter((call) => call.method === method).map(({ input }) => input);
  return { backend, timing: new TimingState(backend, 'c', () => clock.nowMs), asked, clock };
}

describe('TimingState', () => {
  it('asks for the range, its tenants and what to compare with', async () => {
    const { timing, asked } = opened();
    timing.show(wish({ tenantIds: ['3'], against: 'day' }));
    expect(timing.loading).toBe(true);
    await settled();
    const range = { fromMs: NOW - 3_600_000, toMs: NOW };
    const against = { fromMs: NOW - 90_000_000, toMs: NOW - 86_400_000 };
    expect(asked('timing.analysis')).toEqual([{ connectionId: 'c', ...range, tenantIds: ['3'], against }]);
    expect(asked('timing.sizes')).toEqual([{ connectionId: 'c', ...range, tenantId: '3', stage: 'total' }]);
    expect(timing).toMatchObject({ loading: false, error: null, edges: range, against });
  });

  it('shows the analysis though sizes cannot be read', async () => {
    const { timing } = opened();
    timing.show(wish());
    await settled();
    expect(timing.analysis).toEqual(analysis);
    expect(timing.sizesError?.message).toBe('logs are off');
    expect(timing.error).toBeNull();
  });

  it('reads only the sizes again for another stage', async () => {
    const { timing, asked } = opened();
    timing.show(wish());
    timing.show(wish({ stage: 'dkim' }));
    await settled();
    expect(asked('timing.analysis')).toHaveLength(1);
    expect(asked('timing.sizes')).toHaveLength(2);
  });

  it('goes on with time as often as a bucket is over, and not in the past', async () => {
    const { timing, asked, clock } = opened();
    timing.show(wish());
    await settled();
    timing.tick((clock.nowMs = NOW + 29_000));
    expect(asked('timing.analysis')).toHaveLength(1);
    timing.tick((clock.nowMs = NOW + 30_000));
    await settled();
    expect(asked('timing.analysis')).toHaveLength(2);
    timing.show(wish({ range: { kind: 'fixed', fromMs: 1, toMs: 2 } }));
    await settled();
    timing.tick((clock.nowMs = NOW + 900_000));
    expect(asked('timing.analysis')).toHaveLength(3);
  });

  it('forgets the answer to what is no longer asked', async () => {
    const { backend, timing } = opened();
    let first = true;
    backend.answer = (method) => {
      if (method !== 'timing.analysis') return Promise.reject(new Error('off'));
      const slow = first;
      first = false;
      return slow
        ? new Promise((resolve) => setTimeout(() => resolve({ ...analysis, bucketMs: 1 }), 5))
        : analysis;
    };
    timing.show(wish());
    timing.show(wish({ tenantIds: ['3'] }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(timing.analysis?.bucketMs).toBe(30_000);
  });

  it('keeps what was shown when a later reading fails, and tries again when told to', async () => {
    const { backend, timing, clock } = opened();
    timing.show(wish());
    await settled();
    backend.answer = () => Promise.reject(new HeadwayError('storage-failed', 'the disk is full'));
    timing.tick((clock.nowMs = NOW + 60_000));
    await settled();
    expect(timing.error?.message).toBe('the disk is full');
    expect(timing.analysis).toEqual(analysis);
    backend.answer = () => analysis;
    timing.retry();
    await settled();
    expect(timing.error).toBeNull();
  });
});
