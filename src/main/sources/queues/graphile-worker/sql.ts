// Every statement the Graphile Worker source runs, with the index each walks. All are reads, and what one costs
// depends on the number of tasks and priorities, never on the number of jobs.
import { escapeLiteral } from 'pg';
import { quotePgName } from '../../postgres-errors.ts';

/** The columns needed, by table. */
export const NEEDED_COLUMNS = {
  _private_jobs: [
    ...['id', 'job_queue_id', 'task_id', 'priority', 'run_at', 'attempts', 'max_attempts'],
    ...['created_at', 'updated_at', 'locked_at', 'locked_by', 'is_available', 'last_error', 'payload'],
  ],
  _private_job_queues: ['id', 'queue_name', 'is_available'],
  _private_tasks: ['id', 'identifier'],
} as const;

/** Jobs that one walk reads at most; shared among the priorities, or the tasks, that have some. */
export const WALK = 2_000;
/** Where each of many tasks has a head, the walk only tells who stands in front. */
const SHORT_WALK = 500;
/** A head as long as this is deep enough. */
export const DEEP = 201;
/** Jobs of a task that a deeper look reads; whether they are blocked stands in their rows. What lies behind them is estimated. */
export const DEEPER = 40;
/** Priorities walked at most, the first in claim order. */
export const PRIORITIES = 32;
/** Without an index for them, jobs that no worker may claim are sought in a table of so many pages (16 MiB) or fewer. */
export const SCANNED_PAGES = 2_048;

/** Jobs of all heads: 41 tasks get 201 each, 1,000 get 8. */
const HEADS = { inAll: 8_300, most: DEEP, least: 8 };
/** How many jobs a task's head has when `tasks` share them. */
export const headLimit = (tasks: number): number =>
  Math.max(HEADS.least, Math.min(HEADS.most, Math.floor(HEADS.inAll / Math.max(1, tasks))));
/** How many jobs of each priority are walked; `heads`: how long those of the tasks are, if they have any. */
export const walkLimit = (priorities: number, heads: number | null): number =>
  Math.floor((heads !== null && heads < DEEP ? SHORT_WALK : WALK) / Math.max(1, priorities));

/** A table as a statement names it. */
export const table = (schema: string, name: keyof typeof NEEDED_COLUMNS | 'migrations'): string =>
  `${quotePgName(schema)}.${quotePgName(name)}`;

/**
 * The tables and views of a schema ($1): whether a reader's row-level security hides rows (no policy that shows
 * all applies to this account), and the columns of each. Walks: the catalogue's own indexes.
 */
export const relations = `
  SELECT c.relname AS name,
         row_security_active(c.oid) AND NOT (
           EXISTS (SELECT FROM pg_policy p
                    WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
                      AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                      AND EXISTS (SELECT FROM unnest(p.polroles) role
                                   WHERE CASE role WHEN 0 THEN true ELSE pg_has_role(role, 'USAGE') END))
           AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)
         ) AS hidden,
         has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
         ARRAY(SELECT a.attname::text FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v')`;

/** Usable indexes of the jobs ($1: schema): leading columns and condition. Walks: the catalogue's own indexes. */
export const indexes = `
  SELECT pg_get_indexdef(i.indexrelid, 1, true) AS first,
         CASE WHEN i.indnkeyatts > 1 THEN pg_get_indexdef(i.indexrelid, 2, true) END AS second,
         pg_get_expr(i.indpred, i.indrelid) AS condition
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = '_private_jobs' AND i.indisvalid`;

/** The names of the schema's functions ($1). Walks: the catalogue's own indexes. */
export const functions = `
  SELECT DISTINCT p.proname AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1`;

/** Whether this account may change jobs and named queues. */
export const writable = (schema: string): string => `
  SELECT bool_and(has_table_privilege(name::regclass, 'UPDATE') AND has_table_privilege(name::regclass, 'DELETE')) AS writable
    FROM unnest(ARRAY[${['_private_jobs', '_private_job_queues']
      .map((name) => escapeLiteral(`${quotePgName(schema)}.${name}`).trim())
      .join(', ')}]) name`;

/** The newest migration. Walks: the primary key of migrations. */
export const schemaVersion = (schema: string): string =>
  `SELECT max(id) AS version FROM ${table(schema, 'migrations')}`;

/** Walks: all of _private_tasks, one row for each kind of job. */
export const tasks = (schema: string): string =>
  `SELECT identifier FROM ${table(schema, '_private_tasks')} ORDER BY id`;

