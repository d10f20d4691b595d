// An engine's word on itself, put together when somebody asks.
import { hostname } from 'node:os';
import type { EngineReport, KindReport, WorkerReport } from '../../contract/engine-report.ts';
import { jainIndex } from '../../core/fair-share.ts';
import type { EngineParts, EngineTuning } from './engine-parts.ts';
import type { MemoryGuard } from './memory-guard.ts';
import type { LoopDelay } from './report-loop-delay.ts';
import type { ReportMeter } from './report-meter.ts';
import type { ClaimBuffer } from './workers/claim-buffer.ts';
import type { KindGate } from './workers/kind-gate.ts';
import type { KindGates } from './workers/kind-gates.ts';
import type { Store } from './stores/store.ts';
import type { Worker, WorkerPool } from './workers/worker-pool.ts';

/** Under so many jobs nothing is said of their balance. */
const ENOUGH = 10;

export interface ReportParts {
  owner: string;
  version: string;
  memory: EngineParts['memory'];
  store: Pick<Store, 'pool'>;
  pool: WorkerPool;
  buffer: ClaimBuffer;
  gates: KindGates;
  guard: MemoryGuard;
  meter: ReportMeter;
  loopDelay: LoopDelay;
}

export interface ReportMoment {
  state: EngineReport['state'];
  tuning: EngineTuning;
  startedAtMs: number;
  /** Of the store's clock. */
  nowMs: number;
}

export function reportOf(
  parts: ReportParts,
  { state, tuning, startedAtMs, nowMs }: ReportMoment,
): EngineReport {
  const { owner, version, memory, store, pool, buffer, gates, guard, meter, loopDelay } = parts;
  const workers = pool.workers.map((worker) => workerReport(worker, guard));
  const { rssBytes, limitBytes } = memory();
  return {
    owner,
    host: hostname(),
    pid: process.pid,
    version,
    startedAtMs,
    atMs: nowMs,
    state,
    order: tuning.order,
    workersWanted: pool.wanted,
    workers,
    restarts: workers.reduce((sum, { restarts }) => sum + restarts, 0),
    buffered: buffer.size,
    ...meter.all(nowMs),
    kinds: [...gates.all()].map((gate) => kindReport(gate, guard, meter, nowMs)),
    breakers: gates.breakerReports(nowMs),
    memory: { rssBytes, limitBytes, pressure: guard.pressure },
    loopDelay: loopDelay.read(nowMs),
    pool: store.pool?.() ?? null,
    balance: balanceOf(pool.workers),
  };
}

function workerReport(worker: Worker, guard: MemoryGuard): WorkerReport {
  const { id, run, handler, jobs, errors } = worker;
  const use = run ? (handler?.use?.(run.claim.id) ?? null) : null;
  if (use) worker.restarts = use.restarts;
  const isRecycled = guard.pressure === 'recycle' || guard.pressure === 'stop-claiming';
  return {
    id,
    state: run === null ? 'idle' : isRecycled && handler?.recycle ? 'recycling' : 'busy',
    runsIn: handler?.runsIn ?? null,
    job: run && {
      id: run.claim.id,
      kind: run.claim.kind,
      tenantId: run.claim.tenantId,
      attempt: run.claim.attempt,
      startedAtMs: run.startedAtMs,
      progress: run.done,
      note: run.note,
      pid: use?.pid ?? null,
    },
    memoryBytes: use?.memoryBytes ?? null,
    memoryLimitBytes: use?.memoryLimitBytes ?? null,
    loopDelayMs: use?.loopDelayMs ?? null,
    restarts: worker.restarts,
    jobs,
    errors,
  };
}

function kindReport(gate: KindGate, guard: MemoryGuard, meter: ReportMeter, nowMs: number): KindReport {
  const { throttle, rate, breaker } = gate.policy;
  return {
    kind: gate.kind,
    running: gate.running.size,
    limit: gate.limit(nowMs),
    heldBy: guard.pressure === 'stop-claiming' ? 'memory is nearly used up' : gate.heldBy(nowMs),
    ...meter.kind(gate.kind, nowMs),
    breaker: breaker?.dependency ?? null,
    throttle:
      throttle && gate.throttle
        ? {
            limit: gate.throttle.limit,
            minimum: throttle.minimum,
            maximum: throttle.maximum,
            history: [...gate.throttle.history],
          }
        : null,
    rate: rate
      ? {
          starts: rate.starts,
          perSeconds: rate.perSeconds,
          nextStartAtMs: gate.rate?.nextAtMs(nowMs) ?? null,
        }
      : null,
  };
}

/** Jain's index of jobs over workers: 1 when all did the same. */
function balanceOf(workers: readonly Worker[]): number | null {
  const jobs = workers.reduce((sum, worker) => sum + worker.jobs, 0);
  if (jobs < ENOUGH) return null;
  return jainIndex(
    workers.map((worker) => ({ tenantId: String(worker.id), starts: worker.jobs, demand: jobs })),
  );
}
