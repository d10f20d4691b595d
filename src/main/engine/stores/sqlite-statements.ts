// Every SQL statement of the SQLite store, each with the index it walks. Sets of ids come in as JSON arrays.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { listStatements, RECORD, RECORD_OF } from './sqlite-list-statements.ts';

/** How many delayed jobs become ready in one transaction. */
const PROMOTE_AT_ONCE = 1000;
/** JSON array of ids as a set. */
const IDS = '(SELECT value FROM json_each(?))';
const CLAIMED = `id, lane, fence, priority, attempts, max_attempts, created_at, ready_at, batch, payload_bytes,
  failures + children > 0 AS has_more, payload`;
/** Null stands for "all". */
const MATCHES = `
  job.id > :after AND (:tenant IS NULL OR lane.tenant = :tenant) AND (:kind IS NULL OR kind.name = :kind)
  AND (:cause IS NULL OR job.dead_cause = :cause) ORDER BY job.id LIMIT :limit`;
/** Jobs of a state that match a filter, by id: from their place in its index, or just the ids that were given. */
const recordsIn = (state: 'dead' | 'blocked'): string =>
  `SELECT ${RECORD} ${RECORD_OF} WHERE job.state = '${state}' AND ${MATCHES}`;
const recordsAmong = (state: 'dead' | 'blocked'): string =>
  `SELECT ${RECORD} ${RECORD_OF} WHERE job.id IN (SELECT value FROM json_each(:ids)) AND job.state = '${state}' AND ${MATCHES}`;

/** What only looks: also for a file that another process works on. */
export const readingStatements = {
  kinds: 'SELECT id, name FROM kind',
  // lane_circle
  circleAfter: `
    SELECT tenant, ready FROM lane WHERE kind = ? AND open = 1 AND held = 0 AND tenant > ? ORDER BY tenant LIMIT ?`,
  circleFromFirst:
    'SELECT tenant, ready FROM lane WHERE kind = ? AND open = 1 AND held = 0 ORDER BY tenant LIMIT ?',
  cursor: 'SELECT cursor FROM circle',
  owners: 'SELECT id, beat_at, report FROM owner ORDER BY id',
  holds: 'SELECT tenant, kind, mode, by, reason, since FROM hold ORDER BY since',

  // One row a tenant, in the order of the index of UNIQUE (tenant, kind).
  tenants: `
    SELECT tenant, sum(ready) AS ready, sum(delayed) AS delayed, sum(waiting) AS waiting, sum(blocked) AS blocked,
      sum(running) AS running, sum(dead) AS dead, sum(arrivals) AS arrivals, sum(attempts) AS attempts,
      max(last_started_at) AS last_started_at
    FROM lane GROUP BY tenant`,
  // job_turn, three seeks for each priority in use: the oldest of a lane is the oldest of one of its priorities.
  oldestReady: `
    WITH RECURSIVE level (lane, priority) AS (
      SELECT lane.id, (SELECT max(priority) FROM job WHERE job.lane = lane.id AND state = 'ready')
      FROM lane WHERE open = 1
      UNION ALL
      SELECT lane, (
        SELECT max(priority) FROM job WHERE job.lane = level.lane AND state = 'ready' AND priority < level.priority
      ) FROM level WHERE level.priority IS NOT NULL
    )
    SELECT lane.tenant, job.id, job.ready_at, job.created_at
    FROM level JOIN lane ON lane.id = level.lane JOIN job ON job.id = (
      SELECT head.id FROM job AS head
      WHERE head.lane = level.lane AND head.state = 'ready' AND head.priority = level.priority
      ORDER BY head.ready_at, head.id LIMIT 1
    )`,
  // job_running, no more rows than there are workers and buffers
  oldestRunning: `
    SELECT lane.tenant, min(claimed_at) AS claimed_at FROM job JOIN lane ON lane.id = job.lane
    WHERE job.state = 'running' GROUP BY lane.tenant`,
  // job_first_come
  front: `
    SELECT job.id, lane.tenant FROM job JOIN lane ON lane.id = job.lane
    WHERE job.kind = ? AND job.state = 'ready' ORDER BY job.id LIMIT ?`,

  record: `SELECT ${RECORD} ${RECORD_OF} WHERE job.id = ?`,
  // job_dead_id, job_blocked
  dead: recordsIn('dead'),
  deadAmong: recordsAmong('dead'),
  blocked: recordsIn('blocked'),
  blockedAmong: recordsAmong('blocked'),
  // dependency_child
  parents: 'SELECT parent FROM dependency WHERE child = ? ORDER BY parent',
  failedAttempts: 'SELECT told FROM failed_attempt WHERE job = ? ORDER BY number DESC LIMIT ?',
  payload: `
    SELECT substr(coalesce(payload, (SELECT large_payload.payload FROM large_payload WHERE job = job.id)), 1, ?) AS text
    FROM job WHERE id = ?`,
  // job_dead holds all that is asked for; max() takes the other columns from its own row.
  deadGroups: `
    SELECT kind.name AS kind, dead_cause AS cause, dead_class AS class, count(*) AS count, max(dead_at) AS last_at,
      job.id AS newest
    FROM job JOIN kind ON kind.id = job.kind
    WHERE job.state = 'dead' GROUP BY job.kind, dead_cause ORDER BY count DESC, last_at DESC LIMIT ?`,
  // dependency_child, upwards through the blocked; a parent that is not stored was discarded
  ancestor: `
    WITH RECURSIVE above (id) AS (
      SELECT parent FROM dependency WHERE child = ?
      UNION
      SELECT dependency.parent FROM above JOIN job ON job.id = above.id AND job.state = 'blocked'
        JOIN dependency ON dependency.child = above.id
    )
    SELECT min(above.id) AS id FROM above LEFT JOIN job ON job.id = above.id
    WHERE job.id IS NULL OR job.state = 'dead'`,
  ...listStatements,
} as const;

