// A producer and a consumer of Queen 0.15: what its server does to the tables at a push, a pop and an acknowledgement.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { z } from 'zod';
import { QUEUE_MODE } from './queen-schema.ts';

export interface Batch {
  partitionId: string;
  group: string;
  /** The lease: what Queen calls the worker. */
  workerId: string;
  /** In order. */
  messages: { id: string; createdAt: string }[];
}

const messageRow = z.object({ id: z.string(), created: z.string() });
const cursorRow = z.object({ last_consumed_id: z.string(), cursor: z.string().nullable() });
const countsRow = z.object({ batch_retry_count: z.number(), retry_limit: z.number() });

export class QueenClient {
  readonly #db: Client;

  constructor(db: Client) {
    this.#db = db;
  }

  /** A push inserts the messages in one statement; the lookup of wildcard pops follows after it. */
  async push(queue: string, partitionId: string, payloads: readonly unknown[]): Promise<void> {
    await this.#db.query(
      `WITH pushed AS (
         INSERT INTO queen.messages (transaction_id, partition_id, payload)
         SELECT gen_random_uuid(), $1, payload FROM jsonb_array_elements($2::jsonb) payload
         ON CONFLICT (partition_id, transaction_id) DO NOTHING RETURNING id, partition_id, created_at)
       INSERT INTO queen.partition_lookup (queue_name, partition_id, last_message_id, last_message_created_at)
       SELECT $3, partition_id, id, created_at FROM pushed ORDER BY created_at DESC, id DESC LIMIT 1
       ON CONFLICT (queue_name, partition_id) DO UPDATE
          SET last_message_id = EXCLUDED.last_message_id, last_message_created_at = EXCLUDED.last_message_created_at,
              updated_at = now()`,
      [partitionId, JSON.stringify(payloads), queue],
    );
  }

  /** A pop of one partition: the row of the group, its lease, its messages, all in one transaction. Null: leased, or nothing there. */
  async pop(
    partitionId: string,
    { group = QUEUE_MODE, size = 10, leaseS = 300 }: { group?: string; size?: number; leaseS?: number } = {},
  ): Promise<Batch | null> {
    const workerId = randomUUID();
    await this.#db.query('BEGIN');
    try {
      await this.#db.query(
        'INSERT INTO queen.partition_consumers (partition_id, consumer_group) VALUES ($1, $2) ON CONFLICT DO NOTHING',
        [partitionId, group],
      );
      const { rows: leased } = await this.#db.query(
        `UPDATE queen.partition_consumers
            SET lease_acquired_at = now(), lease_expires_at = now() + $3 * interval '1 second', worker_id = $4,
                batch_size = $5, acked_count = 0
          WHERE partition_id = $1 AND consumer_group = $2 AND (lease_expires_at IS NULL OR lease_expires_at <= now())
          RETURNING last_consumed_id, last_consumed_created_at::text AS cursor`,
        [partitionId, group, leaseS, workerId, size],
      );
      if (leased.length === 0) return null;
      const cursor = cursorRow.parse(leased[0]);
      const { rows } = await this.#db.query(
        `SELECT m.id, m.created_at::text AS created
           FROM queen.messages m
           JOIN queen.partitions p ON p.id = m.partition_id
           JOIN queen.queues q ON q.id = p.queue_id
          WHERE m.partition_id = $1
            AND ($2::timestamptz IS NULL OR (m.created_at, m.id) > ($2::timestamptz, $3::uuid))
            AND m.created_at <= now() - q.delayed_processing * interval '1 second'
          ORDER BY m.created_at, m.id LIMIT $4`,
        [partitionId, cursor.cursor, cursor.last_consumed_id, size],
      );
      const messages = rows.map((row) => {
        const { id, created } = messageRow.parse(row);
        return { id, createdAt: created };
      });
      // A lease of nothing is given back at once; another is counted by what it holds, so that its last acknowledgement ends it.
      const held =
        messages.length === 0
          ? 'lease_expires_at = NULL, lease_acquired_at = NULL, worker_id = NULL'
          : `batch_size = ${messages.length}, acked_count = 0`;
      await this.#db.query(
        `UPDATE queen.partition_consumers SET ${held} WHERE partition_id = $1 AND consumer_group = $2 AND worker_id = $3`,
        [partitionId, group, workerId],
      );
      return messages.length === 0 ? null : { partitionId, group, workerId, messages };
    } finally {
      await this.#db.query('COMMIT');
    }
  }

  /** Acknowledges the next `count` messages of the batch, in order; the last one gives the lease back. */
  async ack(batch: Batch, count = batch.messages.length): Promise<void> {
    for (const message of batch.messages.splice(0, count)) {
      await this.#db.query(
        `UPDATE queen.partition_consumers
            SET last_consumed_id = $3, last_consumed_created_at = $4, last_consumed_at = now(),
                total_messages_consumed = total_messages_consumed + 1, ${nextAcked},
                batch_retry_count = CASE WHEN ${isLast} THEN 0 ELSE batch_retry_count END
          WHERE partition_id = $1 AND consumer_group = $2`,
        [batch.partitionId, batch.group, message.id, message.createdAt],
      );
    }
  }

  /** A failure gives the whole batch back, until the queue's limit; then the first message goes to the dead letters, and the cursor past it. */
  async fail(batch: Batch, error: string): Promise<'released' | 'dead'> {
    const { rows } = await this.#db.query(
      `SELECT c.batch_retry_count, q.retry_limit FROM queen.partition_consumers c
         JOIN queen.partitions p ON p.id = c.partition_id JOIN queen.queues q ON q.id = p.queue_id
        WHERE c.partition_id = $1 AND c.consumer_group = $2`,
      [batch.partitionId, batch.group],
    );
    const { batch_retry_count, retry_limit } = countsRow.parse(rows[0]);
    const of = [batch.partitionId, batch.group];
    if (batch_retry_count < retry_limit) {
      await this.#db.query(
        `UPDATE queen.partition_consumers
            SET lease_expires_at = NULL, lease_acquired_at = NULL, message_batch = NULL, batch_size = 0, acked_count = 0,
                worker_id = NULL, batch_retry_count = batch_retry_count + 1
          WHERE partition_id = $1 AND consumer_group = $2 AND worker_id IS NOT NULL`,
        of,
      );
      return 'released';
    }
    const [first] = batch.messages.splice(0, 1);
    if (!first) throw new Error('the batch is empty');
    await this.#db.query(
      `WITH dead AS (
         INSERT INTO queen.dead_letter_queue (message_id, partition_id, consumer_group, error_message, retry_count, original_created_at)
         VALUES ($3, $1, $2, $5, $6, $4))
       UPDATE queen.partition_consumers
          SET last_consumed_id = $3, last_consumed_created_at = $4, last_consumed_at = now(), ${nextAcked}
        WHERE partition_id = $1 AND consumer_group = $2`,
      [...of, first.id, first.createdAt, error, batch_retry_count],
    );
    return 'dead';
  }
}

const isLast = 'acked_count + 1 >= batch_size AND batch_size > 0';
const nextAcked = `
  lease_expires_at = CASE WHEN ${isLast} THEN NULL ELSE lease_expires_at END,
  lease_acquired_at = CASE WHEN ${isLast} THEN NULL ELSE lease_acquired_at END,
  worker_id = CASE WHEN ${isLast} THEN NULL ELSE worker_id END,
  acked_count = CASE WHEN ${isLast} THEN 0 ELSE acked_count + 1 END`;
