// River's tables as its migrations leave them: the newest ones (8), and those of before its queues (3) and their metadata.
import type { Client } from 'pg';
import { quotePgName } from '../../src/main/sources/postgres-errors.ts';

/** 8: River 0.44; 4: 0.5, when `river_queue` came; 3: 0.0.x, with a migration table without lines. */
export type RiverVersion = 3 | 4 | 8;

const STATES = [
  'available',
  'cancelled',
  'completed',
  'discarded',
  'pending',
  'retryable',
  'running',
  'scheduled',
];

/** Makes the schema and everything in it anew. */
export async function createRiver(client: Client, schema: string, version: RiverVersion = 8): Promise<void> {
  const at = quotePgName(schema);
  const states = STATES.filter((state) => version >= 4 || state !== 'pending');
  await client.query(`
    DROP SCHEMA IF EXISTS ${at} CASCADE;
    CREATE SCHEMA ${at};
    CREATE TYPE ${at}.river_job_state AS ENUM (${states.map((state) => `'${state}'`).join(', ')});
    CREATE TABLE ${at}.river_job (
      id bigserial PRIMARY KEY,
      state ${at}.river_job_state NOT NULL DEFAULT 'available',
      attempt smallint NOT NULL DEFAULT 0,
      max_attempts smallint NOT NULL${version >= 7 ? ' DEFAULT 25' : ''},
      attempted_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      finalized_at timestamptz,
      scheduled_at timestamptz NOT NULL DEFAULT now(),
      priority smallint NOT NULL DEFAULT 1,
      args jsonb${version >= 4 ? ' NOT NULL' : ''},
      attempted_by text[],
      errors jsonb[],
      kind text NOT NULL,
      metadata jsonb NOT NULL DEFAULT '{}',
      queue text NOT NULL DEFAULT 'default',
      tags varchar(255)[] NOT NULL DEFAULT '{}',
      CONSTRAINT finalized_or_finalized_at_null CHECK (
        (finalized_at IS NULL AND state NOT IN ('cancelled', 'completed', 'discarded')) OR
        (finalized_at IS NOT NULL AND state IN ('cancelled', 'completed', 'discarded'))),
      CONSTRAINT max_attempts_is_positive CHECK (max_attempts > 0),
      CONSTRAINT priority_in_range CHECK (priority >= 1 AND priority <= 4),
      CONSTRAINT queue_length CHECK (char_length(queue) > 0 AND char_length(queue) < 128),
      CONSTRAINT kind_length CHECK (char_length(kind) > 0 AND char_length(kind) < 128));
    CREATE INDEX river_job_kind ON ${at}.river_job (kind);
    CREATE INDEX river_job_state_and_finalized_at_index ON ${at}.river_job (state, finalized_at) WHERE finalized_at IS NOT NULL;
    CREATE INDEX river_job_prioritized_fetching_index ON ${at}.river_job (state, queue, priority, scheduled_at, id);
    CREATE INDEX river_job_args_index ON ${at}.river_job USING gin (args);
    CREATE INDEX river_job_metadata_index ON ${at}.river_job USING gin (metadata);
    CREATE UNLOGGED TABLE ${at}.river_leader (
      elected_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      leader_id text NOT NULL,
      name text PRIMARY KEY${version >= 4 ? ` DEFAULT 'default'` : ''},
      CONSTRAINT leader_id_length CHECK (char_length(leader_id) > 0 AND char_length(leader_id) < 128));`);
  if (version < 5) {
    await client.query(`
      CREATE TABLE ${at}.river_migration (
        id bigserial PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), version bigint NOT NULL UNIQUE,
        CONSTRAINT version CHECK (version >= 1));
      INSERT INTO ${at}.river_migration (version) SELECT generate_series(1, ${version})`);
  } else {
    await client.query(`
      CREATE TABLE ${at}.river_migration (
        line text NOT NULL, version bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT line_length CHECK (char_length(line) > 0 AND char_length(line) < 128),
        CONSTRAINT version_gte_1 CHECK (version >= 1), PRIMARY KEY (line, version));
      INSERT INTO ${at}.river_migration (line, version) SELECT 'main', generate_series(1, ${version});
      INSERT INTO ${at}.river_migration (line, version) VALUES ('workflow', 99)`);
  }
  if (version >= 4) {
    await client.query(`
      CREATE TABLE ${at}.river_queue (
        name text PRIMARY KEY NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
        metadata jsonb NOT NULL DEFAULT '{}', paused_at timestamptz,
        updated_at timestamptz NOT NULL${version >= 7 ? ' DEFAULT CURRENT_TIMESTAMP' : ''})`);
  }
  if (version >= 6) {
    await client.query(`
      ALTER TABLE ${at}.river_job ADD COLUMN unique_key bytea, ADD COLUMN unique_states bit(8);
      CREATE FUNCTION ${at}.river_job_state_in_bitmask(bitmask bit(8), state ${at}.river_job_state) RETURNS boolean
        LANGUAGE sql IMMUTABLE AS $$
          SELECT get_bit(bitmask, 8 - array_position(
            ARRAY['available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled'], state::text)) = 1 $$;
      CREATE UNIQUE INDEX river_job_unique_idx ON ${at}.river_job (unique_key)
        WHERE unique_key IS NOT NULL AND unique_states IS NOT NULL AND ${at}.river_job_state_in_bitmask(unique_states, state);
      CREATE TABLE ${at}.river_notification (
        id bigserial PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), payload text NOT NULL, topic text NOT NULL)`);
  }
}
