// What the locks on the queue tell of the workers.
import type { WorkersSample } from '../../../core/sample.ts';
import { rowState } from './heads.ts';
import type { Moment, QueuedRow } from './heads.ts';

/** Signs of life that are not locks, epoch ms; null where they could not be read. */
export interface OtherSigns {
  /** Newest heartbeat of a leader (worker_roles.acquired_at). */
  leaderSeenAtMs: number | null;
  /** Newest delivery attempt of any server. */
  lastDeliveryAtMs: number | null;
}

/**
 * Busy threads are the distinct owners of locks that are not stale: a dead worker's locks outlive it. Postal's
 * leading claim adds ` <16 hex digits>` to the thread's name, the rows it locks along with it do not.
 */
export function workersSample(rows: Iterable<QueuedRow>, moment: Moment, signs: OtherSigns): WorkersSample {
  const owners = new Set<string>();
  let lastSeenAtMs = later(signs.leaderSeenAtMs, signs.lastDeliveryAtMs);
  for (const row of rows) {
    lastSeenAtMs = later(lastSeenAtMs, row.lockedAtMs);
    if (row.lockedBy !== null && rowState(row, moment) === 'running') owners.add(threadOf(row.lockedBy));
  }
  return { busy: owners.size, total: null, lastSeenAtMs };
}

/** The thread that owns a lock: `host:H pid:P thread:T`, without the mark of a leading claim. */
function threadOf(lockedBy: string): string {
  return lockedBy.replace(/ [0-9a-f]{16}$/, '');
}

function later(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}
