// Rows of good_jobs as jobs and locks, and back from a cursor to its place. Times are epoch ms.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import { ERROR_CHARS, type QueueJob, type QueueLock } from '../../../../contract/queue-jobs.ts';
import { EXPIRED_MINUTES } from './held.ts';

const time = z.number().nullable();
const text = z.string().nullable();

export const jobRow = z.object({
  id: z.string(),
  queue_name: text,
  kind: text,
  priority: z.number().nullable(),
  attempts: z.number().nullable(),
  error: text,
  is_retried: z.boolean(),
  is_held: z.boolean(),
  is_stale: z.boolean(),
  created_at: z.number(),
  scheduled_at: time,
  performed_at: time,
  finished_at: time,
  locked_at: time,
  process_id: text,
  host: text,
  pid: text,
  beat_at: time,
  /** Whether its process proves its life by an advisory lock. */
  by_lock: z.boolean().nullable(),
  /** Where the row stands in its list, as the database writes times. */
  place: text,
  now: z.number(),
});
export type JobRow = z.infer<typeof jobRow>;

type State = QueueJob['state'];

export function queueJob(row: JobRow): QueueJob {
  const [state, stateWord] = stateOf(row);
  const begun = state === 'running' || state === 'dead' || state === 'done';
  return {
    id: row.id,
    tenantId: row.queue_name ?? '',
    kind: row.kind,
    state,
    stateWord,
    createdAtMs: row.created_at,
    readyAtMs: begun ? null : Math.max(row.created_at, row.scheduled_at ?? 0, row.performed_at ?? 0),
    startedAtMs: begun ? row.performed_at : null,
    finishedAtMs: row.finished_at,
    attempts: row.attempts,
    // retry_on stands in the application's code.
    maxAttempts: null,
    priority: row.priority,
    owner: state === 'running' ? owner(row) : null,
    stale: row.is_stale,
    error: row.error?.slice(0, ERROR_CHARS) ?? null,
  };
}

function stateOf(row: JobRow): [State, string] {
  if (row.finished_at !== null) {
    if (row.is_retried) return ['done', 'retried'];
    return row.error === null ? ['done', 'succeeded'] : ['dead', 'discarded'];
  }
  if (row.is_held) return ['running', 'running'];
  if ((row.scheduled_at ?? row.created_at) > row.now)
    return ['delayed', (row.attempts ?? 0) > 0 ? 'retried' : 'scheduled'];
  return ['ready', row.performed_at === null ? 'queued' : 'queued, was interrupted'];
}

export function queueLock(row: JobRow): QueueLock {
  return {
    jobId: row.id,
    tenantId: row.queue_name ?? '',
    owner: owner(row),
    lockedAtMs: row.locked_at ?? row.performed_at,
    expiresAtMs:
      row.by_lock === false && row.beat_at !== null ? row.beat_at + EXPIRED_MINUTES * 60_000 : null,
    beatAtMs: row.beat_at,
    stale: row.is_stale,
  };
}

function owner({ process_id: id, host, pid, beat_at: beatAtMs }: JobRow): string | null {
  if (id === null) return null;
  if (beatAtMs === null) return `process ${id}, which is gone`;
  return `${host ?? 'unknown host'}, pid ${pid ?? 'unknown'} (${id})`;
}

export const jobId = z.guid();
const cursor = z.strictObject({
  list: z.enum(['ready', 'delayed', 'running', 'dead']),
  at: z.string().regex(/^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?)?$/),
  id: z.guid(),
});
export type Cursor = z.infer<typeof cursor>;

/** Rejects a cursor of another list or source with `bad-request`. */
export function readCursor(after: string | null, list: Cursor['list']): Cursor | null {
  if (after === null) return null;
  try {
    const parsed = cursor.parse(JSON.parse(after));
    if (parsed.list === list) return parsed;
  } catch (cause) {
    throw foreign(cause);
  }
  throw foreign();
}
export const writeCursor = (place: Cursor): string => JSON.stringify(place);
const foreign = (cause?: unknown) =>
  new HeadwayError(
    'bad-request',
    'This page cannot be continued: its cursor is not of this list. Begin anew.',
    {
      cause,
    },
  );
