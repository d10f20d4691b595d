// What the MySQL/MariaDB store shows: ready tenants, depths, single jobs, the dead and the blocked.
import { errorClassSchema } from '../../../core/error-class.ts';
import { exact } from '../../../core/count.ts';
import type { Depths, JobRecord, TenantDepth } from '../job.ts';
import { holds, isPause } from './mysql-holds.ts';
import { readFailedAttempts, stateCode, STATES } from './mysql-ledger.ts';
import { from, matching } from './mysql-operator.ts';
import {
  bytes,
  fieldsOf,
  type MysqlPool,
  type MysqlSession,
  type Row,
  type Statement,
} from './mysql-session.ts';
import type { BlockedJob, DeadGroup, Eligible, JobFilter, ReadyTenant } from './store.ts';

/** Ancestors looked up at a time. */
const GENERATIONS = 1_000;

export async function readyTenants(
  pool: MysqlPool,
  { after, limit, eligible }: { after: string | null; limit: number; eligible: Eligible },
): Promise<ReadyTenant[]> {
  if (limit <= 0) return [];
  const stopped = (await holds(pool)).filter(isPause);
  const isStopped = (kind: string): boolean =>
    stopped.some((one) => one.tenantId === null && (one.kind === null || one.kind === kind));
  const kinds = eligible
    .filter(({ kind, limit: most }) => most !== 0 && !isStopped(kind))
    .map(({ kind }) => kind);
  if (kinds.length === 0) return [];
  /** lane_ready: kind by kind, so that lanes which are not meant are not walked past. */
  const part = async (place: Statement, most: number): Promise<ReadyTenant[]> => {
    const searches = kinds.map((kind): Statement => {
      const held = stopped.flatMap((one) =>
        one.tenantId !== null && (one.kind === null || one.kind === kind) ? [bytes(one.tenantId)] : [],
      );
      return {
        sql: `(SELECT tenant_id, n_ready FROM headway_lane FORCE INDEX (lane_ready)
          WHERE has_ready = 1 AND kind = ?${place.sql}${held.length === 0 ? '' : ' AND tenant_id NOT IN (?)'}
          ORDER BY tenant_id LIMIT ?)`,
        values: [bytes(kind), ...(place.values ?? []), ...(held.length === 0 ? [] : [held]), most],
      };
    });
    const rows = await pool.use((session) =>
      session.rows({
        sql: searches.map(({ sql }) => sql).join(' UNION ALL '),
        values: searches.flatMap(({ values }) => values ?? []),
      }),
    );
    const tenants = new Map<string, number>();
    for (const { text, number } of rows.map(fieldsOf))
      tenants.set(text('tenant_id'), (tenants.get(text('tenant_id')) ?? 0) + number('n_ready'));
    return [...tenants]
      .map(([tenantId, readyAtLeast]) => ({ tenantId, readyAtLeast, order: bytes(tenantId) }))
      .sort((a, b) => Buffer.compare(a.order, b.order))
      .slice(0, most)
      .map(({ tenantId, readyAtLeast }) => ({ tenantId, readyAtLeast }));
  };
  if (after === null) return part({ sql: '' }, limit);
  const beyond = await part({ sql: ' AND tenant_id > ?', values: [bytes(after)] }, limit);
  if (beyond.length === limit) return beyond;
  return [
    ...beyond,
    ...(await part({ sql: ' AND tenant_id <= ?', values: [bytes(after)] }, limit - beyond.length)),
  ];
}

