// Queen's tables on PostgreSQL: those of 0.15, and those of 2025 before consumers had cursors. Columns, types and indexes are
// facts of its schema; what Headway never looks at (traces, metrics, statistics) is left out.
import type { Client } from 'pg';
import { z } from 'zod';

/** What consumers without a group of their own are called. */
export const QUEUE_MODE = '__QUEUE_MODE__';
const NO_MESSAGE = '00000000-0000-0000-0000-000000000000';

const queuesAndPartitions = `
  CREATE TABLE queen.queues (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar(255) UNIQUE NOT NULL, namespace varchar(255), task varchar(255),
    priority int DEFAULT 0, lease_time int DEFAULT 300, retry_limit int DEFAULT 3, retry_delay int DEFAULT 1000, ttl int DEFAULT 3600,
    dead_letter_queue boolean DEFAULT false, dlq_after_max_retries boolean DEFAULT false, delayed_processing int DEFAULT 0,
    window_buffer int DEFAULT 0, retention_seconds int DEFAULT 0, completed_retention_seconds int DEFAULT 0,
    retention_enabled boolean DEFAULT false, encryption_enabled boolean DEFAULT false, max_wait_time_seconds int DEFAULT 0,
    max_queue_size int DEFAULT 0, created_at timestamptz DEFAULT now()
  );
  CREATE TABLE queen.partitions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_id uuid REFERENCES queen.queues ON DELETE CASCADE,
    name varchar(255) NOT NULL DEFAULT 'Default', created_at timestamptz DEFAULT now(), last_activity timestamptz DEFAULT now(),
    UNIQUE (queue_id, name)
  );
  CREATE TABLE queen.messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), transaction_id varchar(255) NOT NULL, trace_id uuid DEFAULT gen_random_uuid(),
    partition_id uuid REFERENCES queen.partitions ON DELETE CASCADE, payload jsonb NOT NULL, created_at timestamptz DEFAULT now(),
    is_encrypted boolean DEFAULT false
  );`;

const current = `
  CREATE SCHEMA queen;
  ${queuesAndPartitions}
  ALTER TABLE queen.messages ADD COLUMN producer_sub text;
  CREATE UNIQUE INDEX messages_partition_transaction_unique ON queen.messages (partition_id, transaction_id);
  CREATE INDEX idx_messages_partition_created ON queen.messages (partition_id, created_at, id);
  CREATE TABLE queen.partition_consumers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), partition_id uuid REFERENCES queen.partitions ON DELETE CASCADE,
    consumer_group varchar(255) DEFAULT '${QUEUE_MODE}', last_consumed_id uuid DEFAULT '${NO_MESSAGE}',
    last_consumed_created_at timestamptz, total_messages_consumed bigint DEFAULT 0, total_batches_consumed bigint DEFAULT 0,
    last_consumed_at timestamptz, lease_expires_at timestamptz, lease_acquired_at timestamptz, message_batch jsonb,
    batch_size int DEFAULT 0, acked_count int DEFAULT 0, worker_id varchar(255), pending_estimate bigint DEFAULT 0,
    last_stats_update timestamptz, batch_retry_count int DEFAULT 0, created_at timestamptz DEFAULT now(),
    UNIQUE (partition_id, consumer_group),
    CHECK ((last_consumed_id = '${NO_MESSAGE}') = (last_consumed_created_at IS NULL))
  );
  CREATE TABLE queen.consumer_groups_metadata (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), consumer_group text NOT NULL, queue_name text NOT NULL DEFAULT '',
    partition_name text NOT NULL DEFAULT '', namespace text NOT NULL DEFAULT '', task text NOT NULL DEFAULT '',
    subscription_mode text NOT NULL, subscription_timestamp timestamptz NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (consumer_group, queue_name, partition_name, namespace, task)
  );
  CREATE INDEX idx_consumer_groups_metadata_lookup
    ON queen.consumer_groups_metadata (consumer_group, queue_name, namespace, task);
  CREATE TABLE queen.consumer_watermarks (
    queue_name varchar(255) NOT NULL, consumer_group varchar(255) NOT NULL DEFAULT '${QUEUE_MODE}',
    last_empty_scan_at timestamptz NOT NULL DEFAULT 'epoch', updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (queue_name, consumer_group)
  );
  CREATE TABLE queen.dead_letter_queue (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), message_id uuid REFERENCES queen.messages ON DELETE CASCADE,
    partition_id uuid REFERENCES queen.partitions ON DELETE CASCADE, consumer_group varchar(255), error_message text,
    retry_count int DEFAULT 0, original_created_at timestamptz, failed_at timestamptz DEFAULT now()
  );
  CREATE INDEX idx_dlq_partition ON queen.dead_letter_queue (partition_id);
  CREATE INDEX idx_dlq_failed_at ON queen.dead_letter_queue (failed_at DESC);
  CREATE INDEX idx_dlq_message_consumer ON queen.dead_letter_queue (message_id, consumer_group);
  CREATE TABLE queen.system_state (key text PRIMARY KEY, value jsonb NOT NULL, updated_at timestamptz DEFAULT now());
  CREATE TABLE queen.partition_lookup (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_name varchar(255) NOT NULL REFERENCES queen.queues (name) ON DELETE CASCADE,
    partition_id uuid NOT NULL REFERENCES queen.partitions ON DELETE CASCADE, last_message_id uuid NOT NULL,
    last_message_created_at timestamptz NOT NULL, updated_at timestamptz DEFAULT now(), UNIQUE (queue_name, partition_id)
  );`;

