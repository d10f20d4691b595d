import type { EngineReport, KindReport } from '../../../contract/engine-report.ts';
import type { TenantDepth } from '../job.ts';
import { type AttemptLedger, DURATION_BOUNDS_S, type DurationCounts } from './attempt-ledger.ts';
import { type Labels, OpenMetricsText } from './open-metrics.ts';
import type { PullCounts } from './pull-desk.ts';
import { depthsOf, labelledDepths } from './tenant-labels.ts';

/** So many tenants get a label of their own, the latest first. */
const TENANTS_SHOWN = 100;

/** What the HTTP face counts of itself, since the start. */
export interface IntakeCounts {
  /** By "route status". */
  readonly requests: ReadonlyMap<string, number>;
  readonly enqueued: number;
  /** Rows whose idempotency key was known. */
  readonly known: number;
  readonly refused: number;
  /** In flight. */
  requestBytes(): number;
  answerBytes(): number;
}

export interface MetricsInput {
  report: EngineReport;
  /** What is stored, with the store's time; null while the store does not answer. */
  stored: { tenants: readonly TenantDepth[]; atMs: number } | null;
  attempts: AttemptLedger;
  intake: IntakeCounts;
  pull: PullCounts | null;
}

/** Everything an engine says of itself as OpenMetrics text. Durations in seconds, sizes in bytes. */
export function engineMetrics({ report, stored, attempts, intake, pull }: MetricsInput): string {
  const text = new OpenMetricsText();
  ofEngine(text, report);
  ofWorkers(text, report);
  ofKinds(text, report.kinds, attempts);
  ofProtection(text, report);
  if (stored) ofStore(text, stored.tenants, stored.atMs);
  ofIntake(text, intake);
  if (pull) ofPull(text, pull);
  return text.toString();
}

function ofEngine(text: OpenMetricsText, report: EngineReport): void {
  const { owner, host, pid, version, order, memory, loopDelay, pool } = report;
  text.info('headway_engine', 'The engine that answers.', { owner, host, pid, version, order });
  text.gauge('headway_engine_start_time_seconds', 'When it started, by its store’s clock.', [
    [{}, report.startedAtMs / 1000],
  ]);
  text.stateset(
    'headway_engine_state',
    'Whether it takes new work.',
    ['working', 'stopping'],
    [[{}, report.state]],
  );
  text.gauge('headway_memory_rss_bytes', 'Memory of the engine’s process.', [[{}, memory.rssBytes]]);
  text.gauge('headway_memory_limit_bytes', 'Memory it may use.', [[{}, memory.limitBytes]]);
  text.stateset(
    'headway_memory_pressure',
    'What the engine does about its memory.',
    ['normal', 'claim-less', 'recycle', 'stop-claiming'],
    [[{}, memory.pressure]],
  );
  text.gauge('headway_loop_delay_seconds', 'Delay of the event loop over the last minute.', [
    [{ at: 'p50' }, loopDelay.p50Ms / 1000],
    [{ at: 'p99' }, loopDelay.p99Ms / 1000],
    [{ at: 'max' }, loopDelay.maxMs / 1000],
  ]);
  if (!pool) return;
  text.gauge('headway_pool_connections', 'Connections to the database in use, and all there may be.', [
    [{ of: 'used' }, pool.used],
    [{ of: 'size' }, pool.size],
  ]);
  text.gauge('headway_pool_waiting', 'Calls that wait for a connection.', [[{}, pool.waiting]]);
}

function ofWorkers(text: OpenMetricsText, { workers, workersWanted, restarts, balance }: EngineReport): void {
  const count = (state: string): number => workers.filter((worker) => worker.state === state).length;
  text.gauge('headway_workers_wanted', 'Jobs it may run at once.', [[{}, workersWanted]]);
  text.gauge(
    'headway_workers',
    'Workers by state.',
    ['idle', 'busy', 'recycling', 'restarting'].map((state) => [{ state }, count(state)]),
  );
  text.counter('headway_worker_restarts', 'Workers that were started again.', [[{}, restarts]]);
  text.gauge('headway_worker_balance', 'Jain’s index of jobs over workers: 1 = all did the same.', [
    [{}, balance],
  ]);
  const each = <T>(value: (worker: (typeof workers)[number]) => T): [Labels, T][] =>
    workers.map((worker) => [{ worker: worker.id }, value(worker)]);
  text.counter(
    'headway_worker_jobs',
    'Attempts a worker ended.',
    each((worker) => worker.jobs),
  );
  text.counter(
    'headway_worker_errors',
    'Attempts that failed.',
    each((worker) => worker.errors),
  );
  text.gauge(
    'headway_worker_memory_bytes',
    'Of its thread or process tree.',
    each((w) => w.memoryBytes),
  );
  text.gauge(
    'headway_worker_loop_delay_seconds',
    'Delay of its event loop, p99.',
    each((worker) => (worker.loopDelayMs === null ? null : worker.loopDelayMs / 1000)),
  );
}