/** Some of the tasks. Walks: the primary key. */
export const someTasks = (schema: string): string =>
  `SELECT id FROM ${table(schema, '_private_tasks')} ORDER BY id LIMIT 10`;

/**
 * What the next statement's bounds depend on: the priorities of available jobs in claim order (one more than are
 * walked), the pages of the table, and the number of tasks. Walks: jobs_main_index, one entry a priority, skipping.
 */
export const extent = (schema: string): string => {
  const jobs = table(schema, '_private_jobs');
  return `
  WITH RECURSIVE walk (priority, nth) AS (
    (SELECT priority, 1 FROM ${jobs} WHERE is_available = true ORDER BY priority, run_at LIMIT 1)
    UNION ALL
    SELECT (SELECT j.priority
              FROM ${jobs} j
             WHERE j.is_available = true AND j.priority > walk.priority
             ORDER BY j.priority, j.run_at
             LIMIT 1),
           nth + 1
      FROM walk
     WHERE priority IS NOT NULL AND nth <= ${PRIORITIES}
  )
  SELECT ARRAY(SELECT priority::int FROM walk WHERE priority IS NOT NULL ORDER BY priority) AS priorities,
         pg_relation_size($1::regclass)::float8 / current_setting('block_size')::float8 AS pages,
         (SELECT count(*) FROM ${table(schema, '_private_tasks')})::float8 AS tasks`;
};

/** How one poll reads. */
export interface PollPlan {
  /** Priorities to walk, ascending. */
  priorities: readonly number[];
  /** Jobs of each priority. */
  walkLimit: number;
  /** Jobs of each task's head; null without an index by task. */
  headLimit: number | null;
  /** Whether all jobs that nobody may claim (running and dead ones) are sought, or only those among the lowest ids. */
  unavailable: 'all' | 'lowest-ids';
}

const JOB = 'id, task_id, job_queue_id, priority, run_at, created_at';
const ms = (time: string) => `date_part('epoch', ${time}) * 1000`;

type When = 'due' | 'later';

/**
 * The jobs of one priority or task, as a range of its index. Compared as rows, not column by column: of a column
 * without statistics PostgreSQL takes one value for rare, and would rather sort all of its jobs than walk some of
 * them (57,000 blocks instead of 2,000 at 300,000 jobs). A job that waits for ever runs at 'infinity'.
 */
const range = (column: string, value: string, when: When): string =>
  when === 'due'
    ? `(${column}, run_at) >= (${value}, timestamptz '-infinity') AND (${column}, run_at) <= (${value}, now())`
    : `(${column}, run_at) > (${value}, now()) AND (${column}, run_at) <= (${value}, timestamptz 'infinity')`;

/**
 * Everything of one poll in one snapshot, as one row of JSON (rows.ts): of thousands of small rows each costs the client more than
 * it costs the server to find it. Walks: of jobs_main_index the first
 * entries of each priority that are due, and the first that are not; with an index by task the same of each task.
 * No order by id: jobs added together share their run time, and sorting those would read all of them. Unclaimable
 * jobs: the index by locked_at, where running ones come first and dead ones last, or a scan of a small table, or
 * the first entries of the primary key. Tasks: all, being few. Queues: their primary key, or all of them where that is less.
 *
 * The clock is read after the snapshot was taken, as PostgreSQL takes it before it executes anything: no row lies
 * in its future.
 */
