// What Oban's nodes do to their tables, by statements that change the same columns in the same way.
import type { Client } from 'pg';
import { quotePgName } from '../../src/main/sources/postgres-errors.ts';

const NOW = `(now() AT TIME ZONE 'UTC')`;

export class ObanWorkload {
  readonly #client: Client;
  readonly #schema: string;
  readonly #jobs: string;

  constructor(client: Client, schema: string) {
    this.#client = client;
    this.#schema = quotePgName(schema);
    this.#jobs = `${this.#schema}.oban_jobs`;
  }

  /** Inserts one job; with a time of its own it is scheduled, as the node decides. */
  async insert(
    queue: string,
    options: { inS?: number; priority?: number; maxAttempts?: number; args?: unknown; worker?: string } = {},
  ): Promise<string> {
    const { inS, priority = 0, maxAttempts = 20, args = {}, worker = 'MyApp.Mailer' } = options;
    const { rows } = await this.#client.query<{ id: string }>(
      `INSERT INTO ${this.#jobs} (args, worker, max_attempts, priority, queue, scheduled_at, state)
       VALUES ($1, $2, $3, $4, $5, ${NOW} + $6 * interval '1 s', $7) RETURNING id`,
      [args, worker, maxAttempts, priority, queue, inS ?? 0, inS === undefined ? 'available' : 'scheduled'],
    );
    return rows[0]?.id ?? '';
  }

  /** Claims up to `most` jobs; their ids in the order of the claim. */
  async claim(queue: string, most: number, node: string): Promise<string[]> {
    const { rows } = await this.#client.query<{ id: string }>(
      `WITH subset AS MATERIALIZED (
         SELECT id FROM ${this.#jobs}
          WHERE state = 'available' AND queue = $1 AND attempt < max_attempts
          ORDER BY priority, scheduled_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
       ), updated AS (
         UPDATE ${this.#jobs} AS j
            SET state = 'executing', attempted_at = ${NOW}, attempted_by = ARRAY[$3], attempt = j.attempt + 1
           FROM subset WHERE j.id = subset.id RETURNING j.*
       ) SELECT id FROM updated ORDER BY priority, scheduled_at, id`,
      [queue, most, node],
    );
    return rows.map(({ id }) => id);
  }

  async complete(id: string): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs} SET state = 'completed', completed_at = ${NOW} WHERE id = $1`,
      [id],
    );
  }

  /** Retryable after `inS`, or discarded where the attempts are used up. */
  async fail(id: string, inS: number, error: string): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs}
          SET errors = array_append(errors, jsonb_build_object(
                'at', to_char(${NOW}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'attempt', attempt, 'error', $3::text)),
              state = CASE WHEN attempt >= max_attempts THEN 'discarded' ELSE 'retryable' END::text::${this.#schema}.oban_job_state,
              discarded_at = CASE WHEN attempt >= max_attempts THEN ${NOW} END,
              scheduled_at = CASE WHEN attempt >= max_attempts THEN scheduled_at ELSE ${NOW} + $2 * interval '1 s' END
        WHERE id = $1`,
      [id, inS, error],
    );
  }

  async snooze(id: string, inS: number): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs}
          SET state = 'scheduled', scheduled_at = ${NOW} + $2 * interval '1 s', max_attempts = max_attempts + 1 WHERE id = $1`,
      [id, inS],
    );
  }

  async cancel(id: string): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs} SET state = 'cancelled', cancelled_at = ${NOW} WHERE id = $1`,
      [id],
    );
  }

  async suspend(id: string): Promise<void> {
    await this.#client.query(`UPDATE ${this.#jobs} SET state = 'suspended' WHERE id = $1`, [id]);
  }

  /** What the leading node does every second. */
  async stage(): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs} SET state = 'available' WHERE state IN ('scheduled', 'retryable') AND scheduled_at <= ${NOW}`,
    );
  }

  /** What Lifeline does every minute: neither the scheduled time nor the time of the rescue is written. */
  async rescue(): Promise<void> {
    const stuck = `state = 'executing' AND attempted_at < ${NOW} - interval '60 min'`;
    await this.#client.query(
      `UPDATE ${this.#jobs} SET state = 'available' WHERE ${stuck} AND attempt < max_attempts`,
    );
    await this.#client.query(
      `UPDATE ${this.#jobs} SET state = 'discarded', discarded_at = ${NOW} WHERE ${stuck} AND attempt >= max_attempts`,
    );
  }

  async lead(node: string, forS: number): Promise<void> {
    await this.#client.query(
      `INSERT INTO ${this.#schema}.oban_peers (name, node, started_at, expires_at)
       VALUES ('Oban', $1, least(${NOW}, ${NOW} + ($2 - 30) * interval '1 s'), ${NOW} + $2 * interval '1 s')
       ON CONFLICT (name) DO UPDATE SET node = excluded.node, started_at = excluded.started_at, expires_at = excluded.expires_at`,
      [node, forS],
    );
  }
}
