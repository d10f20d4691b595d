// Every SQL statement of the SQLite store, each with the index it walks.
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** How many delayed jobs become ready in one transaction. */
const PROMOTE_AT_ONCE = 1000;

export const statements = {
  insert: `
    INSERT INTO job (tenant_id, kind, payload, state, created_at, ready_at, max_attempts)
    VALUES (?, ?, ?, ?, ?, ?, ?)`,
  jobOfKey: 'SELECT job_id FROM idempotency WHERE key = ?',
  rememberKey: 'INSERT INTO idempotency (key, job_id, at) VALUES (?, ?, ?)',
  // idempotency_at
  forgetKeys: 'DELETE FROM idempotency WHERE at < ?',

  // job_first_come
  firstCome: `SELECT id FROM job WHERE state = 'ready' ORDER BY id LIMIT ?`,
  // tenant_ready
  readyAfter: 'SELECT id AS tenant, ready FROM tenant WHERE ready > 0 AND id > ? ORDER BY id LIMIT ?',
  readyFromFirst: 'SELECT id AS tenant, ready FROM tenant WHERE ready > 0 ORDER BY id LIMIT ?',
  // job_fair, one seek
  headOf: `SELECT id FROM job WHERE state = 'ready' AND tenant_id = ? ORDER BY ready_at, id LIMIT 1`,
  start: `
    UPDATE job SET state = 'running', owner = ?, started_at = ?, fence = fence + 1
    WHERE id = ? AND state = 'ready'
    RETURNING id, fence, tenant_id, kind, payload, attempts, max_attempts, created_at, ready_at, started_at`,
  cursor: 'SELECT cursor FROM circle',
  moveCursor: 'UPDATE circle SET cursor = ?',

  // Settling walks the primary key.
  countAttempt: `
    UPDATE tenant SET attempts = attempts + 1
    WHERE id = (SELECT tenant_id FROM job WHERE id = ? AND fence = ? AND state = 'running')`,
  finish: `DELETE FROM job WHERE id = ? AND fence = ? AND state = 'running'`,
  retry: `
    UPDATE job SET state = ?, ready_at = ?, attempts = attempts + 1, error = ?, owner = NULL, started_at = NULL
    WHERE id = ? AND fence = ? AND state = 'running'`,
  bury: `
    UPDATE job SET state = 'dead', attempts = attempts + 1, error = ?, owner = NULL, started_at = NULL
    WHERE id = ? AND fence = ? AND state = 'running'`,
  giveBack: `
    UPDATE job SET state = 'ready', owner = NULL, started_at = NULL
    WHERE id = ? AND fence = ? AND state = 'running'`,

  // job_due
  nextDue: `SELECT min(ready_at) AS at FROM job WHERE state = 'delayed'`,
  promote: `
    UPDATE job SET state = 'ready' WHERE id IN (
      SELECT id FROM job WHERE state = 'delayed' AND ready_at <= ? ORDER BY ready_at LIMIT ${PROMOTE_AT_ONCE})`,

  beat: `
    INSERT INTO owner (id, beat_at) VALUES (?, ?)
    ON CONFLICT (id) DO UPDATE SET beat_at = max(beat_at, excluded.beat_at)`,
  // job_running: no more rows than there are workers
  countLostAttempts: `
    UPDATE tenant SET attempts = attempts + lost.jobs
    FROM (
      SELECT tenant_id, count(*) AS jobs FROM job
      WHERE state = 'running' AND owner <> ?
        AND coalesce((SELECT beat_at FROM owner WHERE owner.id = job.owner), 0) <= ?
      GROUP BY tenant_id
    ) AS lost
    WHERE tenant.id = lost.tenant_id`,
  reclaim: `
    UPDATE job SET
      state = iif(attempts + 1 >= max_attempts, 'dead', 'ready'),
      attempts = attempts + 1,
      ready_at = max(ready_at, ?),
      error = 'the engine that ran it ended without a word',
      owner = NULL,
      started_at = NULL
    WHERE state = 'running' AND owner <> ?
      AND coalesce((SELECT beat_at FROM owner WHERE owner.id = job.owner), 0) <= ?`,
  forgetOwners: 'DELETE FROM owner WHERE id <> ? AND beat_at <= ?',

  // One row a tenant; the oldest running by job_running, one seek each.
  tenants: `
    SELECT id, ready, delayed, running, dead, arrivals, attempts, last_started_at,
      (SELECT min(started_at) FROM job WHERE tenant_id = tenant.id AND state = 'running') AS oldest_running_at
    FROM tenant ORDER BY id`,
  // job_fair, one seek
  oldestReady: `
    SELECT id, ready_at, created_at FROM job WHERE tenant_id = ? AND state = 'ready'
    ORDER BY ready_at, id LIMIT 1`,
  // job_first_come, which holds all it asks for
  front: `SELECT id, tenant_id FROM job WHERE state = 'ready' ORDER BY id LIMIT ?`,
} as const;

export function prepareStatements(db: DatabaseSync): Record<keyof typeof statements, StatementSync> {
  const prepared = Object.entries(statements).map(([name, sql]) => [name, db.prepare(sql)]);
  // Object.fromEntries forgets the keys it was given.
  return Object.fromEntries(prepared) as Record<keyof typeof statements, StatementSync>;
}
