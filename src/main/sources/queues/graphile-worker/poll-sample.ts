// From the rows of one poll to what Headway says of each task and of the workers. Pure.
import { atLeast, exact, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantSample, type WorkersSample } from '../../../../core/sample.ts';
import type { QueueRead } from '../queue-reader.ts';
import { DueJobs } from './due-jobs.ts';
import type { PollRow } from './rows.ts';
import { WALK, type PollPlan } from './sql.ts';

/** Graphile Worker gives up on a lock after so long, and frees its job. */
const STALE_AFTER_MS = 4 * 3_600_000;

interface PollSample {
  read: QueueRead;
  /** Of the tasks, in the order of the samples. */
  taskIds: readonly number[];
  /** Whether every due job was seen. */
  sawAllDue: boolean;
}

/** `morePriorities`: there are some that the plan does not walk. */
export function pollSample(row: PollRow, plan: PollPlan, morePriorities: boolean): PollSample {
  const databaseTimeMs = row.at_ms;
  const tasks = new Map(row.tasks);
  const walked = row.due.filter(({ isHead }) => !isHead);
  const heads =
    plan.headLimit === null ? null : { jobs: row.due.filter(({ isHead }) => isHead), limit: plan.headLimit };
  const due = new DueJobs({ walked, walkLimit: plan.walkLimit, morePriorities, heads }, tasks);
  const delayed = delayedCounts(row.later, plan, morePriorities);
  const unclaimable = unclaimableJobs(row.unavailable, plan);
  const tenants = [...tasks].map(([taskId, tenantId]): TenantSample => ({
    ...nothingQueued(tenantId),
    ...due.of(taskId),
    delayed: delayed(taskId),
    ...unclaimable.of(taskId, databaseTimeMs),
  }));
  return {
    read: {
      databaseTimeMs,
      tenants,
      workers: unclaimable.workers(databaseTimeMs),
      kinds: null,
      rowsRead: null,
    },
    taskIds: [...tasks.keys()],
    sawAllDue: due.complete,
  };
}

function delayedCounts(
  rows: PollRow['later'],
  plan: PollPlan,
  morePriorities: boolean,
): (taskId: number) => Count {
  const byTask = sums(rows, (row) => row.task_id);
  const isWhole =
    plan.headLimit === null
      ? !morePriorities && [...sums(rows, (row) => row.priority).values()].every((n) => n < plan.walkLimit)
      : null;
  return (taskId) => {
    const count = byTask.get(taskId) ?? 0;
    return (isWhole ?? count < (plan.headLimit ?? 0)) ? exact(count) : atLeast(count);
  };
}

function sums<K>(rows: PollRow['later'], key: (row: PollRow['later'][number]) => K): Map<K, number> {
  const sum = new Map<K, number>();
  for (const row of rows) sum.set(key(row), (sum.get(key(row)) ?? 0) + row.count);
  return sum;
}

/** Running and dead jobs. Running ones were read first, the oldest lock before the others. */
function unclaimableJobs(rows: PollRow['unavailable'], plan: PollPlan) {
  const locks = rows.flatMap((row) => (row.at_ms === null ? [] : [{ ...row, at_ms: row.at_ms }]));
  const dead = rows.filter((row) => row.at_ms === null);
  const locksOf = Map.groupBy(locks, (lock) => lock.task_id);
  const deadOf = Map.groupBy(dead, (job) => job.task_id);
  const isCut = rows.length > WALK;
  // A dead job among those that were read: all running ones come before it.
  const sawAllLocks = plan.unavailable === 'all' && (!isCut || dead.length > 0);
  const isStale = (lockedAtMs: number, nowMs: number) => lockedAtMs < nowMs - STALE_AFTER_MS;

  return {
    of(taskId: number, nowMs: number) {
      const own = (locksOf.get(taskId) ?? []).map((lock) => lock.at_ms);
      const fresh = own.filter((at) => !isStale(at, nowMs));
      const ownDead = deadOf.get(taskId)?.length ?? 0;
      const count = sawAllLocks ? exact : atLeast;
      return {
        running: count(own.length),
        stale: count(own.length - fresh.length),
        dead: sawAllLocks ? (isCut ? atLeast : exact)(ownDead) : null,
        lastStartedAtMs: own.length === 0 ? null : Math.max(...own),
        oldestRunningAtMs: fresh.length === 0 ? null : Math.min(...fresh),
      };
    },
    /** Since 0.17 a lock names the pool of a process, which runs several jobs at once: busy are pools. */
    workers(nowMs: number): WorkersSample {
      const owners = new Set(locks.filter((lock) => !isStale(lock.at_ms, nowMs)).map((lock) => lock.text));
      return {
        busy: sawAllLocks ? owners.size : null,
        total: null,
        // Ended jobs are deleted, so that a start is the only trace.
        lastSeenAtMs: locks.length === 0 ? null : Math.max(...locks.map((lock) => lock.at_ms)),
      };
    },
  };
}
