import { describe, expect, it } from 'vitest';
import { settled, type FakeClock } from './fake-clock.ts';
import { distances, failure, plainSampler } from './plain-sampler.ts';
import { hang, sampleAt, type PlainSource } from './plain-source.ts';

describe('LagSampler in trouble', () => {
  it('backs off twice as long each time, up to 15 s, and says when it tries again', async () => {
    const { clock, sampler, times, states, failing } = plainSampler();
    failing('probe', 'unreachable');
    const startedMs = clock.now();
    sampler.start();
    await clock.advance(90_000);
    expect(distances(times.probe).slice(0, 8)).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000,
    ]);
    const [, first, second] = states;
    expect(first).toMatchObject({ kind: 'unreachable', sinceMs: startedMs, nextTryAtMs: startedMs + 500 });
    expect(second).toMatchObject({
      kind: 'unreachable',
      sinceMs: startedMs,
      nextTryAtMs: startedMs + 1_500,
      error: { code: 'unreachable', message: 'it is unreachable' },
    });
    await sampler.stop();
  });

  it('waits at least half of that, by chance, so that many do not come back together', async () => {
    const draws = [0, 0.5, 0.999];
    const { clock, sampler, times, failing } = plainSampler({}, () => draws.shift() ?? 0);
    failing('probe', 'unreachable');
    sampler.start();
    await clock.advance(3_000);
    expect(distances(times.probe).slice(0, 3)).toEqual([250, 750, 1_999]);
    await sampler.stop();
  });

  it.each(['tenants', 'snapshot'] as const)(
    'backs off as much from a system that lets it in and then fails each %s',
    async (question) => {
      const { clock, sampler, times, failing } = plainSampler();
      failing(question, 'unreachable');
      sampler.start();
      await clock.advance(60_000);
      expect(distances(times.probe).slice(0, 5)).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
      await sampler.stop();
    },
  );

  it('connects anew after a failed poll, is live again, and begins its back-off anew', async () => {
    const { clock, source, sampler, times, told, failing } = plainSampler();
    sampler.start();
    await settled();
    const note = source.before;
    failing('snapshot', 'unreachable');
    await clock.advance(4_000);
    source.before = note;
    await clock.advance(4_000);
    expect(told.filter((each) => each === 'live')).toHaveLength(2);
    expect(told.slice(-4)).toEqual(expect.arrayContaining(['live', 'sample']));
    failing('snapshot', 'unreachable');
    times.probe.length = 0;
    await clock.advance(6_000);
    expect(distances(times.probe).slice(0, 2)).toEqual([1_000, 2_000]);
    await sampler.stop();
  });

  it.each([
    'authentication-failed',
    'database-unknown',
    'schema-mismatch',
    'grant-missing',
    'secret-missing',
    'tls-failed',
  ] as const)('asks rarely when it is %s: somebody must act', async (code) => {
    const { clock, sampler, times, states, failing } = plainSampler();
    failing('probe', code);
    sampler.start();
    await clock.advance(100_000);
    expect(times.probe).toEqual([0, 30_000, 60_000, 90_000]);
    expect(states.at(-1)).toMatchObject({ kind: 'failed', error: { code } });
    await sampler.stop();
  });

  it('counts trouble from its beginning, though its kind changes, and from anew after a sample', async () => {
    const { clock, source, sampler, states, failing } = plainSampler();
    sampler.start();
    await clock.advance(10_000);
    const note = source.before;
    failing('snapshot', 'unreachable');
    await clock.advance(2_000);
    const sinceMs = clock.now();
    failing('probe', 'authentication-failed');
    await clock.advance(5_000);
    expect(states.at(-1)).toMatchObject({ kind: 'failed', sinceMs });
    source.before = note;
    await clock.advance(30_000);
    expect(states.at(-1)?.kind).toBe('live');
    failing('snapshot', 'unreachable');
    await clock.advance(1_999);
    expect(states.at(-1)).toMatchObject({ kind: 'unreachable' });
    expect(states.at(-1)?.sinceMs).toBeGreaterThan(sinceMs + 5_000);
    await sampler.stop();
  });

  it('gives a call up after the timeout and says so, whatever words the source has for it', async () => {
    for (const ending of [new Error('aborted'), failure('cancelled')]) {
      const { clock, source, sampler, states } = plainSampler({ timeoutMs: 20 });
      source.before = (_question, signal) => hang(signal).catch(() => Promise.reject(ending));
      sampler.start();
      await expect.poll(() => states.at(-1)?.kind).toBe('unreachable');
      expect(states.at(-1)).toMatchObject({
        error: { code: 'timeout', message: 'No answer within 0.02 s.', retryable: true },
      });
      await sampler.stop();
      expect(clock.sleepers).toBe(0);
    }
  });

  it('tells a bug as one and tries again later', async () => {
    const { clock, source, sampler, times, states } = plainSampler();
    const note = source.before;
    source.before = async (question, signal) => {
      await note(question, signal);
      throw new TypeError('x is not a function');
    };
    sampler.start();
    await clock.advance(30_000);
    expect(states.at(-1)).toMatchObject({
      kind: 'failed',
      error: { code: 'internal', message: 'Internal error: x is not a function' },
    });
    expect(times.probe).toEqual([0, 30_000]);
    await sampler.stop();
  });
});

describe('LagSampler and its budget', () => {
  const costing = (clock: FakeClock, source: PlainSource, durationMs: number) => {
    source.sample = () => sampleAt(clock.now(), [], { cost: { durationMs, rowsRead: null } });
  };

  it('doubles the interval while polls exceed it, up to a minute, and returns step by step', async () => {
    const { clock, source, sampler } = plainSampler();
    costing(clock, source, 501);
    sampler.start();
    const seen: number[] = [];
    for (let poll = 0; poll < 7; poll++) {
      await settled();
      seen.push(sampler.pollMs);
      await clock.advance(sampler.pollMs);
    }
    expect(seen).toEqual([4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    costing(clock, source, 300);
    await clock.advance(60_000);
    expect(sampler.pollMs).toBe(60_000);
    costing(clock, source, 249);
    await clock.advance(60_000);
    expect(sampler.pollMs).toBe(30_000);
    await clock.advance(60_000);
    expect(sampler.pollMs).toBeLessThan(10_000);
    await clock.advance(60_000);
    expect(sampler.pollMs).toBe(2_000);
    await sampler.stop();
  });

  it('never polls more often than configured, also where that is rarer than once a minute', async () => {
    const { clock, source, sampler, times } = plainSampler({ pollMs: 300_000 });
    costing(clock, source, 501);
    sampler.start();
    await clock.advance(900_000);
    expect(times.snapshot).toEqual([0, 300_000, 600_000, 900_000]);
    await sampler.stop();
  });

  it('asks less often when the database stopped a poll for its cost', async () => {
    const { clock, sampler, times, failing } = plainSampler();
    failing('snapshot', 'budget-exceeded');
    sampler.start();
    await clock.advance(29_000);
    expect(distances(times.snapshot)).toEqual([4_000, 8_000, 16_000]);
    await sampler.stop();
  });
});
