// What a person, or the clock, does to the jobs of the MySQL/MariaDB store.
import type { JobState } from '../job.ts';
import { cancelled, lostAttempt } from './ended-by-store.ts';
import { cascade, type Change } from './mysql-cascade.ts';
import { causeHash, JobLedger, LOCKED_COLUMNS, stateCode, STATES, type LockedJob } from './mysql-ledger.ts';
import { bytes, fieldsOf, type MysqlPool, type Statement, type Transaction } from './mysql-session.ts';
import type { JobFilter } from './store.ts';

/** Jobs that are promoted or taken back in one transaction. */
const AT_ONCE = 500;

/** Dead jobs to ready, or to waiting where jobs they waited for are not done. */
export function requeue(pool: MysqlPool, filter: JobFilter, limit: number, nowMs: number): Promise<number> {
  return changeDeadOrBlocked(pool, 'dead', filter, limit, nowMs, async (transaction, ledger, jobs) => {
    const ids = jobs.map(({ id }) => id);
    const [bonds = [], parents = []] = await transaction.run([
      {
        sql: `SELECT dependency.job_id, dependency.parent_id, parent.state FROM headway_dependency AS dependency
          LEFT JOIN headway_job AS parent ON parent.id = dependency.parent_id WHERE dependency.job_id IN (?)`,
        values: [ids],
      },
      childrenOf(ids),
    ]);
    const parentsOf = Map.groupBy(bonds.map(fieldsOf), ({ number }) => number('job_id'));
    const isParent = new Set(parents.map((row) => fieldsOf(row).number('parent_id')));
    // One after another, from the lowest id on: a parent that comes back too has come back before its child.
    for (const job of jobs) {
      const states = (parentsOf.get(job.id) ?? []).map(({ number, numberOrNull }) => {
        const stored = numberOrNull('state');
        const known = ledger.jobs.get(number('parent_id'))?.state;
        return known ?? (stored === null ? 'gone' : (STATES[stored] ?? 'gone'));
      });
      job.attempts = 0;
      job.readyAtMs = ledger.nowMs;
      job.waitsFor = states.length;
      job.stuckOn = states.filter((state) => ['dead', 'blocked', 'gone'].includes(state)).length;
      ledger.move(job, job.waitsFor === 0 ? 'ready' : job.stuckOn > 0 ? 'blocked' : 'waiting');
      if (job.state !== 'blocked' && isParent.has(job.id))
        await cascade(transaction, ledger, [{ parentId: job.id, now: 'good', wasBad: true }]);
    }
  });
}

export function discard(pool: MysqlPool, filter: JobFilter, limit: number, nowMs: number): Promise<number> {
  return changeDeadOrBlocked(pool, 'dead', filter, limit, nowMs, async (transaction, ledger, jobs) => {
    for (const job of jobs) {
      ledger.move(job, 'gone');
      ledger.unbindAll(job);
    }
    await cascade(
      transaction,
      ledger,
      jobs.map(({ id }): Change => ({ parentId: id, now: 'discarded', wasBad: true })),
    );
  });
}

export function unblock(
  pool: MysqlPool,
  filter: JobFilter,
  how: 'release' | 'cancel',
  limit: number,
  nowMs: number,
): Promise<number> {
  // A blocked job has no cause.
  if (filter.cause !== undefined) return Promise.resolve(0);
  return changeDeadOrBlocked(pool, 'blocked', filter, limit, nowMs, async (transaction, ledger, jobs) => {
    for (const job of jobs)
      if (how === 'cancel')
        ledger.bury(job, cancelled({ attempts: job.attempts, parentId: null, nowMs: ledger.nowMs }));
      else {
        ledger.unbindAll(job);
        ledger.free(job);
      }
    const now = how === 'cancel' ? 'died' : 'good';
    await cascade(
      transaction,
      ledger,
      jobs.map(({ id }): Change => ({ parentId: id, now, wasBad: true })),
    );
  });
}

/** Takes running jobs from owners that have been silent, and forgets those owners. */
export async function reclaim(
  pool: MysqlPool,
  request: { except: string; silentSinceMs: number; nowMs: number },
): Promise<number> {
  const except = bytes(request.except);
  const { silentSinceMs, nowMs } = request;
  let taken = 0;
  for (;;) {
    const count = await pool.transaction(async (transaction) => {
      const ledger = new JobLedger(nowMs);
      // Asked apart: within the search it would be locked too, and an owner that beats just now be skipped.
      const beating = await transaction.rows({
        sql: 'SELECT id FROM headway_owner WHERE beat_at > ?',
        values: [silentSinceMs],
      });
      const alive = [except, ...beating.map((row) => bytes(fieldsOf(row).text('id')))];
      // job_front: no more rows than jobs run. What is locked is being settled just now.
      const rows = await transaction.rows({
        sql: `SELECT ${LOCKED_COLUMNS} FROM headway_job AS job FORCE INDEX (job_front)
          WHERE job.state = ? AND job.owner NOT IN (?) ORDER BY job.id LIMIT ? FOR UPDATE SKIP LOCKED`,
        values: [stateCode('running'), alive, AT_ONCE],
      });
      const changes: Change[] = [];
      for (const job of ledger.lock(rows)) {
        const { owner, claimedAtMs, readyAtMs } = job;
        ledger.attempted(job);
        const attempt = lostAttempt({
          attempt: job.attempts,
          owner: owner ?? '',
          readyAtMs,
          claimedAtMs: claimedAtMs ?? readyAtMs,
          nowMs: ledger.nowMs,
        });
        if (job.attempts >= job.maxAttempts) {
          ledger.bury(job, attempt);
          changes.push({ parentId: job.id, now: 'died', wasBad: false });
        } else {
          ledger.failed(job, attempt);
          job.readyAtMs = Math.max(readyAtMs, ledger.nowMs);
          ledger.move(job, 'ready');
        }
      }
      await cascade(transaction, ledger, changes);
      await transaction.commit([
        ...ledger.takeStatements(),
        ...(rows.length < AT_ONCE
          ? [
              {
                sql: 'DELETE FROM headway_owner WHERE id <> ? AND beat_at <= ?',
                values: [except, silentSinceMs],
              },
            ]
          : []),
        ...ledger.laneStatements(),
      ]);
      return rows.length;
    });
    taken += count;
    if (count < AT_ONCE) return taken;
  }
}

