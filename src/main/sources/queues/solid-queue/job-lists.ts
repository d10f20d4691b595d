// Lists of Solid Queue's jobs, and of its claims.
import type { JobsPage, JobsQuery, LocksPage, LocksQuery } from '../../../../contract/queue-jobs.ts';
import {
  jobRow,
  queueJob,
  queueLock,
  readCursor,
  writeCursor,
  type Cursor,
  type JobRow,
} from './look-rows.ts';
import * as sql from './look-sql.ts';
import type { SqlSession } from './statements.ts';

/** Rejects with `bad-request` for a cursor of another list. */
export async function jobsPage(
  session: SqlSession,
  look: sql.Look,
  query: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  const { list, tenantId, limit } = query;
  if (list === 'held') {
    return {
      jobs: [],
      next: null,
      note: 'Solid Queue pauses queues, not jobs: those of a paused queue stay ready, or scheduled.',
    };
  }
  const after = readCursor(query.after, list === 'ready' ? ['due', 'ready'] : [list]);
  const read = (statement: string) => session.rows(jobRow, statement, signal);
  const rows: JobRow[] = [];
  if (list === 'delayed' || (list === 'ready' && (after === null || after.list === 'due'))) {
    const which = list === 'delayed' ? 'delayed' : 'due';
    const from = after !== null && 'at' in after ? after : null;
    rows.push(...(await read(sql.byTime(look, which, { tenantId, after: from, limit: limit + 1 }))));
  }
  if (list !== 'delayed' && rows.length <= limit) {
    const places = { ready: 'ready', running: 'claimed', blocked: 'blocked', dead: 'failed' } as const;
    const from = after === null || 'at' in after ? null : after;
    const rest = limit + 1 - rows.length;
    rows.push(...(await read(sql.byRow(look, places[list], { tenantId, after: from, limit: rest }))));
  }
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    jobs: shown.map(queueJob),
    next: rows.length > limit && last !== undefined ? writeCursor(cursorOf(list, last)) : null,
    note: list === 'ready' ? 'Jobs that are due but not dispatched yet come first.' : null,
  };
}

function cursorOf(list: Exclude<JobsQuery['list'], 'held'>, row: JobRow): Cursor {
  if (row.place === 'scheduled' && row.due_text !== null) {
    // The place in the index: by time, priority and job.
    return {
      list: list === 'ready' ? 'due' : 'delayed',
      at: row.due_text,
      priority: row.priority,
      id: row.id,
    };
  }
  return { list: list === 'delayed' ? 'ready' : list, id: row.row_id };
}

export async function locksPage(
  session: SqlSession,
  look: sql.Look,
  { tenantId, limit }: LocksQuery,
  signal: AbortSignal,
): Promise<LocksPage> {
  const statement = sql.byRow(look, 'claimed', { tenantId, after: null, limit: limit + 1 });
  const rows = await session.rows(jobRow, statement, signal);
  return {
    locks: rows.slice(0, limit).map(queueLock),
    rule: 'A claim stands until its job ends. When its process has given no heartbeat for 5 min (process_alive_threshold), a supervisor takes the process for dead and fails its jobs; claims whose process is gone are failed when a supervisor starts.',
    more: rows.length > limit,
  };
}
