// Plain reports, views and jobs of an engine for tests: each changes what it is about.
import type {
  EngineReport,
  EngineView,
  KindReport,
  Percentiles,
  WorkerReport,
} from '../../../contract/engine-report.ts';
import { zero } from '../../../core/count.ts';
import type { JobRecord } from '../format/engine-words.ts';
import { Painter } from './painter.svelte.ts';

export const percentiles = (changes: Partial<Percentiles> = {}): Percentiles => ({
  count: 0,
  p50Ms: null,
  p95Ms: null,
  p99Ms: null,
  maxMs: null,
  ...changes,
});

export const worker = (id: number, job: { kind: string; tenantId: string } | null = null): WorkerReport => ({
  id,
  state: job === null ? 'idle' : 'busy',
  runsIn: null,
  job:
    job === null
      ? null
      : { id: 100 + id, attempt: 1, startedAtMs: 0, progress: null, note: null, pid: null, ...job },
  memoryBytes: null,
  memoryLimitBytes: null,
  loopDelayMs: null,
  restarts: 0,
  jobs: 0,
  errors: 0,
});

export const kindReport = (kind: string, changes: Partial<KindReport> = {}): KindReport => ({
  kind,
  running: 0,
  limit: null,
  heldBy: null,
  finishedPerMinute: 0,
  failedPerMinute: 0,
  failureRatio: null,
  wait: percentiles(),
  run: percentiles(),
  errors: {},
  breaker: null,
  throttle: null,
  rate: null,
  ...changes,
});

export const engineReport = (changes: Partial<EngineReport> = {}): EngineReport => ({
  owner: 'one',
  host: 'here',
  pid: 1,
  version: '0.1.0',
  startedAtMs: 0,
  atMs: 0,
  state: 'working',
  order: 'fair',
  workersWanted: 2,
  workers: [worker(0), worker(1)],
  restarts: 0,
  buffered: 0,
  finishedPerS: 0,
  finishedTotal: 0,
  failedTotal: 0,
  kinds: [],
  breakers: [],
  memory: { rssBytes: 1, limitBytes: 10, pressure: 'normal' },
  loopDelay: { p50Ms: 0, p99Ms: 0, maxMs: 0 },
  pool: null,
  balance: null,
  ...changes,
});

export const member = (report: EngineReport, beatAgeMs = 0): EngineView['engines'][number] => ({
  report,
  beatAgeMs,
});

export const engineView = (changes: Partial<EngineView> = {}): EngineView => ({
  asOfMs: 0,
  store: 'SQLite, jobs.db',
  place: 'local',
  engines: [member(engineReport())],
  holds: [],
  totals: { ready: zero, delayed: zero, running: zero, waiting: zero, blocked: zero, dead: zero },
  deadGroups: [],
  bulks: [],
  recent: [],
  problem: null,
  ...changes,
});

export const jobRecord = (id: number, changes: Partial<JobRecord> = {}): JobRecord => ({
  id,
  tenantId: '3',
  kind: 'sync',
  state: 'dead',
  priority: 0,
  batchId: null,
  attempts: 3,
  maxAttempts: 3,
  createdAtMs: 0,
  readyAtMs: 0,
  claimedAtMs: null,
  owner: null,
  payloadBytes: 2,
  waitsFor: [],
  failedAttempts: [],
  ...changes,
});

/** A painter that paints what it is asked for at once. */
export const eagerPainter = (): Painter => {
  let nowMs = 0;
  return new Painter({
    request: (callback) => {
      callback();
      return 1;
    },
    cancel: () => undefined,
    now: () => (nowMs += 1_000),
  });
};

/** After every promise that is settled by now has been heard. */
export const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