export const writingStatements = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',

  addKind: 'INSERT INTO kind (name) VALUES (?)',
  lane: 'SELECT * FROM lane WHERE tenant = ? AND kind = ?',
  laneOfId: 'SELECT * FROM lane WHERE id = ?',
  addLane: 'INSERT INTO lane (tenant, kind, held) VALUES (?, ?, ?)',
  // Without `open`, which the circle's index is made of.
  countTurn: 'UPDATE lane SET ready = ?, running = ?, attempts = ?, last_started_at = ? WHERE id = ?',
  countAll: `
    UPDATE lane SET ready = ?, running = ?, attempts = ?, last_started_at = ?, delayed = ?, waiting = ?, blocked = ?,
      dead = ?, arrivals = ? WHERE id = ?`,
  openLane: 'UPDATE lane SET open = ? WHERE id = ?',

  lastId: 'SELECT last_id FROM circle',
  moveLastId: 'UPDATE circle SET last_id = ?',
  moveCursor: 'UPDATE circle SET cursor = ?',

  insert: `
    INSERT INTO job (id, lane, kind, state, priority, created_at, ready_at, max_attempts, on_dead_parent, batch,
      parents, payload_bytes, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  insertLargePayload: 'INSERT INTO large_payload (job, payload) VALUES (?, ?)',
  jobOfKey: 'SELECT job_id FROM idempotency WHERE key = ?',
  rememberKey: 'INSERT INTO idempotency (key, job_id, at) VALUES (?, ?, ?)',
  // idempotency_at
  forgetKeys: 'DELETE FROM idempotency WHERE at < ?',
  stateOf: 'SELECT state FROM job WHERE id = ?',
  attemptsOf: 'SELECT attempts, lane FROM job WHERE id = ?',
  addDependency: 'INSERT INTO dependency (parent, child) VALUES (?, ?)',
  markParent: 'UPDATE job SET children = 1 WHERE id = ?',

  // job_turn, one seek a lane. As JSON, a text a lane: a call and a row cost more than what they carry.
  turns: `
    SELECT (
      SELECT json_group_array(json_array(id, fence, priority, attempts, max_attempts, created_at, ready_at, batch,
        payload_bytes, has_more, payload))
      FROM (SELECT ${CLAIMED} FROM job WHERE lane = turn.value AND state = 'ready'
        ORDER BY priority DESC, ready_at, id LIMIT ?)
    ) AS jobs FROM json_each(?) AS turn`,
  // job_first_come
  firstCome: `SELECT ${CLAIMED} FROM job WHERE kind = ? AND state = 'ready' ORDER BY id LIMIT ?`,
  firstComeUnheld: `
    SELECT ${CLAIMED} FROM job
    WHERE kind = ? AND state = 'ready' AND lane NOT IN (SELECT id FROM lane WHERE held = 1) ORDER BY id LIMIT ?`,
  largePayload: 'SELECT payload FROM large_payload WHERE job = ?',
  start: `
    UPDATE job SET state = 'running', owner = ?, claimed_at = ?, fence = fence + 1 WHERE id IN ${IDS}`,

  running: `
    SELECT lane, fence, owner, failures + children > 0 OR payload IS NULL AS has_more FROM job WHERE id = ? AND state = 'running'`,
  finish: 'DELETE FROM job WHERE id = ?',
  finishMore: 'DELETE FROM job WHERE id = ? RETURNING children',
  forgetAttempts: 'DELETE FROM failed_attempt WHERE job = ?',
  forgetLargePayload: 'DELETE FROM large_payload WHERE job = ?',
  retry: `
    UPDATE job SET state = ?, ready_at = ?, attempts = attempts + 1, owner = NULL, claimed_at = NULL WHERE id = ?`,
  bury: `
    UPDATE job SET state = 'dead', attempts = attempts + ?, owner = NULL, claimed_at = NULL, dead_cause = ?,
      dead_class = ?, dead_at = ? WHERE id = ? RETURNING children`,
  giveBack: `UPDATE job SET state = 'ready', owner = NULL, claimed_at = NULL WHERE id = ?`,
  failAgain: 'UPDATE job SET failures = failures + 1 WHERE id = ? RETURNING failures',
  addAttempt: 'INSERT INTO failed_attempt (job, number, told) VALUES (?, ?, ?)',
  dropAttempts: 'DELETE FROM failed_attempt WHERE job = ? AND number <= ?',

  // job_due
  nextDue: `SELECT min(ready_at) AS at FROM job WHERE state = 'delayed'`,
  promote: `
    UPDATE job SET state = 'ready' WHERE id IN (
      SELECT id FROM job WHERE state = 'delayed' AND ready_at <= ? ORDER BY ready_at LIMIT ${PROMOTE_AT_ONCE})
    RETURNING lane`,

  beat: `
    INSERT INTO owner (id, beat_at, report) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET beat_at = max(beat_at, excluded.beat_at), report = excluded.report`,
  leave: 'DELETE FROM owner WHERE id = ?',
  // job_running
  lost: `
    SELECT job.id, lane, attempts, max_attempts, job.owner, ready_at, claimed_at FROM job LEFT JOIN owner ON owner.id = job.owner
    WHERE job.state = 'running' AND job.owner <> ? AND coalesce(owner.beat_at, 0) <= ?`,
  forgetOwners: 'DELETE FROM owner WHERE id <> ? AND beat_at <= ?',

  dropHold: 'DELETE FROM hold WHERE tenant IS ? AND kind IS ?',
  addHold: 'INSERT INTO hold (tenant, kind, mode, by, reason, since) VALUES (?, ?, ?, ?, ?, ?)',
  // UNIQUE (tenant, kind)
  applyHolds: `
    UPDATE lane SET held = EXISTS (
      SELECT 1 FROM hold WHERE hold.mode = 'pause' AND hold.tenant = lane.tenant
        AND (hold.kind IS NULL OR hold.kind = (SELECT name FROM kind WHERE kind.id = lane.kind)))
    WHERE tenant = ?`,

  // dependency: by parent
  childrenOf: `SELECT DISTINCT child FROM dependency WHERE parent IN ${IDS}`,
  dropParents: `DELETE FROM dependency WHERE parent IN ${IDS}`,
  // dependency_child
  dropChildren: `DELETE FROM dependency WHERE child IN ${IDS}`,
  dropDeadChildren: `
    DELETE FROM dependency WHERE parent IN ${IDS} AND (SELECT state FROM job WHERE id = child) = 'dead'`,
  // Those that wait for nothing any more.
  free: `
    UPDATE job SET state = iif(ready_at > :now, 'delayed', 'ready'), ready_at = max(ready_at, :now)
    WHERE state = :state AND id IN (SELECT value FROM json_each(:ids))
      AND NOT EXISTS (SELECT 1 FROM dependency WHERE child = job.id)
    RETURNING id, lane, state`,
  toCancel: `
    SELECT job.id, job.state, job.lane, job.attempts, min(dependency.parent) AS parent
    FROM dependency JOIN job ON job.id = dependency.child
    WHERE dependency.parent IN ${IDS} AND job.state IN ('waiting', 'blocked') AND job.on_dead_parent = 'cancel'
    GROUP BY job.id`,
  releaseFrom: `
    DELETE FROM dependency WHERE parent IN ${IDS} AND EXISTS (
      SELECT 1 FROM job WHERE job.id = child AND job.state IN ('waiting', 'blocked') AND on_dead_parent = 'release')
    RETURNING child`,
  block: `
    UPDATE job SET state = 'blocked' WHERE state = 'waiting' AND id IN (
      WITH RECURSIVE below (id) AS (
        SELECT child FROM dependency WHERE parent IN ${IDS}
        UNION
        SELECT dependency.child FROM below JOIN job ON job.id = below.id AND job.state IN ('waiting', 'blocked')
          JOIN dependency ON dependency.parent = below.id
      )
      SELECT id FROM below)
    RETURNING lane`,
  // Of the blocked below (and among) the given: those with no dead, discarded or otherwise blocked parent wait again.
  unblock: `
    WITH RECURSIVE
      below (id) AS (
        SELECT value FROM json_each(?)
        UNION
        SELECT dependency.child FROM below JOIN dependency ON dependency.parent = below.id
          JOIN job ON job.id = dependency.child AND job.state = 'blocked'
      ),
      bad (id) AS (
        SELECT dependency.child FROM below JOIN dependency ON dependency.child = below.id
          LEFT JOIN job ON job.id = dependency.parent
        WHERE job.id IS NULL OR job.state = 'dead'
          OR (job.state = 'blocked' AND job.id NOT IN (SELECT id FROM below))
        UNION
        SELECT dependency.child FROM bad JOIN dependency ON dependency.parent = bad.id
          JOIN below ON below.id = dependency.child
      )
    UPDATE job SET state = 'waiting'
    WHERE state = 'blocked' AND id IN (SELECT id FROM below) AND id NOT IN (SELECT id FROM bad)
    RETURNING lane`,
  // A dead job that is tried anew; with parents it is judged by `unblock`.
  requeue: `
    UPDATE job SET attempts = 0, ready_at = :now, dead_cause = NULL, dead_class = NULL, dead_at = NULL,
      state = iif(EXISTS (SELECT 1 FROM dependency WHERE child = job.id), 'blocked', 'ready')
    WHERE id IN (SELECT value FROM json_each(:ids))
    RETURNING lane, state`,
  remove: `DELETE FROM job WHERE id IN ${IDS} RETURNING lane`,
  removeAttempts: `DELETE FROM failed_attempt WHERE job IN ${IDS}`,
  removeLargePayloads: `DELETE FROM large_payload WHERE job IN ${IDS}`,
} as const;

type Prepared<T> = Record<keyof T, StatementSync>;

export const prepareReading = (db: DatabaseSync): Prepared<typeof readingStatements> =>
  prepare(db, readingStatements);
export const prepareWriting = (db: DatabaseSync): Prepared<typeof writingStatements> =>
  prepare(db, writingStatements);
export type ReadingStatements = ReturnType<typeof prepareReading>;
export type WritingStatements = ReturnType<typeof prepareWriting>;

function prepare<T extends Record<string, string>>(db: DatabaseSync, statements: T): Prepared<T> {
  const prepared = Object.entries(statements).map(([name, sql]) => [name, db.prepare(sql)]);
  // Object.fromEntries forgets the keys it was given.
  return Object.fromEntries(prepared) as Prepared<T>;
}
