// From the rows of one poll to what is known of each queue and of the workers. Pure, and the same for both databases.
//
// A ready job is ready since its row in ready_executions was written: that is when it was created, dispatched at its time, unblocked,
// released or retried, whichever came last, and what Solid Queue's own latency counts from. A scheduled job whose time has come
// but that the dispatcher has not moved yet is ready since that time. Times are written by the clocks of the application's hosts.
import { z } from 'zod';
import { atLeast, exact, sumCounts, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantSample, type WorkersSample } from '../../../../core/sample.ts';
import { ALIVE_MINUTES, WALK } from './poll-sql.ts';
import type { PartRow, QueueRow } from './rows.ts';

export interface PollRead {
  queues: readonly QueueRow[];
  /** Whether there are queues that are not watched. */
  moreQueues: boolean;
  rows: readonly PartRow[];
  /** Rows of a lane that were read at most. */
  laneLimit: number;
  /** Whether there are lanes that were not looked at. */
  moreLanes: boolean;
  /** Rows of each queue's scheduled, or blocked, jobs that were read at most, where they were read by queue; else null. */
  scheduledLimit: number | null;
  blockedLimit: number | null;
}

export interface PollSample {
  tenants: TenantSample[];
  /** Queues that have a lane longer than what was read, with their ready jobs in no lane. */
  long: Map<string, Count>;
  workers: WorkersSample;
  /** Whether some counts of scheduled, blocked or failed jobs are cut short. */
  cut: { scheduled: boolean; blocked: boolean; failed: boolean };
  /** Whether scheduled jobs are due while no dispatcher is alive. */
  nobodyDispatches: boolean;
}

export function pollSample(read: PollRead): PollSample {
  const parts = new Map(PARTS.map((part) => [part, read.rows.filter((row) => row.part === part)]));
  const of = (part: PartRow['part']): readonly PartRow[] => parts.get(part) ?? [];
  const whole = {
    scheduled: read.scheduledLimit !== null || total(of('scheduled')) < WALK,
    blocked: read.blockedLimit !== null || total(of('blocked')) < WALK,
    running: total(of('running')) < WALK,
    failed: total(of('failed')) < WALK,
  };
  const horizonMs = readyHorizonMs(of('horizon'));
  const horizons = {
    scheduledIsWhole: whole.scheduled,
    horizonMs,
    dueHorizonMs: whole.scheduled ? Infinity : dueHorizon(of('scheduled')),
  };
  const long = new Map<string, Count>();
  const rowsOf = Map.groupBy(read.rows, (row) => row.key);
  const names = new Map(read.queues.map(({ key, name }) => [key, name]));
  for (const { key, queue } of read.rows) {
    if (!read.moreQueues && key !== null && queue !== null && !names.has(key)) names.set(key, queue);
  }
  const tenants = [...names].map(([key, name]): TenantSample => {
    const rows = rowsOf.get(key) ?? [];
    const own = (part: PartRow['part']) => rows.filter((row) => row.part === part);
    if (own('lane').some(({ jobs }) => jobs >= read.laneLimit))
      long.set(name, dueOf(own('scheduled'), read, horizons));
    return {
      ...nothingQueued(name),
      ...waiting(own, read, horizons),
      ...ranOf(own('running'), whole.running),
      dead: counted(total(own('failed')), whole.failed),
      blocked: counted(
        total(own('blocked')),
        read.blockedLimit === null ? whole.blocked : total(own('blocked')) < read.blockedLimit,
      ),
      paused: pausedOf(own('pause')),
    };
  });
  return {
    tenants,
    long,
    workers: workersOf(of, whole.running),
    cut: {
      scheduled: !whole.scheduled,
      blocked: !whole.blocked,
      failed: !whole.failed,
    },
    nobodyDispatches:
      of('scheduled').some(({ marked }) => marked > 0) &&
      !of('process').some(({ queue, marked }) => queue === 'Dispatcher' && marked === 0),
  };
}

const PARTS = [
  'lane',
  'first',
  'horizon',
  'scheduled',
  'blocked',
  'running',
  'failed',
  'pause',
  'process',
  'finish',
] as const;
const counted = (count: number, whole: boolean): Count => (whole ? exact : atLeast)(count);
const total = (rows: readonly PartRow[]): number => rows.reduce((sum, { jobs }) => sum + jobs, 0);
const newest = (rows: readonly PartRow[]): number | null =>
  rows.reduce<number | null>(
    (max, { last_at: at }) => (at !== null && (max === null || at > max) ? at : max),
    null,
  );

/**
 * No ready job that was not read became ready before this. Rows are numbered as they are written, to within the length of the
 * transactions that write them.
 */
function readyHorizonMs(horizon: readonly PartRow[]): number {
  return total(horizon) < WALK ? Infinity : (newest(horizon) ?? -Infinity);
}

/** No scheduled job that was not read was due before this. They were read in order of their times. */
function dueHorizon(scheduled: readonly PartRow[]): number {
  const allAreDue = scheduled.every(({ jobs, marked }) => jobs === marked);
  return allAreDue ? (newest(scheduled) ?? -Infinity) : Infinity;
}

