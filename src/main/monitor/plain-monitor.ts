// A monitor over a plain source, with services that remember what they were given. For tests.
import type { Alert, AlertEvent, AlertRule } from '../../core/alert.ts';
import { shippedRules } from '../../core/alert-rules.ts';
import type { TimingRecord } from '../../core/timing.ts';
import { HeadwayError } from '../../contract/errors.ts';
import type { LogLine } from '../../contract/logs.ts';
import type { History } from '../../contract/history.ts';
import type { TimingAnalysis } from '../../contract/log-search.ts';
import { exact } from '../../core/count.ts';
import type { HistoryStore, SampleRow } from '../history/history-store.ts';
import type { LogListener, ParsedLine } from '../logs/log-events.ts';
import { ConnectionMonitor } from './connection-monitor.ts';
import { FakeClock, settled } from './fake-clock.ts';
import type { AlertSink, Input, LineSink, MonitorOptions } from './monitor-parts.ts';
import type { Observation } from './observations.ts';
import { lateTenant, PlainSource, sampleAt, tenantSample } from './plain-source.ts';

export class RememberingHistory implements HistoryStore {
  readonly samples: { atMs: number; rows: SampleRow[] }[] = [];
  readonly timings: TimingRecord[] = [];
  readonly gaps: { fromMs: number; toMs: number | null; reason: string }[] = [];

  addSamples(_connectionId: string, atMs: number, rows: SampleRow[]): void {
    this.samples.push({ atMs, rows });
  }
  addTimings(_connectionId: string, _atMs: number, records: TimingRecord[]): void {
    this.timings.push(...records);
  }
  openGap(_connectionId: string, atMs: number, reason: string): void {
    this.gaps.push({ fromMs: atMs, toMs: null, reason });
  }
  closeGap(_connectionId: string, atMs: number): void {
    for (const gap of this.gaps) gap.toMs ??= atMs;
  }
  addAlertEvents(_events: AlertEvent[]): void {}
  saveAlerts(_alerts: Alert[]): void {}
  loadAlerts(): Promise<{ alerts: Alert[]; events: AlertEvent[] }> {
    return Promise.resolve({ alerts: [], events: [] });
  }
  query(): Promise<History> {
    return Promise.resolve({ bucketMs: 1, points: [], gaps: [], marks: [] });
  }
  timingAnalysis(): Promise<TimingAnalysis> {
    return Promise.resolve({ bucketMs: 1, buckets: [], tenants: [], shares: [], movers: [] });
  }
  flush(): Promise<void> {
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

export class RememberingAlerts implements AlertSink {
  readonly evaluations: { observations: readonly Observation[]; nowMs: number; inhibited: boolean }[] = [];
  now: ReturnType<AlertSink['standing']> = { firing: 0, worst: null };

  evaluate(...[, , observations, nowMs, inhibited]: Parameters<AlertSink['evaluate']>): void {
    this.evaluations.push({ observations, nowMs, inhibited });
  }
  standing(): ReturnType<AlertSink['standing']> {
    return this.now;
  }
  /** What the newest evaluation saw of a metric. */
  valueOf(metric: Observation['metric'], scopeId: string): number | null | undefined {
    return this.evaluations
      .at(-1)
      ?.observations.find((each) => each.metric === metric && each.scope.id === scopeId)?.value;
  }
}

export class RememberingLines implements LineSink {
  readonly batches: { connectionId: string; lines: readonly LogLine[]; mayBeOld: boolean }[] = [];

  append(connectionId: string, lines: readonly LogLine[], mayBeOld: boolean): void {
    this.batches.push({ connectionId, lines, mayBeOld });
  }
}

/** An input that says when it runs. */
export class RememberingInput implements Input {
  running = 0;
  starts = 0;

  start(): void {
    this.running += 1;
    this.starts += 1;
  }
  stop(): Promise<void> {
    this.running = 0;
    return Promise.resolve();
  }
}

const plainOptions: MonitorOptions = {
  id: 'mail',
  name: 'Mail',
  kind: 'postal',
  environment: 'production',
  safety: 'read-only',
  pollMs: 2_000,
  budgetMs: 500,
  timeoutMs: 15_000,
  windowMs: 60_000,
  timingWindowMs: 900_000,
  sparkBucketMs: 60_000,
  canaryTenants: [],
};

/** A monitor that is not started yet. Its log lines come in by `log`. */
export function plainMonitor(changes: Partial<MonitorOptions> = {}, rules: AlertRule[] = shippedRules()) {
  const clock = new FakeClock();
  const source = new PlainSource(() => sampleAt(clock.now(), []));
  const history = new RememberingHistory();
  const alerts = new RememberingAlerts();
  const input = new RememberingInput();
  const lines = new RememberingLines();
  // Given by the monitor while it is built.
  const log = {} as { listener: LogListener };
  const monitor = new ConnectionMonitor(
    { ...plainOptions, ...changes },
    {
      source,
      inputs: (listener) => {
        log.listener = listener;
        return [input];
      },
      history,
      alerts,
      lines,
      rules: () => rules,
      clock,
      random: () => 1,
    },
  );
  return { monitor, clock, source, history, alerts, input, lines, log };
}

/** What a database that is away answers. */
export const refused = new HeadwayError('unreachable', 'db:3306 cannot be reached.', { retryable: true });

const never = new AbortController().signal;

/** A monitor that is live with tenants 3 (mailflow, late) and 17 (newsletter). */
export async function liveMonitor(...changes: Parameters<typeof plainMonitor>) {
  const parts = plainMonitor(...changes);
  const { monitor, clock, source } = parts;
  source.named = [
    { id: '3', name: 'mailflow', detail: '' },
    { id: '17', name: 'newsletter', detail: '' },
  ];
  source.sample = () => {
    const nowMs = clock.now();
    return sampleAt(nowMs, [lateTenant('3', 200_000, nowMs), tenantSample('17', { running: exact(2) })]);
  };
  monitor.start();
  await settled();
  const rowOf = (id: string) =>
    monitor.followOverview(() => undefined, never).rows.find((row) => row.id === id);
  const goDown = () => (source.before = () => Promise.reject(refused));
  const comeBack = () => (source.before = () => Promise.resolve());
  return { ...parts, rowOf, goDown, comeBack };
}

export function timingLine(tenantId: string, totalMs: number, atMs: number | null = null): ParsedLine {
  return {
    readAtMs: 0,
    atMs,
    kind: 'line',
    level: 'info',
    text: '[TIMING] {}',
    malformedTiming: false,
    timing: {
      tenantId,
      jobId: null,
      kind: null,
      startedAtMs: null,
      totalMs,
      stages: { deliver: totalMs },
      status: 'success',
      error: null,
      sizeBytes: null,
    },
  };
}
