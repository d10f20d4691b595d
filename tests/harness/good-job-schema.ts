// GoodJob's tables as facts: those of its newest known schema (4.x), and those of 3.x, where a retry was a new row of good_jobs.

/** `newest`: 4.x with lock types and the indexes of its last migrations; `legacy`: 3.20, before processes held jobs. */
export type GoodJobGeneration = 'newest' | 'legacy';

const stamps = 'created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL';
const unfinished = 'WHERE finished_at IS NULL';
const unlocked = 'WHERE finished_at IS NULL AND locked_by_id IS NULL';

/** Statements that make the tables in `schema`. */
export function goodJobSchema(generation: GoodJobGeneration, schema = 'public'): string[] {
  const newest = generation === 'newest';
  const name = (table: string) => `"${schema.replaceAll('"', '""')}".${table}`;
  const jobs = name('good_jobs');
  const executions = name('good_job_executions');
  return [
    `CREATE TABLE ${jobs} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_name text, priority integer, serialized_params jsonb,
       scheduled_at timestamp(6), performed_at timestamp(6), finished_at timestamp(6), error text, ${stamps}, active_job_id uuid,
       concurrency_key text, cron_key text, retried_good_job_id uuid, cron_at timestamp(6), batch_id uuid, batch_callback_id uuid,
       is_discrete boolean, executions_count integer, job_class text, error_event smallint
       ${newest ? ', labels text[], locked_by_id uuid, locked_at timestamp(6), lock_type smallint' : ''})`,
    `CREATE TABLE ${name('good_job_batches')} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), ${stamps}, description text,
       serialized_properties jsonb, on_finish text, on_success text, on_discard text, callback_queue_name text, callback_priority integer,
       enqueued_at timestamp(6), discarded_at timestamp(6), finished_at timestamp(6) ${newest ? ', jobs_finished_at timestamp(6)' : ''})`,
    `CREATE TABLE ${executions} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), ${stamps}, active_job_id uuid NOT NULL, job_class text,
       queue_name text, serialized_params jsonb, scheduled_at timestamp(6), finished_at timestamp(6), error text, error_event smallint
       ${newest ? ', error_backtrace text[], process_id uuid, duration interval' : ''})`,
    `CREATE TABLE ${name('good_job_processes')} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), ${stamps}, state jsonb
       ${newest ? ', lock_type smallint' : ''})`,
    `CREATE TABLE ${name('good_job_settings')} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), ${stamps}, key text, value jsonb)`,
    `CREATE UNIQUE INDEX index_good_job_settings_on_key ON ${name('good_job_settings')} (key)`,
    `CREATE INDEX index_good_jobs_on_scheduled_at ON ${jobs} (scheduled_at) ${unfinished}`,
    `CREATE INDEX index_good_jobs_on_active_job_id_and_created_at ON ${jobs} (active_job_id, created_at)`,
    `CREATE INDEX index_good_jobs_on_concurrency_key_when_unfinished ON ${jobs} (concurrency_key) ${unfinished}`,
    `CREATE INDEX index_good_job_executions_on_active_job_id_and_created_at ON ${executions} (active_job_id, created_at)`,
    ...(newest
      ? [
          `CREATE INDEX index_good_jobs_on_queue_name_priority_scheduled_at_unfinished ON ${jobs} (queue_name, scheduled_at, id) ${unfinished}`,
          `CREATE INDEX index_good_jobs_on_queue_name ON ${jobs} (queue_name)`,
          `CREATE INDEX index_good_jobs_on_locked_by_id ON ${jobs} (locked_by_id) WHERE locked_by_id IS NOT NULL`,
          `CREATE INDEX index_good_jobs_on_discarded ON ${jobs} (finished_at DESC) WHERE finished_at IS NOT NULL AND error IS NOT NULL`,
          `CREATE INDEX index_good_jobs_jobs_on_finished_at_only ON ${jobs} (finished_at) WHERE finished_at IS NOT NULL`,
          `CREATE INDEX index_good_job_jobs_for_candidate_lookup ON ${jobs} (priority, created_at) ${unfinished}`,
          `CREATE INDEX index_good_jobs_for_candidate_dequeue_unlocked ON ${jobs} (priority, scheduled_at, id) ${unlocked}`,
          `CREATE INDEX index_good_jobs_dequeue_by_queue ON ${jobs} (queue_name, priority, created_at) ${unlocked}`,
          `CREATE INDEX index_good_jobs_on_job_class ON ${jobs} (job_class)`,
          `CREATE INDEX index_good_job_executions_on_process_id_and_created_at ON ${executions} (process_id, created_at)`,
        ]
      : [
          `CREATE INDEX index_good_jobs_on_queue_name_and_scheduled_at ON ${jobs} (queue_name, scheduled_at) ${unfinished}`,
          `CREATE INDEX index_good_jobs_jobs_on_finished_at ON ${jobs} (finished_at) WHERE retried_good_job_id IS NULL AND finished_at IS NOT NULL`,
          `CREATE INDEX index_good_jobs_jobs_on_priority_created_at_when_unfinished ON ${jobs} (priority DESC NULLS LAST, created_at) ${unfinished}`,
        ]),
  ];
}
