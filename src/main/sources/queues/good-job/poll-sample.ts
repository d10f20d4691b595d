// From the rows of one poll to what is known of each queue and of the workers. Pure.
import { z } from 'zod';
import { atLeast, exact, sumCounts, zero, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantSample, type WorkersSample } from '../../../../core/sample.ts';
import { DEEPER, headLimit, laterLimit, QUEUES, WALK } from './poll-sql.ts';
import type { PartRow } from './rows.ts';

export interface PollRead {
  rows: readonly PartRow[];
  locksByRow: boolean;
  /** Whether an index leads to finished jobs at all. */
  tellsDead: boolean;
}

export interface PollSample {
  tenants: TenantSample[];
  /** Whether there are queues that are not watched. */
  moreQueues: boolean;
  /** Queues longer than what was read, with their ready jobs that are counted elsewhere: none. */
  long: Map<string, Count>;
  /** Whether queues are so many that they share the rows that are read. */
  isShared: boolean;
  workers: WorkersSample;
  /** Job classes and labels that are paused, which belong to no queue. */
  otherPauses: string[];
  /** Whether discarded jobs were cut short. */
  deadIsCut: boolean;
  /** Whether a pause is set at all. */
  isPaused: boolean;
}

export function pollSample({ rows, locksByRow, tellsDead }: PollRead): PollSample {
  const of = (part: PartRow['part']) => rows.filter((row) => row.part === part);
  const runningIsWhole = total(of('running')) < WALK;
  const deadIsWhole = total(of('dead')) < WALK;
  const rowsOf = Map.groupBy(rows, (row) => row.queue);
  const [found] = of('queues');
  const moreQueues = (found?.jobs ?? 0) > QUEUES;
  const queues = of('due').flatMap(({ queue }) => queue ?? []);
  const others = moreQueues ? [] : [...rowsOf.keys()].filter((name) => name !== null);
  const names = new Set([...queues, ...others]);
  const limit = headLimit(queues.length);
  const mostLater = found?.marked === 1 ? Infinity : laterLimit(queues.length);
  const long = new Map<string, Count>();
  const tenants = [...names].map((name): TenantSample => {
    const byPart = Map.groupBy(rowsOf.get(name) ?? [], (row) => row.part);
    const own = (part: PartRow['part']): readonly PartRow[] => byPart.get(part) ?? [];
    const heads = [...own('due'), ...own('unscheduled')];
    const held = locksByRow ? own('running') : heads;
    const heldIsWhole = locksByRow ? runningIsWhole : heads.every((row) => row.jobs < limit);
    const later = total(own('later'));
    if (heads.some(({ jobs }) => jobs >= limit)) long.set(name, zero);
    return {
      ...nothingQueued(name),
      ready: sumCounts(heads.map(({ jobs, marked }) => counted(marked, jobs < limit))),
      delayed: counted(later, later < mostLater),
      oldestReady: oldestReady(heads, limit),
      running: counted(locksByRow ? total(held) : sum(held, (row) => row.held), heldIsWhole),
      // An advisory lock goes with its session: what it holds is never stale.
      stale: counted(locksByRow ? sum(held, (row) => row.marked) : 0, !locksByRow || runningIsWhole),
      dead: tellsDead
        ? counted(
            sum(own('dead'), (row) => row.marked),
            deadIsWhole,
          )
        : null,
      lastStartedAtMs: latest(held.map((row) => row.started_at)),
      oldestRunningAtMs: earliest(held.map((row) => row.start_at)),
      paused: own('pause').length === 0 ? null : pausedByGoodJob,
    };
  });
  const pauses = of('pause');
  return {
    tenants,
    ...{ moreQueues, long, isShared: limit < DEEPER },
    workers: workers(
      of('process'),
      tenants,
      [...of('running'), ...of('due'), ...of('unscheduled')],
      of('finish'),
    ),
    otherPauses: pauses.flatMap(({ queue, text }) => (queue === null && text !== null ? [text] : [])),
    deadIsCut: !deadIsWhole,
    isPaused: pauses.length > 0,
  };
}

/** When it was paused is not kept for each queue. */
const pausedByGoodJob = { by: 'GoodJob', sinceMs: null, reason: 'honoured only where enable_pauses is on' };

const counted = (count: number, whole: boolean): Count => (whole ? exact : atLeast)(count);
const sum = (rows: readonly PartRow[], of: (row: PartRow) => number): number =>
  rows.reduce((all, row) => all + of(row), 0);
const total = (rows: readonly PartRow[]): number => sum(rows, (row) => row.jobs);
const present = (times: readonly (number | null)[]): number[] => times.filter((time) => time !== null);
const latest = (times: readonly (number | null)[]): number | null => {
  const known = present(times);
  return known.length === 0 ? null : Math.max(...known);
};
const earliest = (times: readonly (number | null)[]): number | null => {
  const known = present(times);
  return known.length === 0 ? null : Math.min(...known);
};

/** Due jobs come in order of their times, and none is ready before its own: one that was not seen became ready no sooner than the last. */
function oldestReady(heads: readonly PartRow[], limit: number): TenantSample['oldestReady'] {
  let first: { readyAtMs: number; createdAtMs: number } | null = null;
  for (const { at, created_at: createdAt } of heads) {
    if (at !== null && (first === null || at < first.readyAtMs))
      first = { readyAtMs: at, createdAtMs: createdAt ?? at };
  }
  if (first === null) return null;
  const { readyAtMs } = first;
  const isProven = heads.every(
    ({ part, jobs, last_at: lastAt }) =>
      jobs < limit || (part === 'due' && lastAt !== null && readyAtMs <= lastAt),
  );
  return { ...first, bound: isProven ? 'exact' : 'at-least' };
}

const state = z.object({ schedulers: z.array(z.object({ max_threads: z.int().nonnegative() })) });

/** A thread works one job: jobs that are held by what lives are busy threads. */
function workers(
  processes: readonly PartRow[],
  tenants: readonly TenantSample[],
  begun: readonly PartRow[],
  finishes: readonly PartRow[],
): WorkersSample {
  const threads = processes.filter(({ marked }) => marked > 0).map(({ text }) => threadsOf(text));
  const isKnown = tenants.every(({ running, stale }) => running.kind === 'exact' && stale.kind === 'exact');
  return {
    busy: isKnown ? tenants.reduce((all, { running, stale }) => all + running.value - stale.value, 0) : null,
    total: threads.reduce<number | null>((all, own) => (all === null || own === null ? null : all + own), 0),
    lastSeenAtMs: latest([
      ...processes.map((row) => row.last_at),
      ...begun.map((row) => row.started_at),
      ...finishes.map((row) => row.last_at),
    ]),
  };
}

function threadsOf(text: string | null): number | null {
  try {
    return state.parse(JSON.parse(text ?? '')).schedulers.reduce((all, { max_threads: own }) => all + own, 0);
  } catch {
    // Before 3.16 a process names its schedulers without their threads.
    return null;
  }
}
