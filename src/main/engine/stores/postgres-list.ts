// A page of the PostgreSQL store's jobs of one state: where they stand by an index, then the jobs themselves.
import { z } from 'zod';
import type { JobRecord } from '../job.ts';
import { LIST_BEGIN } from './list-order.ts';
import { isText } from './postgres-exchange.ts';
import type { Ask, Statement } from './postgres-pool.ts';
import { LOOKED_THROUGH, type JobsListed, type ListPlace, type ListRequest } from './store.ts';

const big = z.string().transform(Number);
const placeRow = z.object({ at: big, id: big }).transform(({ at, id }): ListPlace => ({ atMs: at, id }));

type Name = 'ready' | 'readyOf' | 'running' | 'parked' | 'parkedEnd' | 'delayed' | 'delayedEnd';

/**
 * First in the transaction of a list: one view of everything, and the order of the indexes whatever the statistics promise;
 * they are old while jobs come in a flood.
 */
export const LIST_SETTINGS = `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off;
  SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off`;

export function postgresListStatements(s: string): Record<Name, Statement> {
  const texts: Record<Name, string> = {
    // job_pkey
    ready: `SELECT id::text, '0' AS at FROM ${s}.job WHERE id > $1 ORDER BY job.id LIMIT $2`,
    // job_lane, the first of each kind and priority that the tenant uses: the first of all are among them.
    readyOf: `WITH RECURSIVE level AS (
        (SELECT kind, rank FROM ${s}.job WHERE tenant_id = $1 ORDER BY kind, rank LIMIT 1)
        UNION ALL
        SELECT n.kind, n.rank FROM level, LATERAL (
          SELECT kind, rank FROM ${s}.job WHERE tenant_id = $1 AND (kind, rank) > (level.kind, level.rank)
          ORDER BY kind, rank LIMIT 1) AS n
      )
      SELECT h.id::text, h.ready_at::text AS at FROM level, LATERAL (
        SELECT id, ready_at FROM ${s}.job
        WHERE tenant_id = $1 AND kind = level.kind AND rank = level.rank AND (ready_at, id) > ($2::bigint, $3::bigint)
        ORDER BY ready_at, id LIMIT $4) AS h
      ORDER BY h.ready_at, h.id LIMIT $4`,
    // There are few leases; a job's second place is its tenant.
    running: `SELECT e.id::text, l.claimed_at::text AS at
      FROM ${s}.lease AS l,
        ROWS FROM (json_array_elements(l.jobs::json), unnest(l.ids)) WITH ORDINALITY AS e (j, id, place)
      WHERE e.id <> 0 AND ($1::text IS NULL OR e.j->>1 = $1) AND (l.claimed_at, e.id) > ($2::bigint, $3::bigint)
      ORDER BY l.claimed_at, e.id LIMIT $4`,
    // parked_state
    parked: `SELECT id::text, '0' AS at FROM (
        SELECT id, tenant_id FROM ${s}.parked WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3
      ) AS seen WHERE $4::text IS NULL OR tenant_id = $4 ORDER BY seen.id LIMIT $5`,
    parkedEnd: `SELECT id::text, '0' AS at FROM ${s}.parked WHERE state = $1 AND id > $2 ORDER BY parked.id OFFSET $3 LIMIT 1`,
    // parked_due; those of one moment are sorted by id
    delayed: `SELECT id::text, ready_at::text AS at FROM (
        SELECT id, tenant_id, ready_at FROM ${s}.parked
        WHERE state = 'delayed' AND ready_at >= $1 AND (ready_at, id) > ($1::bigint, $2::bigint) ORDER BY ready_at, id LIMIT $3
      ) AS seen WHERE $4::text IS NULL OR tenant_id = $4 ORDER BY seen.ready_at, seen.id LIMIT $5`,
    delayedEnd: `SELECT id::text, ready_at::text AS at FROM ${s}.parked
      WHERE state = 'delayed' AND ready_at >= $1 AND (ready_at, id) > ($1::bigint, $2::bigint)
      ORDER BY parked.ready_at, parked.id OFFSET $3 LIMIT 1`,
  };
  const named = Object.entries(texts).map(([name, text]) => [name, { name: `headway list ${name}`, text }]);
  // Object.fromEntries forgets the keys it was given.
  return Object.fromEntries(named) as Record<Name, Statement>;
}

/** In a transaction with LIST_SETTINGS. `records`: the jobs of some ids, by id. */
export async function postgresList(
  ask: Ask,
  sql: Record<Name, Statement>,
  records: (ids: readonly number[]) => Promise<JobRecord[]>,
  request: ListRequest,
): Promise<JobsListed> {
  const { state, tenantId, limit } = request;
  // No stored job has such a name.
  if (!isText(tenantId ?? '')) return { jobs: [], next: null };
  const { atMs, id } = request.after ?? LIST_BEGIN;
  const places = async (statement: Statement, values: readonly unknown[]): Promise<ListPlace[]> =>
    z.array(placeRow).parse(await ask(statement, values));
  // One more than asked for tells whether there are more.
  const most = limit + 1;
  const page = async (found: ListPlace[], end: ListPlace | null): Promise<JobsListed> => {
    const shown = found.slice(0, limit);
    const byId = new Map((await records(shown.map((place) => place.id))).map((job) => [job.id, job]));
    return {
      jobs: shown.flatMap((place) => byId.get(place.id) ?? []),
      next: found.length > limit ? (shown.at(-1) ?? null) : end,
    };
  };
  if (state === 'running') return page(await places(sql.running, [tenantId, atMs, id, most]), null);
  if (state === 'ready' && tenantId !== null)
    return page(await places(sql.readyOf, [tenantId, atMs, id, most]), null);
  if (state === 'ready') return page(await places(sql.ready, [id, most]), null);
  const isDelayed = state === 'delayed';
  const from = isDelayed ? [atMs, id] : [state, id];
  const window = tenantId === null ? most : LOOKED_THROUGH;
  const found = await places(isDelayed ? sql.delayed : sql.parked, [...from, window, tenantId, most]);
  if (tenantId === null || found.length > limit) return page(found, null);
  const [end = null] = await places(isDelayed ? sql.delayedEnd : sql.parkedEnd, [...from, window - 1]);
  return page(found, end);
}
