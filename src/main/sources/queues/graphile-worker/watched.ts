// What health and the index advisor look at: Graphile Worker's tables, its own statements, and Headway's.
import type { WatchedTables } from '../../health/watched-tables.ts';
import * as look from './look-sql.ts';
import * as sql from './sql.ts';

/** `plan`: of the poll. `taskIds`: some of the tasks, as a worker names those it can do. */
export function watchedTables(schema: string, plan: sql.PollPlan, taskIds: readonly number[]): WatchedTables {
  const jobs = sql.table(schema, '_private_jobs');
  const queues = sql.table(schema, '_private_job_queues');
  const claims = { table: jobs, columns: ['priority', 'run_at'], where: 'is_available = true' };
  const unclaimable = { table: jobs, columns: ['locked_at'], where: 'is_available = false' };
  const list = look
    .unavailable(schema, 'locked')
    .replaceAll(/\$[123]/g, 'NULL')
    .replaceAll('$4', '101');
  return {
    tables: [jobs, queues, sql.table(schema, '_private_tasks')],
    statements: [
      {
        name: 'The claim of Graphile Worker',
        sql: `SELECT jobs.job_queue_id, jobs.priority, jobs.run_at, jobs.id FROM ${jobs} AS jobs
    WHERE jobs.is_available = true AND run_at <= now() AND task_id = ANY('{${taskIds.join(',')}}'::int[])
      AND (jobs.job_queue_id IS NULL OR jobs.job_queue_id IN (
        SELECT id FROM ${queues} AS job_queues WHERE job_queues.is_available = true FOR UPDATE SKIP LOCKED))
    ORDER BY priority ASC, run_at ASC LIMIT 1 FOR UPDATE SKIP LOCKED`,
        wants: [{ ...claims, why: 'A claim sorts every job that is ready.' }],
      },
      {
        name: 'What Graphile Worker frees after 4 hours',
        sql: `UPDATE ${jobs} SET locked_at = NULL, locked_by = NULL, run_at = greatest(run_at, now()) WHERE locked_at < now() - interval '4 hours'`,
        wants: [
          {
            table: jobs,
            columns: ['locked_at'],
            where: 'locked_at IS NOT NULL',
            why: 'Every 8 to 10 minutes the whole table is read for a few old locks.',
          },
        ],
      },
      {
        name: 'Headway’s poll',
        own: true,
        sql: sql.poll(schema, plan),
        wants: [
          { ...claims, why: 'A poll reads every job that is ready.' },
          { ...unclaimable, why: 'Running and dead jobs of a large table are not found.' },
          {
            table: jobs,
            columns: ['task_id', 'run_at'],
            where: 'is_available = true',
            why: 'Tasks behind the first ready jobs are not seen, and counts are "at least".',
          },
        ],
      },
      {
        name: 'Headway’s list of running jobs',
        own: true,
        sql: list,
        wants: [{ ...unclaimable, why: 'A page reads the whole table.' }],
      },
    ],
  };
}
