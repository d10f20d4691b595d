import { describe, expect, it } from 'vitest';
import type { ConnectionState } from '../../contract/live.ts';
import { HeadwayError, type ErrorCode } from '../../contract/errors.ts';
import { FakeClock, settled } from './fake-clock.ts';
import { LagSampler, type SamplerOptions } from './lag-sampler.ts';
import { hang, PlainSource, sampleAt, tenantSample, type Question } from './plain-source.ts';

const options: SamplerOptions = { pollMs: 2_000, budgetMs: 500, timeoutMs: 15_000 };
const failure = (code: ErrorCode) => new HeadwayError(code, `it is ${code}`, { retryable: true });

function setUp(changes: Partial<SamplerOptions> = {}, random = () => 1) {
  const clock = new FakeClock();
  const source = new PlainSource(() => sampleAt(clock.now(), [tenantSample('3')]));
  /** When each question was asked, and each thing told, in ms since the start. */
  const times: Record<Question, number[]> = { probe: [], tenants: [], snapshot: [] };
  const states: ConnectionState[] = [];
  const told: string[] = [];
  const startedMs = clock.now();
  source.before = (question) => {
    times[question].push(clock.now() - startedMs);
    return Promise.resolve();
  };
  const sampler = new LagSampler(
    source,
    { ...options, ...changes },
    {
      probed: () => told.push('probed'),
      tenants: () => told.push('tenants'),
      sample: () => told.push('sample'),
      state: (state) => {
        states.push(state);
        told.push(state.kind);
      },
    },
    { clock, random },
  );
  /** From now on every call for `question` fails. */
  const failing = (question: Question, code: ErrorCode) => {
    source.before = (asked) => {
      times[asked].push(clock.now() - startedMs);
      return asked === question ? Promise.reject(failure(code)) : Promise.resolve();
    };
  };
  return { clock, source, sampler, times, states, told, failing };
}

const distances = (times: number[]) => times.slice(1).map((time, index) => time - (times[index] ?? 0));

describe('LagSampler', () => {
  it('probes, names, and tells that it is live when the first sample is there', async () => {
    const { clock, sampler, told, states } = setUp();
    sampler.start();
    await settled();
    expect(told).toEqual(['connecting', 'probed', 'tenants', 'live', 'sample']);
    expect(states.at(-1)).toEqual({ kind: 'live', sinceMs: clock.now() });
    await clock.advance(4_000);
    expect(told.slice(5)).toEqual(['sample', 'sample']);
    await sampler.stop();
  });

  it('keeps the distance between the starts of two polls, however long each takes', async () => {
    const { clock, source, sampler, times } = setUp();
    const note = source.before;
    source.before = async (question, signal) => {
      await note(question, signal);
      if (question === 'snapshot') await clock.sleep(400, signal);
    };
    sampler.start();
    await clock.advance(10_000);
    expect(times.snapshot).toEqual([0, 2_000, 4_000, 6_000, 8_000, 10_000]);
    await sampler.stop();
  });

  it('never asks two things at once, though a poll takes longer than the interval', async () => {
    const { clock, source, sampler, times } = setUp();
    const note = source.before;
    source.before = async (question, signal) => {
      await note(question, signal);
      await clock.sleep(5_000, signal);
    };
    sampler.start();
    await clock.advance(100_000);
    expect(source.mostAtOnce).toBe(1);
    expect(Math.min(...distances(times.snapshot))).toBe(5_000);
    await sampler.stop();
  });

  it('reads the names again once a minute', async () => {
    const { clock, sampler, times } = setUp();
    sampler.start();
    await clock.advance(150_000);
    expect(times.tenants).toEqual([0, 60_000, 120_000]);
    await sampler.stop();
  });

  it('polls on when the clock is set back by an hour during a poll', async () => {
    const { clock, source, sampler } = setUp();
    sampler.start();
    await settled();
    source.before = (question) => {
      if (question === 'snapshot') clock.set(clock.now() - 3_600_000);
      source.before = () => Promise.resolve();
      return Promise.resolve();
    };
    await clock.advance(2_000);
    const asked = source.count('snapshot');
    await clock.advance(20_000);
    expect(source.count('snapshot')).toBeGreaterThanOrEqual(asked + 9);
    await sampler.stop();
  });

  it('stops asking at once when it is stopped, and closes the source', async () => {
    const { clock, source, sampler } = setUp();
    sampler.start();
    await clock.advance(3_000);
    await sampler.stop();
    const asked = source.asked.length;
    await clock.advance(60_000);
    expect(source.asked).toHaveLength(asked);
    expect(source.disposals).toBe(1);
    expect(clock.sleepers).toBe(0);
  });

  it.each(['probe', 'tenants', 'snapshot'] as const)(
    'can be stopped during a %s that hangs',
    async (phase) => {
      const { source, sampler, states, told } = setUp();
      source.before = (question, signal) => (question === phase ? hang(signal) : Promise.resolve());
      sampler.start();
      await settled();
      expect(source.asked.at(-1)).toBe(phase);
      const before = told.length;
      await sampler.stop();
      expect(told.slice(before)).toEqual([]);
      expect(states.some(({ kind }) => kind === 'unreachable' || kind === 'failed')).toBe(false);
      expect(source.disposals).toBe(1);
    },
  );

  it.each(['probe', 'tenants', 'snapshot'] as const)(
    'tells nothing any more when a %s is answered after the stop',
    async (phase) => {
      const { source, sampler, told } = setUp();
      const gate = Promise.withResolvers<undefined>();
      source.before = (question) => (question === phase ? gate.promise : Promise.resolve());
      sampler.start();
      await settled();
      const before = told.length;
      const stopping = sampler.stop();
      gate.resolve(undefined);
      await stopping;
      expect(told.slice(before)).toEqual([]);
    },
  );

  it('can be stopped while it waits to try again', async () => {
    const { clock, source, sampler, failing, times } = setUp();
    failing('probe', 'unreachable');
    sampler.start();
    await clock.advance(1_000);
    await sampler.stop();
    expect(clock.sleepers).toBe(0);
    const probes = times.probe.length;
    await clock.advance(60_000);
    expect(times.probe).toHaveLength(probes);
    expect(source.disposals).toBe(1);
  });

  it('may be stopped before it starts, and twice; then it starts no more', async () => {
    const { clock, source, sampler, told } = setUp();
    await sampler.stop();
    await sampler.stop();
    sampler.start();
    await clock.advance(10_000);
    expect(source.asked).toEqual([]);
    expect(told).toEqual([]);
  });

  it('is started once, however often it is told to', async () => {
    const { clock, source, sampler } = setUp();
    sampler.start();
    sampler.start();
    await clock.advance(0);
    expect(source.asked).toEqual(['probe', 'tenants', 'snapshot']);
    await sampler.stop();
  });
});

