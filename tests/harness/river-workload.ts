// What River's clients do to their tables, by statements that change the same columns in the same way.
import type { Client } from 'pg';
import { quotePgName } from '../../src/main/sources/postgres-errors.ts';

export class RiverWorkload {
  readonly #client: Client;
  readonly #jobs: string;
  readonly #queues: string;
  readonly #leader: string;

  constructor(client: Client, schema: string) {
    const at = quotePgName(schema);
    this.#client = client;
    this.#jobs = `${at}.river_job`;
    this.#queues = `${at}.river_queue`;
    this.#leader = `${at}.river_leader`;
  }

  /** Inserts one job; a time in the future makes it scheduled, as the client decides. */
  async insert(
    queue: string,
    options: { inS?: number; priority?: number; maxAttempts?: number; args?: unknown; kind?: string } = {},
  ): Promise<string> {
    const { inS = 0, priority = 1, maxAttempts = 25, args = {}, kind = 'send' } = options;
    const { rows } = await this.#client.query<{ id: string }>(
      `INSERT INTO ${this.#jobs} (args, kind, max_attempts, priority, queue, scheduled_at, state)
       VALUES ($1, $2, $3, $4, $5, now() + $6 * interval '1 s', $7) RETURNING id`,
      [args, kind, maxAttempts, priority, queue, inS, inS > 0 ? 'scheduled' : 'available'],
    );
    return rows[0]?.id ?? '';
  }

  /** Claims up to `most` jobs; their ids in the order of the claim. */
  async claim(queue: string, most: number, client: string): Promise<string[]> {
    const { rows } = await this.#client.query<{ id: string }>(
      `WITH locked_jobs AS (
         SELECT * FROM ${this.#jobs}
          WHERE state = 'available' AND queue = $1 AND scheduled_at <= now()
          ORDER BY priority, scheduled_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
       ), updated AS (
         UPDATE ${this.#jobs} AS river_job
            SET state = 'running', attempt = river_job.attempt + 1, attempted_at = now(),
                attempted_by = array_append(river_job.attempted_by, $3)
           FROM locked_jobs WHERE river_job.id = locked_jobs.id RETURNING river_job.*
       ) SELECT id FROM updated ORDER BY priority, scheduled_at, id`,
      [queue, most, client],
    );
    return rows.map(({ id }) => id);
  }

  async complete(id: string): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs} SET state = 'completed', finalized_at = now() WHERE id = $1 AND state = 'running'`,
      [id],
    );
  }

  /** Retryable after `inS`, or discarded where the attempts are used up. */
  async fail(id: string, inS: number, error: string): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs}
          SET errors = array_append(errors, jsonb_build_object('at', now(), 'attempt', attempt, 'error', $3::text, 'trace', '')),
              state = CASE WHEN attempt >= max_attempts THEN 'discarded' ELSE 'retryable' END::text::${this.#type},
              finalized_at = CASE WHEN attempt >= max_attempts THEN now() END,
              scheduled_at = CASE WHEN attempt >= max_attempts THEN scheduled_at ELSE now() + $2 * interval '1 s' END
        WHERE id = $1 AND state = 'running'`,
      [id, inS, error],
    );
  }

  /** Puts a running job off without an attempt. */
  async snooze(id: string, inS: number): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs}
          SET state = 'scheduled', attempt = attempt - 1, scheduled_at = now() + $2 * interval '1 s',
              metadata = metadata || jsonb_build_object('snoozes', coalesce((metadata ->> 'snoozes')::int, 0) + 1)
        WHERE id = $1 AND state = 'running'`,
      [id, inS],
    );
  }

  async cancel(id: string): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs} SET state = 'cancelled', finalized_at = now() WHERE id = $1 AND state <> 'running'`,
      [id],
    );
  }

  /** What the leader does every 5 s. */
  async schedule(): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#jobs} SET state = 'available'
        WHERE state IN ('retryable', 'scheduled') AND queue IS NOT NULL AND priority >= 0 AND scheduled_at <= now() + interval '5 s'`,
    );
  }

  async lead(client: string, forS: number): Promise<void> {
    await this.#client.query(
      `INSERT INTO ${this.#leader} (name, leader_id, elected_at, expires_at)
       VALUES ('default', $1, least(now(), now() + ($2 - 15) * interval '1 s'), now() + $2 * interval '1 s')
       ON CONFLICT (name) DO UPDATE SET leader_id = excluded.leader_id, elected_at = excluded.elected_at, expires_at = excluded.expires_at`,
      [client, forS],
    );
  }

  /** What a client that works a queue reports every 10 min. */
  async report(queue: string): Promise<void> {
    await this.#client.query(
      `INSERT INTO ${this.#queues} (name, updated_at) VALUES ($1, now())
       ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at`,
      [queue],
    );
  }

  async pause(queue: string): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#queues} SET paused_at = coalesce(paused_at, now()), updated_at = now() WHERE name = $1`,
      [queue],
    );
  }

  async resume(queue: string): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#queues} SET paused_at = NULL, updated_at = now() WHERE name = $1`,
      [queue],
    );
  }

  get #type(): string {
    return this.#jobs.replace(/river_job$/, 'river_job_state');
  }
}
