// What Postal writes to a server's message database when a message arrives and when a delivery was tried
// (lib/postal/message_db/message.rb, delivery.rb, live_stats.rb, statistics.rb).
import type { Pool, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { z } from 'zod';

const messageSchema = z.object({ id: z.int(), size: z.coerce.number() });
export type Message = z.infer<typeof messageSchema>;

export interface NewMessage {
  rcptTo: string;
  subject: string;
  sizeBytes: number;
  token: string;
}

export interface Delivery {
  status: 'Sent' | 'SoftFail' | 'HardFail' | 'Error';
  code: number | null;
  output: string;
  details: string;
  /** Seconds that the delivery took. */
  timeSeconds: number;
}

export class PostalMessages {
  readonly #pool: Pool;
  readonly #database: (serverId: number) => string;

  /** `database` yields the quoted name of a server's message database. */
  constructor(pool: Pool, database: (serverId: number) => string) {
    this.#pool = pool;
    this.#database = database;
  }

  async find(serverId: number, id: number): Promise<Message | null> {
    const [rows] = await this.#pool.query<RowDataPacket[]>(
      `SELECT * FROM ${this.#database(serverId)}.messages WHERE id = ? LIMIT 1`,
      [id],
    );
    return rows[0] === undefined ? null : messageSchema.parse(rows[0]);
  }

  /** Stores an outgoing message as Pending and counts it in its hour. */
  async add(serverId: number, message: NewMessage, nowMs: number): Promise<number> {
    const database = this.#database(serverId);
    const [result] = await this.#pool.query<ResultSetHeader>(
      `INSERT INTO ${database}.messages
         (token, scope, rcpt_to, mail_from, subject, message_id, timestamp, status, size)
       VALUES (?, 'outgoing', ?, ?, ?, ?, ?, 'Pending', ?)`,
      [
        message.token,
        message.rcptTo,
        `sender@server-${serverId}.example`,
        message.subject,
        `${message.token}@server-${serverId}.example`,
        seconds(nowMs),
        String(message.sizeBytes),
      ],
    );
    await this.#pool.query(
      `INSERT INTO ${database}.stats_hourly (time, outgoing) VALUES (?, 1)
       ON DUPLICATE KEY UPDATE outgoing = COALESCE(outgoing, 0) + 1`,
      [Math.floor(nowMs / 3_600_000) * 3600],
    );
    return result.insertId;
  }

  /** Counts a message that a worker processes in the current minute of the hour. */
  async countLive(serverId: number, nowMs: number): Promise<void> {
    const now = nowMs / 1000;
    await this.#pool.query(
      `INSERT INTO ${this.#database(serverId)}.live_stats (type, minute, timestamp, count)
       VALUES ('outgoing', ?, ?, 1)
       ON DUPLICATE KEY UPDATE count = IF(timestamp < ?, 1, count + 1), timestamp = ?`,
      [new Date(nowMs).getUTCMinutes(), now, now - 1800, now],
    );
  }

  /** One attempt: a row of deliveries, and its status on the message. */
  async addDelivery(serverId: number, messageId: number, delivery: Delivery, nowMs: number): Promise<void> {
    const database = this.#database(serverId);
    await this.#pool.query(
      `INSERT INTO ${database}.deliveries
         (message_id, status, code, output, details, sent_with_ssl, log_id, timestamp, time)
       VALUES (?, ?, ?, ?, ?, 1, NULL, ?, ?)`,
      [
        messageId,
        delivery.status,
        delivery.code,
        delivery.output,
        delivery.details,
        seconds(nowMs),
        delivery.timeSeconds.toFixed(2),
      ],
    );
    await this.#pool.query(
      `UPDATE ${database}.messages
          SET status = ?, last_delivery_attempt = ?, held = 0, hold_expiry = NULL WHERE id = ?`,
      [delivery.status, seconds(nowMs), messageId],
    );
  }
}

/** Epoch seconds with microseconds, as decimal(18,6) wants them. */
function seconds(ms: number): string {
  return (ms / 1000).toFixed(6);
}
