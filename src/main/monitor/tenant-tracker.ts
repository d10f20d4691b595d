// Everything the monitor remembers of one tenant, and the row it makes of it.
import type { TenantRow } from '../../contract/live.ts';
import type { Severity } from '../../core/alert.ts';
import { causeOfLateness, type Cause, type CauseFacts } from '../../core/cause.ts';
import { atLeast } from '../../core/count.ts';
import type { TenantInfo, TenantSample } from '../../core/sample.ts';
import type { TenantStatus } from '../../core/status.ts';
import { tenantStatus } from '../../core/tenant-status.ts';
import { TenantTiming } from '../../core/tenant-timing.ts';
import { TenantWindow, type TenantView } from '../../core/tenant-window.ts';
import type { StageStats, TimingRecord } from '../../core/timing.ts';
import { Spark } from './spark.ts';

export interface TrackerOptions {
  windowMs: number;
  timingWindowMs: number;
  sparkBucketMs: number;
}

/** What a row depends on beside the tenant itself. */
export interface RowContext extends Pick<CauseFacts, 'unreachableMs' | 'workers' | 'shares'> {
  /** Local clock. */
  nowMs: number;
  /** The same moment on the database's clock. */
  databaseNowMs: number;
  /** The lag that is still all right. */
  allowedLagMs: number;
  /** Levels of the lag rule; null where it has none. */
  warningLagMs: number | null;
  criticalLagMs: number | null;
  /** The order in which workers claim, in words; null when not known. */
  claimOrder: string | null;
  nameOf: (tenantId: string) => string;
}

/** What the log tells of a tenant, as rows and rules need it. */
export interface TimingFigures {
  runP95Ms: number | null;
  errorRate: number | null;
  /** The part of the run whose p95 is longest; null without at least 20 observations. */
  slowestStage: { stage: string; p95Ms: number } | null;
  untilMs: number;
}

const FIGURES_FOR_MS = 5_000;
/** Without data there may be any number: missing data is never zero. */
const unknown = atLeast(0);
/** Not parts of the system's own work. */
const notStages: ReadonlySet<string> = new Set(['wait', 'total', 'other']);

export class TenantTracker {
  info: TenantInfo;
  readonly #options: TrackerOptions;
  readonly #window: TenantWindow;
  readonly #timing: TenantTiming;
  readonly #spark: Spark;
  #view: TenantView | null = null;
  #status: { value: TenantStatus; sinceMs: number } = { value: 'no-data', sinceMs: 0 };
  #latestRunMs: number | null = null;
  #figures: TimingFigures | null = null;
  readonly #figuresPhaseMs: number;

  /** `phase`, 0 to 1: when within five seconds its timing figures fall due. */
  constructor(info: TenantInfo, options: TrackerOptions, phase = 0) {
    this.#figuresPhaseMs = phase * FIGURES_FOR_MS;
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

  addSample(sample: TenantSample, databaseTimeMs: number): void {
    this.#window.add(sample, databaseTimeMs);
  }

  addTiming(record: TimingRecord, localMs: number): void {
    this.#timing.add(record, localMs);
    this.#latestRunMs = record.totalMs;
  }

  stages(nowMs: number): StageStats[] {
    return this.#timing.stages(nowMs);
  }

  /** Run times and errors over the timing window, at most five seconds old: a percentile needs no more. */
  timingFigures(nowMs: number): TimingFigures {
    const known = this.#figures;
    if (known !== null && nowMs < known.untilMs) return known;
    // The first time ends early, each tenant's at another moment: a thousand must not fall due in one poll.
    const phaseMs = known === null ? this.#figuresPhaseMs : 0;
    return (this.#figures = {
      runP95Ms: this.#timing.runP95Ms(nowMs),
      errorRate: this.#timing.outcome(nowMs).errorRate,
      slowestStage: slowestStage(this.#timing.stages(nowMs)),
      untilMs: nowMs + FIGURES_FOR_MS - phaseMs,
    });
  }

  row(context: RowContext): TenantRow {
    const { nowMs, databaseNowMs, nameOf } = context;
    const view = this.#window.view(databaseNowMs);
    this.#view = view;
    this.#spark.add(nowMs, view?.lagMs ?? null);
    const status = tenantStatus({
      view,
      windowMs: this.#options.windowMs,
      workersSilentMs: context.workers.silentMs,
      allowedLagMs: context.allowedLagMs,
    });
    if (status !== this.#status.value || this.#status.sinceMs === 0)
      this.#status = { value: status, sinceMs: nowMs };
    const timing = this.timingFigures(nowMs);
    const behind = view?.sample.behind && {
      ahead: view.sample.behind.ahead,
      tenants: view.sample.behind.tenants.map(({ tenantId: id, share }) => ({ id, name: nameOf(id), share })),
    };
    return {
      ...this.info,
      status,
      statusSinceMs: this.#status.sinceMs,
      severity: severityOf(view?.lagMs ?? null, context),
      cause: view && this.#cause(view, status, behind ?? null, context),
      lagMs: view?.lagMs ?? null,
      lagBound: view?.lagBound ?? 'exact',
      ageMs: view?.ageMs ?? null,
      trend: view?.trend ?? null,
      ready: view?.sample.ready ?? unknown,
      delayed: view?.sample.delayed ?? unknown,
      running: view?.sample.running ?? unknown,
      stale: view?.sample.stale ?? unknown,
      dead: view?.sample.dead ?? null,
      blocked: view?.sample.blocked ?? null,
      arrivalsPerS: view?.arrivalsPerS ?? null,
      attemptsPerS: view?.attemptsPerS ?? null,
      ratesApproximate: view?.ratesApproximate ?? false,
      runP95Ms: timing.runP95Ms,
      errorRate: timing.errorRate,
      timeToEmpty: view?.timeToEmpty ?? { kind: 'unknown' },
      behind: behind ?? null,
      paused: view?.sample.paused ?? null,
      spark: this.#spark.values,
    };
  }

  #cause(
    view: TenantView,
    status: TenantStatus,
    behind: TenantRow['behind'],
    context: RowContext,
  ): Cause | null {
    const { claimOrder } = context;
    return causeOfLateness({
      ...context,
      status,
      lagMs: view.lagMs,
      paused: view.sample.paused,
      databaseBlocked: null,
      staleAtHead: view.sample.stale.value,
      behind:
        behind === null || claimOrder === null
          ? null
          : {
              ahead: behind.ahead,
              tenants: behind.tenants.map(({ id, name, share }) => ({ tenantId: id, name, share })),
              claimOrder,
            },
      tenantId: this.info.id,
      // No baseline of the hour is kept yet, and without one no stage can be called slow.
      stages: [],
      arrivalsPerS: view.arrivalsPerS,
      attemptsPerS: view.attemptsPerS,
    });
  }
}

function severityOf(lagMs: number | null, { warningLagMs, criticalLagMs }: RowContext): Severity | null {
  if (lagMs === null) return null;
  if (criticalLagMs !== null && lagMs > criticalLagMs) return 'critical';
  return warningLagMs !== null && lagMs > warningLagMs ? 'warning' : null;
}

function slowestStage(stages: StageStats[]): TimingFigures['slowestStage'] {
  let slowest: TimingFigures['slowestStage'] = null;
  for (const { stage, p95Ms } of stages)
    if (p95Ms !== null && !notStages.has(stage) && p95Ms > (slowest?.p95Ms ?? -1)) slowest = { stage, p95Ms };
  return slowest;
}
