import { describe, expect, it } from 'vitest';
import { settled } from './fake-clock.ts';
import { distances, plainSampler } from './plain-sampler.ts';
import { hang } from './plain-source.ts';

describe('LagSampler', () => {
  it('probes, names, and tells that it is live when the first sample is there', async () => {
    const { clock, sampler, told, states } = plainSampler();
    sampler.start();
    await settled();
    expect(told).toEqual(['connecting', 'probed', 'tenants', 'live', 'sample']);
    expect(states.at(-1)).toEqual({ kind: 'live', sinceMs: clock.now() });
    await clock.advance(4_000);
    expect(told.slice(5)).toEqual(['sample', 'sample']);
    await sampler.stop();
  });

  it('keeps the distance between the starts of two polls, however long each takes', async () => {
    const { clock, source, sampler, times } = plainSampler();
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
    const { clock, source, sampler, times } = plainSampler();
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
    const { clock, sampler, times } = plainSampler();
    sampler.start();
    await clock.advance(150_000);
    expect(times.tenants).toEqual([0, 60_000, 120_000]);
    await sampler.stop();
  });

  it('polls on when the clock is set back by an hour during a poll', async () => {
    const { clock, source, sampler } = plainSampler();
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
    const { clock, source, sampler } = plainSampler();
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
      const { source, sampler, states, told } = plainSampler();
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
      const { source, sampler, told } = plainSampler();
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
    const { clock, source, sampler, failing, times } = plainSampler();
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
    const { clock, source, sampler, told } = plainSampler();
    await sampler.stop();
    await sampler.stop();
    sampler.start();
    await clock.advance(10_000);
    expect(source.asked).toEqual([]);
    expect(told).toEqual([]);
  });

  it('is started once, however often it is told to', async () => {
    const { clock, source, sampler } = plainSampler();
    sampler.start();
    sampler.start();
    await clock.advance(0);
    expect(source.asked).toEqual(['probe', 'tenants', 'snapshot']);
    await sampler.stop();
  });
});
