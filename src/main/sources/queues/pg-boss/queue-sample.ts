// From what was read of a queue to what is known of it, each number with its bound. Pure.
import { atLeast, estimate, exact, zero, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantSample } from '../../../../core/sample.ts';
import type { QueueRow, RunningRow, WaitingRow } from './rows.ts';
import { PRIORITIES, type Limits } from './sql.ts';

/** Counts up to here are exact; what is more is "at least" this. */
const COUNTED = 200;

/** `waiting` and `running` are the rows about this queue alone. */
export function queueSample(
  queue: QueueRow,
  waiting: readonly WaitingRow[],
  running: RunningRow | undefined,
  limits: Limits,
): TenantSample {
  return {
    ...nothingQueued(queue.name),
    ...waitingPart(queue, waiting),
    ...runningPart(queue, running, limits),
  };
}

/** What is known of a queue's waiting jobs. */
export function waitingPart(
  queue: QueueRow,
  rows: readonly WaitingRow[],
): Pick<TenantSample, 'ready' | 'delayed' | 'oldestReady'> {
  if (queue.waiting === 'none')
    return { ready: cached(queue.ready_count), delayed: atLeast(0), oldestReady: null };
  const of = (part: WaitingRow['part']) => rows.filter((row) => row.part === part);
  const [head] = of('head');
  if (!head) return { ready: atLeast(0), delayed: atLeast(0), oldestReady: null };
  const levels = of('level');
  if (head.complete || levels.length === 0) {
    // In order of due time the first delayed entry says that no ready one follows.
    const allReady = head.complete || (queue.waiting === 'due' && head.ready < head.entries);
    return {
      ready: capped(head.ready, allReady),
      delayed: capped(delayedOf(head), head.complete),
      oldestReady: oldest([head], head.complete || head.settled),
    };
  }
  // Jobs of priorities that were not looked at may be older than any seen.
  const whole = levels.length <= PRIORITIES;
  const complete = whole && levels.every((level) => level.complete);
  // Parts may overlap, so each says on its own how many there are at least.
  const most = (count: (row: WaitingRow) => number) =>
    Math.max(count(head), sum(levels, count), sum(of('tail'), count));
  return {
    ready: capped(complete ? sum(levels, readyOf) : most(readyOf), complete),
    delayed: capped(complete ? sum(levels, delayedOf) : most(delayedOf), complete),
    oldestReady: oldest(rows, whole && levels.every(knowsOldest)),
  };
}

/**
 * A job is ready no sooner than it was created, and entries come by creation: nothing after the last entry of a priority can
 * beat a job that was ready before that entry was created.
 */
const knowsOldest = (level: WaitingRow): boolean => level.complete || level.settled;
const readyOf = (row: WaitingRow): number => row.ready;
const delayedOf = (row: WaitingRow): number => row.entries - row.ready;

function oldest(rows: readonly WaitingRow[], isExact: boolean): TenantSample['oldestReady'] {
  let found: { readyAtMs: number; createdAtMs: number } | null = null;
  for (const { ready_at, created_at } of rows) {
    if (ready_at === null || created_at === null) continue;
    if (found === null || ready_at < found.readyAtMs)
      found = { readyAtMs: ready_at, createdAtMs: created_at };
  }
  return found && { ...found, bound: isExact ? 'exact' : 'at-least' };
}

function runningPart(
  queue: QueueRow,
  row: RunningRow | undefined,
  limits: Limits,
): Pick<TenantSample, 'running' | 'stale' | 'dead' | 'lastStartedAtMs' | 'oldestRunningAtMs'> {
  const failed = queue.failed_count === null ? null : estimate(queue.failed_count);
  if (queue.running === 'none') {
    const unseen = { lastStartedAtMs: null, oldestRunningAtMs: null };
    return { running: cached(queue.active_count), stale: atLeast(0), dead: failed, ...unseen };
  }
  const all = queue.running === 'scan' || (row?.running ?? 0) < limits.running;
  return {
    running: row ? capped(row.running, all) : zero,
    // The longest running ones were looked at; a stale one may be among the others where heartbeats differ.
    stale: row ? capped(row.stale, all) : zero,
    dead: queue.running === 'scan' ? exact(row?.failed ?? 0) : failed,
    lastStartedAtMs: row?.newest_at ?? null,
    oldestRunningAtMs: row?.oldest_at ?? null,
  };
}

const cached = (count: number | null): Count => (count === null ? atLeast(0) : estimate(count));
const capped = (count: number, all: boolean): Count =>
  all ? exact(count) : atLeast(Math.min(count, COUNTED + 1));
const sum = (rows: readonly WaitingRow[], of: (row: WaitingRow) => number): number =>
  rows.reduce((total, row) => total + of(row), 0);
