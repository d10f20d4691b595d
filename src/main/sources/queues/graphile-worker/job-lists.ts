// The pages of jobs and locks that a person asks for.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJob,
  QueueJobDetail,
  QueueLock,
} from '../../../../contract/queue-jobs.ts';
import { shownPayload } from '../../../../core/shown-payload.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { byIndex } from '../by-index.ts';
import * as look from './look-sql.ts';
import { detailRow, jobRow, taskIdRow, type JobRow } from './rows.ts';
import { unavailableIndex } from './sql.ts';

const LOCK_MS = 4 * 3_600_000;

const cursorSchema = z.strictObject({
  list: z.enum(['ready', 'held', 'delayed', 'running', 'dead']),
  priority: z.int().min(-32_768).max(32_767),
  time: z.string().regex(/^-?infinity$|^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$/),
  id: z.string().regex(/^\d{1,19}$/),
});

interface Tables {
  schema: string;
  /** Whether an index leads to running and dead jobs. */
  hasUnavailableIndex: boolean;
}

export async function jobsPage(
  session: PostgresSession,
  tables: Tables,
  query: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  const { list, tenantId, after, limit } = query;
  const note = noteOf(list, tables);
  const start = after === null ? null : parseCursor(after, list);
  if (list === 'blocked') return { jobs: [], next: null, note };
  const task = await findTask(session, tables, tenantId, signal);
  if (task === 'none') return { jobs: [], next: null, note };
  const position = [start?.time ?? null, start?.id ?? null, limit + 1];
  const { schema } = tables;
  const rows =
    list === 'running' || list === 'dead'
      ? await readUnavailable(session, tables, list, [task, ...position], signal)
      : await byIndex(session, signal, () =>
          session.rows(
            jobRow,
            look.byPriority(schema, list === 'delayed' ? 'later' : 'due', list === 'held'),
            signal,
            [...[task, start?.priority ?? null], ...position],
          ),
        );
  const page = rows.slice(0, limit);
  const end = page.at(-1);
  return {
    jobs: page.map(queueJob),
    next: rows.length > limit && end ? cursorAfter(list, end) : null,
    note,
  };
}

/** Its id, or null for all tasks. */
async function findTask(
  session: PostgresSession,
  { schema }: Tables,
  tenantId: string | null,
  signal: AbortSignal,
): Promise<number | null | 'none'> {
  if (tenantId === null) return null;
  const [task] = await session.rows(taskIdRow, look.taskId(schema), signal, [tenantId]);
  return task?.id ?? 'none';
}

function readUnavailable(
  session: PostgresSession,
  { schema, hasUnavailableIndex }: Tables,
  list: 'running' | 'dead',
  parameters: readonly unknown[],
  signal: AbortSignal,
): Promise<JobRow[]> {
  const read = () =>
    session.rows(
      jobRow,
      look.unavailable(schema, list === 'running' ? 'locked' : 'dead'),
      signal,
      parameters,
    );
  // Without it the whole table is read, and that is done best from its beginning to its end.
  return hasUnavailableIndex ? byIndex(session, signal, read) : read();
}

