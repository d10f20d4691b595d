// The pages of jobs and locks that a person asks for.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import { ERROR_CHARS } from '../../../../contract/queue-jobs.ts';
import { shownPayload } from '../../../../core/shown-payload.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { keyParts, queueJob, queueLock } from './job-view.ts';
import * as sql from './look-sql.ts';
import { detailRow, jobRow, type JobRow } from './rows.ts';

/** Where a page begins: after this job, in the order of its walk. Null: at the start of the walk. */
const lastSchema = z.strictObject({
  queue: z.string(),
  number: z.string().regex(/^-?\d{1,19}$/),
  seq: z.string().regex(/^-?\d{1,19}$/),
  id: z.string(),
});
const cursorSchema = z.strictObject({
  walk: z.enum(['waiting', 'due', 'later', 'active', 'blocked', 'failed']),
  last: lastSchema.nullable(),
});
type Cursor = z.infer<typeof cursorSchema>;
type Walk = Cursor['walk'];

/** The walks of each list, one after another. */
const WALKS: Readonly<Record<JobsQuery['list'], readonly Walk[]>> = {
  ready: ['waiting', 'due'],
  delayed: ['later'],
  running: ['active'],
  held: [],
  blocked: ['blocked'],
  dead: ['failed'],
};

const NOTES: Readonly<Record<JobsQuery['list'], string | null>> = {
  ready:
    'Queue by queue in the order of claims: priority 0 first, then by place. Delayed jobs that are due, and that no worker has promoted yet, come last.',
  delayed: null,
  running: null,
  held: 'BullMQ holds no single job back. Jobs of a paused queue stay among the ready ones.',
  blocked: 'Parents of flows, in the order in which they were added.',
  dead: 'Failed jobs that are kept; a queue may remove them at once (removeOnFail).',
};

export async function jobsPage(
  session: PostgresSession,
  schema: string,
  query: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  const walks = WALKS[query.list];
  const start = query.after === null ? null : parseCursor(query.after, walks);
  const rows: { walk: Walk; row: JobRow }[] = [];
  for (const walk of walks.slice(start === null ? 0 : walks.indexOf(start.walk))) {
    const missing = query.limit + 1 - rows.length;
    if (missing <= 0) break;
    const last = start?.walk === walk ? start.last : null;
    const found = await readWalk(session, schema, { walk, last }, query.tenantId, missing, signal);
    rows.push(...found.map((row) => ({ walk, row })));
  }
  const page = rows.slice(0, query.limit);
  const end = page.at(-1);
  return {
    jobs: page.map(({ row }) => queueJob(row)),
    next: rows.length > query.limit && end ? JSON.stringify(cursorAfter(end.walk, end.row)) : null,
    note: NOTES[query.list],
  };
}

function parseCursor(text: string, walks: readonly Walk[]): Cursor {
  const cursor = cursorSchema.safeParse(jsonOrNull(text));
  if (cursor.success && walks.includes(cursor.data.walk)) return cursor.data;
  throw new HeadwayError('bad-request', 'This page is not of this list. Begin with its first page.');
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function cursorAfter(walk: Walk, row: JobRow): Cursor {
  const numbers: Record<Walk, number | string | null> = {
    waiting: row.priority,
    due: row.process_at_ms,
    later: row.process_at_ms,
    active: row.processed_at_ms,
    blocked: row.seq,
    failed: row.finished_at_ms,
  };
  return { walk, last: { queue: row.queue, number: String(numbers[walk] ?? 0), seq: row.seq, id: row.id } };
}

function readWalk(
  session: PostgresSession,
  schema: string,
  { walk, last }: Cursor,
  queue: string | null,
  limit: number,
  signal: AbortSignal,
): Promise<JobRow[]> {
  if (walk === 'waiting') {
    const statement = sql.waiting(schema, { queue: queue !== null, cursor: last !== null });
    const key = [last?.queue ?? null, last?.number ?? null, last?.seq ?? null, last?.id ?? null];
    return session.rows(jobRow, statement, signal, [queue, ...key, limit]);
  }
  const statements: Record<Exclude<Walk, 'waiting'>, string> = {
    due: sql.delayed(schema, 'due'),
    later: sql.delayed(schema, 'later'),
    active: sql.active(schema),
    blocked: sql.blocked(schema),
    failed: sql.failed(schema),
  };
  const key = [last?.number ?? null, last?.queue ?? null, last?.id ?? null];
  return session.rows(jobRow, statements[walk], signal, [queue, ...key, limit]);
}

/** `columns`: those of the job table, in order. */
export async function jobDetail(
  session: PostgresSession,
  schema: string,
  columns: readonly string[],
  key: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  const parts = keyParts(key);
  const names = columns.filter((column) => column !== 'data');
  const [row] = await session.rows(detailRow, sql.detail(schema, names), signal, [
    parts.map(({ queue }) => queue),
    parts.map(({ id }) => id),
  ]);
  if (row === undefined) return null;
  const traces = row.traces ?? [];
  return {
    job: queueJob(row),
    fields: names.map((name, at) => ({ name, value: shownField(name, row.fields[at] ?? null) })),
    payload: shownPayload(row.payload, []),
    // BullMQ keeps the newest traces; with fewer than attempts their numbers are those of the last ones.
    attempts: traces
      .map((error, at) => ({
        attempt: row.attempts_made - traces.length + at + 1,
        atMs: null,
        error,
        owner: null,
      }))
      .map((attempt) => ({ ...attempt, attempt: attempt.attempt > 0 ? attempt.attempt : null }))
      .reverse(),
  };
}

/** Columns of JSON may hold secrets as the payload may. */
function shownField(name: string, value: string | null): string | null {
  if (value === null || !['opts', 'progress', 'return_value'].includes(name)) return value;
  return shownPayload(value, [], ERROR_CHARS).text;
}

export async function locksPage(
  session: PostgresSession,
  schema: string,
  { tenantId, limit }: LocksQuery,
  signal: AbortSignal,
): Promise<LocksPage> {
  const rows = await session.rows(jobRow, sql.locks(schema), signal, [tenantId, limit + 1]);
  return {
    locks: rows.slice(0, limit).map(queueLock),
    rule: 'A claim writes a token and a time at which it runs out (30 s later by default); the worker renews it at half of that. Other workers put a job whose lock ran out back to wait, on the second of two checks (every 30 s by default), and fail it when it has stalled too often.',
    more: rows.length > limit,
  };
}