interface Horizons {
  scheduledIsWhole: boolean;
  horizonMs: number;
  dueHorizonMs: number;
}

function waiting(
  own: (part: PartRow['part']) => PartRow[],
  read: PollRead,
  horizons: Horizons,
): Pick<TenantSample, 'ready' | 'delayed' | 'oldestReady'> {
  const lanes = own('lane');
  const scheduled = own('scheduled');
  const { laneLimit, moreLanes } = read;
  const { horizonMs, dueHorizonMs } = horizons;
  const later = total(scheduled) - dueIn(scheduled);
  const ready = [
    ...lanes.map(({ jobs }) => counted(jobs, jobs < laneLimit)),
    dueOf(scheduled, read, horizons),
    ...(moreLanes ? [atLeast(0)] : []),
  ];
  const oldest = earliest([...lanes, ...own('first'), ...scheduled]);
  const isProven = (readyAtMs: number): boolean =>
    (readyAtMs <= horizonMs || (!moreLanes && lanes.every(isSettled))) && readyAtMs <= dueHorizonMs;
  return {
    ready: sumCounts(ready),
    delayed: counted(later, isWhole(scheduled, read, horizons)),
    oldestReady: oldest && { ...oldest, bound: isProven(oldest.readyAtMs) ? 'exact' : 'at-least' },
  };
}

const dueIn = (scheduled: readonly PartRow[]): number =>
  scheduled.reduce((sum, { marked }) => sum + marked, 0);

/** Whether all scheduled jobs of a queue were read. */
const isWhole = (
  scheduled: readonly PartRow[],
  { scheduledLimit }: PollRead,
  { scheduledIsWhole }: Horizons,
) => (scheduledLimit === null ? scheduledIsWhole : total(scheduled) < scheduledLimit);

/** Jobs of a queue that are due and not dispatched. In order of time the first one that is not due says that no due one follows. */
function dueOf(scheduled: readonly PartRow[], read: PollRead, horizons: Horizons): Count {
  const due = dueIn(scheduled);
  const noneFollows =
    read.scheduledLimit === null ? horizons.dueHorizonMs === Infinity : total(scheduled) > due;
  return counted(due, noneFollows || isWhole(scheduled, read, horizons));
}

/** Jobs of a lane come by their ids, so that one that was not read was created after the last one that was, and ready no sooner. */
const isSettled = ({ at, last_at: lastCreatedAt }: PartRow): boolean =>
  lastCreatedAt === null || (at !== null && at <= lastCreatedAt);

function earliest(rows: readonly PartRow[]): { readyAtMs: number; createdAtMs: number } | null {
  let found: { readyAtMs: number; createdAtMs: number } | null = null;
  for (const { at, created_at: createdAt } of rows) {
    if (at === null || (found !== null && found.readyAtMs <= at)) continue;
    found = { readyAtMs: at, createdAtMs: createdAt ?? at };
  }
  return found;
}

function ranOf(
  rows: readonly PartRow[],
  whole: boolean,
): Pick<TenantSample, 'running' | 'stale' | 'lastStartedAtMs' | 'oldestRunningAtMs'> {
  const starts = rows.flatMap(({ at }) => at ?? []);
  return {
    running: counted(total(rows), whole),
    stale: counted(
      rows.reduce((sum, { marked }) => sum + marked, 0),
      whole,
    ),
    lastStartedAtMs: newest(rows),
    oldestRunningAtMs: starts.length === 0 ? null : Math.min(...starts),
  };
}

function pausedOf(rows: readonly PartRow[]): TenantSample['paused'] {
  const [pause] = rows;
  return pause === undefined
    ? null
    : { by: 'Solid Queue', sinceMs: pause.last_at, reason: 'a row in solid_queue_pauses' };
}

const metadata = z.object({ thread_pool_size: z.int().nonnegative() });

/** A thread works one claimed job: claims of living workers are their busy threads. */
function workersOf(of: (part: PartRow['part']) => readonly PartRow[], wholeRunning: boolean): WorkersSample {
  const workers = of('process').filter(({ queue }) => queue === 'Worker');
  const threads = workers.filter(({ marked }) => marked === 0).map(({ text }) => threadsOf(text));
  const held = of('running').reduce((sum, { jobs, marked }) => sum + jobs - marked, 0);
  return {
    busy: wholeRunning ? held : null,
    total: threads.reduce<number | null>((sum, own) => (sum === null || own === null ? null : sum + own), 0),
    lastSeenAtMs: newest([...workers, ...of('running'), ...of('finish')]),
  };
}

function threadsOf(text: string | null): number | null {
  try {
    return metadata.parse(JSON.parse(text ?? '')).thread_pool_size;
  } catch {
    // A supervisor of another version may say less of its workers.
    return null;
  }
}

export const silentAfter = `${ALIVE_MINUTES} min`;
