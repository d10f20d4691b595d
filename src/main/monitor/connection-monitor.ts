// One monitored connection, live: polls and log lines come in, rows, history and alert observations go out.
import type { Snapshot } from '../../contract/api.ts';
import { HeadwayError } from '../../contract/errors.ts';
import {
  groupOf,
  type ConnectionState,
  type ConnectionSummary,
  type LogHostState,
  type Overview,
  type OverviewDelta,
  type OverviewHead,
  type TenantRow,
} from '../../contract/live.ts';
import { allowedLagMs } from '../../core/alert-rules.ts';
import type { AlertRule } from '../../core/alert.ts';
import type { SourceSample, TenantInfo } from '../../core/sample.ts';
import { TenantTiming } from '../../core/tenant-timing.ts';
import type { TimingRecord } from '../../core/timing.ts';
import { WorkerWatch } from '../../core/worker-watch.ts';
import type { ParsedLine } from '../logs/log-events.ts';
import type { Probe, SourceDetails } from '../sources/source.ts';
import { LagSampler } from './lag-sampler.ts';
import { Listeners } from './listeners.ts';
import { LogFeed } from './log-feed.ts';
import { LogStart } from './log-start.ts';
import type { Input, MonitorOptions, MonitorParts } from './monitor-parts.ts';
import {
  connectionObservations,
  sourceObservations,
  tenantObservations,
  type Observation,
} from './observations.ts';
import { OverviewFeed } from './overview-feed.ts';
import { overviewTotals } from './overview-totals.ts';
import { TenantSet } from './tenant-set.ts';
import { WatchCost } from './watch-cost.ts';
import { WorkerLoad } from './worker-load.ts';

type TenantSnapshot = Snapshot<'tenant'>;

const HOUR_MS = 3_600_000;
/** While nothing comes in, ages, alerts and rates still move this often. */
const TICK_MS = 1_000;

export class ConnectionMonitor {
  readonly id: string;
  readonly logs = new LogFeed();
  readonly #options: MonitorOptions;
  readonly #parts: MonitorParts;
  readonly #sampler: LagSampler;
  readonly #inputs: Input[];
  readonly #tenants: TenantSet;
  readonly #hour = new TenantTiming(HOUR_MS);
  readonly #logStart: LogStart;
  readonly #watch = new WorkerWatch();
  readonly #cost = new WatchCost();
  readonly #load: WorkerLoad;
  readonly #feed: OverviewFeed;
  readonly #ticks = new Listeners<undefined>();
  readonly #summaries = new Listeners<ConnectionSummary>();
  readonly #stopped = new AbortController();
  readonly #logStates = new Map<string, LogHostState>();
  #state: ConnectionState;
  #probe: Probe | null = null;
  #sample: SourceSample | null = null;
  #sampledAtMs: number | null = null;
  #summaryText = '';
  #late = 0;
  #ticking: Promise<void> | null = null;