/** Makes delayed jobs ready whose time has come; answers when the next one's comes. */
export async function promoteDue(pool: MysqlPool, nowMs: number): Promise<number | null> {
  const dueMs = Math.floor(nowMs);
  for (;;) {
    const [first] = await pool.use((session) =>
      session.rows({ sql: 'SELECT MIN(ready_at) AS ready_at FROM headway_timer' }),
    );
    const nextMs = fieldsOf(first).numberOrNull('ready_at');
    if (nextMs === null || nextMs > dueMs) return nextMs;
    const promoted = await pool.transaction(async (transaction) => {
      const ledger = new JobLedger(nowMs);
      // The primary key of the timers. Another engine may be at it as well.
      const timers = await transaction.rows({
        sql: `SELECT ready_at, job_id FROM headway_timer WHERE ready_at <= ?
          ORDER BY ready_at, job_id LIMIT ? FOR UPDATE SKIP LOCKED`,
        values: [dueMs, AT_ONCE],
      });
      if (timers.length === 0) return 0;
      const ids = timers.map((row) => fieldsOf(row).number('job_id'));
      for (const job of ledger.lock(await transaction.rows(lockById(ids))))
        if (job.state === 'delayed') ledger.move(job, 'ready');
      await transaction.commit([
        ...ledger.takeStatements(),
        ...[...Map.groupBy(timers.map(fieldsOf), ({ number }) => number('ready_at'))].map(
          ([readyAt, rows]) => ({
            sql: 'DELETE FROM headway_timer WHERE ready_at = ? AND job_id IN (?)',
            values: [readyAt, rows.map(({ number }) => number('job_id'))],
          }),
        ),
        ...ledger.laneStatements(),
      ]);
      return timers.length;
    });
    // What is left is in another engine's hands.
    if (promoted === 0) return nextMs;
  }
}

export const lockById = (ids: readonly number[]): Statement => ({
  sql: `SELECT ${LOCKED_COLUMNS} FROM headway_job AS job WHERE job.id IN (?) ORDER BY job.id FOR UPDATE`,
  values: [ids],
});

/** Those among `ids` that others wait for. */
export const childrenOf = (ids: readonly number[]): Statement => ({
  sql: 'SELECT DISTINCT parent_id FROM headway_dependency WHERE parent_id IN (?)',
  values: [ids],
});

/** The rest of a WHERE clause over headway_job AS job, for jobs in the dead set joined with headway_dead AS dead. */
export function matching({ tenantId, kind, cause, ids }: JobFilter): Statement {
  const parts: Statement[] = [];
  if (ids !== undefined)
    parts.push(ids.length === 0 ? { sql: 'FALSE' } : { sql: 'job.id IN (?)', values: [ids] });
  if (kind !== undefined) parts.push({ sql: 'job.kind = ?', values: [bytes(kind)] });
  if (tenantId !== undefined)
    parts.push({
      sql: 'job.lane_id IN (SELECT id FROM headway_lane WHERE tenant_id = ?)',
      values: [bytes(tenantId)],
    });
  if (cause !== undefined) parts.push({ sql: 'dead.cause_hash = ?', values: [causeHash(cause)] });
  return {
    sql: parts.map(({ sql }) => ` AND ${sql}`).join(''),
    values: parts.flatMap(({ values }) => values ?? []),
  };
}

/** Those in a state that a filter means, with where they are found. */
export const from = (state: JobState): string =>
  state === 'dead'
    ? 'headway_dead AS dead JOIN headway_job AS job ON job.id = dead.job_id'
    : 'headway_job AS job FORCE INDEX (job_front)';

async function changeDeadOrBlocked(
  pool: MysqlPool,
  state: 'dead' | 'blocked',
  filter: JobFilter,
  limit: number,
  nowMs: number,
  change: (transaction: Transaction, ledger: JobLedger, jobs: LockedJob[]) => Promise<void>,
): Promise<number> {
  const where = matching(filter);
  return pool.transaction(async (transaction) => {
    const ledger = new JobLedger(nowMs);
    const found = await transaction.rows({
      sql: `SELECT job.id FROM ${from(state)} WHERE job.state = ?${where.sql} ORDER BY job.id LIMIT ?`,
      values: [stateCode(state), ...(where.values ?? []), limit],
    });
    if (found.length === 0) return 0;
    // Locked by id alone, and looked at again: what else a search walks past stays free for others.
    const ids = found.map((row) => fieldsOf(row).number('id'));
    const jobs = ledger.lock(await transaction.rows(lockById(ids))).filter((job) => job.state === state);
    if (jobs.length > 0) await change(transaction, ledger, jobs);
    await transaction.commit([...ledger.takeStatements(), ...ledger.laneStatements()]);
    return jobs.length;
  });
}
