// Rows of Solid Queue's tables as jobs and locks, and back from a cursor to its place. Times are epoch ms.
import { parse } from 'jsonc-parser';
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import { ERROR_CHARS, type QueueJob, type QueueLock } from '../../../../contract/queue-jobs.ts';
import { ALIVE_MINUTES } from './poll-sql.ts';

const time = z.number().nullable();
const text = z.string().nullable();

/** A job with its place, as look-sql.ts selects it: which table it lies in, and where in the order of that list. */
export const jobRow = z.object({
  place: z.enum(['ready', 'scheduled', 'claimed', 'blocked', 'failed', 'finished', 'none']),
  /** Of the row in that table. */
  row_id: z.string(),
  /** When it is due, as the database writes it; only of scheduled ones. */
  due_text: text,
  id: z.string(),
  queue_name: z.string(),
  class_name: z.string(),
  priority: z.number(),
  created_at: z.number(),
  /** When its row was written there: ready, claimed, blocked or failed since. */
  placed_at: time,
  due_at: time,
  finished_at: time,
  process_id: text,
  process_name: text,
  process_host: text,
  process_pid: text,
  beat_at: time,
  error: text,
  /** The end of its arguments. */
  tail: text,
  now: z.number(),
});
export type JobRow = z.infer<typeof jobRow>;

export function queueJob(row: JobRow): QueueJob {
  const isDue = row.due_at !== null && row.due_at <= row.now;
  const isClaimed = row.place === 'claimed';
  const state = {
    ready: 'ready',
    scheduled: isDue ? 'ready' : 'delayed',
    claimed: 'running',
    blocked: 'blocked',
    failed: 'dead',
    finished: 'done',
    none: 'held',
  } as const;
  const words = { scheduled: isDue ? 'due, not dispatched yet' : 'scheduled', none: 'in no execution table' };
  return {
    id: row.id,
    tenantId: row.queue_name,
    kind: row.class_name,
    state: state[row.place],
    stateWord: row.place === 'scheduled' || row.place === 'none' ? words[row.place] : row.place,
    createdAtMs: row.created_at,
    readyAtMs: row.place === 'ready' ? row.placed_at : row.place === 'scheduled' ? row.due_at : null,
    startedAtMs: isClaimed ? row.placed_at : null,
    finishedAtMs: row.place === 'failed' ? row.placed_at : row.finished_at,
    attempts: attempts(row),
    maxAttempts: null,
    priority: row.priority,
    owner: isClaimed ? owner(row) : null,
    stale: isClaimed && isStale(row),
    error: errorText(row.error),
  };
}

export function queueLock(row: JobRow): QueueLock {
  return {
    jobId: row.id,
    tenantId: row.queue_name,
    owner: owner(row),
    lockedAtMs: row.placed_at,
    expiresAtMs: row.beat_at === null ? null : row.beat_at + ALIVE_MINUTES * 60_000,
    beatAtMs: row.beat_at,
    stale: isStale(row),
  };
}

/** Active Job counts the attempts before this one, behind the arguments proper. */
function attempts({ place, tail }: JobRow): number | null {
  const before = [...(tail ?? '').matchAll(/"executions":(\d{1,9})/g)].at(-1)?.[1];
  if (before === undefined) return null;
  return Number(before) + (place === 'claimed' || place === 'failed' || place === 'finished' ? 1 : 0);
}

/** Its process has given no sign of life for too long, or its row is gone. */
const isStale = ({ beat_at: beatAtMs, now }: JobRow): boolean =>
  beatAtMs === null || beatAtMs <= now - ALIVE_MINUTES * 60_000;

function owner({
  process_id: id,
  process_name: name,
  process_host: host,
  process_pid: pid,
  beat_at: beat,
}: JobRow) {
  if (id === null) return null;
  if (beat === null) return `process ${id}, which is gone`;
  const where = `${host ?? 'unknown host'}, pid ${pid ?? 'unknown'}`;
  return name === null ? where : `${name} (${where})`;
}

const storedError = z.object({ exception_class: z.string(), message: z.string() });

/** Errors are stored as JSON, of which maybe only the beginning was read. */
export function errorText(stored: string | null): string | null {
  if (stored === null) return null;
  // Reads what there is of a text that was cut.
  const value = storedError.safeParse(parse(stored));
  const said = value.success ? `${value.data.exception_class}: ${value.data.message}` : stored;
  return said.slice(0, ERROR_CHARS);
}

const at = z.string().regex(/^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?)?$/);
const id = z.string().regex(/^\d{1,20}$/);
const cursor = z.discriminatedUnion('list', [
  z.strictObject({ list: z.enum(['ready', 'running', 'blocked', 'dead']), id }),
  z.strictObject({ list: z.enum(['due', 'delayed']), at, priority: z.int(), id }),
]);
export type Cursor = z.infer<typeof cursor>;

/** Rejects a cursor of another list or source with `bad-request`. */
export function readCursor(after: string | null, lists: readonly Cursor['list'][]): Cursor | null {
  if (after === null) return null;
  try {
    const parsed = cursor.parse(JSON.parse(after));
    if (lists.includes(parsed.list)) return parsed;
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