const of2025 = `
  CREATE SCHEMA queen;
  ${queuesAndPartitions}
  ALTER TABLE queen.messages ADD UNIQUE (transaction_id);
  CREATE INDEX idx_messages_partition_created ON queen.messages (partition_id, created_at);
  CREATE TABLE queen.messages_status (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), message_id uuid REFERENCES queen.messages ON DELETE CASCADE,
    consumer_group varchar(255), status varchar(20) DEFAULT 'pending', worker_id varchar(255), locked_at timestamptz,
    completed_at timestamptz, failed_at timestamptz, error_message text, retry_count int DEFAULT 0, lease_expires_at timestamptz,
    processing_at timestamptz, created_at timestamptz DEFAULT now(), UNIQUE (message_id, consumer_group)
  );
  CREATE TABLE queen.consumer_groups (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_id uuid REFERENCES queen.queues ON DELETE CASCADE, name varchar(255) NOT NULL,
    created_at timestamptz DEFAULT now(), subscription_start_from timestamptz, active boolean DEFAULT true,
    last_seen_at timestamptz DEFAULT now(), UNIQUE (queue_id, name)
  );
  CREATE TABLE queen.partition_leases (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), partition_id uuid REFERENCES queen.partitions ON DELETE CASCADE,
    consumer_group varchar(255) DEFAULT '${QUEUE_MODE}', lease_expires_at timestamptz NOT NULL, message_batch jsonb,
    batch_size int DEFAULT 0, acked_count int DEFAULT 0, created_at timestamptz DEFAULT now(), released_at timestamptz,
    UNIQUE (partition_id, consumer_group)
  );`;

/** Queen's tables in schema `queen`, empty; those that were there are dropped. */
export async function createQueen(client: Client, generation: 'current' | 'of 2025'): Promise<void> {
  await client.query(`DROP SCHEMA IF EXISTS queen CASCADE; ${generation === 'current' ? current : of2025}`);
}

/** The id of a partition, made with its queue where it is not there. `settings`: columns of the queue. */
export async function queenPartition(
  client: Client,
  queue: string,
  partition = 'Default',
  settings: Record<string, unknown> = {},
): Promise<string> {
  const names = Object.keys(settings);
  const set = names.map((name) => `, ${name} = EXCLUDED.${name}`).join('');
  const { rows } = await client.query(
    `WITH q AS (
       INSERT INTO queen.queues (name${names.map((name) => `, ${name}`).join('')})
       VALUES ($1${names.map((_, i) => `, $${i + 3}`).join('')})
       ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name${set} RETURNING id)
     INSERT INTO queen.partitions (queue_id, name) SELECT id, $2 FROM q
     ON CONFLICT (queue_id, name) DO UPDATE SET name = EXCLUDED.name RETURNING id`,
    [queue, partition, ...Object.values(settings)],
  );
  return idRow.parse(rows[0]).id;
}

const idRow = z.object({ id: z.string() });

/**
 * `count` messages of a partition, oldest first: message n of them was created so many seconds ago as `age` says, which is SQL over n
 * from 1. Ids are of version 7, in the order of creation.
 */
export async function queenMessages(
  client: Client,
  partitionId: string,
  count: number,
  age = `${count} - n`,
): Promise<void> {
  await client.query(
    `INSERT INTO queen.messages (id, transaction_id, partition_id, payload, created_at)
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
              || '8' || substr(md5($1 || n), 1, 15))::uuid,
            gen_random_uuid(), $1::uuid, jsonb_build_object('n', n, 'password', 'hunter2'), at
       FROM generate_series(1, $2) n, LATERAL (SELECT now() - (${age}) * interval '1 second' AS at) t
      ORDER BY n`,
    [partitionId, count],
  );
}
