// A made-up engine: ten workers on five kinds of jobs that wait for each other, a breaker that opens now and then, a
// throttle that follows its errors, and a dead set that can be worked on. The same seed plays the same night.
import { exact } from '../../../src/core/count.ts';
import type {
  BreakerReport,
  Bulk,
  EngineReport,
  EngineView,
  Hold,
  RecentAttempt,
} from '../../../src/contract/engine-report.ts';
import type { HandlerInput, MethodOutput } from '../../../src/contract/api.ts';
import { HeadwayError } from '../../../src/contract/errors.ts';
import { kindPlay, kinds, runMs, workerPlay } from './engine-report-play.ts';
import type { Running } from './engine-report-play.ts';
import { StoredPlay } from './engine-stored-play.ts';

const MB = 1_048_576;
const WORKERS = 10;
export class EnginePlay {
  readonly #place: EngineView['place'];
  readonly #random: () => number;
  readonly #startedAtMs: number;
  readonly #stored: StoredPlay;
  readonly #workers: (Running | null)[] = Array.from({ length: WORKERS }, () => null);
  readonly #served: number[] = Array.from({ length: WORKERS }, () => 0);
  readonly #holds: Hold[] = [];
  readonly #bulks: Bulk[] = [];
  readonly #recent: RecentAttempt[] = [];
  readonly #breaker: BreakerReport;
  readonly #throttle: { atMs: number; value: number }[] = [];
  #limit = 15;
  #nextId = 48_211;
  #finished = 12_920;
  #ready = 1_204;
  #view: EngineView;