function ofKinds(text: OpenMetricsText, kinds: readonly KindReport[], attempts: AttemptLedger): void {
  const each = <T>(value: (kind: KindReport) => T): [Labels, T][] =>
    kinds.map((kind) => [{ kind: kind.kind }, value(kind)]);
  text.gauge(
    'headway_kind_running',
    'Jobs that run now.',
    each((kind) => kind.running),
  );
  text.gauge(
    'headway_kind_limit',
    'Jobs that may run at once; left out without a limit.',
    each((k) => k.limit),
  );
  text.gauge(
    'headway_kind_held',
    '1 while it starts nothing.',
    each((kind) => (kind.heldBy === null ? 0 : 1)),
  );
  const counted = [...attempts.kinds];
  text.counter(
    'headway_attempts',
    'Attempts that ended, by what came of them: done or a class of error.',
    counted.flatMap(([kind, { results }]) =>
      [...results].map(([result, count]): [Labels, number] => [{ kind, result }, count]),
    ),
  );
  const durations = (of: 'wait' | 'run'): [Labels, DurationCounts][] =>
    counted.map(([kind, counts]) => [{ kind }, counts[of]]);
  text.histogram('headway_wait_seconds', 'From ready to started.', DURATION_BOUNDS_S, durations('wait'));
  text.histogram('headway_run_seconds', 'From started to finished.', DURATION_BOUNDS_S, durations('run'));
}

function ofProtection(text: OpenMetricsText, { breakers, kinds, buffered }: EngineReport): void {
  text.stateset(
    'headway_breaker_state',
    'Circuit breakers by dependency.',
    ['closed', 'open', 'half-open'],
    breakers.map(({ dependency, state }) => [{ dependency }, state]),
  );
  text.gauge(
    'headway_breaker_failure_ratio',
    'Of the calls in its window; left out under its minimum.',
    breakers.map(({ dependency, failureRatio }) => [{ dependency }, failureRatio]),
  );
  text.gauge(
    'headway_throttle_limit',
    'Jobs at once that the adaptive throttle allows.',
    kinds.map(({ kind, throttle }) => [{ kind }, throttle?.limit ?? null]),
  );
  text.gauge('headway_buffered_jobs', 'Claimed and not started.', [[{}, buffered]]);
}

function ofStore(text: OpenMetricsText, tenants: readonly TenantDepth[], atMs: number): void {
  text.gauge(
    'headway_jobs',
    'Stored jobs by state; a large number may be a lower bound.',
    Object.entries(depthsOf(tenants)).map(([state, { value }]) => [{ state }, value]),
  );
  const shown = labelledDepths(tenants, atMs, TENANTS_SHOWN);
  text.gauge(
    'headway_tenant_jobs',
    'Stored jobs of the latest tenants; the rest together is "other".',
    shown.flatMap(({ tenant, lagMs: _, ...states }) =>
      Object.entries(states).map(([state, { value }]): [Labels, number] => [{ tenant, state }, value]),
    ),
  );
  text.gauge(
    'headway_tenant_lag_seconds',
    'Age of the oldest job that is ready and not running.',
    shown.map(({ tenant, lagMs }) => [{ tenant }, lagMs / 1000]),
  );
}

function ofIntake(text: OpenMetricsText, intake: IntakeCounts): void {
  text.counter(
    'headway_intake_requests',
    'Answered requests.',
    [...intake.requests].map(([key, count]) => {
      const [route = '', status = ''] = key.split(' ');
      return [{ route, status }, count];
    }),
  );
  text.counter('headway_intake_rows', 'Rows of jobs, by what came of them.', [
    [{ result: 'enqueued' }, intake.enqueued],
    [{ result: 'known' }, intake.known],
    [{ result: 'refused' }, intake.refused],
  ]);
  text.gauge('headway_intake_bytes', 'Bytes of requests and answers in flight.', [
    [{ of: 'requests' }, intake.requestBytes()],
    [{ of: 'answers' }, intake.answerBytes()],
  ]);
}

function ofPull(text: OpenMetricsText, pull: PullCounts): void {
  text.gauge('headway_pull_leased_jobs', 'Jobs in the hands of other programs.', [[{}, pull.leased]]);
  text.counter('headway_pull_settlements', 'How leases ended; refused = it was over before.', [
    [{ result: 'done' }, pull.done],
    [{ result: 'failed' }, pull.failed],
    [{ result: 'returned' }, pull.returned],
    [{ result: 'expired' }, pull.expired],
    [{ result: 'refused' }, pull.refused],
  ]);
}
