// What the columns of a table of jobs are for, by their names and types. Pure.
import { snakeCase } from './state-words.ts';

export interface NamedColumn {
  name: string;
  /** As the database writes it: "timestamp with time zone", "varchar(20)". */
  type: string;
}

export type Role =
  | 'state'
  | 'tenant'
  | 'queue'
  | 'kind'
  | 'createdAt'
  | 'readyAt'
  | 'startedAt'
  | 'finishedAt'
  | 'failedAt'
  | 'heartbeatAt'
  | 'lockedAt'
  | 'changedAt'
  | 'lockedBy'
  | 'attempts'
  | 'maxAttempts'
  | 'priority'
  | 'batch'
  | 'error'
  | 'payload';

export type TypeClass = 'time' | 'number' | 'flag' | 'text' | 'document' | 'other';

/** Types of PostgreSQL, MySQL and MariaDB alike; an enum's own name counts as text. */
export function classOf(type: string, isEnum = false): TypeClass {
  const bare = type.toLowerCase();
  if (isEnum) return 'text';
  if (/^(timestamp|datetime|date)/.test(bare)) return 'time';
  if (/^(bool|tinyint\(1\)|bit)/.test(bare)) return 'flag';
  if (/^(small|big|tiny|medium)?(int|serial)|^(numeric|decimal|double|real|float)/.test(bare))
    return 'number';
  if (/json|xml|bytea|blob|\[\]$/.test(bare)) return 'document';
  if (/char|text|enum|citext|uuid|binary|name/.test(bare)) return 'text';
  return 'other';
}

/** The first names are the surest. */
const names: Readonly<Record<Role, readonly string[]>> = {
  state: [
    ...['status', 'state', 'job_status', 'job_state', 'task_status', 'task_state', 'queue_status'],
    ...[
      'processing_status',
      'process_status',
      'run_status',
      'execution_status',
      'work_state',
      'stage',
      'phase',
    ],
  ],
  tenant: [
    ...['tenant_id', 'tenant', 'account_id', 'organization_id', 'organisation_id', 'org_id', 'company_id'],
    ...[
      'workspace_id',
      'customer_id',
      'client_id',
      'team_id',
      'project_id',
      'shop_id',
      'store_id',
      'site_id',
    ],
    ...['server_id', 'user_id', 'owner_id', 'member_id', 'merchant_id', 'vendor_id', 'domain_id'],
    ...['account', 'organization', 'customer', 'client', 'username', 'user_name', 'user_uuid', 'tenant_uuid'],
  ],
  queue: ['queue', 'queue_name', 'channel', 'topic', 'lane', 'pool'],
  kind: [
    ...[
      'kind',
      'type',
      'job_type',
      'task_type',
      'job_kind',
      'job_class',
      'class_name',
      'job_name',
      'task_name',
    ],
    ...[
      'job',
      'task',
      'action',
      'operation',
      'event_type',
      'message_type',
      'worker_class',
      'name',
      'category',
    ],
  ],
  createdAt: [
    ...['created_at', 'inserted_at', 'enqueued_at', 'queued_at', 'submitted_at', 'added_at', 'created_on'],
    ...['created', 'date_created', 'creation_date', 'created_date', 'create_time', 'created_time'],
    ...['creation_time', 'received_at', 'requested_at', 'create_date', 'ctime'],
  ],
  readyAt: [
    ...[
      'run_at',
      'scheduled_at',
      'scheduled_for',
      'available_at',
      'start_after',
      'process_after',
      'run_after',
    ],
    ...['not_before', 'next_run_at', 'next_attempt_at', 'next_retry_at', 'retry_at', 'retry_after'],
    ...['visible_at', 'execute_at', 'execute_after', 'due_at', 'perform_at', 'send_at', 'process_at', 'eta'],
  ],
  startedAt: [
    ...['started_at', 'processing_started_at', 'started_on', 'start_time', 'processing_at', 'attempted_at'],
    ...['picked_at', 'picked_up_at', 'begun_at', 'run_started_at', 'started', 'last_attempt_at'],
  ],
  finishedAt: [
    ...['finished_at', 'completed_at', 'ended_at', 'processed_at', 'done_at', 'completed_on', 'finished_on'],
    ...['end_time', 'finalized_at', 'succeeded_at', 'sent_at', 'delivered_at', 'completed', 'finished'],
  ],
  failedAt: ['failed_at', 'expired_at', 'discarded_at', 'died_at', 'dead_at', 'errored_at', 'gave_up_at'],
  heartbeatAt: [
    ...['heartbeat_at', 'last_heartbeat_at', 'last_heartbeat', 'heartbeat', 'heartbeat_on', 'beat_at'],
    ...['alive_at', 'last_seen_at', 'pinged_at', 'keepalive_at'],
  ],
  lockedAt: ['locked_at', 'reserved_at', 'claimed_at', 'leased_at', 'acquired_at', 'taken_at', 'locked_on'],
  changedAt: [
    ...[
      'updated_at',
      'modified_at',
      'updated_on',
      'last_modified',
      'last_updated',
      'changed_at',
      'update_time',
    ],
    ...['updated', 'modified', 'mtime'],
  ],
  lockedBy: [
    ...[
      'locked_by',
      'worker_id',
      'worker',
      'claimed_by',
      'reserved_by',
      'lock_owner',
      'worker_name',
      'leased_by',
    ],
    ...[
      'processor_id',
      'processed_by',
      'picked_by',
      'attempted_by',
      'runner',
      'instance_id',
      'hostname',
      'host',
    ],
  ],
  attempts: [
    ...[
      'attempts',
      'attempt',
      'attempt_count',
      'attempts_made',
      'retry_count',
      'retries',
      'tries',
      'try_count',
    ],
    ...['num_attempts', 'error_count', 'failed_attempts', 'failures', 'executions', 'executions_count'],
  ],
  maxAttempts: [
    ...['max_attempts', 'max_retries', 'attempts_allowed', 'retry_limit', 'max_tries', 'attempts_max'],
    ...['maximum_attempts', 'retries_allowed'],
  ],
  priority: ['priority', 'prio', 'importance', 'urgency'],
  batch: ['batch_id', 'batch', 'batch_uuid', 'workflow_id', 'group_id'],
  error: [
    ...[
      'last_error',
      'error',
      'error_message',
      'last_error_message',
      'error_text',
      'failure_reason',
      'exception',
    ],
    ...['error_msg', 'failed_reason', 'fail_reason', 'failure', 'errors', 'error_details'],
  ],
  payload: [
    ...[
      'payload',
      'args',
      'arguments',
      'data',
      'params',
      'parameters',
      'body',
      'job_data',
      'input',
      'message',
    ],
    ...['content', 'request', 'handler', 'job_args', 'details'],
  ],
};

