// What the engines on one store say of themselves, taken together. Pure.
import { readEngineReport, type EngineReport } from '../../../contract/engine-report.ts';
import type { SourceSample } from '../../../core/sample.ts';
import type { StoreOwner } from './store-reader.ts';

/** Engines beat every ten seconds; a report that is older says nothing of now. */
const FRESH_MS = 60_000;

export interface EnginesSeen {
  /** Those that were heard lately, each once. */
  fresh: EngineReport[];
  workers: SourceSample['workers'];
  /** The order that all of them claim in; null when they differ or none is heard. */
  order: EngineReport['order'] | null;
  kinds: SourceSample['kinds'];
  workerMemory: SourceSample['workerMemory'];
}

/** `nowMs`: the store's clock. An engine has several names after the store failed it; the newest word counts. */
export function enginesSeen(owners: readonly StoreOwner[], nowMs: number): EnginesSeen {
  const reports = new Map<string, { report: EngineReport; beatAtMs: number }>();
  for (const { beatAtMs, report: text } of owners) {
    const report = readEngineReport(text);
    if (report === null) continue;
    const known = reports.get(report.owner);
    if (known === undefined || known.beatAtMs < beatAtMs) reports.set(report.owner, { report, beatAtMs });
  }
  const fresh = [...reports.values()]
    .filter(({ beatAtMs }) => nowMs - beatAtMs <= FRESH_MS)
    .map(({ report }) => report);
  const [first] = fresh;
  const isHeard = fresh.length > 0;
  return {
    fresh,
    workers: {
      busy: isHeard
        ? sum(fresh, ({ workers }) => workers.filter(({ state }) => state === 'busy').length)
        : null,
      total: isHeard ? sum(fresh, ({ workersWanted }) => workersWanted) : null,
      lastSeenAtMs: owners.length === 0 ? null : Math.max(...owners.map(({ beatAtMs }) => beatAtMs)),
    },
    order: first !== undefined && fresh.every(({ order }) => order === first.order) ? first.order : null,
    kinds: isHeard ? kindsOf(fresh) : null,
    workerMemory: isHeard ? fresh.flatMap(memoryOf) : null,
  };
}

/** Of each kind what failed on all engines: each counts by how many attempts it has seen. */
function kindsOf(reports: readonly EngineReport[]): NonNullable<SourceSample['kinds']> {
  const all = Map.groupBy(
    reports.flatMap(({ kinds }) => kinds),
    ({ kind }) => kind,
  );
  return [...all].map(([kind, parts]) => {
    const known = parts.flatMap(({ failureRatio, run }) =>
      failureRatio === null ? [] : [{ failureRatio, attempts: Math.max(1, run.count) }],
    );
    const attempts = sum(known, (part) => part.attempts);
    const failures = sum(known, (part) => part.failureRatio * part.attempts);
    return { kind, failureRatio: attempts === 0 ? null : failures / attempts };
  });
}

/** The engine's own process, and what runs beside it. */
function memoryOf({ owner, memory, workers }: EngineReport): NonNullable<SourceSample['workerMemory']> {
  return [
    { id: owner, rssBytes: memory.rssBytes, limitBytes: memory.limitBytes },
    ...workers.flatMap(({ id, memoryBytes, memoryLimitBytes }) =>
      memoryBytes === null
        ? []
        : [{ id: `${owner} worker ${id}`, rssBytes: memoryBytes, limitBytes: memoryLimitBytes }],
    ),
  ];
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);