export const poll = (schema: string, plan: PollPlan): string => {
  const jobs = table(schema, '_private_jobs');
  const tasks = table(schema, '_private_tasks');
  const priorities = plan.priorities.length === 0 ? [0] : plan.priorities;
  const eachPriority = (columns: string, when: When) =>
    priorities.map(
      (priority) => `
    (SELECT ${columns}
       FROM ${jobs}
      WHERE is_available = true AND ${range('priority', `'${priority}'::smallint`, when)}
      ORDER BY priority, run_at
      LIMIT ${plan.walkLimit})`,
    );
  const eachTask = (columns: string, when: When) => `
    SELECT job.*
      FROM ${tasks} task
     CROSS JOIN LATERAL (
       SELECT ${columns}
         FROM ${jobs}
        WHERE is_available = true AND ${range('task_id', 'task.id', when)}
        ORDER BY task_id, run_at
        LIMIT ${plan.headLimit}) job`;
  const due = eachPriority(`0 AS head, ${JOB}`, 'due');
  if (plan.headLimit !== null) due.push(eachTask(`1 AS head, ${JOB}`, 'due'));
  const later =
    plan.headLimit === null
      ? eachPriority('task_id, priority', 'later').join(' UNION ALL')
      : eachTask('task_id, NULL::int AS priority', 'later');
  const unavailable =
    plan.unavailable === 'all'
      ? `SELECT task_id, locked_at, locked_by FROM ${jobs}
          WHERE is_available = false ORDER BY locked_at LIMIT ${WALK + 1}`
      : `SELECT task_id, locked_at, locked_by
           FROM (SELECT task_id, locked_at, locked_by, is_available FROM ${jobs} ORDER BY id LIMIT ${WALK}) lowest
          WHERE is_available = false ORDER BY locked_at`;
  return `
  WITH due AS (${due.join(' UNION ALL')}), later AS (${later}), unavailable AS (${unavailable})
  SELECT ${ms('clock_timestamp()')} AS at_ms,
         ${listed('json_build_array(id, identifier)', tasks)} AS tasks,
         (SELECT coalesce(array_to_json(array_agg(ARRAY[
                   due.head, due.id, due.task_id, due.priority, ${ms("greatest(due.run_at, 'epoch')")}, ${ms('due.created_at')},
                   CASE WHEN due.job_queue_id IS NOT NULL AND queue.is_available IS NOT TRUE THEN 1 ELSE 0 END]::float8[])), '[]')
            FROM due
            LEFT JOIN ${table(schema, '_private_job_queues')} queue ON queue.id = due.job_queue_id) AS due,
         ${listed('json_build_array(task_id, priority, count)', '(SELECT task_id, priority, count(*) FROM later GROUP BY task_id, priority) counted')} AS later,
         ${listed(
           `json_build_array(task_id, CASE WHEN locked_at IS NOT NULL THEN ${ms('least(locked_at, clock_timestamp())')} END, locked_by)`,
           'unavailable',
         )} AS unavailable`;
};

const listed = (item: string, from: string): string =>
  `(SELECT coalesce(json_agg(${item}), '[]') FROM ${from})`;

/**
 * Jobs of some tasks ($1: ids), deeper: how many are due and of those nobody's queue blocks, and how many are not due yet. Walks: the index by
 * task, DEEPER entries in both directions from now.
 */
export const deeper = (schema: string): string => {
  const jobs = table(schema, '_private_jobs');
  const read = (columns: string, when: When) => `
    SELECT ${columns} FROM ${jobs} WHERE is_available = true AND ${range('task_id', 'task.id', when)} ORDER BY task_id, run_at LIMIT ${DEEPER}`;
  return `
  SELECT task.id, due.seen, due.ready, later.count AS later
    FROM unnest($1::int[]) task (id)
   CROSS JOIN LATERAL (
    SELECT count(*)::int AS seen, (count(*) FILTER (WHERE job.job_queue_id IS NULL OR queue.is_available))::int AS ready
      FROM (${read('job_queue_id', 'due')}) job
      LEFT JOIN ${table(schema, '_private_job_queues')} queue ON queue.id = job.job_queue_id) due
   CROSS JOIN LATERAL (SELECT count(*)::int AS count FROM (${read('', 'later')}) job) later`;
};

/** Jobs of a task for the optimiser to estimate. */
export const jobsOf = (schema: string, taskId: number, when: When): string =>
  `SELECT 1 FROM ${table(schema, '_private_jobs')}
    WHERE is_available = true AND task_id = ${taskId} AND run_at ${when === 'due' ? '<=' : '>'} now()`;

/** The index with which running and dead jobs are found in a table of any size. */
export const unavailableIndex = (schema: string): string =>
  `CREATE INDEX CONCURRENTLY ON ${table(schema, '_private_jobs')} (locked_at) WHERE is_available = false`;

/** The index with which each task's jobs are found behind any number of others. */
export const taskIndex = (schema: string): string =>
  `CREATE INDEX CONCURRENTLY ON ${table(schema, '_private_jobs')} (task_id, run_at) WHERE is_available = true`;

/** Graphile Worker's own, which its claims need as much. */
export const claimIndex = (schema: string): string =>
  `CREATE INDEX CONCURRENTLY ON ${table(schema, '_private_jobs')} (priority, run_at) INCLUDE (id, task_id, job_queue_id) WHERE is_available = true`;