const classes: Readonly<Record<Role, readonly TypeClass[]>> = {
  state: ['text', 'number', 'other'],
  tenant: ['text', 'number', 'other'],
  queue: ['text', 'other'],
  kind: ['text', 'number', 'other'],
  createdAt: ['time', 'number'],
  readyAt: ['time', 'number'],
  startedAt: ['time', 'number'],
  finishedAt: ['time', 'number'],
  failedAt: ['time', 'number'],
  heartbeatAt: ['time', 'number'],
  lockedAt: ['time', 'number'],
  changedAt: ['time', 'number'],
  lockedBy: ['text', 'number', 'other'],
  attempts: ['number'],
  maxAttempts: ['number'],
  priority: ['number'],
  batch: ['text', 'number', 'other'],
  error: ['text', 'document'],
  payload: ['text', 'document', 'other'],
};

/** Columns that fit a role, the surest first. */
export function columnsFor<C extends NamedColumn & { isEnum?: boolean }>(
  role: Role,
  columns: readonly C[],
): C[] {
  const wanted = names[role];
  const found = columns.flatMap((column) => {
    const word = snakeCase(column.name);
    const at = wanted.indexOf(word);
    const fits = classes[role].includes(classOf(column.type, column.isEnum));
    if (!fits) return [];
    // A number is a moment where it is named so; "retry_after" may be a span.
    if (classes[role][0] === 'time' && classOf(column.type) === 'number' && !/_(at|on|time)$/.test(word))
      return [];
    if (at >= 0) return [{ column, at }];
    // "mail_status", "import_state": said of something, yet a state.
    return role === 'state' && /_(status|state)$/.test(word) ? [{ column, at: wanted.length }] : [];
  });
  return found.sort((a, b) => a.at - b.at).map(({ column }) => column);
}

/** Every name that `columnsFor` knows for a role. */
export const namesOf = (role: Role): readonly string[] => names[role];

/** A flag that is set when the work is done: the state of the simplest tables. */
export const doneFlags = <C extends NamedColumn>(columns: readonly C[]): C[] =>
  columns.filter(
    ({ name, type }) =>
      ['flag', 'number'].includes(classOf(type)) &&
      /^(is_)?(processed|done|completed|finished|handled|sent|executed|delivered)$/.test(snakeCase(name)),
  );
