// Rows of a mapped table as the contract tells jobs, and cursors back to their places.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { JobList, QueueJob, QueueLock } from '../../../../contract/queue-jobs.ts';
import type { JobsMapping } from '../../../../contract/settings.ts';
import type { Place } from './look-sql.ts';

const number = z.number().nullable();
const text = z.string().nullable();

export const lookRow = z.object({
  id: text,
  tenant: text,
  kind: text,
  state: text,
  created_ms: number,
  ready_ms: number,
  started_ms: number,
  finished_ms: number,
  beat_ms: number,
  attempts: number,
  max_attempts: number,
  priority: number,
  locked_by: text,
  error: text,
  now_ms: z.number(),
});
type LookRow = z.infer<typeof lookRow>;
export const listedRow = lookRow.extend({ place: z.string() });
/** With the columns of the row, `f0` and on. */
export const detailRow = z.looseObject({ ...lookRow.shape, payload: text });

export function tableJob(row: LookRow, mapping: JobsMapping): QueueJob {
  const { created_ms: created, ready_ms: ready } = row;
  // As a poll counts it: the later of the two.
  const readyAtMs = created !== null && ready !== null ? Math.max(created, ready) : (ready ?? created);
  return {
    id: row.id ?? '',
    tenantId: row.tenant ?? '',
    kind: row.kind,
    state: stateOf(row, mapping, readyAtMs),
    stateWord: row.state ?? '',
    createdAtMs: created,
    readyAtMs,
    startedAtMs: row.started_ms,
    finishedAtMs: row.finished_ms,
    attempts: row.attempts === null ? null : Math.trunc(row.attempts),
    maxAttempts: row.max_attempts === null ? null : Math.trunc(row.max_attempts),
    priority: row.priority,
    owner: row.locked_by,
    stale: isStale(row, mapping),
    error: row.error,
  };
}

/** A value that the mapping gives no meaning counts as held: no worker is known to take it. */
function stateOf(row: LookRow, { states }: JobsMapping, readyAtMs: number | null): QueueJob['state'] {
  const has = (values: readonly string[]) => values.includes(row.state ?? '');
  if (has(states.ready)) return readyAtMs !== null && readyAtMs > row.now_ms ? 'delayed' : 'ready';
  if (has(states.running)) return 'running';
  if (has(states.delayed)) return 'delayed';
  if (has(states.dead)) return 'dead';
  return has(states.done) ? 'done' : 'held';
}

function isStale(row: LookRow, { states, staleAfterSeconds }: JobsMapping): boolean {
  return (
    states.running.includes(row.state ?? '') &&
    row.beat_ms !== null &&
    row.beat_ms < row.now_ms - Math.round(staleAfterSeconds * 1000)
  );
}

export function tableLock(row: LookRow, mapping: JobsMapping): QueueLock {
  return {
    jobId: row.id ?? '',
    tenantId: row.tenant ?? '',
    owner: row.locked_by,
    lockedAtMs: row.started_ms,
    // What the program does with a stale job, the table does not tell.
    expiresAtMs: null,
    beatAtMs: row.beat_ms,
    stale: isStale(row, mapping),
  };
}

const cursor = z.tuple([
  z.string(),
  z
    .string()
    .regex(
      /^-?infinity$|^-?\d{1,16}$|^\d{4,6}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d{1,6})?(?:\+00)?)?(?: BC)?$/,
    ),
  z.string(),
]);

/** Null for the first page. Rejects a cursor of another list or source with `bad-request`. */
export function readCursor(list: JobList, after: string | null): Place | null {
  if (after === null) return null;
  try {
    const [ofList, key, id] = cursor.parse(JSON.parse(after));
    if (ofList === list) return { key, id };
  } catch (cause) {
    throw foreignCursor(cause);
  }
  throw foreignCursor();
}

export const foreignCursor = (cause?: unknown): HeadwayError =>
  new HeadwayError(
    'bad-request',
    'This page cannot be continued: its cursor is not of this list. Begin anew.',
    { cause },
  );

export const writeCursor = (list: JobList, { key, id }: Place): string => JSON.stringify([list, key, id]);
