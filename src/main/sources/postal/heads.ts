// From the first rows of each tenant's queue to what is known of the whole of it. Pure: the facts are in
// sql.ts's comments, the meaning of every number is Headway's definition of it.
import { atLeast, estimate, exact } from '../../../core/count.ts';
import type { Count } from '../../../core/count.ts';
import type { TenantSample } from '../../../core/sample.ts';

/** One row of queued_messages, as far as its state depends on it. Times in epoch ms, database's UTC. */
export interface QueuedRow {
  id: number;
  lockedBy: string | null;
  lockedAtMs: number | null;
  retryAfterMs: number | null;
  createdAtMs: number;
}

/** What was read of one tenant's queue. */
export interface QueueRead {
  tenantId: string;
  /** The oldest rows, by id. */
  head: QueuedRow[];
  /** The newest rows, in any order; empty when the head is the whole queue. */
  tail: QueuedRow[];
  /** Whether rows may lie between head and tail. */
  more: boolean;
  /** The optimiser's estimate of all rows; null when it was not asked. */
  estimatedRows: number | null;
}

/** The moment of a poll: the database's clock, and how old a lock must be to be stale. */
export interface Moment {
  nowMs: number;
  staleAfterMs: number;
}

/** `stale` rows are running ones too: nobody but the system itself may say that they have stopped. */
export type RowState = 'ready' | 'delayed' | 'running' | 'stale';

/** A row's state. A retry is due when its time has passed; a lock counts from locked_at. */
export function rowState(row: QueuedRow, moment: Moment): RowState {
  if (row.lockedAtMs !== null) {
    return row.lockedAtMs < moment.nowMs - moment.staleAfterMs ? 'stale' : 'running';
  }
  // Half a lock is no claim that ages, but it keeps every worker off the row.
  if (row.lockedBy !== null) return 'running';
  return row.retryAfterMs === null || row.retryAfterMs < moment.nowMs ? 'ready' : 'delayed';
}

/** When the row last became free to start: its retry time if it was retried, else its creation. */
export function readyAtMs(row: QueuedRow): number {
  return row.retryAfterMs === null ? row.createdAtMs : Math.max(row.createdAtMs, row.retryAfterMs);
}

/** The row that became ready first; of several the one with the lowest id. Rows come by id. */
export function oldestOf(ready: readonly QueuedRow[]): QueuedRow | null {
  let oldest: QueuedRow | null = null;
  for (const row of ready) if (oldest === null || readyAtMs(row) < readyAtMs(oldest)) oldest = row;
  return oldest;
}

export type QueueSample = Pick<
  TenantSample,
  | 'tenantId'
  | 'ready'
  | 'delayed'
  | 'running'
  | 'stale'
  | 'oldestReady'
  | 'lastStartedAtMs'
  | 'oldestRunningAtMs'
>;

/** What the read rows prove of a tenant's queue, each number with its bound. `running` includes `stale`. */
export function queueSample(read: QueueRead, moment: Moment): QueueSample {
  const { rows, complete } = rowsSeen(read);
  const byState: Record<RowState, QueuedRow[]> = { ready: [], delayed: [], running: [], stale: [] };
  for (const row of rows) byState[rowState(row, moment)].push(row);
  const unlocked = complete
    ? { ready: exact(byState.ready.length), delayed: exact(byState.delayed.length) }
    : unlockedCounts(read, rows, byState, moment);
  const lockedCount = complete ? exact : atLeast;
  const running = startTimes(byState.running);
  const stale = startTimes(byState.stale);
  return {
    tenantId: read.tenantId,
    ...unlocked,
    running: lockedCount(byState.running.length + byState.stale.length),
    stale: lockedCount(byState.stale.length),
    oldestReady: oldestReady(byState.ready, read, complete),
    lastStartedAtMs: largest([...running, ...stale]),
    oldestRunningAtMs: smallest(running),
  };
}

/** Head and tail together, by id; complete when nothing can lie between them. */
export function rowsSeen(read: QueueRead): { rows: QueuedRow[]; complete: boolean } {
  const last = read.head.at(-1)?.id ?? Infinity;
  const beyond = read.tail.filter((row) => row.id > last);
  const meets = read.tail.length > beyond.length;
  return {
    rows: [...read.head, ...beyond.sort((a, b) => a.id - b.id)],
    complete: !read.more || meets,
  };
}

/**
 * Ready and delayed rows of a queue that was not read whole. What was not seen is taken to be mixed like the
 * newest rows, not like the head: retries keep their low ids, so they gather at the head.
 */
function unlockedCounts(
  read: QueueRead,
  rows: QueuedRow[],
  seen: Record<RowState, QueuedRow[]>,
  moment: Moment,
): { ready: Count; delayed: Count } {
  const unseen = Math.max(0, (read.estimatedRows ?? 0) - rows.length);
  const sampled = { ready: 0, delayed: 0, running: 0, stale: 0 };
  for (const row of read.tail) sampled[rowState(row, moment)] += 1;
  const mixed = sampled.ready + sampled.delayed;
  const count = (state: 'ready' | 'delayed'): Count => {
    const known = seen[state].length;
    const guessed = mixed === 0 ? 0 : Math.round((unseen * sampled[state]) / mixed);
    return guessed === 0 ? atLeast(known) : estimate(known + guessed);
  };
  return { ready: count('ready'), delayed: count('delayed') };
}

/**
 * The ready row that has waited longest. Ids and creation times grow together, so no row after the head was
 * created, hence ready, before the head's last one: up to that moment the head proves what is oldest.
 */
function oldestReady(ready: QueuedRow[], read: QueueRead, complete: boolean): TenantSample['oldestReady'] {
  const oldest = oldestOf(ready);
  if (oldest === null) return null;
  const provenUntilMs = read.head.at(-1)?.createdAtMs ?? -Infinity;
  const proven = complete || readyAtMs(oldest) <= provenUntilMs;
  return {
    readyAtMs: readyAtMs(oldest),
    createdAtMs: oldest.createdAtMs,
    bound: proven ? 'exact' : 'at-least',
  };
}

const startTimes = (rows: QueuedRow[]): number[] =>
  rows.map((row) => row.lockedAtMs).filter((at) => at !== null);
const smallest = (times: number[]): number | null =>
  times.reduce<number | null>((a, b) => (a === null || b < a ? b : a), null);
const largest = (times: number[]): number | null =>
  times.reduce<number | null>((a, b) => (a === null || b > a ? b : a), null);
