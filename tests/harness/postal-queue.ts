// The statements with which a Postal worker takes messages from the queue and gives them back, as Postal 3.3
// sends them (app/lib/worker/jobs/process_queued_messages_job.rb, app/models/queued_message.rb,
// app/models/concerns/has_locking.rb). Changing one of them here makes the harness lie.
import type { Pool, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { z } from 'zod';

const queuedMessageSchema = z.object({
  id: z.int(),
  server_id: z.int(),
  message_id: z.int(),
  domain: z.string().nullable(),
  created_at: z.date(),
  ip_address_id: z.int().nullable(),
  attempts: z.int(),
  batch_key: z.string().nullable(),
});
export type QueuedMessage = z.infer<typeof queuedMessageSchema>;

/** Who holds a lock and since when: the pair by which a worker finds the rows it has just locked. */
export interface Lock {
  by: string;
  at: Date;
}

/** How long after its retry time a message is first claimed, ms. */
const RETRY_GRACE_MS = 30_000;
const RETRY_PERIOD_MS = 5 * 60_000;

export class PostalQueue {
  readonly #pool: Pool;
  readonly #speed: number;

  /** With `speed` above 1, the grace and the backoff of retries are shorter by that factor. */
  constructor(pool: Pool, speed = 1) {
    this.#pool = pool;
    this.#speed = speed;
  }

  /**
   * Locks any one message that is ready: there is no ORDER BY, so InnoDB walks the primary key and the oldest
   * row wins, whosever it is. Then reads back what was locked. Null when nothing is ready.
   */
  async claim(lock: Lock, ipAddressIds: readonly number[]): Promise<QueuedMessage | null> {
    const anIp = ipAddressIds.length === 0 ? '' : `ip_address_id IN (${ipAddressIds.join(', ')}) OR `;
    await this.#pool.query(
      `UPDATE queued_messages SET locked_by = ?, locked_at = ?
        WHERE (${anIp}ip_address_id IS NULL) AND locked_by IS NULL AND locked_at IS NULL
          AND (retry_after IS NULL OR retry_after < ?)
        LIMIT 1`,
      [lock.by, lock.at, new Date(lock.at.getTime() - RETRY_GRACE_MS / this.#speed)],
    );
    const [rows] = await this.#pool.query<RowDataPacket[]>(
      'SELECT * FROM queued_messages WHERE locked_by = ? AND locked_at = ?',
      [lock.by, lock.at],
    );
    return rows[0] === undefined ? null : queuedMessageSchema.parse(rows[0]);
  }

  /** Locks up to `limit` siblings of a claimed message, of whatever server, and reads them back. */
  async lockBatch(leader: QueuedMessage, lock: Lock, limit: number): Promise<QueuedMessage[]> {
    if (leader.batch_key === null) return [];
    const ip = leader.ip_address_id;
    const sameIp = ip === null ? 'ip_address_id IS NULL' : `ip_address_id = ${ip}`;
    await this.#pool.query(
      `UPDATE queued_messages SET locked_by = ?, locked_at = ?
        WHERE (retry_after IS NULL OR retry_after < ?) AND batch_key = ? AND ${sameIp}
          AND locked_by IS NULL AND locked_at IS NULL
        LIMIT ${limit}`,
      [lock.by, lock.at, lock.at, leader.batch_key],
    );
    const [rows] = await this.#pool.query<RowDataPacket[]>(
      `SELECT * FROM queued_messages
        WHERE batch_key = ? AND ${sameIp} AND locked_by = ? AND locked_at = ? AND id != ?`,
      [leader.batch_key, lock.by, lock.at, leader.id],
    );
    return z.array(queuedMessageSchema).parse(rows);
  }

  /** The message is finished, one way or the other. */
  async remove(id: number): Promise<void> {
    await this.#pool.query('DELETE FROM queued_messages WHERE id = ?', [id]);
  }

  /** Backoff of 1.3^attempts × 5 min, counted from `nowMs`. */
  async retryLater(message: QueuedMessage, nowMs: number): Promise<void> {
    const delayMs = (1.3 ** message.attempts * RETRY_PERIOD_MS) / this.#speed;
    await this.#pool.query(
      'UPDATE queued_messages SET locked_by = NULL, locked_at = NULL, retry_after = ?, attempts = ? WHERE id = ?',
      [new Date(nowMs + delayMs), message.attempts + 1, message.id],
    );
  }

  async add(message: NewQueuedMessage, nowMs: number): Promise<number> {
    const [result] = await this.#pool.query<ResultSetHeader>(
      `INSERT INTO queued_messages
         (server_id, message_id, domain, ip_address_id, batch_key, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      [
        message.serverId,
        message.messageId,
        message.domain,
        message.ipAddressId,
        `outgoing-${message.domain}`,
        new Date(nowMs),
        new Date(nowMs),
      ],
    );
    return result.insertId;
  }
}

export interface NewQueuedMessage {
  serverId: number;
  messageId: number;
  domain: string;
  ipAddressId: number | null;
}
