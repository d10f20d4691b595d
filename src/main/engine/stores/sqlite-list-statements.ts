// The SQLite store's lists of jobs by state, each with the index it walks. The order of each is that of its index.

/** A job for a person to look at. */
export const RECORD = `
  job.id, lane.tenant, kind.name AS kind, job.state, job.priority, job.batch, job.attempts, job.max_attempts,
  job.created_at, job.ready_at, job.claimed_at, job.owner, job.payload_bytes, job.failures, job.parents`;
export const RECORD_OF = `FROM job JOIN lane ON lane.id = job.lane JOIN kind ON kind.id = job.kind`;

/** Jobs are sought among the first `:window` of their state; null stands for all tenants. */
const among = (seen: string, state: string, order: string): string => `
  SELECT ${RECORD} FROM (${seen}) AS seen CROSS JOIN job ON job.id = seen.id AND job.state = '${state}'
    JOIN lane ON lane.id = job.lane JOIN kind ON kind.id = job.kind
  WHERE :tenant IS NULL OR lane.tenant = :tenant ORDER BY ${order} LIMIT :limit`;

/** job_dead_id, job_blocked: by id. */
const parked = (state: 'dead' | 'blocked', index: string): string => `
  SELECT 0 AS at, id FROM job INDEXED BY ${index} WHERE state = '${state}' AND id > :after ORDER BY id LIMIT :window`;
// dependency_child: who waits for a job has a row there; some of those are blocked, or dead.
const waiting = `
  SELECT 0 AS at, child AS id FROM dependency WHERE child > :after GROUP BY child ORDER BY child LIMIT :window`;
// job_due
const delayed = `
  SELECT ready_at AS at, id FROM job WHERE state = 'delayed' AND (ready_at, id) > (:at, :after)
  ORDER BY ready_at, id LIMIT :window`;
/** The last that was looked at, where so many were. */
const endOf = (seen: string): string => seen.replace('LIMIT :window', 'LIMIT 1 OFFSET :window - 1');

export const listStatements = {
  // job_first_come
  listReady: `SELECT ${RECORD} ${RECORD_OF} WHERE job.kind = :kind AND job.state = 'ready' AND job.id > :after
    ORDER BY job.id LIMIT :limit`,
  // job_turn, the first of each kind and priority that the tenant uses: the first of all are among them.
  listReadyOf: `
    WITH RECURSIVE level (lane, priority) AS (
      SELECT lane.id, (SELECT max(priority) FROM job WHERE job.lane = lane.id AND state = 'ready')
      FROM lane WHERE tenant = :tenant AND open = 1
      UNION ALL
      SELECT lane, (
        SELECT max(priority) FROM job WHERE job.lane = level.lane AND state = 'ready' AND priority < level.priority
      ) FROM level WHERE level.priority IS NOT NULL
    )
    SELECT ${RECORD} FROM level CROSS JOIN job ON job.id IN (
        SELECT head.id FROM job AS head
        WHERE head.lane = level.lane AND head.state = 'ready' AND head.priority = level.priority
          AND (head.ready_at, head.id) > (:at, :after)
        ORDER BY head.ready_at, head.id LIMIT :limit
      ) JOIN lane ON lane.id = job.lane JOIN kind ON kind.id = job.kind
    ORDER BY job.ready_at, job.id LIMIT :limit`,
  // job_running, no more rows than there are workers and buffers
  listRunning: `SELECT ${RECORD} ${RECORD_OF}
    WHERE job.state = 'running' AND (:tenant IS NULL OR lane.tenant = :tenant)
      AND (job.claimed_at, job.id) > (:at, :after)
    ORDER BY job.claimed_at, job.id LIMIT :limit`,
  listDelayed: among(delayed, 'delayed', 'job.ready_at, job.id'),
  listDelayedEnd: endOf(delayed),
  listWaiting: among(waiting, 'waiting', 'job.id'),
  listWaitingEnd: endOf(waiting),
  listBlocked: among(parked('blocked', 'job_blocked'), 'blocked', 'job.id'),
  listBlockedEnd: endOf(parked('blocked', 'job_blocked')),
  listDead: among(parked('dead', 'job_dead_id'), 'dead', 'job.id'),
  listDeadEnd: endOf(parked('dead', 'job_dead_id')),
} as const;
