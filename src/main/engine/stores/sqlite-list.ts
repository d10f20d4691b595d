// A page of the SQLite store's jobs of one state.
import { z } from 'zod';
import type { JobRecord } from '../job.ts';
import { LIST_BEGIN, placeOf } from './list-order.ts';
import type { ReadingStatements } from './sqlite-statements.ts';
import { LOOKED_THROUGH, type JobsListed, type ListPlace, type ListRequest } from './store.ts';

const placeRow = z
  .object({ at: z.int(), id: z.int() })
  .transform(({ at, id }): ListPlace => ({ atMs: at, id }));

/** `record`: reads a row of a job; `kindIds`: all there are. */
export function sqliteList(
  sql: ReadingStatements,
  record: (row: unknown) => JobRecord,
  kindIds: readonly number[],
  request: ListRequest,
): JobsListed {
  const { state, tenantId, limit } = request;
  const { atMs: at, id: after } = request.after ?? LIST_BEGIN;
  // One more than asked for tells whether there are more.
  const page = (jobs: JobRecord[], end: ListPlace | null): JobsListed => {
    const shown = jobs.slice(0, limit);
    const last = shown.at(-1);
    return { jobs: shown, next: jobs.length > limit && last ? placeOf(last, request) : end };
  };
  if (state === 'running') {
    const rows = sql.listRunning.all({ tenant: tenantId, at, after, limit: limit + 1 });
    return page(rows.map(record), null);
  }
  if (state === 'ready' && tenantId !== null) {
    const rows = sql.listReadyOf.all({ tenant: tenantId, at, after, limit: limit + 1 });
    return page(rows.map(record), null);
  }
  if (state === 'ready') {
    const ofKinds = kindIds.flatMap((kind) =>
      sql.listReady.all({ kind, after, limit: limit + 1 }).map(record),
    );
    return page(
      ofKinds.sort((a, b) => a.id - b.id),
      null,
    );
  }
  const [list, listEnd] = {
    delayed: [sql.listDelayed, sql.listDelayedEnd] as const,
    waiting: [sql.listWaiting, sql.listWaitingEnd] as const,
    blocked: [sql.listBlocked, sql.listBlockedEnd] as const,
    dead: [sql.listDead, sql.listDeadEnd] as const,
  }[state];
  // Of all tenants' jobs, only those that seem to wait may be something else.
  const isAll = tenantId === null && state !== 'waiting';
  const window = isAll ? limit + 1 : LOOKED_THROUGH;
  const from = { ...(state === 'delayed' && { at }), after, window };
  const jobs = list.all({ ...from, tenant: tenantId, limit: limit + 1 }).map(record);
  if (jobs.length > limit || isAll) return page(jobs, null);
  const end = listEnd.get(from);
  return page(jobs, end ? placeRow.parse(end) : null);
}
