// A page of the MySQL/MariaDB store's jobs of one state: where they stand by an index, then the jobs themselves.
import { LIST_BEGIN } from './list-order.ts';
import { stateCode } from './mysql-ledger.ts';
import { jobRecords } from './mysql-reads.ts';
import { bytes, fieldsOf, type MysqlPool, type Statement } from './mysql-session.ts';
import { LOOKED_THROUGH, type JobsListed, type ListPlace, type ListRequest } from './store.ts';

export async function list(pool: MysqlPool, request: ListRequest): Promise<JobsListed> {
  const { state, tenantId, limit } = request;
  const after = request.after ?? LIST_BEGIN;
  const laneIds = tenantId === null ? null : await lanesOf(pool, tenantId);
  if (laneIds?.length === 0) return { jobs: [], next: null };
  // One more than asked for tells whether there are more.
  const most = limit + 1;
  /** No index has them by tenant: they are sought among the next of all. */
  const isSought = laneIds !== null && ['waiting', 'blocked', 'dead'].includes(state);
  let found: ListPlace[];
  if (laneIds !== null && (state === 'ready' || state === 'delayed'))
    found = await ofLevels(pool, state, laneIds, after, most);
  else if (state === 'running') found = await places(pool, running(laneIds, after, most));
  else if (state === 'delayed') found = await places(pool, due(after, most));
  else if (isSought) found = await places(pool, among(state, laneIds, after, most));
  else found = await places(pool, byId(state, after, most));
  const shown = found.slice(0, limit);
  let next = found.length > limit ? (shown.at(-1) ?? null) : null;
  if (isSought && found.length <= limit) [next = null] = await places(pool, endOf(state, after));
  const records = await jobRecords(
    pool,
    shown.map(({ id }) => id),
  );
  const jobs = new Map(records.map((job) => [job.id, job]));
  return {
    // It may have moved on between the two looks.
    jobs: shown.flatMap(({ id }) => jobs.get(id) ?? []).filter((job) => job.state === state),
    next,
  };
}

const places = (pool: MysqlPool, statement: Statement): Promise<ListPlace[]> =>
  pool.use(async (session) =>
    (await session.rows(statement)).map((row) => {
      const { number } = fieldsOf(row);
      return { atMs: number('at'), id: number('id') };
    }),
  );

/** lane_of: one for each of its kinds. */
const lanesOf = (pool: MysqlPool, tenantId: string): Promise<number[]> =>
  pool.use(async (session) => {
    const sql = 'SELECT id FROM headway_lane WHERE tenant_id = ?';
    const rows = await session.rows({ sql, values: [bytes(tenantId)] });
    return rows.map((row) => fieldsOf(row).number('id'));
  });

/** job_turn, the first of each kind and priority that the tenant uses: the first of all are among them. */
const ofLevels = (
  pool: MysqlPool,
  state: 'ready' | 'delayed',
  laneIds: readonly number[],
  { atMs, id }: ListPlace,
  most: number,
): Promise<ListPlace[]> =>
  pool.use(async (session) => {
    const levels = await session.rows({
      sql: `SELECT lane_id, urgency FROM headway_job FORCE INDEX (job_turn)
        WHERE state = ? AND lane_id IN (?) GROUP BY state, lane_id, urgency`,
      values: [stateCode(state), laneIds],
    });
    const parts = levels.map(fieldsOf).map(({ number }): Statement => ({
      sql: `(SELECT ready_at AS at, id FROM headway_job FORCE INDEX (job_turn)
          WHERE state = ? AND lane_id = ? AND urgency = ? AND ready_at >= ? AND (ready_at > ? OR id > ?)
          ORDER BY ready_at, id LIMIT ?)`,
      values: [stateCode(state), number('lane_id'), number('urgency'), atMs, atMs, id, most],
    }));
    const heads = await session.run(parts);
    return heads
      .flat()
      .map(fieldsOf)
      .map(({ number }): ListPlace => ({ atMs: number('at'), id: number('id') }))
      .sort((a, b) => a.atMs - b.atMs || a.id - b.id)
      .slice(0, most);
  });

/** job_turn: as many rows as jobs run. */
const running = (laneIds: readonly number[] | null, { atMs, id }: ListPlace, most: number): Statement => ({
  sql: `SELECT claimed_at AS at, id FROM headway_job FORCE INDEX (job_turn)
    WHERE state = ?${laneIds === null ? '' : ' AND lane_id IN (?)'} AND (claimed_at > ? OR (claimed_at = ? AND id > ?))
    ORDER BY claimed_at, id LIMIT ?`,
  values: [stateCode('running'), ...(laneIds === null ? [] : [laneIds]), atMs, atMs, id, most],
});

/** The timers' primary key. */
const due = ({ atMs, id }: ListPlace, most: number): Statement => ({
  sql: `SELECT ready_at AS at, job_id AS id FROM headway_timer
    WHERE ready_at >= ? AND (ready_at > ? OR job_id > ?) ORDER BY ready_at, job_id LIMIT ?`,
  values: [atMs, atMs, id, most],
});

/** job_front */
const byId = (state: ListRequest['state'], { id }: ListPlace, most: number): Statement => ({
  sql: `SELECT 0 AS at, id FROM headway_job FORCE INDEX (job_front) WHERE state = ? AND id > ? ORDER BY id LIMIT ?`,
  values: [stateCode(state), id, most],
});

const among = (
  state: ListRequest['state'],
  laneIds: readonly number[],
  { id }: ListPlace,
  most: number,
): Statement => ({
  sql: `SELECT 0 AS at, id FROM (
      SELECT id, lane_id FROM headway_job FORCE INDEX (job_front) WHERE state = ? AND id > ? ORDER BY id LIMIT ?
    ) AS seen WHERE lane_id IN (?) ORDER BY id LIMIT ?`,
  values: [stateCode(state), id, LOOKED_THROUGH, laneIds, most],
});

/** The last that was looked at, where so many were. */
const endOf = (state: ListRequest['state'], { id }: ListPlace): Statement => ({
  sql: `SELECT 0 AS at, id FROM headway_job FORCE INDEX (job_front) WHERE state = ? AND id > ?
    ORDER BY id LIMIT 1 OFFSET ?`,
  values: [stateCode(state), id, LOOKED_THROUGH - 1],
});
