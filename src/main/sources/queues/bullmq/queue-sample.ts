// From what was read of a queue to what is known of it, each number with its bound. Pure.
import { atLeast, exact, type Count } from '../../../../core/count.ts';
import type { TenantSample, WorkersSample } from '../../../../core/sample.ts';
import { nothingQueued } from '../../../../core/sample.ts';
import type { Depth, IndexName } from './poll-sql.ts';
import type { JobsRow, QueueRow } from './rows.ts';

/** Workers renew a lock at half its time, which is so long unless they are told otherwise. */
const LOCK_MS = 30_000;

/** How far a poll looked: so deep into each queue, and at all jobs that some indexes hold. */
export interface Look {
  depth: Depth;
  swept: ReadonlySet<IndexName>;
}

/** `pausedAtMs`: when the pause of a paused queue began, as far as it is known. */
export function queueSample(
  queue: Pick<QueueRow, 'queue' | 'paused'>,
  jobs: JobsRow,
  { depth: { heads, priorities }, swept }: Look,
  pausedAtMs: number | null,
): TenantSample {
  const count = (seen: number | null, by?: IndexName): Count => {
    if (seen === null) return atLeast(0);
    return seen < heads || (by && swept.has(by)) ? exact(seen) : atLeast(seen);
  };
  const whole = jobs.waiting !== null && jobs.waiting < heads;
  return {
    ...nothingQueued(queue.queue),
    // Workers promote due jobs when they next claim; until then they wait like the others.
    ready: sum(count(jobs.waiting), count(jobs.due, 'delayed')),
    delayed: count(jobs.later, 'delayed'),
    running: count(jobs.active, 'active'),
    stale: count(jobs.active, 'active').kind === 'exact' ? exact(jobs.seen_stale ?? 0) : count(jobs.stale),
    dead: jobs.failed === null ? null : count(jobs.failed),
    blocked: jobs.blocked === null ? null : count(jobs.blocked, 'blocked'),
    oldestReady: oldest(
      [
        { readyAtMs: jobs.ready_at_ms, createdAtMs: jobs.created_at_ms },
        { readyAtMs: jobs.level_ready_at_ms, createdAtMs: jobs.level_created_at_ms },
        { readyAtMs: jobs.due_at_ms, createdAtMs: jobs.due_created_at_ms },
      ],
      jobs.due !== null && (whole || (jobs.settled === true && (jobs.levels ?? 0) <= priorities)),
    ),
    lastStartedAtMs: jobs.newest_ms,
    oldestRunningAtMs: jobs.oldest_ms,
    paused: queue.paused
      ? {
          by: 'BullMQ',
          sinceMs: pausedAtMs,
          reason: 'The queue is paused in BullMQ: no worker claims from it until it is resumed.',
        }
      : null,
  };
}

function sum(a: Count, b: Count): Count {
  const value = a.value + b.value;
  return a.kind === 'exact' && b.kind === 'exact' ? exact(value) : atLeast(value);
}

function oldest(
  candidates: readonly { readyAtMs: number | null; createdAtMs: number | null }[],
  isExact: boolean,
): TenantSample['oldestReady'] {
  let found: { readyAtMs: number; createdAtMs: number } | null = null;
  for (const { readyAtMs, createdAtMs } of candidates) {
    if (readyAtMs === null || createdAtMs === null) continue;
    if (found === null || readyAtMs < found.readyAtMs) found = { readyAtMs, createdAtMs };
  }
  return found && { ...found, bound: isExact ? 'exact' : 'at-least' };
}

/** The workers, by what they leave in the rows: one is a Worker object, however many jobs it runs at once. */
export function workersSample(
  rows: readonly JobsRow[],
  { depth, swept }: Look,
  nowMs: number,
): WorkersSample {
  const sawAll = swept.has('active') || rows.every(({ active }) => active !== null && active < depth.heads);
  const signs = rows.flatMap(({ newest_ms, finished_ms, locked_until_ms }) => [
    newest_ms ?? [],
    finished_ms ?? [],
    locked_until_ms === null ? [] : locked_until_ms - LOCK_MS,
  ]);
  // A client's clock may be ahead of the database's.
  const lastMs = signs.flat().reduce<number | null>((last, at) => Math.max(last ?? at, at), null);
  return {
    busy: sawAll ? new Set(rows.flatMap(({ owners }) => owners ?? [])).size : null,
    total: null,
    lastSeenAtMs: lastMs === null ? null : Math.min(lastMs, nowMs),
  };
}
