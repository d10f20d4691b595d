// Oban's tables as its migrations leave them: the newest known ones (15), and an older generation.
import type { Client } from 'pg';
import { quotePgName } from '../../src/main/sources/postgres-errors.ts';

/** 15: Oban 2.23; 12: 2.17, without suspended jobs and the indexes of 13 to 15; 10: 2.4, without peers. */
export type ObanVersion = 10 | 12 | 15;

/** Makes the schema (Oban's prefix) and everything in it anew. */
export async function createOban(client: Client, schema: string, version: ObanVersion = 15): Promise<void> {
  const at = quotePgName(schema);
  const suspended = version >= 14 ? `'suspended', ` : '';
  await client.query(`
    DROP SCHEMA IF EXISTS ${at} CASCADE;
    CREATE SCHEMA ${at};
    CREATE TYPE ${at}.oban_job_state AS ENUM (
      'available', ${suspended}'scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled');
    CREATE TABLE ${at}.oban_jobs (
      id bigserial PRIMARY KEY,
      state ${at}.oban_job_state NOT NULL DEFAULT 'available',
      queue text NOT NULL DEFAULT 'default',
      worker text NOT NULL,
      args jsonb NOT NULL DEFAULT '{}',
      errors jsonb[] NOT NULL DEFAULT ARRAY[]::jsonb[],
      attempt integer NOT NULL DEFAULT 0,
      max_attempts integer NOT NULL DEFAULT 20,
      inserted_at timestamp(6) NOT NULL DEFAULT timezone('UTC', now()),
      scheduled_at timestamp(6) NOT NULL DEFAULT timezone('UTC', now()),
      attempted_at timestamp(6),
      completed_at timestamp(6),
      attempted_by text[],
      discarded_at timestamp(6),
      priority integer NOT NULL DEFAULT 0,
      tags text[] DEFAULT ARRAY[]::text[],
      meta jsonb DEFAULT '{}',
      cancelled_at timestamp(6),
      CONSTRAINT worker_length CHECK (char_length(worker) > 0 AND char_length(worker) < 128),
      CONSTRAINT queue_length CHECK (char_length(queue) > 0 AND char_length(queue) < 128),
      CONSTRAINT positive_max_attempts CHECK (max_attempts > 0),
      CONSTRAINT attempt_range CHECK (attempt >= 0 AND attempt <= max_attempts));
    CREATE INDEX oban_jobs_state_queue_priority_scheduled_at_id_index
      ON ${at}.oban_jobs (state, queue, priority, scheduled_at, id);
    CREATE INDEX oban_jobs_args_index ON ${at}.oban_jobs USING gin (args);
    CREATE INDEX oban_jobs_meta_index ON ${at}.oban_jobs USING gin (meta);
    ALTER TABLE ${at}.oban_jobs ADD CONSTRAINT ${
      version >= 12
        ? 'non_negative_priority CHECK (priority >= 0)'
        : 'priority_range CHECK (priority BETWEEN 0 AND 3)'
    };
    COMMENT ON TABLE ${at}.oban_jobs IS '${version}'`);
  if (version >= 11) {
    await client.query(`
      CREATE UNLOGGED TABLE ${at}.oban_peers (
        name text NOT NULL PRIMARY KEY, node text NOT NULL, started_at timestamp(6) NOT NULL, expires_at timestamp(6) NOT NULL)`);
  }
  if (version >= 15) {
    await client.query(`
      CREATE INDEX oban_jobs_state_cancelled_at_index ON ${at}.oban_jobs (state, cancelled_at);
      CREATE INDEX oban_jobs_state_discarded_at_index ON ${at}.oban_jobs (state, discarded_at);
      CREATE INDEX oban_jobs_staging_idx ON ${at}.oban_jobs (scheduled_at, id) WHERE state IN ('scheduled', 'retryable')`);
  }
}