function parseCursor(text: string, list: JobsQuery['list']): z.infer<typeof cursorSchema> {
  const cursor = cursorSchema.safeParse(jsonOrNull(text));
  if (cursor.success && cursor.data.list === list) return cursor.data;
  throw new HeadwayError('bad-request', 'This page is not of this list. Begin with its first page.');
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function cursorAfter(list: Exclude<JobsQuery['list'], 'blocked'>, row: JobRow): string {
  const times = { running: row.locked_at ?? '', dead: row.failed_at };
  const time = list === 'running' || list === 'dead' ? times[list] : row.run_at;
  const cursor: z.infer<typeof cursorSchema> = { list, priority: row.priority, time, id: row.id };
  return JSON.stringify(cursor);
}

function noteOf(list: JobsQuery['list'], { schema, hasUnavailableIndex }: Tables): string | null {
  const wants = hasUnavailableIndex
    ? ''
    : ` They are sought in the whole table, for want of an index: ${unavailableIndex(schema)}.`;
  const notes: Record<JobsQuery['list'], string | null> = {
    ready: 'In the order of claims: lowest priority first, then by run time.',
    delayed: null,
    running: wants === '' ? null : wants.trim(),
    held: 'Jobs that are due, while their named queue runs another job or is parked.',
    blocked: 'Jobs of Graphile Worker do not depend on one another.',
    dead: `Jobs that have used up their attempts. When they failed is told by their backoff.${wants}`,
  };
  return notes[list];
}

function queueJob(row: JobRow): QueueJob {
  const state = stateOf(row);
  return {
    id: row.id,
    tenantId: row.task ?? '',
    kind: row.task,
    state,
    stateWord: WORDS[state],
    createdAtMs: row.created_at_ms,
    readyAtMs: row.ready_at_ms,
    startedAtMs: row.locked_at_ms,
    finishedAtMs: state === 'dead' ? row.failed_at_ms : null,
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    priority: row.priority,
    owner: row.locked_by,
    stale: row.is_stale === true,
    error: row.error,
  };
}

type State = 'ready' | 'delayed' | 'running' | 'held' | 'dead';
/** Graphile Worker has no column of states; these are the words of its documentation. */
const WORDS: Readonly<Record<State, string>> = {
  ready: 'available',
  delayed: 'scheduled',
  running: 'locked',
  held: 'queue locked',
  dead: 'permanently failed',
};

function stateOf(row: JobRow): State {
  if (row.locked_at !== null) return 'running';
  if (!row.is_available) return 'dead';
  if (!row.is_due) return 'delayed';
  return row.is_held ? 'held' : 'ready';
}

/** `columns`: those of the jobs table, in order. */
export async function jobDetail(
  session: PostgresSession,
  schema: string,
  columns: readonly string[],
  id: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  if (!/^[1-9]\d{0,17}$/.test(id)) return null;
  const names = columns.filter((column) => column !== 'payload');
  const [row] = await session.rows(detailRow, look.detail(schema, names), signal, [id]);
  if (row === undefined) return null;
  const job = queueJob(row);
  // A claim counts its attempt at once; the error is of the one before.
  const failed = row.locked_at === null ? row.attempts : row.attempts - 1;
  return {
    job,
    fields: [
      ...names.map((name, at) => ({ name, value: row.fields[at] ?? null })),
      { name: 'task_identifier', value: row.task },
      { name: 'queue_name', value: row.queue_name },
    ],
    payload: row.payload === null ? null : shownPayload(row.payload, []),
    attempts:
      row.error === null ? [] : [{ attempt: failed, atMs: job.finishedAtMs, error: row.error, owner: null }],
  };
}

export async function locksPage(
  session: PostgresSession,
  tables: Tables,
  { tenantId, limit }: LocksQuery,
  signal: AbortSignal,
): Promise<LocksPage> {
  const rule =
    'A claim writes the worker’s name (since 0.17 that of its process’s pool) and the time. Nothing renews it: workers free locks that are older than 4 hours, every 8 to 10 minutes.';
  const task = await findTask(session, tables, tenantId, signal);
  if (task === 'none') return { locks: [], rule, more: false };
  const rows = await readUnavailable(session, tables, 'running', [task, null, null, limit + 1], signal);
  return { locks: rows.slice(0, limit).map(queueLock), rule, more: rows.length > limit };
}

const queueLock = (row: JobRow): QueueLock => ({
  jobId: row.id,
  tenantId: row.task ?? '',
  owner: row.locked_by,
  lockedAtMs: row.locked_at_ms,
  expiresAtMs: row.locked_at_ms === null ? null : row.locked_at_ms + LOCK_MS,
  beatAtMs: null,
  stale: row.is_stale === true,
});