  constructor(options: MonitorOptions, parts: MonitorParts) {
    this.id = options.id;
    this.#options = options;
    this.#parts = parts;
    this.#tenants = new TenantSet(options);
    this.#load = new WorkerLoad(options.windowMs);
    this.#state = { kind: 'connecting', sinceMs: parts.clock.now() };
    this.#logStart = new LogStart(parts.clock.now());
    this.#sampler = new LagSampler(
      parts.source,
      options,
      {
        probed: (probe) => this.#probed(probe),
        tenants: (tenants) => this.#named(tenants),
        sample: (sample, atMs) => this.#sampled(sample, atMs),
        state: (state) => this.#stateChanged(state),
      },
      parts,
    );
    this.#inputs = parts.inputs({
      lines: (source, lines) => this.#lines(source, lines),
      state: (state) => {
        this.#logStates.set(state.label, state);
        if (state.state === 'live') this.#logStart.live(state.label, parts.clock.now());
        this.#tellSummary();
      },
      gone: (label) => {
        this.#logStates.delete(label);
        this.#tellSummary();
      },
    });
    this.#feed = new OverviewFeed(this.#head([]));
  }

  /** A second call does nothing, nor does one after `stop()`. */
  start(): void {
    if (this.#stopped.signal.aborted || this.#ticking !== null) return;
    this.#sampler.start();
    for (const input of this.#inputs) input.start();
    this.#ticking = this.#tick();
  }

  /** Ends polls and tails and tells followers. Idempotent; safe before `start()`. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all([this.#sampler.stop(), ...this.#inputs.map((input) => input.stop()), this.#ticking]);
  }

  /** What its system shows beside the polls. Calls reject with `cancelled` once it has stopped. */
  get details(): SourceDetails {
    return this.#parts.source.details;
  }

  summary(): ConnectionSummary {
    const { id, name, kind, environment, safety } = this.#options;
    const { firing, worst } = this.#parts.alerts.standing(id);
    return {
      id,
      name,
      kind,
      environment,
      safety,
      tenantWord: this.#probe?.tenantWord ?? 'tenant',
      state: this.#state,
      logHosts: [...this.#logStates.values()],
      worst,
      firing,
      late: this.#late,
    };
  }

  onSummary(listener: (summary: ConnectionSummary) => void, signal: AbortSignal): void {
    this.#summaries.add(listener, signal);
  }

  /** Called once when the monitor stops (at once when it has), unless `signal` aborts before. */
  onStop(listener: () => void, signal: AbortSignal): void {
    if (this.#stopped.signal.aborted) listener();
    else this.#stopped.signal.addEventListener('abort', listener, { once: true, signal });
  }

  /** The tenants that have a name, for filters that use it. */
  get tenantNames(): [tenantId: string, name: string][] {
    return [...this.#feed.rows.values()].map(({ id, name }) => [id, name]);
  }

  followOverview(listener: (delta: OverviewDelta) => void, signal: AbortSignal): Overview {
    return this.#feed.follow(listener, signal);
  }

  /** Throws `not-found` for a tenant that the source does not name, and fails with it when it is named no more. */
  followTenant(
    id: string,
    sink: { emit(tenant: TenantSnapshot): void; fail(error: HeadwayError): void },
    signal: AbortSignal,
  ): TenantSnapshot {
    const absent = () =>
      new HeadwayError('not-found', `${this.#options.name} has no tenant "${id}".`, { retryable: true });
    const now = this.#tenant(id);
    if (now === null) throw absent();
    this.#ticks.add(() => {
      const next = this.#tenant(id);
      if (next === null) sink.fail(absent());
      else sink.emit(next);
    }, signal);
    return now;
  }

  #tenant(id: string): TenantSnapshot | null {
    const row = this.#feed.rows.get(id);
    const tracker = this.#tenants.get(id);
    if (row === undefined || tracker === undefined) return null;
    return {
      asOfMs: this.#sampledAtMs,
      row,
      stages: tracker.stages(this.#parts.clock.now()),
      timingWindowMs: this.#options.timingWindowMs,
    };
  }

  #probed(probe: Probe): void {
    this.#probe = probe;
    this.#tellSummary();
  }

  #named(tenants: TenantInfo[]): void {
    this.#tenants.name(tenants);
    // Structure before data: names are shown while the first poll is under way.
    if (this.#sample === null) this.#publish(this.#parts.clock.now());
  }

  #sampled(sample: SourceSample, atMs: number): void {
    this.#sample = sample;
    this.#sampledAtMs = atMs;
    this.#watch.add(sample);
    this.#cost.add(atMs, sample.cost);
    this.#load.add(atMs, sample.workers);
    this.#tenants.add(sample);
    const rows = this.#publish(atMs);
    this.#parts.history.addSamples(
      this.id,
      atMs,
      rows.map(({ id, lagMs, ready, delayed, running, stale }) => {
        const view = this.#tenants.get(id)?.view;
        return {
          tenantId: id,
          lagMs,
          ready: ready.value,
          delayed: delayed.value,
          running: running.value,
          stale: stale.value,
          arrivals: view?.lastArrivals ?? null,
          attempts: view?.lastAttempts ?? null,
        };
      }),
    );
  }

  #stateChanged(state: ConnectionState): void {
    const { history, clock } = this.#parts;
    const wasTroubled = 'error' in this.#state;
    this.#state = state;
    if (state.kind === 'live') history.closeGap(this.id, clock.now());
    // One gap from the last sample on, though its reason may change meanwhile: the first one began it.
    else if ('error' in state && !wasTroubled)
      history.openGap(this.id, this.#sampledAtMs ?? clock.now(), state.error.message);
    // Live is told just before its first sample; publishing now would call what is about to come missing.
    if (state.kind === 'live') this.#tellSummary();
    else this.#publish(clock.now());
  }

  #lines(source: string, lines: ParsedLine[]): void {
    const nowMs = this.#parts.clock.now();
    const shown = this.logs.add(source, lines, nowMs);
    this.#parts.lines.append(this.id, shown, this.#logStart.mayBeOld(source, nowMs));
    const news: TimingRecord[] = [];
    for (const line of lines) {
      const { timing } = line;
      if (timing === null) continue;
      const atMs = this.#logStart.timeOf(source, line, nowMs);
      this.#hour.add(timing, atMs);
      this.#tenants.addTiming(timing, atMs);
      // What was in the log already is in the history already, or belongs to a gap of it.
      if (this.#logStart.isNews(atMs)) news.push(timing);
    }
    if (news.length > 0) this.#parts.history.addTimings(this.id, nowMs, news);
  }

  /** Rows, observations and head from what is known at `nowMs`. */
  #publish(nowMs: number): TenantRow[] {
    const databaseNowMs = nowMs + (this.#sample?.clock.offsetMs ?? 0);
    const rules = this.#parts.rules();
    const lagRule = rules.find((rule) => rule.id === 'lag' && rule.enabled);
    const live = this.#state.kind === 'live';
    const rows = this.#tenants.rows({
      nowMs,
      // While polls succeed, ages are as of the last one; after that the clock goes on and windows run dry.
      databaseNowMs: live && this.#sample !== null ? this.#sample.databaseTimeMs : databaseNowMs,
      allowedLagMs: allowedLagMs(rules),
      warningLagMs: lagRule?.warning ?? null,
      criticalLagMs: lagRule?.critical ?? null,
      claimOrder: this.#sample?.claimOrder ?? null,
      unreachableMs: 'error' in this.#state ? nowMs - this.#state.sinceMs : null,
      workers: {
        silentMs: live ? this.#watch.silentMs(databaseNowMs) : 0,
        lastSeenMs: this.#workersSeenMs(databaseNowMs),
        patienceMs: this.#options.windowMs,
        utilisation: this.#load.utilisation(nowMs),
      },
    });
    this.#late = rows.filter((row) => groupOf(row) === 'late').length;
    this.#observe(rows, rules, nowMs);
    this.#feed.publish(this.#head(rows), new Map(rows.map((row) => [row.id, row])));
    this.#ticks.emit(undefined);
    this.#tellSummary();
    return rows;
  }

  #observe(rows: TenantRow[], rules: readonly AlertRule[], nowMs: number): void {
    const troubled = 'error' in this.#state ? this.#state : null;
    // Before the first poll there is nothing to judge, and a start is no outage.
    if (this.#state.kind === 'connecting') return;
    const { errorRate } = this.#hour.outcome(nowMs);
    const observations = connectionObservations(this.#options, {
      unreachableMs: troubled === null ? 0 : nowMs - troubled.sinceMs,
      workersSilentMs:
        this.#sample === null ? null : this.#watch.silentMs(nowMs + this.#sample.clock.offsetMs),
      successRate: errorRate === null ? null : 1 - errorRate,
      error: troubled?.error.message ?? null,
    });
    if (this.#sample !== null) observations.push(...sourceObservations(this.#sample));
    const hasDeadSet = this.#sample?.tenants.some((tenant) => tenant.dead !== null) ?? false;
    const canaries = new Set(this.#options.canaryTenants);
    for (const row of rows) {
      const tracker = this.#tenants.get(row.id);
      const canary = canaries.has(row.id) || canaries.has(row.name);
      if (tracker !== undefined)
        observations.push(...tenantObservations(tracker, row, { nowMs, canary, hasDeadSet }));
    }
    const known = troubled === null ? observations : observations.map(unlessUnreachable);
    this.#parts.alerts.evaluate(this.#options, rules, known, nowMs, troubled !== null);
  }

  #head(rows: TenantRow[]): OverviewHead {
    const nowMs = this.#parts.clock.now();
    const sample = this.#sample;
    const pollMs = this.#sampler.pollMs;
    return {
      connection: this.summary(),
      asOfMs: this.#sampledAtMs,
      clock: sample?.clock ?? null,
      pollEveryMs: pollMs,
      pollNote:
        pollMs > this.#options.pollMs
          ? `Polls take longer than their budget of ${this.#options.budgetMs} ms; asking every ${pollMs / 1000} s.`
          : null,
      cost: this.#cost.perMinute(nowMs),
      workers: {
        busy: sample?.workers.busy ?? null,
        total: sample?.workers.total ?? null,
        lastSeenMs: this.#workersSeenMs(nowMs + (sample?.clock.offsetMs ?? 0)),
      },
      windowMs: this.#options.windowMs,
      warmingUpMs: this.#tenants.warmingUpMs(),
      sparkBucketMs: this.#options.sparkBucketMs,
      claimOrder: sample?.claimOrder ?? null,
      totals: overviewTotals(rows, this.#tenants.timeToEmpty()),
    };
  }

  /** Time since any worker was seen, ms; null when none was. */
  #workersSeenMs(databaseNowMs: number): number | null {
    const seenAtMs = this.#watch.lastSeenAtMs;
    return seenAtMs === null ? null : Math.max(0, databaseNowMs - seenAtMs);
  }

  #tellSummary(): void {
    if (this.#summaries.size === 0) return;
    const summary = this.summary();
    const text = JSON.stringify(summary);
    if (text === this.#summaryText) return;
    this.#summaryText = text;
    this.#summaries.emit(summary);
  }

  async #tick(): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#stopped;
    for (;;) {
      await clock.sleep(TICK_MS, signal);
      if (signal.aborted) return;
      this.logs.tick(clock.now());
      if (this.#state.kind !== 'live') this.#publish(clock.now());
    }
  }
}

/** What a connection that does not answer still tells: only that. */
function unlessUnreachable(observation: Observation): Observation {
  return observation.metric === 'unreachable' ? observation : { ...observation, value: null };
}
