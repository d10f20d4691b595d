// What Rails processes do to Solid Queue's tables, by the statements they send: enqueue, dispatch, claim, finish, fail, retry, release.
// Times are written by the application, in UTC.

export interface SolidQueueDb {
  /** Runs a statement; `?` stands for a value. Yields its rows. */
  query: (sql: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>;
}

export interface NewJob {
  queue: string;
  className?: string;
  priority?: number;
  /** Seconds from now; absent: at once. */
  inS?: number;
  concurrencyKey?: string;
  /** Already held by another job. */
  isBlocked?: boolean;
  activeJobId?: string;
  arguments?: unknown;
  executions?: number;
}

/** A time as Rails writes it. */
export const utc = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace('Z', '');

/** Writes the job and its execution, as after_create does. Yields the job's id. */
export async function enqueue(db: SolidQueueDb, job: NewJob, nowMs = Date.now()): Promise<number> {
  const {
    queue,
    className = 'MailJob',
    priority = 0,
    inS,
    concurrencyKey = null,
    activeJobId = 'aj-1',
  } = job;
  const now = utc(nowMs);
  const at = utc(nowMs + (inS ?? 0) * 1000);
  const args = { job_class: className, arguments: job.arguments ?? [], executions: job.executions ?? 0 };
  const values = [
    queue,
    className,
    JSON.stringify(args),
    priority,
    activeJobId,
    at,
    concurrencyKey,
    now,
    now,
  ];
  const [row] = await db.query(
    `INSERT INTO solid_queue_jobs (queue_name, class_name, arguments, priority, active_job_id, scheduled_at, concurrency_key, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
    values,
  );
  const id = Number(row?.['id']);
  if (inS !== undefined && inS > 0) {
    await db.query(
      'INSERT INTO solid_queue_scheduled_executions (job_id, queue_name, priority, scheduled_at, created_at) VALUES (?, ?, ?, ?, ?)',
      [id, queue, priority, at, now],
    );
  } else if (job.isBlocked === true) {
    await db.query(
      'INSERT INTO solid_queue_blocked_executions (job_id, queue_name, priority, concurrency_key, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?)',
      [id, queue, priority, concurrencyKey, utc(nowMs + 180_000), now],
    );
  } else await ready(db, id, nowMs);
  return id;
}

async function ready(db: SolidQueueDb, jobId: number, nowMs: number): Promise<void> {
  const [job] = await db.query('SELECT queue_name, priority FROM solid_queue_jobs WHERE id = ?', [jobId]);
  await db.query(
    'INSERT INTO solid_queue_ready_executions (job_id, queue_name, priority, created_at) VALUES (?, ?, ?, ?)',
    [jobId, job?.['queue_name'], job?.['priority'], utc(nowMs)],
  );
}

/** A dispatcher moves what is due. */
export async function dispatch(db: SolidQueueDb, nowMs = Date.now()): Promise<number> {
  const due = await db.query(
    'SELECT job_id FROM solid_queue_scheduled_executions WHERE scheduled_at <= ? ORDER BY scheduled_at ASC, priority ASC, job_id ASC LIMIT 500 FOR UPDATE SKIP LOCKED',
    [utc(nowMs)],
  );
  for (const { job_id } of due) {
    await ready(db, Number(job_id), nowMs);
    await db.query('DELETE FROM solid_queue_scheduled_executions WHERE job_id = ?', [job_id]);
  }
  return due.length;
}

export async function startProcess(
  db: SolidQueueDb,
  process: { kind?: string; name: string | null; threads?: number; beatAgoS?: number },
): Promise<number> {
  const { kind = 'Worker', name, threads = 3, beatAgoS = 0 } = process;
  const metadata = JSON.stringify({ polling_interval: 0.1, queues: '*', thread_pool_size: threads });
  const named = name === null ? ['', ''] : [', name', ', ?'];
  const [row] = await db.query(
    `INSERT INTO solid_queue_processes (kind, last_heartbeat_at, pid, hostname, metadata, created_at${named[0]}) VALUES (?, ?, ?, ?, ?, ?${named[1]}) RETURNING id`,
    [kind, utc(Date.now() - beatAgoS * 1000), 4242, 'web-1', metadata, utc(Date.now())].concat(
      name === null ? [] : [name],
    ),
  );
  return Number(row?.['id']);
}

/** A worker claims the first jobs of a queue. */
export async function claim(
  db: SolidQueueDb,
  processId: number,
  queue: string,
  limit = 1,
  nowMs = Date.now(),
) {
  const found = await db.query(
    `SELECT id, job_id FROM solid_queue_ready_executions WHERE queue_name = ? ORDER BY priority ASC, job_id ASC LIMIT ${limit} FOR UPDATE SKIP LOCKED`,
    [queue],
  );
  for (const { id, job_id } of found) {
    await db.query(
      'INSERT INTO solid_queue_claimed_executions (job_id, process_id, created_at) VALUES (?, ?, ?)',
      [job_id, processId, utc(nowMs)],
    );
    await db.query('DELETE FROM solid_queue_ready_executions WHERE id = ?', [id]);
  }
  return found.map(({ job_id }) => Number(job_id));
}

export async function finish(db: SolidQueueDb, jobId: number, nowMs = Date.now()): Promise<void> {
  const now = utc(nowMs);
  await db.query('UPDATE solid_queue_jobs SET finished_at = ?, updated_at = ? WHERE id = ?', [
    now,
    now,
    jobId,
  ]);
  await db.query('DELETE FROM solid_queue_claimed_executions WHERE job_id = ?', [jobId]);
}

export async function fail(
  db: SolidQueueDb,
  jobId: number,
  message: string,
  nowMs = Date.now(),
): Promise<void> {
  const error = {
    exception_class: 'RuntimeError',
    message,
    backtrace: Array(40).fill('app/jobs/mail_job.rb:3'),
  };
  await db.query('INSERT INTO solid_queue_failed_executions (job_id, error, created_at) VALUES (?, ?, ?)', [
    jobId,
    JSON.stringify(error),
    utc(nowMs),
  ]);
  await db.query('DELETE FROM solid_queue_claimed_executions WHERE job_id = ?', [jobId]);
}

/** A failed job is run again. */
export async function retry(db: SolidQueueDb, jobId: number, nowMs = Date.now()): Promise<void> {
  await ready(db, jobId, nowMs);
  await db.query('DELETE FROM solid_queue_failed_executions WHERE job_id = ?', [jobId]);
}

/** A worker that stops gives its claims back. */
export async function release(db: SolidQueueDb, jobId: number, nowMs = Date.now()): Promise<void> {
  await ready(db, jobId, nowMs);
  await db.query('DELETE FROM solid_queue_claimed_executions WHERE job_id = ?', [jobId]);
}

export async function pause(db: SolidQueueDb, queue: string): Promise<void> {
  await db.query('INSERT INTO solid_queue_pauses (queue_name, created_at) VALUES (?, ?)', [
    queue,
    utc(Date.now()),
  ]);
}
