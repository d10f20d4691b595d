// Rows of pg-boss's jobs as the contract tells them, and cursors and ids back to where they lead.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import {
  ERROR_CHARS,
  type JobList,
  type QueueJob,
  type QueueJobDetail,
  type QueueLock,
} from '../../../../contract/queue-jobs.ts';
import { shownPayload } from '../../../../core/shown-payload.ts';
import type { Place } from './look-sql.ts';

const time = z.number().nullable();

export const lookRow = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(['created', 'retry', 'active', 'completed', 'cancelled', 'failed']),
  priority: z.number(),
  retry_count: z.int().nullable(),
  retry_limit: z.int().nullable(),
  blocked: z.boolean(),
  created_at: time,
  start_after: time,
  started_at: time,
  completed_at: time,
  stale: z.boolean(),
  expires_at: time,
  beat_at: time,
  said: z.string().nullable(),
  output: z.string().nullable(),
  now: z.number(),
});
type LookRow = z.infer<typeof lookRow>;
export const listedRow = lookRow.extend({ place: z.string() });
export const detailRow = lookRow.extend({
  fields: z.array(z.string().nullable()),
  payload: z.string().nullable(),
});
export const windowEndRow = z.object({ place: z.array(z.string()) });
export const parentRow = z.object({ parent: z.string() });

export function queueJob(row: LookRow): QueueJob {
  const readyAtMs =
    row.created_at === null || row.start_after === null ? null : Math.max(row.created_at, row.start_after);
  return {
    id: `${row.name}/${row.id}`,
    tenantId: row.name,
    kind: null,
    state: stateOf(row, readyAtMs),
    stateWord: row.state,
    createdAtMs: row.created_at,
    readyAtMs,
    startedAtMs: row.started_at,
    finishedAtMs: row.completed_at,
    // The first start is not counted as a retry.
    attempts: row.retry_count === null ? null : row.started_at === null ? 0 : row.retry_count + 1,
    maxAttempts: row.retry_limit === null ? null : row.retry_limit + 1,
    priority: row.priority,
    owner: null,
    stale: row.stale,
    error: errorOf(row),
  };
}

function stateOf({ state, blocked, now }: LookRow, readyAtMs: number | null): QueueJob['state'] {
  if (state === 'active') return 'running';
  if (state === 'failed') return 'dead';
  if (state === 'completed' || state === 'cancelled') return 'done';
  if (blocked) return 'blocked';
  return readyAtMs !== null && readyAtMs > now ? 'delayed' : 'ready';
}

/** What the last attempt that ended said: the message of the error it was failed with, or all it left. A result is no error. */
function errorOf({ state, said, output }: LookRow): string | null {
  if (state === 'completed' || state === 'cancelled') return null;
  return said ?? (output === null ? null : shownPayload(output, []).text.slice(0, ERROR_CHARS));
}

export function queueLock(row: LookRow): QueueLock {
  return {
    jobId: `${row.name}/${row.id}`,
    tenantId: row.name,
    owner: null,
    lockedAtMs: row.started_at,
    expiresAtMs: row.expires_at,
    beatAtMs: row.beat_at,
    stale: row.stale,
  };
}

/** A job's columns but its payload; its output may hold secrets as the payload may. */
export function fieldsOf(
  names: readonly string[],
  values: readonly (string | null)[],
): QueueJobDetail['fields'] {
  return names.map((name, i) => {
    const value = values[i] ?? null;
    if (value === null) return { name, value };
    const shown = /output$/.test(name) ? shownPayload(value, [], ERROR_CHARS).text : value;
    return { name, value: shown.length > ERROR_CHARS ? `${shown.slice(0, ERROR_CHARS)}…` : shown };
  });
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const UUID_CHARS = 36;

/** "queue/uuid", or a uuid alone, which may be that of any queue (`name` is null). Null for what is neither. */
export function readJobId(id: string): { name: string | null; uuid: string } | null {
  const uuid = id.slice(-UUID_CHARS);
  if (!UUID.test(uuid)) return null;
  if (id.length === UUID_CHARS) return { name: null, uuid };
  const name = id.slice(0, -UUID_CHARS);
  return name.endsWith('/') ? { name: name.slice(0, -1), uuid } : null;
}

const moment = z
  .string()
  .regex(/^-?infinity$|^\d{4,6}-[01]\d-[0-3]\d [0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,6})?\+00(?: BC)?$/);
const uuid = z.string().regex(UUID);
const cursor = z.tuple([
  z.string(),
  z.union([
    z.tuple([]),
    z.tuple([uuid]),
    z.tuple([moment, uuid]),
    z.tuple([z.string().regex(/^-?\d{1,10}$/), moment, moment, uuid]),
  ]),
  z.tuple([moment, uuid, z.string()]).nullable(),
]);

/** Rejects a cursor of another list or source with `bad-request`. */
export function readCursor(list: JobList, after: string | null): Place {
  if (after === null) return { from: [], after: null };
  try {
    const [ofList, from, place] = cursor.parse(JSON.parse(after));
    if (ofList === list) return { from, after: place };
  } catch (cause) {
    throw foreignCursor(cause);
  }
  throw foreignCursor();
}

const foreignCursor = (cause?: unknown): HeadwayError =>
  new HeadwayError(
    'bad-request',
    'This page cannot be continued: its cursor is not of this list. Begin anew.',
    { cause },
  );

export const writeCursor = (list: JobList, { from, after }: Place): string =>
  JSON.stringify([list, from, after]);
