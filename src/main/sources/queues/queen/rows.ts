// The shapes of the rows that the statements of Queen's source yield, parsed where they arrive.
import { z } from 'zod';

const count = z.int().nonnegative();
export const anyRow = z.unknown();
/** Epoch ms of the database's clock. */
const time = z.number();

export const relationRow = z.object({
  name: z.string(),
  is_view: z.boolean(),
  hidden: z.boolean(),
  readable: z.boolean(),
  columns: z.array(z.string()),
});
export type RelationRow = z.infer<typeof relationRow>;

/** Queues whose messages Queen deletes by their age, and those that lie in another store of a newer Queen. */
export const settingsRow = z.object({
  partitions: count,
  expiring: z.array(z.string()),
  stored_elsewhere: z.array(z.string()),
});

/** What one poll begins with. */
export const stateRow = z.object({
  partitions: count,
  paused: z.boolean(),
  paused_since: time.nullable(),
  message_bytes: z.number(),
  has_index: z.boolean(),
});

/** A consumer group of a partition at one moment; or, where the partition has none yet, whoever comes first. */
export const consumerRow = z.object({
  partition_id: z.string(),
  queue: z.string(),
  partition: z.string(),
  consumer_group: z.string(),
  worker_id: z.string().nullable(),
  acquired_at: time.nullable(),
  expires_at: time.nullable(),
  /** Whether the lease stands. */
  live: z.boolean(),
  /** Messages of the lease that are not acknowledged, whether it stands or has run out. */
  held: count,
  consumed: z.number(),
  last_consumed_at: time.nullable(),
  /** When the partition becomes, or became, free after its newest message; null where its queue does not wait for quiet. */
  quiet_at: time.nullable(),
  quiet: z.boolean(),
  /** Messages past the cursor that were looked at, at most `held` and the cap. */
  seen: count,
  /** Of them after the held ones, and of those how many are due. */
  after: count,
  due: count,
  /** Creation of the first message past the cursor, and of the first one after the held ones. */
  first_at: time.nullable(),
  after_at: time.nullable(),
  /** Messages that are not due yet, where the queue delays. */
  later: count,
  delay_ms: z.number(),
  /** Where more is held than is walked past: messages created after the lease began, and the first of them. */
  since_lease: count,
  since_lease_at: time.nullable(),
});
export type ConsumerRow = z.infer<typeof consumerRow>;

export const deadRow = z.object({ partition_id: z.string(), dead: count });
export const clockRow = z.object({ now: time });
export const tenantRow = z.object({
  partition_id: z.string(),
  queue: z.string(),
  partition: z.string(),
  /** In order; at most four. */
  groups: z.array(z.string()),
  group_count: count,
});

export type TenantRow = z.infer<typeof tenantRow>;

/** The newest messages of a partition as they stand to one consumer group of a Queen of 2025. */
export const consumer2025Row = z.object({
  partition_id: z.string(),
  queue: z.string(),
  partition: z.string(),
  consumer_group: z.string(),
  seen: count,
  done: count,
  running: count,
  /** Neither done nor running, and how many of those are due. */
  pending: count,
  due: count,
  /** Creation of the oldest pending one among those seen, and of one that was sought before them. */
  first_at: time.nullable(),
  sought_at: time.nullable(),
  quiet_at: time.nullable(),
  quiet: z.boolean(),
  delay_ms: z.number(),
});
export type Consumer2025Row = z.infer<typeof consumer2025Row>;

/** A message as it stands to one consumer group. */
export const jobRow = z.object({
  message_id: z.string(),
  consumer_group: z.string(),
  queue: z.string(),
  partition: z.string(),
  task: z.string().nullable(),
  priority: z.number().nullable(),
  retry_limit: z.number().nullable(),
  created_at: time.nullable(),
  ready_at: time.nullable(),
  started_at: time.nullable(),
  failed_at: time.nullable(),
  attempts: z.int().nullable(),
  worker_id: z.string().nullable(),
  error: z.string().nullable(),
  /** The row's place in its list, as `after` of the next page. */
  place: z.array(z.string()),
});
export type JobRow = z.infer<typeof jobRow>;

export const detailRow = jobRow.omit({ place: true }).extend({
  state: z.enum(['ready', 'delayed', 'running', 'dead', 'done']),
  columns: z.record(z.string(), z.string().nullable()),
  is_encrypted: z.boolean(),
  payload: z.string().nullable(),
});
export const attemptRow = z.object({ failed_at: time.nullable(), error: z.string().nullable() });

export const leaseRow = z.object({
  partition_id: z.string(),
  consumer_group: z.string(),
  queue: z.string(),
  partition: z.string(),
  worker_id: z.string().nullable(),
  acquired_at: time.nullable(),
  expires_at: time.nullable(),
  live: z.boolean(),
  /** The first message that it holds. */
  message_id: z.string().nullable(),
});

export const columnRow = z.object({ name: z.string() });
export const deadLetterRow = z.object({ message_id: z.string(), consumer_group: z.string() });
