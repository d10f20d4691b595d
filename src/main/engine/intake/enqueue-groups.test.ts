import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import type { Enqueued, NewJob } from '../job.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { EnqueueGroups } from './enqueue-groups.ts';

const job = (payload: number): NewJob => ({ tenantId: 'a', kind: 'mail', payload });

describe('EnqueueGroups', () => {
  it('puts what comes while one call is under way into the next, and answers each its own', async () => {
    const calls: unknown[][] = [];
    const open: (() => void)[] = [];
    const groups = new EnqueueGroups(async (jobs) => {
      calls.push(jobs.map(({ payload }) => payload));
      await new Promise<void>((resolve) => open.push(resolve));
      return jobs.map(({ payload }): Enqueued | HeadwayError =>
        payload === 3 ? new HeadwayError('conflict', 'drained') : { id: Number(payload) * 10, fresh: true },
      );
    }, new VirtualClock());
    const first = [groups.enqueue(job(1)), groups.enqueue(job(2))];
    await new Promise((resolve) => setTimeout(resolve));
    const second = [groups.enqueue(job(3)), groups.enqueue(job(4))];
    expect(calls).toEqual([[1, 2]]);
    open[0]?.();
    expect(await Promise.all(first)).toEqual([
      { id: 10, fresh: true },
      { id: 20, fresh: true },
    ]);
    await new Promise((resolve) => setTimeout(resolve));
    open[1]?.();
    expect(await Promise.allSettled(second)).toMatchObject([
      { status: 'rejected', reason: { code: 'conflict' } },
      { status: 'fulfilled', value: { id: 40 } },
    ]);
    expect(calls).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('tells everybody when the store fails, and goes on', async () => {
    let fails = true;
    const groups = new EnqueueGroups((jobs) => {
      if (fails) return Promise.reject(new HeadwayError('unreachable', 'away'));
      return Promise.resolve(jobs.map(() => ({ id: 1, fresh: true })));
    }, new VirtualClock());
    const lost = await Promise.allSettled([groups.enqueue(job(1)), groups.enqueue(job(2))]);
    expect(lost.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    fails = false;
    expect(await groups.enqueue(job(3))).toEqual({ id: 1, fresh: true });
  });

  it('refuses what would only pile up', async () => {
    const groups = new EnqueueGroups(() => new Promise(() => undefined), new VirtualClock());
    // The first group is under way, the rest waits.
    const waiting = Array.from({ length: 10_000 }, (_, i) => groups.enqueue(job(i)));
    expect(waiting).toHaveLength(10_000);
    await expect(groups.enqueue(job(-1))).rejects.toMatchObject({ answer: { status: 429 } });
  });
});
