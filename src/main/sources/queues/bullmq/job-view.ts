// From a row of the job table to the words of the contract. Pure.
import type { QueueJob, QueueLock } from '../../../../contract/queue-jobs.ts';
import type { JobRow } from './rows.ts';

const STATES: Readonly<Record<string, QueueJob['state']>> = {
  waiting: 'ready',
  active: 'running',
  completed: 'done',
  failed: 'dead',
  'waiting-children': 'blocked',
};

/** BullMQ's own key for a job. Its queues have no colon in their names. */
export const jobKey = ({ queue, id }: Pick<JobRow, 'queue' | 'id'>): string => `${queue}:${id}`;

/** Colons of a queue's name and an id that are looked at. */
const COLONS = 20;
/** All queues and ids that a key may mean: other clients may have put a colon into a queue's name. */
export function keyParts(key: string): { queue: string; id: string }[] {
  const parts: { queue: string; id: string }[] = [];
  // PostgreSQL has no such text.
  if (key.includes('\0')) return parts;
  for (let at = key.indexOf(':'); at !== -1 && parts.length < COLONS; at = key.indexOf(':', at + 1))
    parts.push({ queue: key.slice(0, at), id: key.slice(at + 1) });
  return parts;
}

export function queueJob(row: JobRow): QueueJob {
  const state =
    row.state === 'delayed'
      ? row.process_at_ms !== null && row.process_at_ms <= row.now_ms
        ? 'ready'
        : 'delayed'
      : (STATES[row.state] ?? 'held');
  const hasStarted = state === 'running' || state === 'dead' || state === 'done';
  return {
    id: jobKey(row),
    tenantId: row.queue,
    kind: row.name,
    state,
    // As BullMQ's own getState calls it.
    stateWord: row.state === 'waiting' && row.priority > 0 ? 'prioritized' : row.state,
    createdAtMs: row.added_at_ms,
    readyAtMs: readyAtMs(row),
    startedAtMs: hasStarted ? row.processed_at_ms : null,
    finishedAtMs: row.finished_at_ms,
    attempts: row.attempts_made,
    maxAttempts: row.max_attempts,
    priority: row.priority,
    owner: ownerOf(row),
    stale: isStale(row),
    error: row.error,
  };
}

export const queueLock = (row: JobRow): QueueLock => ({
  jobId: jobKey(row),
  tenantId: row.queue,
  owner: ownerOf(row),
  lockedAtMs: row.processed_at_ms,
  expiresAtMs: row.locked_until_ms,
  // A renewal moves the end of the lock, by a time that only the worker knows.
  beatAtMs: null,
  stale: isStale(row),
});

const isStale = (row: JobRow): boolean =>
  row.state === 'active' && row.locked_until_ms !== null && row.locked_until_ms < row.now_ms;

/** The worker's name, where it has one, with the token of its lock while it holds one. */
function ownerOf({ processed_by: name, lock_token: token }: JobRow): string | null {
  return name !== null && token !== null ? `${name} (${token})` : (name ?? token);
}

function readyAtMs(row: JobRow): number | null {
  if (row.state === 'waiting') return row.ready_at_ms;
  if (row.state === 'delayed') return row.process_at_ms;
  if (row.state === 'waiting-children') return null;
  // Of a later attempt only the time of its backoff is kept.
  return row.attempts_started > 1 ? row.process_at_ms : Math.max(row.added_at_ms, row.process_at_ms ?? 0);
}
