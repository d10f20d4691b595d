import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../virtual-clock.ts';
import { JobError } from '../handler.ts';
import { Probe } from './probe.ts';

const never = new AbortController().signal;

/** A probe whose checks are answered by hand. */
function aProbe() {
  const clock = new VirtualClock(1_000_000);
  const checks: PromiseWithResolvers<undefined>[] = [];
  const probe = new Probe(clock, () => {
    const check = Promise.withResolvers<undefined>();
    checks.push(check);
    return check.promise;
  });
  return { clock, checks, probe };
}

describe('a probe', () => {
  it('is shared by the jobs that come while it runs, and counts for a minute', async () => {
    const { clock, checks, probe } = aProbe();
    const both = Promise.all([probe.pass(never), probe.pass(never)]);
    checks[0]?.resolve(undefined);
    await both;
    expect(probe.fresh).toBe(true);
    await clock.advance(59_999);
    await probe.pass(never);
    expect(checks).toHaveLength(1);
    await clock.advance(1);
    expect(probe.fresh).toBe(false);
    const again = probe.pass(never);
    expect(checks).toHaveLength(2);
    checks[1]?.resolve(undefined);
    await again;
  });

  it('that failed keeps jobs away until it is asked again, and tells them when', async () => {
    const { clock, checks, probe } = aProbe();
    const first = probe.pass(never);
    checks[0]?.reject(new JobError('timeout', 'sick', { stderrTail: 'why' }));
    await expect(first).rejects.toMatchObject({ retryAfterMs: 60_000 });
    await clock.advance(20_000);
    await expect(probe.pass(never)).rejects.toMatchObject({
      class: 'timeout',
      message: 'sick',
      stderrTail: 'why',
      retryAfterMs: 40_000,
    });
    expect(checks).toHaveLength(1);
    await clock.advance(40_000);
    const again = probe.pass(never);
    checks[1]?.resolve(undefined);
    await again;
  });

  it('is not waited for by a job that is aborted, and goes on for the others', async () => {
    const { checks, probe } = aProbe();
    const stop = new AbortController();
    const left = probe.pass(stop.signal);
    const stays = probe.pass(never);
    stop.abort(new Error('the job is over'));
    await expect(left).rejects.toThrow('the job is over');
    checks[0]?.resolve(undefined);
    await stays;
  });

  it('that breaks down itself is no answer: the next job asks again', async () => {
    const { checks, probe } = aProbe();
    const first = probe.pass(never);
    checks[0]?.reject(new Error('a bug'));
    await expect(first).rejects.toThrow('a bug');
    const again = probe.pass(never);
    expect(checks).toHaveLength(2);
    checks[1]?.resolve(undefined);
    await again;
  });
});