/** One moment: a snapshot that no commit changes meanwhile, in one round trip. */
export async function depths(pool: MysqlPool, frontLimit: number): Promise<Depths> {
  const ready = stateCode('ready');
  const [, , lanes = [], oldest = [], running = [], front = [], circle = []] = await pool.use((session) =>
    session.run([
      { sql: 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ' },
      { sql: 'START TRANSACTION WITH CONSISTENT SNAPSHOT' },
      // lane_of: as many rows as there are tenants and kinds.
      {
        sql: `SELECT id, tenant_id, n_ready, n_delayed, n_running, n_waiting, n_blocked, n_dead, arrivals, attempts,
          last_started_at FROM headway_lane ORDER BY tenant_id`,
      },
      // job_turn, loosely: one seek for each lane and urgency, and one for its head.
      {
        sql: `SELECT job.lane_id, job.id, job.ready_at, job.created_at FROM (
            SELECT (
              SELECT id FROM headway_job WHERE state = ${ready} AND lane_id = head.lane_id AND urgency = head.urgency
              ORDER BY ready_at, id LIMIT 1
            ) AS id
            FROM (
              SELECT lane_id, urgency FROM headway_job FORCE INDEX (job_turn) WHERE state = ${ready}
              GROUP BY state, lane_id, urgency
            ) AS head
          ) AS oldest JOIN headway_job AS job ON job.id = oldest.id`,
      },
      // job_turn: as many rows as jobs run.
      {
        sql: `SELECT lane_id, MIN(claimed_at) AS claimed_at FROM headway_job FORCE INDEX (job_turn)
          WHERE state = ${stateCode('running')} GROUP BY lane_id`,
      },
      // job_front. One more than asked for tells whether there are more.
      {
        sql: `SELECT id, lane_id FROM headway_job FORCE INDEX (job_front) WHERE state = ${ready} ORDER BY id LIMIT ?`,
        values: [frontLimit + 1],
      },
      { sql: 'SELECT last_turn FROM headway_circle WHERE one = 1' },
      { sql: 'COMMIT' },
    ]),
  );
  const tenants = new Map<string, TenantDepth>();
  const tenantOfLane = new Map<number, TenantDepth>();
  for (const { number, text, numberOrNull } of lanes.map(fieldsOf)) {
    const tenantId = text('tenant_id');
    const depth = tenants.get(tenantId) ?? noDepth(tenantId);
    tenants.set(tenantId, depth);
    tenantOfLane.set(number('id'), depth);
    for (const state of STATES) depth[state] = exact(depth[state].value + number(`n_${state}`));
    depth.arrivalsTotal += number('arrivals');
    depth.attemptsTotal += number('attempts');
    depth.lastStartedAtMs = greatest(depth.lastStartedAtMs, numberOrNull('last_started_at'));
  }
  for (const { number } of oldest.map(fieldsOf)) {
    const depth = tenantOfLane.get(number('lane_id'));
    const head = { id: number('id'), readyAtMs: number('ready_at'), createdAtMs: number('created_at') };
    const known = depth?.oldestReady;
    const isOlder =
      known == null ||
      head.readyAtMs < known.readyAtMs ||
      (head.readyAtMs === known.readyAtMs && head.id < known.id);
    if (depth !== undefined && isOlder) depth.oldestReady = head;
  }
  for (const { number, numberOrNull } of running.map(fieldsOf)) {
    const depth = tenantOfLane.get(number('lane_id'));
    const startedAtMs = numberOrNull('claimed_at');
    if (depth !== undefined && startedAtMs !== null)
      depth.oldestRunningAtMs = Math.min(depth.oldestRunningAtMs ?? Infinity, startedAtMs);
  }
  const seen = front.map((row) => fieldsOf(row));
  for (const { number } of seen.slice(0, frontLimit))
    tenantOfLane.get(number('lane_id'))?.frontIds.push(number('id'));
  return {
    tenants: [...tenants.values()].filter(({ arrivalsTotal }) => arrivalsTotal > 0),
    cursor: fieldsOf(circle[0]).textOrNull('last_turn'),
    frontEndId: seen.length > frontLimit ? (seen[frontLimit - 1]?.number('id') ?? 0) : null,
  };
}

const greatest = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.max(a, b);

const noDepth = (tenantId: string): TenantDepth => ({
  tenantId,
  ready: exact(0),
  delayed: exact(0),
  running: exact(0),
  waiting: exact(0),
  blocked: exact(0),
  dead: exact(0),
  oldestReady: null,
  oldestRunningAtMs: null,
  lastStartedAtMs: null,
  arrivalsTotal: 0,
  attemptsTotal: 0,
  frontIds: [],
});

/** Those of `ids` that are stored, by id. */
export const jobRecords = (pool: MysqlPool, ids: readonly number[]): Promise<JobRecord[]> =>
  pool.use((session) => records(session, ids));

export async function payload(pool: MysqlPool, id: number, limitChars: number): Promise<string | null> {
  const [first, parts = []] = await pool.use(async (session) => {
    const [head, rest] = await session.run([
      { sql: 'SELECT payload FROM headway_job WHERE id = ?', values: [id] },
      // As many as may be needed: no part is shorter than the characters that it stands for.
      {
        sql: 'SELECT payload FROM headway_payload WHERE job_id = ? ORDER BY part LIMIT ?',
        values: [id, Math.ceil(limitChars / 100_000)],
      },
    ]);
    return [head?.[0], rest] as const;
  });
  if (first === undefined) return null;
  const text = [first, ...parts].map((row) => fieldsOf(row).text('payload')).join('');
  const shortened = text.slice(0, limitChars);
  // A character of two code units is not torn.
  return /[\ud800-\udbff]$/.test(shortened) ? shortened.slice(0, -1) : shortened;
}

/** dead_group: walks the index of the whole dead set. */
export const deadGroups = (pool: MysqlPool, limit: number): Promise<DeadGroup[]> =>
  pool.use(async (session) => {
    const groups = await session.rows({
      sql: `SELECT grouped.kind, grouped.jobs, grouped.last_at, dead.cause, dead.error_class, dead.message
        FROM (
          SELECT kind, cause_hash, COUNT(*) AS jobs, MAX(died_at) AS last_at, MAX(job_id) AS job_id
          FROM headway_dead GROUP BY kind, cause_hash ORDER BY jobs DESC, last_at DESC LIMIT ?
        ) AS grouped JOIN headway_dead AS dead ON dead.job_id = grouped.job_id
        ORDER BY grouped.jobs DESC, grouped.last_at DESC`,
      values: [limit],
    });
    return groups.map((row) => {
      const { number, text } = fieldsOf(row);
      return {
        kind: text('kind'),
        cause: text('cause'),
        class: errorClassSchema.parse(text('error_class')),
        count: number('jobs'),
        lastAtMs: number('last_at'),
        example: text('message'),
      };
    });
  });

export const deadJobs = (
  pool: MysqlPool,
  filter: JobFilter,
  afterId: number,
  limit: number,
): Promise<JobRecord[]> => page(pool, 'dead', filter, afterId, limit);

export async function blockedJobs(
  pool: MysqlPool,
  filter: JobFilter,
  afterId: number,
  limit: number,
): Promise<BlockedJob[]> {
  // A blocked job has no cause.
  if (filter.cause !== undefined) return [];
  const jobs = await page(pool, 'blocked', filter, afterId, limit);
  const culprits = await pool.use((session) =>
    culpritsOf(
      session,
      jobs.map(({ id }) => id),
    ),
  );
  return jobs.flatMap((job) => {
    const ancestorId = culprits.get(job.id);
    return ancestorId === undefined ? [] : [{ job, ancestorId }];
  });
}

function page(
  pool: MysqlPool,
  state: 'dead' | 'blocked',
  filter: JobFilter,
  afterId: number,
  limit: number,
): Promise<JobRecord[]> {
  const where = matching(filter);
  return pool.use(async (session) => {
    const found = await session.rows({
      sql: `SELECT job.id FROM ${from(state)} WHERE job.state = ? AND job.id > ?${where.sql} ORDER BY job.id LIMIT ?`,
      values: [stateCode(state), afterId, ...(where.values ?? []), limit],
    });
    const ids = found.map((row) => fieldsOf(row).number('id'));
    // It may have moved on between the two looks.
    return (await records(session, ids)).filter((job) => job.state === state);
  });
}

async function records(session: MysqlSession, ids: readonly number[]): Promise<JobRecord[]> {
  if (ids.length === 0) return [];
  const [rows = [], bonds = []] = await session.run([
    {
      sql: `SELECT job.id, lane.tenant_id, job.kind, job.state, job.urgency, job.batch_id, job.attempts, job.max_attempts,
          job.created_at, job.ready_at, job.claimed_at, job.owner, job.payload_bytes, job.failed_attempts
        FROM headway_job AS job JOIN headway_lane AS lane ON lane.id = job.lane_id
        WHERE job.id IN (?) ORDER BY job.id`,
      values: [ids],
    },
    // dependency_of
    {
      sql: 'SELECT job_id, parent_id FROM headway_dependency WHERE job_id IN (?) ORDER BY parent_id',
      values: [ids],
    },
  ]);
  const waitsFor = Map.groupBy(bonds.map(fieldsOf), ({ number }) => number('job_id'));
  return rows.map((row) =>
    recordOf(row, (id) => (waitsFor.get(id) ?? []).map(({ number }) => number('parent_id'))),
  );
}

function recordOf(row: Row, waitsFor: (id: number) => number[]): JobRecord {
  const { number, text, numberOrNull, textOrNull } = fieldsOf(row);
  const id = number('id');
  return {
    id,
    tenantId: text('tenant_id'),
    kind: text('kind'),
    state: STATES[number('state')] ?? 'ready',
    // Not minus zero.
    priority: 0 - number('urgency'),
    batchId: textOrNull('batch_id'),
    attempts: number('attempts'),
    maxAttempts: number('max_attempts'),
    createdAtMs: number('created_at'),
    readyAtMs: number('ready_at'),
    claimedAtMs: numberOrNull('claimed_at'),
    owner: textOrNull('owner'),
    payloadBytes: number('payload_bytes'),
    waitsFor: waitsFor(id),
    failedAttempts: readFailedAttempts(textOrNull('failed_attempts')),
  };
}

/** For each blocked job a dead or discarded one above it: upwards, one generation a statement. */
async function culpritsOf(session: MysqlSession, ids: readonly number[]): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  /** By ancestor: the jobs that wait for it, at whatever distance. */
  let above = new Map(ids.map((id) => [id, [id]]));
  for (let generation = 0; above.size > 0 && generation < GENERATIONS; generation++) {
    const bonds = await session.rows({
      sql: `SELECT dependency.job_id, dependency.parent_id, parent.state FROM headway_dependency AS dependency
        LEFT JOIN headway_job AS parent ON parent.id = dependency.parent_id
        WHERE dependency.job_id IN (?) ORDER BY dependency.parent_id`,
      values: [[...above.keys()]],
    });
    const next = new Map<number, number[]>();
    for (const { number, numberOrNull } of bonds.map(fieldsOf)) {
      const parentId = number('parent_id');
      const state = numberOrNull('state');
      const waiting = (above.get(number('job_id')) ?? []).filter((id) => !found.has(id));
      if (state === null || state === stateCode('dead')) for (const id of waiting) found.set(id, parentId);
      else if (state === stateCode('blocked'))
        next.set(parentId, [...(next.get(parentId) ?? []), ...waiting]);
    }
    above = new Map(
      [...next]
        .map(([id, waiting]) => [id, waiting.filter((one) => !found.has(one))] as const)
        .filter(([, waiting]) => waiting.length > 0)
        .map(([id, waiting]) => [id, [...new Set(waiting)]]),
    );
  }
  return found;
}
