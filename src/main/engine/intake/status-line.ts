import type { EngineReport } from '../../../contract/engine-report.ts';
import type { PullCounts } from './pull-desk.ts';

/** Workers that are told one by one; of more only the sums. */
const MOST_TOLD = 32;

/**
 * `[STATUS] {json}`: an engine's condition in one line of its log (incident 2: a report every 60 s). Memory in bytes, rates
 * per second over the last minute. Kinds and breakers stand in it while something is to be said of them.
 */
export function statusLine(report: EngineReport, pull: PullCounts | null): string {
  const { owner, state, workers, workersWanted, restarts, atMs, startedAtMs, buffered, memory } = report;
  const round = (value: number): number => Math.round(value * 10) / 10;
  const told = workers.length <= MOST_TOLD;
  const held = report.kinds.flatMap(({ kind, heldBy }) => (heldBy === null ? [] : [[kind, heldBy]]));
  const breakers = report.breakers.flatMap(({ dependency, state: is }) =>
    is === 'closed' ? [] : [[dependency, is]],
  );
  return `[STATUS] ${JSON.stringify({
    owner,
    state,
    workers_active: workers.filter((worker) => worker.state !== 'restarting').length,
    workers_wanted: workersWanted,
    workers_busy: workers.filter((worker) => worker.state === 'busy').length,
    restarts,
    uptime_s: Math.round((atMs - startedAtMs) / 1000),
    finished_per_s: round(report.finishedPerS),
    finished: report.finishedTotal,
    failed: report.failedTotal,
    buffered,
    ...(pull === null
      ? {}
      : { leased: pull.leased, pulled: pull.done, pull_failed: pull.failed + pull.expired }),
    rss_bytes: memory.rssBytes,
    memory_pressure: memory.pressure,
    loop_delay_p99_ms: round(report.loopDelay.p99Ms),
    ...(report.pool === null ? {} : { pool: report.pool }),
    ...(report.balance === null ? {} : { balance: Math.round(report.balance * 1000) / 1000 }),
    ...(told ? { per_worker: workers.map(({ jobs, errors }) => [jobs, errors]) } : {}),
    ...(held.length === 0 ? {} : { held: Object.fromEntries(held) as unknown }),
    ...(breakers.length === 0 ? {} : { breakers: Object.fromEntries(breakers) as unknown }),
  })}`;
}
