// By which tables and columns each queue system is known. Facts of their schemas: migrations of Queen 0.15, pg-boss 12 (schema
// version 43), Graphile Worker 0.17 (migration 19), BullMQ 6 (migration 11), River 0.43, Oban 2.23, Solid Queue 1.5, GoodJob 4,
// Postal 3.3, and Headway's own stores.
import type { DetectedQueue } from '../../../contract/detection.ts';
import type { DatabaseType } from '../../../contract/queue-systems.ts';

/** Columns by table. */
type Tables = Readonly<Record<string, readonly string[]>>;

export interface Signature {
  system: Exclude<DetectedQueue['system'], 'jobs-table'>;
  /** Where it is not the system's usual form. */
  variant?: string;
  /** As its makers write it. */
  name: string;
  database: readonly DatabaseType[];
  /** Any of these tables, with these columns, tells that it is there, whole or not. */
  marks: readonly Tables[];
  /** What a reader needs. */
  needed: Tables;
  /** Tables that it has since a version. */
  since?: Readonly<Record<string, number>>;
  /** Where it keeps its version; `read` is the expression that tells it, null where the table's comment does. */
  version: { table: string; read: string | null; word: string; oldest?: number; newest?: number } | null;
  /** Whether all tables of its schema are its own. */
  ownsSchema: boolean;
  /** Tables that are its own where it shares a schema. */
  prefix?: string;
  /** Other tables of its own, where it has no schema to itself. */
  alsoOwn?: readonly string[];
  /** What keeps any of this form from being read. */
  problem?: string;
  /** A table that only another form has. */
  unless?: string;
}

const queenTables = {
  queues: ['id', 'name'],
  partitions: ['id', 'queue_id', 'name'],
  messages: ['id', 'partition_id', 'created_at'],
};

