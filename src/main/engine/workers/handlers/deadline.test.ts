import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../virtual-clock.ts';
import { deadline } from './deadline.ts';

describe('a time within a job', () => {
  it('aborts when it is up, and says that it was its own', async () => {
    const clock = new VirtualClock(0);
    using limit = deadline(clock, 10, new AbortController().signal);
    await clock.advance(9_999);
    expect(limit.signal.aborted).toBe(false);
    await clock.advance(1);
    expect([limit.signal.aborted, limit.passed]).toEqual([true, true]);
  });

  it('aborts with the job, which is then the reason', async () => {
    const clock = new VirtualClock(0);
    const job = new AbortController();
    using limit = deadline(clock, 10, job.signal);
    const reason = new Error('the job is over');
    job.abort(reason);
    await clock.advance(10_000);
    expect(limit.signal.reason).toBe(reason);
    expect(limit.passed).toBe(false);
    using late = deadline(clock, undefined, job.signal);
    expect(late.signal.reason).toBe(reason);
  });

  it('is taken back when the work has ended', async () => {
    const clock = new VirtualClock(0);
    const limit = deadline(clock, 10, new AbortController().signal);
    limit[Symbol.dispose]();
    await clock.advance(60_000);
    expect(limit.signal.aborted).toBe(false);
  });
});
