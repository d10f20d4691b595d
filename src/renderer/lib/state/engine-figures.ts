// What an engine's view comes to: sums over the engines of one store, and rows for the tables. Pure.
import type {
  EngineReport,
  EngineView,
  Hold,
  KindReport,
  Percentiles,
  WorkerReport,
} from '../../../contract/engine-report.ts';

/** An engine beats every 10 s; three beats without a word are no accident. */
export const SILENT_MS = 30_000;
/** Then others take its jobs (shared with the engine's registry). */
export const RECLAIM_MS = 5 * 60_000;

type Member = EngineView['engines'][number];
type Pressure = EngineReport['memory']['pressure'];
const pressures: readonly Pressure[] = ['normal', 'claim-less', 'recycle', 'stop-claiming'];

export const isSilent = (member: Member): boolean => member.beatAgeMs >= SILENT_MS;

export interface Truth {
  /** Workers that can take a job now, of those that are wanted. */
  active: number;
  wanted: number;
  busy: number;
  buffered: number;
  finishedPerS: number;
  /** Of the only engine; null with several, and while it has done too little. */
  balance: number | null;
  memory: { rssBytes: number; limitBytes: number; pressure: Pressure } | null;
  order: EngineReport['order'] | null;
  silent: number;
}

/** The one line of truth. A silent engine counts for what it wants, not for what it last did. */
export function truthOf({ engines }: Pick<EngineView, 'engines'>): Truth {
  const spoken = engines.filter((member) => !isSilent(member)).map(({ report }) => report);
  const sum = (of: (report: EngineReport) => number): number =>
    spoken.reduce((all, report) => all + of(report), 0);
  const [only] = spoken;
  const worst = spoken.reduce<EngineReport | null>(
    (found, report) => (found === null || fill(report) > fill(found) ? report : found),
    null,
  );
  return {
    active: sum(({ workers }) => workers.filter(({ state }) => state !== 'restarting').length),
    wanted: engines.reduce((all, { report }) => all + report.workersWanted, 0),
    busy: sum(({ workers }) => workers.filter(({ job }) => job !== null).length),
    buffered: sum((report) => report.buffered),
    finishedPerS: sum((report) => report.finishedPerS),
    balance: spoken.length === 1 ? (only?.balance ?? null) : null,
    memory: worst === null ? null : worst.memory,
    order: only !== undefined && spoken.every(({ order }) => order === only.order) ? only.order : null,
    silent: engines.length - spoken.length,
  };
}

const fill = ({ memory }: EngineReport): number =>
  pressures.indexOf(memory.pressure) + memory.rssBytes / Math.max(1, memory.limitBytes);

export interface WorkerRow {
  key: string;
  owner: string;
  /** From 1, as people count. */
  number: number;
  worker: WorkerReport;
  silent: boolean;
}

/** Every worker of every engine, in an order that does not change while they work. */
export function workerRows({ engines }: Pick<EngineView, 'engines'>): WorkerRow[] {
  return engines.flatMap((member) =>
    member.report.workers.map((worker) => ({
      key: `${member.report.owner} ${worker.id}`,
      owner: member.report.owner,
      number: worker.id + 1,
      worker,
      silent: isSilent(member),
    })),
  );
}

export interface KindRow {
  kind: string;
  running: number;
  /** Over all engines; null when one of them has no limit. */
  limit: number | null;
  heldBy: string | null;
  finishedPerMinute: number;
  failedPerMinute: number;
  failureRatio: number | null;
  wait: Percentiles;
  run: Percentiles;
  /** Engines that run it; percentiles are then the highest of theirs, for they cannot be added. */
  engines: number;
  hold: Hold | null;
}

/** The kinds of all engines by name, each with the hold that concerns it. */
export function kindRows({ engines, holds }: Pick<EngineView, 'engines' | 'holds'>): KindRow[] {
  const byName = new Map<string, KindReport[]>();
  for (const member of engines) {
    if (isSilent(member)) continue;
    for (const report of member.report.kinds)
      byName.set(report.kind, [...(byName.get(report.kind) ?? []), report]);
  }
  return [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, reports]) => {
      const sum = (of: (report: KindReport) => number): number =>
        reports.reduce((all, report) => all + of(report), 0);
      const limits = reports.map(({ limit }) => limit);
      return {
        kind,
        running: sum((report) => report.running),
        limit: limits.includes(null) ? null : sum((report) => report.limit ?? 0),
        heldBy: reports.find(({ heldBy }) => heldBy !== null)?.heldBy ?? null,
        finishedPerMinute: sum((report) => report.finishedPerMinute),
        failedPerMinute: sum((report) => report.failedPerMinute),
        failureRatio: highest(reports.map(({ failureRatio }) => failureRatio)),
        wait: highestOf(reports.map(({ wait }) => wait)),
        run: highestOf(reports.map(({ run }) => run)),
        engines: reports.length,
        hold: holdOn(holds, { tenantId: null, kind }),
      };
    });
}

function highestOf(list: readonly Percentiles[]): Percentiles {
  return {
    count: list.reduce((all, { count }) => all + count, 0),
    p50Ms: highest(list.map(({ p50Ms }) => p50Ms)),
    p95Ms: highest(list.map(({ p95Ms }) => p95Ms)),
    p99Ms: highest(list.map(({ p99Ms }) => p99Ms)),
    maxMs: highest(list.map(({ maxMs }) => maxMs)),
  };
}

const highest = (values: readonly (number | null)[]): number | null =>
  values.reduce<number | null>(
    (found, value) => (value === null ? found : Math.max(found ?? value, value)),
    null,
  );

/** The hold of exactly this scope. */
export function holdOn(
  holds: readonly Hold[],
  { tenantId, kind }: Pick<Hold, 'tenantId' | 'kind'>,
): Hold | null {
  return holds.find((hold) => hold.tenantId === tenantId && hold.kind === kind) ?? null;
}

/** Jobs of a hold's scope that are in workers' hands: it is effective once there are none. */
export function inFlight(
  { engines }: Pick<EngineView, 'engines'>,
  scope: Pick<Hold, 'tenantId' | 'kind'>,
): number {
  return workerRows({ engines }).filter(
    ({ worker: { job } }) =>
      job !== null &&
      (scope.tenantId === null || scope.tenantId === job.tenantId) &&
      (scope.kind === null || scope.kind === job.kind),
  ).length;
}