export const signatures: readonly Signature[] = [
  {
    system: 'postal',
    name: 'Postal',
    database: ['mysql'],
    marks: [{ queued_messages: ['server_id', 'locked_by', 'retry_after'] }],
    needed: {
      queued_messages: ['id', 'server_id', 'locked_by', 'locked_at', 'retry_after', 'created_at'],
      servers: ['id', 'organization_id', 'name', 'permalink', 'deleted_at'],
    },
    version: null,
    ownsSchema: true,
    alsoOwn: ['webhook_requests', 'scheduled_tasks', 'worker_roles', 'domains', 'ip_pools'],
  },
  {
    system: 'engine',
    name: "Headway's engine",
    database: ['mysql'],
    marks: [{ headway_store: ['signature', 'version'] }, { headway_lane: ['tenant_id', 'n_ready'] }],
    needed: {
      headway_store: ['signature', 'version'],
      headway_lane: ['id', 'tenant_id', 'kind'],
      headway_job: ['id', 'lane_id', 'state', 'ready_at'],
      headway_hold: ['tenant_id', 'kind', 'mode'],
      headway_owner: ['id', 'beat_at'],
    },
    version: { table: 'headway_store', read: 'MAX(version)', word: 'store version' },
    ownsSchema: false,
    prefix: 'headway_',
  },
  {
    system: 'engine',
    name: "Headway's engine",
    database: ['postgres'],
    marks: [{ parked: ['on_dead_parent', 'rank'] }, { lease: ['claimed_at', 'open', 'ids'] }],
    needed: {
      about: ['product', 'version'],
      job: ['id', 'tenant_id', 'kind', 'rank', 'ready_at'],
      parked: ['id', 'tenant_id', 'state', 'on_dead_parent'],
      lease: ['id', 'owner', 'claimed_at', 'ids'],
      tenant: ['id', 'ready'],
      hold: ['tenant_id', 'kind', 'mode'],
      owner: ['id', 'beat_at'],
    },
    version: { table: 'about', read: 'max(version)', word: 'store version' },
    ownsSchema: true,
  },
  {
    system: 'queen',
    name: 'Queen',
    database: ['postgres'],
    marks: [
      { partition_consumers: ['last_consumed_id', 'lease_expires_at'] },
      { partition_lookup: ['last_message_id'] },
    ],
    needed: {
      ...queenTables,
      partition_consumers: [
        ...['partition_id', 'consumer_group', 'last_consumed_id', 'last_consumed_created_at'],
        ...['lease_expires_at', 'worker_id'],
      ],
      dead_letter_queue: ['partition_id', 'consumer_group'],
    },
    version: null,
    ownsSchema: true,
  },
  {
    system: 'queen',
    variant: 'schema of 2025',
    name: 'Queen',
    database: ['postgres'],
    marks: [{ messages_status: ['message_id', 'consumer_group', 'status'] }],
    needed: {
      ...queenTables,
      messages_status: ['message_id', 'consumer_group', 'status'],
      partition_leases: ['partition_id', 'consumer_group', 'lease_expires_at'],
    },
    version: null,
    ownsSchema: true,
  },
  {
    system: 'pg-boss',
    name: 'pg-boss',
    database: ['postgres'],
    marks: [{ job: ['start_after', 'singleton_key'] }, { job: ['startafter', 'singletonkey'] }],
    needed: {
      version: ['version'],
      queue: ['name'],
      job: ['name', 'state', 'priority', 'created_on', 'start_after', 'started_on', 'completed_on'],
    },
    version: { table: 'version', read: 'max(version)', word: 'schema version', oldest: 21, newest: 43 },
    ownsSchema: true,
  },
  {
    system: 'graphile-worker',
    name: 'Graphile Worker',
    database: ['postgres'],
    marks: [{ _private_jobs: ['task_id', 'is_available'] }, { _private_tasks: ['identifier'] }],
    needed: {
      _private_jobs: [
        ...['id', 'job_queue_id', 'task_id', 'priority', 'run_at', 'attempts', 'max_attempts'],
        ...['created_at', 'locked_at', 'locked_by', 'is_available'],
      ],
      _private_job_queues: ['id', 'is_available'],
      _private_tasks: ['id', 'identifier'],
    },
    version: { table: 'migrations', read: 'max(id)', word: 'migration', newest: 19 },
    ownsSchema: true,
  },
  {
    system: 'graphile-worker',
    variant: 'before 0.16',
    name: 'Graphile Worker',
    database: ['postgres'],
    marks: [{ jobs: ['task_identifier', 'job_key', 'run_at', 'queue_name'] }],
    needed: { jobs: ['task_identifier'] },
    version: { table: 'migrations', read: 'max(id)', word: 'migration' },
    ownsSchema: true,
    unless: '_private_jobs',
    problem: 'It is older than Graphile Worker 0.16, the first that Headway reads. Update Graphile Worker.',
  },
  {
    system: 'bullmq',
    name: 'BullMQ',
    database: ['postgres'],
    marks: [{ job: ['lock_token', 'process_at_ms', 'attempts_made'] }],
    needed: {
      job: [
        ...['queue', 'id', 'seq', 'state', 'priority', 'added_at_ms', 'process_at_ms', 'processed_at_ms'],
        ...['finished_at_ms', 'lock_token', 'locked_until_ms', 'attempts_made', 'max_attempts'],
      ],
      meta: ['queue', 'field', 'value'],
      migration: ['version'],
    },
    version: { table: 'migration', read: 'max(version)', word: 'migration', newest: 11 },
    ownsSchema: true,
  },
  {
    system: 'river',
    name: 'River',
    database: ['postgres'],
    marks: [{ river_job: ['scheduled_at', 'attempted_by'] }, { river_queue: ['paused_at'] }],
    needed: {
      river_job: [
        ...['id', 'state', 'queue', 'kind', 'priority', 'attempt', 'max_attempts', 'created_at'],
        ...['scheduled_at', 'attempted_at', 'attempted_by', 'finalized_at'],
      ],
    },
    since: { river_queue: 4 },
    version: {
      table: 'river_migration',
      // River Pro's migrations are lines of their own; before version 5 there was no column of lines.
      read: "max(version) FILTER (WHERE coalesce(to_jsonb(river_migration) ->> 'line', 'main') = 'main')",
      word: 'migration',
      newest: 8,
    },
    ownsSchema: false,
    prefix: 'river_',
  },
  {
    system: 'oban',
    name: 'Oban',
    database: ['postgres'],
    marks: [{ oban_jobs: ['worker', 'attempted_at'] }],
    needed: {
      oban_jobs: [
        ...['id', 'state', 'queue', 'worker', 'priority', 'attempt', 'max_attempts', 'inserted_at'],
        ...['scheduled_at', 'attempted_at', 'attempted_by', 'completed_at', 'discarded_at', 'cancelled_at'],
      ],
    },
    version: { table: 'oban_jobs', read: null, word: 'migration', oldest: 10, newest: 15 },
    ownsSchema: false,
    prefix: 'oban_',
  },
  {
    system: 'solid-queue',
    name: 'Solid Queue',
    database: ['postgres', 'mysql'],
    marks: [
      { solid_queue_jobs: ['queue_name', 'class_name'] },
      { solid_queue_ready_executions: ['job_id', 'queue_name'] },
    ],
    needed: {
      solid_queue_jobs: ['id', 'queue_name', 'class_name', 'priority', 'finished_at', 'created_at'],
      solid_queue_ready_executions: ['job_id', 'queue_name', 'priority', 'created_at'],
      solid_queue_claimed_executions: ['job_id', 'process_id', 'created_at'],
      solid_queue_scheduled_executions: ['job_id', 'queue_name', 'scheduled_at'],
      solid_queue_blocked_executions: ['job_id', 'queue_name', 'concurrency_key', 'expires_at'],
      solid_queue_failed_executions: ['job_id', 'error', 'created_at'],
      solid_queue_processes: ['id', 'last_heartbeat_at'],
      solid_queue_pauses: ['queue_name'],
    },
    version: null,
    ownsSchema: false,
    prefix: 'solid_queue_',
  },
  {
    system: 'good-job',
    name: 'GoodJob',
    database: ['postgres'],
    marks: [{ good_jobs: ['serialized_params', 'scheduled_at'] }],
    needed: {
      good_jobs: [
        ...['id', 'queue_name', 'priority', 'scheduled_at', 'performed_at', 'finished_at', 'error'],
        ...['created_at', 'active_job_id', 'job_class', 'executions_count'],
      ],
      good_job_processes: ['id', 'state', 'updated_at'],
      good_job_settings: ['key', 'value'],
    },
    version: null,
    ownsSchema: false,
    prefix: 'good_job',
  },
];

export const signaturesOf = (database: DatabaseType): Signature[] =>
  signatures.filter((signature) => signature.database.includes(database));

/** Every table that a signature names, its version's among them. */
export function signatureTables(database: DatabaseType): string[] {
  const names = signaturesOf(database).flatMap(({ marks, needed, since = {}, version }) => [
    ...marks.flatMap(Object.keys),
    ...Object.keys(needed),
    ...Object.keys(since),
    ...(version === null ? [] : [version.table]),
  ]);
  return [...new Set(names)];
}