  constructor(
    {
      place,
      tenants,
      random,
    }: { place: EngineView['place']; tenants: readonly string[]; random: () => number },
    nowMs: number,
  ) {
    this.#place = place;
    this.#random = random;
    this.#startedAtMs = nowMs - 4.4 * 3_600_000;
    this.#stored = new StoredPlay(tenants, random, nowMs);
    const state = (atMs: number, value: BreakerReport['state']) => ({ atMs: nowMs - atMs, value });
    this.#breaker = {
      dependency: 'model-api',
      state: 'closed',
      sinceMs: nowMs - 96_000,
      failureRatio: 0.08,
      nextTryAtMs: null,
      history: [
        state(700_000, 'open'),
        state(670_000, 'half-open'),
        state(668_000, 'open'),
        state(638_000, 'half-open'),
        state(633_000, 'closed'),
        state(158_000, 'open'),
        state(98_000, 'half-open'),
        state(96_000, 'closed'),
      ],
    };
    for (let atMs = nowMs - 880_000, value = 15; atMs < nowMs; atMs += 22_000) {
      value = Math.max(5, Math.min(25, value + (random() < 0.36 ? -2 : 1)));
      this.#throttle.push({ atMs, value });
      this.#limit = value;
    }
    for (let i = 0; i < 60; i += 1) this.#end(i % WORKERS, this.#start(nowMs - 60_000 + i * 900));
    this.#view = this.tick(nowMs);
  }

  get view(): EngineView {
    return this.#view;
  }

  /** A second later. */
  tick(nowMs: number): EngineView {
    for (const [index, running] of this.#workers.entries()) {
      if (running !== null && running.endsAtMs <= nowMs) {
        this.#end(index, running);
        this.#workers[index] = null;
      }
      if (this.#workers[index] === null && this.#random() < 0.8) {
        const job = this.#start(nowMs);
        if (!this.#isHeld(job)) this.#workers[index] = job;
      }
    }
    this.#ready = Math.max(0, this.#ready + Math.round((this.#random() - 0.5) * 24));
    this.#turnBreaker(nowMs);
    this.#workBulks();
    const counts = this.#stored.counts();
    this.#view = {
      asOfMs: nowMs,
      store:
        this.#place === 'local'
          ? 'SQLite, ~/.local/share/headway/engine.db'
          : 'PostgreSQL 15.14 at db.example.com/jobs',
      place: this.#place,
      engines: [
        { report: this.#report(nowMs), beatAgeMs: this.#place === 'local' ? 0 : 3_200 },
        ...(this.#place === 'database' ? [this.#silent(nowMs)] : []),
      ],
      holds: [...this.#holds],
      totals: {
        ready: exact(this.#ready),
        delayed: exact(37),
        running: exact(this.#workers.filter((job) => job !== null).length),
        waiting: exact(64),
        blocked: exact(counts.blocked),
        dead: exact(counts.dead),
      },
      deadGroups: this.#stored.groups(),
      bulks: this.#bulks.map((bulk) => ({ ...bulk })),
      recent: this.#place === 'local' ? this.#recent.slice(0, 100) : [],
      problem: null,
    };
    return this.#view;
  }

  deadJobs(input: HandlerInput<'engine.deadJobs'>): MethodOutput<'engine.deadJobs'> {
    return this.#stored.dead(input.filter, input.afterId, input.limit);
  }

  blockedJobs(input: HandlerInput<'engine.blockedJobs'>): MethodOutput<'engine.blockedJobs'> {
    return this.#stored.blocked(input.filter, input.afterId, input.limit);
  }

  job(id: number): MethodOutput<'engine.job'> {
    const running = this.#workers.find((job) => job?.id === id);
    const job = running == null ? this.#stored.job(id) : this.#stored.running(running);
    return {
      job,
      payload: job === null ? null : this.#stored.payload(job),
      recent: this.#recent.filter(({ jobId }) => jobId === id),
    };
  }

  hold({ tenantId, kind, mode, reason }: HandlerInput<'engine.hold'>, nowMs: number): void {
    this.unhold({ tenantId, kind });
    this.#holds.push({ tenantId, kind, mode, reason, by: 'anna', sinceMs: nowMs });
    this.tick(nowMs);
  }

  unhold({ tenantId, kind }: Pick<Hold, 'tenantId' | 'kind'>): boolean {
    const at = this.#holds.findIndex((hold) => hold.tenantId === tenantId && hold.kind === kind);
    if (at >= 0) this.#holds.splice(at, 1);
    return at >= 0;
  }

  bulk({ what, filter }: HandlerInput<'engine.bulk'>, nowMs: number): number {
    const jobId = this.#nextId++;
    this.#bulks.unshift({
      jobId,
      what,
      filter,
      state: 'running',
      changed: 0,
      startedAtMs: nowMs,
      error: null,
    });
    this.tick(nowMs);
    return jobId;
  }

  stopBulk(jobId: number): void {
    const bulk = this.#bulks.find((known) => known.jobId === jobId);
    if (bulk?.state === 'running') bulk.state = 'stopped';
  }

  enqueue({ kind }: HandlerInput<'engine.enqueue'>): number {
    if (this.#holds.some((hold) => hold.mode === 'drain' && (hold.kind ?? kind) === kind))
      throw new HeadwayError('conflict', `Kind ${kind} is being drained: it takes nothing new.`);
    this.#ready += 1;
    return this.#nextId++;
  }

  #start(nowMs: number): Running {
    const kind = kinds[Math.floor(this.#random() ** 1.4 * kinds.length)] ?? 'sync';
    return {
      id: this.#nextId++,
      kind,
      tenantId: this.#stored.tenant(),
      attempt: this.#random() < 0.85 ? 1 : 2,
      startedAtMs: nowMs,
      endsAtMs: nowMs + runMs[kind] * (0.4 + this.#random() * 1.8),
    };
  }

  #end(index: number, { id, kind, tenantId, attempt, startedAtMs, endsAtMs }: Running): void {
    this.#served[index] = (this.#served[index] ?? 0) + 1;
    this.#finished += 1;
    const ms = endsAtMs - startedAtMs;
    const error =
      this.#random() < 0.11 ? (kind === 'sync' ? 'the script was ended after 15 minutes' : 'HTTP 429') : null;
    this.#recent.unshift({
      jobId: id,
      kind,
      tenantId,
      attempt,
      startedAtMs,
      waitMs: this.#random() ** 3 * 9_000,
      runMs: ms,
      stages: { load: ms * 0.12, [kind === 'sync' ? 'script' : 'call']: ms * 0.7, save: ms * 0.1 },
      error,
    });
    this.#recent.length = Math.min(this.#recent.length, 100);
  }

  #isHeld({ kind, tenantId }: Running): boolean {
    return this.#holds.some(
      (hold) => (hold.kind ?? kind) === kind && (hold.tenantId ?? tenantId) === tenantId,
    );
  }

  /** Open for half a minute in each three, as a service at its limit would make it. */
  #turnBreaker(nowMs: number): void {
    const breaker = this.#breaker;
    const go = (state: BreakerReport['state'], nextTryAtMs: number | null, failureRatio: number): void => {
      Object.assign(breaker, { state, sinceMs: nowMs, nextTryAtMs, failureRatio });
      breaker.history.push({ atMs: nowMs, value: state });
    };
    const forMs = nowMs - breaker.sinceMs;
    if (breaker.state === 'closed' && forMs > 120_000) go('open', nowMs + 30_000, 0.62);
    else if (breaker.state === 'open' && forMs > 30_000) go('half-open', null, 0.5);
    else if (breaker.state === 'half-open' && forMs > 3_000) go('closed', null, 0.04);
    if (nowMs - (this.#throttle.at(-1)?.atMs ?? 0) < 20_000) return;
    this.#limit = Math.max(5, Math.min(25, this.#limit + (breaker.state === 'closed' ? 1 : -2)));
    this.#throttle.push({ atMs: nowMs, value: this.#limit });
    if (this.#throttle.length > 50) this.#throttle.shift();
  }

  #workBulks(): void {
    for (const bulk of this.#bulks) {
      if (bulk.state !== 'running') continue;
      const changed = this.#stored.change(bulk.what, bulk.filter, 40);
      bulk.changed += changed;
      if (changed < 40) bulk.state = 'done';
    }
    if (this.#bulks.length > 5) this.#bulks.pop();
  }

  #report(nowMs: number): EngineReport {
    const wave = 0.5 + 0.4 * Math.sin(nowMs / 40_000);
    return {
      owner: this.#place === 'local' ? 'this computer' : 'worker-1',
      host: this.#place === 'local' ? 'laptop' : 'worker-1.example.com',
      pid: 4_711,
      version: '0.1.0',
      startedAtMs: this.#startedAtMs,
      atMs: nowMs,
      state: 'working',
      order: 'fair',
      workersWanted: WORKERS,
      workers: this.#workers.map((job, id) => workerPlay(job, id, nowMs, this.#served[id] ?? 0)),
      restarts: 3,
      buffered: this.#place === 'local' ? 12 : 48,
      finishedPerS: 2.4 + wave,
      finishedTotal: this.#finished,
      failedTotal: 1_421,
      kinds: kinds.map((kind) =>
        kindPlay(kind, nowMs, {
          running: this.#workers.filter((job) => job?.kind === kind).length,
          hold: this.#holds.find((known) => known.kind === kind),
          breakerOpen: this.#breaker.state === 'open',
          throttle: { limit: this.#limit, minimum: 5, maximum: 25, history: [...this.#throttle] },
        }),
      ),
      breakers: [this.#breaker],
      memory: {
        rssBytes: Math.round((280 + wave * 130) * MB),
        limitBytes: 512 * MB,
        pressure: wave > 0.85 ? 'claim-less' : 'normal',
      },
      loopDelay: { p50Ms: 1.1, p99Ms: 6.4, maxMs: 18 },
      pool: this.#place === 'local' ? null : { used: 4, size: 10, waiting: 0 },
      balance: 0.97,
    };
  }

  /** A second machine that has not spoken for a while. */
  #silent(nowMs: number): EngineView['engines'][number] {
    const report = this.#report(nowMs - 74_000);
    return {
      report: { ...report, owner: 'worker-2', host: 'worker-2.example.com', pid: 902, finishedPerS: 0 },
      beatAgeMs: 74_000,
    };
  }
}