describe('LagSampler in trouble', () => {
  it('backs off twice as long each time, up to 15 s, and says when it tries again', async () => {
    const { clock, sampler, times, states, failing } = setUp();
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
    const { clock, sampler, times, failing } = setUp({}, () => draws.shift() ?? 0);
    failing('probe', 'unreachable');
    sampler.start();
    await clock.advance(3_000);
    expect(distances(times.probe).slice(0, 3)).toEqual([250, 750, 1_999]);
    await sampler.stop();
  });

  it.each(['tenants', 'snapshot'] as const)(
    'backs off as much from a system that lets it in and then fails each %s',
    async (question) => {
      const { clock, sampler, times, failing } = setUp();
      failing(question, 'unreachable');
      sampler.start();
      await clock.advance(60_000);
      expect(distances(times.probe).slice(0, 5)).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
      await sampler.stop();
    },
  );

  it('connects anew after a failed poll, is live again, and begins its back-off anew', async () => {
    const { clock, source, sampler, times, told, failing } = setUp();
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
    const { clock, sampler, times, states, failing } = setUp();
    failing('probe', code);
    sampler.start();
    await clock.advance(100_000);
    expect(times.probe).toEqual([0, 30_000, 60_000, 90_000]);
    expect(states.at(-1)).toMatchObject({ kind: 'failed', error: { code } });
    await sampler.stop();
  });

  it('counts trouble from its beginning, though its kind changes, and from anew after a sample', async () => {
    const { clock, source, sampler, states, failing } = setUp();
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
      const { clock, source, sampler, states } = setUp({ timeoutMs: 20 });
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
    const { clock, source, sampler, times, states } = setUp();
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
    const { clock, source, sampler } = setUp();
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
    const { clock, source, sampler, times } = setUp({ pollMs: 300_000 });
    costing(clock, source, 501);
    sampler.start();
    await clock.advance(900_000);
    expect(times.snapshot).toEqual([0, 300_000, 600_000, 900_000]);
    await sampler.stop();
  });

  it('asks less often when the database stopped a poll for its cost', async () => {
    const { clock, sampler, times, failing } = setUp();
    failing('snapshot', 'budget-exceeded');
    sampler.start();
    await clock.advance(29_000);
    expect(distances(times.snapshot)).toEqual([4_000, 8_000, 16_000]);
    await sampler.stop();
  });
});
