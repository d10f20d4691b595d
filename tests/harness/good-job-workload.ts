// What Rails processes do to GoodJob's tables, by the statements they send. Times are written by the application, in UTC.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';

export interface NewGoodJob {
  queue: string;
  priority?: number;
  /** Seconds from the moment of writing. */
  inS?: number;
  params?: Record<string, unknown>;
  /** Before 4.0: a job that is due at once has no time of its own. */
  isUnscheduled?: boolean;
}

const utc = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
const KEY = (text: string) => `('x' || substr(md5(${text}), 1, 16))::bit(64)::bigint`;

export async function enqueue(db: Client, job: NewGoodJob, nowMs = Date.now()): Promise<string> {
  const { queue, priority = 0, inS = 0, params = {}, isUnscheduled = false } = job;
  const id = randomUUID();
  const now = utc(nowMs);
  await db.query(
    `INSERT INTO good_jobs (id, active_job_id, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at, job_class, is_discrete, executions_count)
     VALUES ($1, $1, $2, $3, $4, $5, $6, $6, 'MailJob', true, 0)`,
    [
      id,
      queue,
      priority,
      { job_class: 'MailJob', arguments: [], executions: 0, ...params },
      isUnscheduled ? null : utc(nowMs + inS * 1000),
      now,
    ],
  );
  return id;
}

/** A process registers; with `locks` (its connection) it proves its life by an advisory lock. */
export async function startProcess(
  db: Client,
  {
    locks = null,
    beatAgoS = 0,
    threads = 5,
    hasLockType = true,
  }: { locks?: Client | null; beatAgoS?: number; threads?: number; hasLockType?: boolean } = {},
): Promise<string> {
  const id = randomUUID();
  const state = {
    hostname: 'web-1',
    pid: 4242,
    schedulers: [{ name: 'GoodJob::Scheduler', queues: '*', max_threads: threads }],
  };
  const at = utc(Date.now() - beatAgoS * 1000);
  const [column, value] = hasLockType ? [', lock_type', `, ${locks === null ? 'NULL' : '0'}`] : ['', ''];
  await db.query(
    `INSERT INTO good_job_processes (id, state, created_at, updated_at${column}) VALUES ($1, $2, $3, $3${value})`,
    [id, state, at],
  );
  if (locks !== null)
    await locks.query(`SELECT pg_advisory_lock(${KEY(`'good_job_processes-' || $1::text`)})`, [id]);
  return id;
}

/**
 * A worker's thread, on its own connection, takes the first job of a queue under an advisory lock and begins it. `by`: its process,
 * written to the row since 4.0. Yields the job's id, or null when nothing is due.
 */
export async function begin(
  thread: Client,
  {
    queue,
    by,
    order = 'ASC',
    nowMs = Date.now(),
  }: { queue: string; by: string | null; order?: 'ASC' | 'DESC'; nowMs?: number },
): Promise<string | null> {
  const free = by === null ? '' : ' AND locked_by_id IS NULL';
  const { rows } = await thread.query<{ id: string; scheduled_at: Date | null }>(
    `SELECT id, scheduled_at FROM good_jobs WHERE id IN (
       WITH rows AS MATERIALIZED (
         SELECT id, active_job_id FROM good_jobs
          WHERE queue_name = $1 AND finished_at IS NULL AND (scheduled_at <= $2 OR scheduled_at IS NULL)${free}
          ORDER BY priority ${order} NULLS LAST, created_at ASC)
       SELECT id FROM rows WHERE pg_try_advisory_lock(${KEY(`'good_jobs' || '-' || rows.active_job_id::text`)}) LIMIT 1)`,
    [queue, utc(nowMs)],
  );
  const id = rows[0]?.id;
  if (id === undefined) return null;
  const now = utc(nowMs);
  await thread.query(
    `INSERT INTO good_job_executions (active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at${by === null ? '' : ', process_id'})
     SELECT active_job_id, job_class, queue_name, serialized_params, coalesce(scheduled_at, created_at), $2, $2${by === null ? '' : `, '${by}'`} FROM good_jobs WHERE id = $1`,
    [id, now],
  );
  const held = by === null ? '' : `, locked_by_id = '${by}', locked_at = $2`;
  await thread.query(
    `UPDATE good_jobs SET performed_at = $2, executions_count = coalesce(executions_count, 0) + 1${held} WHERE id = $1`,
    [id, now],
  );
  return id;
}

/** The thread's job ends: done, discarded with an error, or to be tried again in `retryInS`. */
export async function end(
  thread: Client,
  id: string,
  {
    error = null,
    retryInS = null,
    byRow = true,
    nowMs = Date.now(),
  }: { error?: string | null; retryInS?: number | null; byRow?: boolean; nowMs?: number } = {},
): Promise<void> {
  const now = utc(nowMs);
  const freed = byRow ? ', locked_by_id = NULL, locked_at = NULL' : '';
  await thread.query(
    `UPDATE good_job_executions SET finished_at = $2, error = $3
      WHERE active_job_id = (SELECT active_job_id FROM good_jobs WHERE id = $1) AND finished_at IS NULL`,
    [id, now, error],
  );
  await (retryInS === null
    ? thread.query(`UPDATE good_jobs SET finished_at = $2, error = $3${freed} WHERE id = $1`, [
        id,
        now,
        error,
      ])
    : thread.query(
        `UPDATE good_jobs SET performed_at = NULL, finished_at = NULL, error = $3, scheduled_at = $4, created_at = $2${freed} WHERE id = $1`,
        [id, now, error, utc(nowMs + retryInS * 1000)],
      ));
  await thread.query(
    `SELECT pg_advisory_unlock(${KEY(`'good_jobs-' || active_job_id::text`)}) FROM good_jobs WHERE id = $1`,
    [id],
  );
}

/** Before 3.11 a retry was a new row, which the failed one names. Yields the new row's id. */
export async function retryAsRow(
  thread: Client,
  id: string,
  error: string,
  nowMs = Date.now(),
): Promise<string> {
  const next = randomUUID();
  await thread.query(
    `INSERT INTO good_jobs (id, active_job_id, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
     SELECT $1, active_job_id, queue_name, priority, jsonb_set(serialized_params, '{executions}', '1'), $3, $3, $3 FROM good_jobs WHERE id = $2`,
    [next, id, utc(nowMs)],
  );
  await thread.query(
    'UPDATE good_jobs SET finished_at = $2, error = $3, retried_good_job_id = $4 WHERE id = $1',
    [...[id, utc(nowMs), error, next]],
  );
  await thread.query('SELECT pg_advisory_unlock_all()');
  return next;
}

export async function pause(
  db: Client,
  pauses: { queues?: string[]; job_classes?: string[]; labels?: string[] },
): Promise<void> {
  await db.query(
    `INSERT INTO good_job_settings (key, value, created_at, updated_at) VALUES ('pauses', $1, now(), now())
     ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    [{ queues: [], job_classes: [], labels: [], ...pauses }],
  );
}
