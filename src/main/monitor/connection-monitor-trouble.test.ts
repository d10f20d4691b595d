import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../contract/errors.ts';
import { liveMonitor, plainMonitor, timingLine } from './plain-monitor.ts';

const never = new AbortController().signal;
const nobody = () => undefined;

describe('ConnectionMonitor in trouble', () => {
  it('opens a gap from the last sample, says so at once, and closes it with the next sample', async () => {
    const { monitor, clock, history, goDown, comeBack } = await liveMonitor();
    await clock.advance(9_000);
    const lastSampleMs = history.samples.at(-1)?.atMs ?? 0;
    goDown();
    await clock.advance(1_000);
    expect(monitor.summary().state.kind).toBe('unreachable');
    expect(history.gaps).toEqual([
      { fromMs: lastSampleMs, toMs: null, reason: 'db:3306 cannot be reached.' },
    ]);
    await clock.advance(20_000);
    const samples = history.samples.length;
    comeBack();
    await clock.advance(20_000);
    expect(monitor.summary().state.kind).toBe('live');
    expect(history.gaps).toHaveLength(1);
    expect(history.gaps[0]?.toMs).toBe(history.samples[samples]?.atMs);
    await monitor.stop();
  });

  it('has one gap for one outage, though its reason changes on the way', async () => {
    const { monitor, clock, source, history, goDown, comeBack } = await liveMonitor();
    goDown();
    await clock.advance(5_000);
    source.before = () => Promise.reject(new HeadwayError('authentication-failed', 'refused'));
    await clock.advance(40_000);
    expect(monitor.summary().state.kind).toBe('failed');
    goDown();
    await clock.advance(40_000);
    comeBack();
    await clock.advance(40_000);
    expect(history.gaps.map(({ reason }) => reason)).toEqual(['db:3306 cannot be reached.']);
    await monitor.stop();
  });

  it('inhibits the alerts of its tenants and grows the one of its own every second', async () => {
    const { monitor, clock, alerts, goDown, comeBack } = await liveMonitor({ canaryTenants: ['3'] });
    goDown();
    await clock.advance(2_000);
    await clock.advance(35_000);
    const seen = alerts.evaluations.at(-1);
    expect(seen?.inhibited).toBe(true);
    expect(alerts.valueOf('unreachable', 'mail')).toBeGreaterThanOrEqual(35_000);
    const others = seen?.observations.filter(({ metric }) => metric !== 'unreachable') ?? [];
    expect(others.length).toBeGreaterThan(8);
    expect(others.every(({ value }) => value === null)).toBe(true);
    const times = alerts.evaluations.slice(-10).map(({ nowMs }) => nowMs);
    expect(Math.max(...times.slice(1).map((ms, index) => ms - (times[index] ?? 0)))).toBeLessThanOrEqual(
      1_000,
    );
    comeBack();
    await clock.advance(20_000);
    expect(alerts.evaluations.at(-1)?.inhibited).toBe(false);
    expect(alerts.valueOf('lag', '3')).toBe(200_000);
    await monitor.stop();
  });

  it('shows the last rows until the window has run dry, then no data; and goes on with what comes', async () => {
    const { monitor, clock, rowOf, goDown, comeBack } = await liveMonitor();
    await clock.advance(70_000);
    expect(rowOf('3')?.status).toBe('stalled');
    goDown();
    await clock.advance(50_000);
    expect(rowOf('3')).toMatchObject({ status: 'stalled', lagMs: 200_000 });
    await clock.advance(15_000);
    expect(rowOf('3')).toMatchObject({ status: 'no-data', lagMs: null, severity: null });
    expect(monitor.summary().late).toBe(0);
    comeBack();
    await clock.advance(30_000);
    expect(rowOf('3')).toMatchObject({ status: 'warming-up', lagMs: 200_000, severity: 'warning' });
    await clock.advance(60_000);
    expect(rowOf('3')?.status).toBe('stalled');
    await monitor.stop();
  });

  it('reads its log on while the database is away', async () => {
    const { monitor, clock, history, log, goDown } = await liveMonitor();
    goDown();
    await clock.advance(10_000);
    log.listener.lines('app.log', [timingLine('3', 40)]);
    expect(history.timings).toHaveLength(1);
    const { stages } = monitor.followTenant('3', { emit: nobody, fail: nobody }, never);
    expect(stages.find(({ stage }) => stage === 'total')?.count).toBe(1);
    await monitor.stop();
  });
});

describe('the life of a ConnectionMonitor', () => {
  it('runs its inputs while it runs, and leaves nothing behind', async () => {
    const { monitor, clock, source, input } = await liveMonitor();
    monitor.start();
    expect(input).toMatchObject({ running: 1, starts: 1 });
    await monitor.stop();
    await monitor.stop();
    expect(input.running).toBe(0);
    expect(clock.sleepers).toBe(0);
    expect(source.disposals).toBeGreaterThan(0);
    const asked = source.asked.length;
    await clock.advance(60_000);
    expect(source.asked).toHaveLength(asked);
  });

  it('may be stopped before it starts; then it does not start', async () => {
    const { monitor, clock, source, input } = plainMonitor();
    await monitor.stop();
    monitor.start();
    await clock.advance(10_000);
    expect(source.asked).toEqual([]);
    expect(input.starts).toBe(0);
  });

  it('tells its followers of the end: once, at once when it has ended, not those who left', async () => {
    const { monitor } = await liveMonitor();
    const told: string[] = [];
    const leaving = new AbortController();
    monitor.onStop(() => told.push('stayed'), never);
    monitor.onStop(() => told.push('left'), leaving.signal);
    leaving.abort();
    await monitor.stop();
    await monitor.stop();
    expect(told).toEqual(['stayed']);
    monitor.onStop(() => told.push('late'), never);
    expect(told).toEqual(['stayed', 'late']);
  });
});
