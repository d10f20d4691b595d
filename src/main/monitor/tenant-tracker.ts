// Everything the monitor remembers of one tenant, and the row it makes of it.
import type { TenantRow } from '../../contract/live.ts';
import type { Severity } from '../../core/alert.ts';
import { causeOf, type Cause, type ConnectionFacts } from '../../core/cause.ts';
import { zero } from '../../core/count.ts';
import type { TenantInfo, TenantSample } from '../../core/sample.ts';
import type { TenantStatus } from '../../core/status.ts';
import { tenantStatus } from '../../core/tenant-status.ts';
import { TenantTiming, type TimingOutcome } from '../../core/tenant-timing.ts';
import { TenantWindow, type TenantView } from '../../core/tenant-window.ts';
import type { StageStats, TimingRecord } from '../../core/timing.ts';
import { Spark } from './spark.ts';

export interface TrackerOptions {
  windowMs: number;
  timingWindowMs: number;
  sparkBucketMs: number;
}

/** What a row depends on beside the tenant itself. */
export interface RowContext {
  /** Local clock. */
  nowMs: number;
  /** The same moment on the database's clock. */
  databaseNowMs: number;
  workersSilentMs: number;
  /** Levels of the lag rule; null where it has none. */
  warningLagMs: number | null;
  criticalLagMs: number | null;
  nameOf: (tenantId: string) => string;
  connection: ConnectionFacts;
}

/** A lag rule without a warning level leaves "ok" to the shipped one. */
const USUAL_ALLOWED_LAG_MS = 180_000;

export class TenantTracker {
  info: TenantInfo;
  readonly #options: TrackerOptions;
  readonly #window: TenantWindow;
  readonly #timing: TenantTiming;
  readonly #spark: Spark;
  #view: TenantView | null = null;
  #status: { value: TenantStatus; sinceMs: number } = { value: 'no-data', sinceMs: 0 };
  #latestRunMs: number | null = null;

  constructor(info: TenantInfo, options: TrackerOptions) {
    this.info = info;
    this.#options = options;
    this.#window = new TenantWindow(options.windowMs);
    this.#timing = new TenantTiming(options.timingWindowMs);
    this.#spark = new Spark(options.sparkBucketMs);
  }

  /** What the newest `row()` was made of; null without data. */
  get view(): TenantView | null {
    return this.#view;
  }

  get status(): TenantStatus {
    return this.#status.value;
  }

  /** The run time of the job that finished last, ms; null before the first. */
  get latestRunMs(): number | null {
    return this.#latestRunMs;
  }

  addSample(sample: TenantSample, databaseTimeMs: number, localMs: number): void {
    this.#window.add(sample, databaseTimeMs);
    this.#spark.add(localMs, this.#window.view(databaseTimeMs)?.lagMs ?? null);
  }

  addTiming(record: TimingRecord, localMs: number): void {
    this.#timing.add(record, localMs);
    this.#latestRunMs = record.totalMs;
  }

  stages(nowMs: number): StageStats[] {
    return this.#timing.stages(nowMs);
  }

  outcome(nowMs: number): TimingOutcome {
    return this.#timing.outcome(nowMs);
  }

  row(context: RowContext): TenantRow {
    const { nowMs, databaseNowMs, workersSilentMs, warningLagMs, nameOf } = context;
    const view = this.#window.view(databaseNowMs);
    this.#view = view;
    const status = tenantStatus({
      view,
      windowMs: this.#options.windowMs,
      workersSilentMs,
      allowedLagMs: warningLagMs ?? USUAL_ALLOWED_LAG_MS,
    });
    if (status !== this.#status.value || this.#status.sinceMs === 0)
      this.#status = { value: status, sinceMs: nowMs };
    const severity = severityOf(view?.lagMs ?? null, context);
    const behind = view?.sample.behind ?? null;
    return {
      ...this.info,
      status,
      statusSinceMs: this.#status.sinceMs,
      severity,
      cause: this.#cause(view, status, severity, context),
      lagMs: view?.lagMs ?? null,
      lagBound: view?.lagBound ?? 'exact',
      ageMs: view?.ageMs ?? null,
      trend: view?.trend ?? null,
      ready: view?.sample.ready ?? zero,
      delayed: view?.sample.delayed ?? zero,
      running: view?.sample.running ?? zero,
      stale: view?.sample.stale ?? zero,
      arrivalsPerS: view?.arrivalsPerS ?? null,
      attemptsPerS: view?.attemptsPerS ?? null,
      ratesApproximate: view?.ratesApproximate ?? false,
      runP95Ms: this.#timing.runP95Ms(nowMs),
      errorRate: this.#timing.outcome(nowMs).errorRate,
      timeToEmpty: view?.timeToEmpty ?? { kind: 'unknown' },
      behind: behind && {
        ahead: behind.ahead,
        tenants: behind.tenants.map(({ tenantId, share }) => ({ id: tenantId, name: nameOf(tenantId), share })),
      },
      paused: view?.sample.paused ?? null,
      spark: [...this.#spark.values],
    };
  }
}

function severityOf(lagMs: number | null, { warningLagMs, criticalLagMs }: RowContext): Severity | null {
  if (lagMs === null) return null;
  if (criticalLagMs !== null && lagMs > criticalLagMs) return 'critical';
  return warningLagMs !== null && lagMs > warningLagMs ? 'warning' : null;
}
