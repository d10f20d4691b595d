import { describe, expect, it } from 'vitest';
import type { HeadwayError } from '../../contract/errors.ts';
import {
  applyRows,
  type ConnectionSummary,
  type OverviewDelta,
  type TenantRow,
} from '../../contract/live.ts';
import type { LogTail } from '../../contract/logs.ts';
import { exact } from '../../core/count.ts';
import { settled } from './fake-clock.ts';
import { liveMonitor, plainMonitor, refused, timingLine } from './plain-monitor.ts';
import { lateTenant, sampleAt, tenantSample } from './plain-source.ts';

const never = new AbortController().signal;
const nobody = () => undefined;

describe('ConnectionMonitor', () => {
  it('shows structure before data: names while the first poll is under way', async () => {
    const { monitor, source, alerts } = plainMonitor();
    const gate = Promise.withResolvers<undefined>();
    source.before = (question) => (question === 'snapshot' ? gate.promise : Promise.resolve());
    monitor.start();
    await settled();
    const overview = monitor.followOverview(nobody, never);
    expect(overview.rows).toMatchObject([{ id: '3', name: 'mailflow', status: 'no-data', lagMs: null }]);
    expect(overview.head).toMatchObject({ asOfMs: null, clock: null, connection: { tenantWord: 'server' } });
    expect(overview.head.connection.state.kind).toBe('connecting');
    // A start is no outage.
    expect(alerts.evaluations).toEqual([]);
    gate.resolve(undefined);
    await monitor.stop();
  });

  it('turns a poll into rows, head, history and observations', async () => {
    const { monitor, clock, history, alerts, rowOf } = await liveMonitor();
    await clock.advance(4_000);
    expect(rowOf('3')).toMatchObject({ name: 'mailflow', lagMs: 200_000, severity: 'warning' });
    expect(rowOf('17')).toMatchObject({ lagMs: 0, running: exact(2), severity: null });
    const { head } = monitor.followOverview(nobody, never);
    expect(head).toMatchObject({
      asOfMs: clock.now(),
      pollEveryMs: 2_000,
      pollNote: null,
      cost: { msPerMin: 300, rowsPerMin: 1_200 },
      totals: { worst: { tenantId: '3', lagMs: 200_000 } },
    });
    expect(history.samples.map(({ rows }) => rows.length)).toEqual([2, 2, 2]);
    expect(history.samples.at(-1)).toMatchObject({
      atMs: clock.now(),
      rows: [
        { tenantId: '3', lagMs: 200_000, ready: 1, arrivals: 0 },
        { tenantId: '17', lagMs: 0, running: 2 },
      ],
    });
    expect(history.samples[0]?.rows[0]?.arrivals).toBeNull();
    expect(alerts.valueOf('lag', '3')).toBe(200_000);
    expect(alerts.valueOf('unreachable', 'mail')).toBe(0);
    expect(alerts.evaluations.every(({ inhibited }) => !inhibited)).toBe(true);
    await monitor.stop();
  });

  it('tells followers the changes, and those add up to its rows', async () => {
    const { monitor, clock, source } = await liveMonitor();
    const deltas: OverviewDelta[] = [];
    const leaving = new AbortController();
    const { rows } = monitor.followOverview((delta) => deltas.push(delta), leaving.signal);
    const followed = new Map<string, TenantRow>(rows.map((row) => [row.id, row]));
    await clock.advance(30_000);
    source.named = [{ id: '3', name: 'mailflow', detail: 'renamed' }];
    source.sample = () => sampleAt(clock.now(), [lateTenant('3', 1_000, clock.now())]);
    await clock.advance(40_000);
    for (const delta of deltas) applyRows(followed, delta);
    expect([...followed.values()]).toEqual(monitor.followOverview(nobody, never).rows);
    expect([...followed.keys()]).toEqual(['3']);
    leaving.abort();
    const told = deltas.length;
    await clock.advance(10_000);
    expect(deltas).toHaveLength(told);
    await monitor.stop();
  });

  it('says that polls are slower than configured, and why', async () => {
    const { monitor, clock, source } = await liveMonitor();
    source.sample = () => sampleAt(clock.now(), [], { cost: { durationMs: 900, rowsRead: null } });
    await clock.advance(6_000);
    expect(monitor.followOverview(nobody, never).head).toMatchObject({
      pollEveryMs: 4_000,
      pollNote: 'Polls take longer than their budget of 500 ms; asking every 4 s.',
    });
    await monitor.stop();
  });

  it('tells its summary on changes only: state, log hosts, what fires', async () => {
    const { monitor, clock, alerts, log, goDown } = await liveMonitor();
    const summaries: ConnectionSummary[] = [];
    monitor.onSummary((summary) => summaries.push(summary), never);
    await clock.advance(10_000);
    expect(summaries).toHaveLength(1);
    expect(summaries[0]).toMatchObject({ id: 'mail', late: 1, firing: 0, state: { kind: 'live' } });
    log.listener.state({ label: 'root@web app.log', state: 'live', sinceMs: 1, error: null });
    expect(summaries.at(-1)?.logHosts).toMatchObject([{ label: 'root@web app.log', state: 'live' }]);
    alerts.now = { firing: 2, worst: 'critical' };
    await clock.advance(2_000);
    expect(summaries.at(-1)).toMatchObject({ firing: 2, worst: 'critical' });
    goDown();
    await clock.advance(2_000);
    expect(summaries.at(-1)?.state).toMatchObject({ kind: 'unreachable', error: { code: 'unreachable' } });
    await monitor.stop();
  });

  it('watches canaries, by name or id, end to end', async () => {
    for (const canary of ['mailflow', '3']) {
      const { monitor, clock, alerts, log } = await liveMonitor({ canaryTenants: [canary] });
      log.listener.lines('app.log', [timingLine('3', 12_000)]);
      await clock.advance(2_000);
      expect(alerts.valueOf('canary', '3')).toBe(212_000);
      expect(alerts.valueOf('canary', '17')).toBeUndefined();
      await monitor.stop();
    }
  });

  it('brings log lines to windows, to the stages of their tenant, and to history', async () => {
    const { monitor, clock, history, log } = await liveMonitor();
    const heard: LogTail[] = [];
    const leaving = new AbortController();
    monitor.logs.follow((tail) => heard.push(tail), clock.now(), leaving.signal);
    log.listener.lines('app.log', [timingLine('3', 40), timingLine('17', 5), timingLine('3', 60)]);
    expect(heard.flatMap(({ lines }) => lines.map(({ seq, source }) => [seq, source]))).toEqual([
      [0, 'app.log'],
      [1, 'app.log'],
      [2, 'app.log'],
    ]);
    const { stages } = monitor.followTenant('3', { emit: nobody, fail: nobody }, never);
    expect(stages.find(({ stage }) => stage === 'deliver')).toMatchObject({ count: 2, rawMs: [40, 60] });
    expect(history.timings.map(({ tenantId, totalMs }) => [tenantId, totalMs])).toEqual([
      ['3', 40],
      ['17', 5],
      ['3', 60],
    ]);
    // No line says that no more lines come.
    await clock.advance(10_000);
    expect(heard.at(-1)?.stats.linesPerS).toBe(0);
    leaving.abort();
    await monitor.stop();
  });

  it('counts what the log held already by its own time, and writes none of it to history again', async () => {
    const { monitor, clock, history, log } = await liveMonitor();
    const beganMs = clock.now();
    await clock.advance(500);
    log.listener.state({ label: 'app.log', state: 'live', sinceMs: clock.now(), error: null });
    log.listener.lines('app.log', [
      timingLine('3', 10, beganMs - 86_400_000),
      timingLine('3', 20, beganMs - 60_000),
      timingLine('3', 30, beganMs + 400),
    ]);
    const { stages } = monitor.followTenant('3', { emit: nobody, fail: nobody }, never);
    expect(stages.find(({ stage }) => stage === 'total')?.rawMs).toEqual([20, 30]);
    expect(history.timings.map(({ totalMs }) => totalMs)).toEqual([30]);
    await monitor.stop();
  });

  it('keeps timing that comes before the database has named anybody', async () => {
    const { monitor, clock, source, log } = plainMonitor();
    source.before = () => Promise.reject(refused);
    monitor.start();
    await settled();
    log.listener.lines('app.log', [timingLine('3', 40)]);
    source.before = () => Promise.resolve();
    await clock.advance(1_000);
    const { stages } = monitor.followTenant('3', { emit: nobody, fail: nobody }, never);
    expect(stages.find(({ stage }) => stage === 'total')?.count).toBe(1);
    await monitor.stop();
  });

  it('hands every line on to be stored, and says while a tail may bring what was stored before', async () => {
    const { monitor, clock, lines, log } = await liveMonitor();
    log.listener.state({ label: 'app.log', state: 'live', sinceMs: clock.now(), error: null });
    log.listener.lines('app.log', [timingLine('3', 40)]);
    await clock.advance(10_000);
    log.listener.lines('app.log', [{ ...timingLine('3', 60), kind: 'gap', timing: null }]);
    expect(lines.batches).toMatchObject([
      { connectionId: 'mail', mayBeOld: true, lines: [{ seq: 0, source: 'app.log', kind: 'line' }] },
      { connectionId: 'mail', mayBeOld: false, lines: [{ seq: 1, source: 'app.log', kind: 'gap' }] },
    ]);
    expect(monitor.tenantNames).toEqual([
      ['3', 'mailflow'],
      ['17', 'newsletter'],
    ]);
    await monitor.stop();
  });

  it('follows one tenant until the source names it no more', async () => {
    const { monitor, clock, source } = await liveMonitor();
    const told: number[] = [];
    const failures: HeadwayError[] = [];
    const leaving = new AbortController();
    const sink = {
      emit: ({ row }: { row: TenantRow }) => void told.push(row.lagMs ?? -1),
      fail: (error: HeadwayError) => {
        failures.push(error);
        leaving.abort();
      },
    };
    expect(monitor.followTenant('17', sink, leaving.signal).row.name).toBe('newsletter');
    await clock.advance(4_000);
    expect(told).toEqual([0, 0]);
    source.named = [{ id: '3', name: 'mailflow', detail: '' }];
    source.sample = () => sampleAt(clock.now(), [tenantSample('3')]);
    await clock.advance(60_000);
    expect(failures).toMatchObject([{ code: 'not-found', message: 'Mail has no tenant "17".' }]);
    expect(() => monitor.followTenant('17', sink, never)).toThrow(failures[0]);
    await monitor.stop();
  });
});
