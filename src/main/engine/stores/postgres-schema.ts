// The tables of the PostgreSQL store, as numbered migrations: entry n brings the schema from version n to n + 1.
// How claims are kept, and why: docs/adr/0010.
import type { ClientBase } from 'pg';
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import { postgresFunctions } from './postgres-functions.ts';

/** The oldest server that the statements were written for (CTEs that are not materialised by themselves). */
const OLDEST_SERVER = 12;
/** Tells our schemas from other programs'. */
const PRODUCT = 'headway engine';

const migrations: ((schema: string) => string)[] = [
  (schema) => `
  SET LOCAL search_path = ${schema};
  CREATE TABLE about (product text NOT NULL, version int NOT NULL);
  INSERT INTO about VALUES ('${PRODUCT}', 0);

  -- Jobs that may be claimed now, and no others: whatever is claimed leaves the table.
  CREATE SEQUENCE job_id;
  CREATE TABLE job (
    id bigint PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    rank int NOT NULL, -- the priority's negative: all columns of the index ascend
    ready_at bigint NOT NULL,
    created_at bigint NOT NULL,
    attempts int NOT NULL,
    max_attempts int NOT NULL,
    batch_id text,
    failed text[], -- JSON of each failed attempt, newest first
    payload text NOT NULL -- JSON as it was sent: type json would forbid nothing more, jsonb would change it
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.5);
  CREATE INDEX job_lane ON job (tenant_id, kind, rank, ready_at, id);

  -- Jobs that may not be claimed now.
  CREATE TABLE parked (
    id bigint PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('delayed', 'waiting', 'blocked', 'dead')),
    rank int NOT NULL,
    ready_at bigint NOT NULL,
    created_at bigint NOT NULL,
    attempts int NOT NULL,
    max_attempts int NOT NULL,
    on_dead_parent text NOT NULL CHECK (on_dead_parent IN ('block', 'cancel', 'release')),
    batch_id text,
    failed text[],
    -- Of dead ones.
    died_at bigint,
    cause text COLLATE "C", -- a JSON string: it may hold what PostgreSQL's text may not
    class text,
    payload text NOT NULL
  ) WITH (autovacuum_vacuum_scale_factor = 0.05);
  CREATE INDEX parked_state ON parked (state, id);
  CREATE INDEX parked_due ON parked (ready_at) WHERE state = 'delayed';
  CREATE INDEX parked_cause ON parked (kind, cause, id) WHERE state = 'dead';

  -- Whom a parked job waits for: parents that are not done. lost: the parent was dead and is removed.
  CREATE TABLE dependency (
    parent_id bigint NOT NULL,
    child_id bigint NOT NULL,
    lost boolean NOT NULL DEFAULT false,
    PRIMARY KEY (parent_id, child_id)
  );
  CREATE INDEX dependency_child ON dependency (child_id);

  -- What one exchange handed over: the running jobs. The lease's id is the fence. Once written, jobs is not written
  -- again: a claim that has ended has a 0 in its place of ids.
  CREATE SEQUENCE lease_id;
  CREATE TABLE lease (
    id bigint PRIMARY KEY,
    owner text NOT NULL,
    call text NOT NULL, -- which exchange made it, should its answer be lost
    claimed_at bigint NOT NULL,
    open int NOT NULL,
    ids bigint[] NOT NULL,
    jobs text NOT NULL -- a JSON array, see postgres-functions.ts
  ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000);

  -- Counts of a tenant as of the last fold, and what has changed since, one row a statement: two engines never wait
  -- for each other's counts. claimed and returned give the attempts that ended.
  CREATE TABLE tenant (
    id text COLLATE "C" PRIMARY KEY,
    ready bigint NOT NULL, delayed bigint NOT NULL, waiting bigint NOT NULL, blocked bigint NOT NULL,
    dead bigint NOT NULL, arrivals bigint NOT NULL, claimed bigint NOT NULL, returned bigint NOT NULL,
    started_at bigint
  ) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 5000);
  CREATE TABLE delta (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenants text[] NOT NULL,
    ready int[], delayed int[], waiting int[], blocked int[], dead int[],
    arrivals int[], claimed int[], returned int[],
    started_at bigint,
    cursor text -- the tenant that had the last turn
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
  CREATE TABLE circle (one int PRIMARY KEY CHECK (one = 1), cursor text);
  INSERT INTO circle VALUES (1, NULL);

  CREATE TABLE idempotency (key text COLLATE "C" PRIMARY KEY, job_id bigint NOT NULL, at bigint NOT NULL);
  CREATE INDEX idempotency_at ON idempotency (at);
  CREATE TABLE owner (id text COLLATE "C" PRIMARY KEY, beat_at bigint NOT NULL, report text NOT NULL);
  CREATE TABLE hold (
    tenant_id text COLLATE "C", kind text COLLATE "C", -- null: all
    mode text NOT NULL, by text NOT NULL, reason text NOT NULL, since bigint NOT NULL
  );
  -- What claims obey; a drain is obeyed by enqueue alone.
  CREATE VIEW pause AS SELECT tenant_id, kind FROM hold WHERE mode = 'pause';

  -- Counts are kept by the tables themselves: no statement can forget them.
  CREATE FUNCTION job_arrives() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO ${schema}.delta (tenants, ready)
    SELECT array_agg(tenant_id), array_agg(n)
    FROM (SELECT tenant_id, count(*)::int AS n FROM fresh GROUP BY tenant_id) AS t HAVING count(*) > 0;
    RETURN NULL;
  END $$;
  CREATE TRIGGER job_arrives AFTER INSERT ON job REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION job_arrives();
  ${(['INSERT', 'DELETE', 'UPDATE'] as const).map((event) => parkedTrigger(schema, event)).join('')}
  `,
  postgresFunctions,
];

/** Books what one statement changed in `parked`. */
function parkedTrigger(schema: string, event: 'INSERT' | 'DELETE' | 'UPDATE'): string {
  const name = `parked_${event.toLowerCase()}`;
  const rows = [
    ...(event === 'DELETE' ? [] : [`SELECT tenant_id, state, 1 AS n FROM fresh`]),
    ...(event === 'INSERT' ? [] : [`SELECT tenant_id, state, -1 AS n FROM gone`]),
  ].join(' UNION ALL ');
  const tables = [
    ...(event === 'INSERT' ? [] : ['OLD TABLE AS gone']),
    ...(event === 'DELETE' ? [] : ['NEW TABLE AS fresh']),
  ].join(' ');
  const states = ['delayed', 'waiting', 'blocked', 'dead'];
  const sum = (state: string): string =>
    `coalesce(sum(n) FILTER (WHERE state = '${state}'), 0)::int AS ${state}`;
  return `
  CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO ${schema}.delta (tenants, ${states.join(', ')})
    SELECT array_agg(tenant_id), ${states.map((state) => `array_agg(${state})`).join(', ')}
    FROM (SELECT tenant_id, ${states.map(sum).join(', ')} FROM (${rows}) AS moved GROUP BY tenant_id) AS t
    HAVING count(*) > 0;
    RETURN NULL;
  END $$;
  CREATE TRIGGER ${name} AFTER ${event} ON parked REFERENCING ${tables}
    FOR EACH STATEMENT EXECUTE FUNCTION ${name}();`;
}

const versionRow = z.object({ version: z.coerce.number(), release: z.string() });
const aboutRow = z.object({ product: z.string(), version: z.int() });
const countRow = z.object({ count: z.coerce.number() });

/**
 * Makes the schema or brings it up to date, one opener at a time; answers the server's release. Rejects with
 * `schema-mismatch` for a server that is too old, a schema that is not ours and one of a newer Headway.
 */
export async function migratePostgres(
  client: ClientBase,
  schema: string,
  place: string,
  mayChange = true,
): Promise<string> {
  const server = await client.query(
    `SELECT current_setting('server_version_num')::int / 10000 AS version, current_setting('server_version') AS release`,
  );
  const { version: major, release } = versionRow.parse(server.rows[0]);
  if (major < OLDEST_SERVER) {
    throw new HeadwayError(
      'schema-mismatch',
      `${place} is PostgreSQL ${release}; the job store needs version ${OLDEST_SERVER} or newer.`,
    );
  }
  if (!mayChange) {
    const version = await versionOf(client, schema, place);
    if (version === 0)
      throw new HeadwayError(
        'schema-mismatch',
        `${place} holds no job store of Headway. Name the database that the engine was started with.`,
      );
    if (version < migrations.length)
      throw new HeadwayError(
        'schema-mismatch',
        `${place} holds an older job store (version ${version}). Update the engine that uses it.`,
      );
    return release;
  }
  await client.query('BEGIN');
  try {
    // Building indexes of a large store may take its time; so may waiting for another opener.
    await client.query('SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0');
    await client.query(`SELECT pg_advisory_xact_lock(hashtext('headway'), hashtext($1))`, [schema]);
    const from = await versionOf(client, schema, place);
    if (from < migrations.length) {
      // CREATE SCHEMA IF NOT EXISTS would ask for a right that is not needed where it exists.
      const { rows } = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema]);
      if (rows.length === 0) await client.query(`CREATE SCHEMA ${schema}`);
      for (const migration of migrations.slice(from)) await client.query(migration(schema));
      await client.query(`UPDATE ${schema}.about SET version = $1`, [migrations.length]);
    }
    await client.query('COMMIT');
  } catch (error) {
    // The connection may be gone; the server undoes it then by itself.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
  return release;
}

async function versionOf(client: ClientBase, schema: string, place: string): Promise<number> {
  const relations = await client.query(
    'SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1',
    [schema],
  );
  if (countRow.parse(relations.rows[0]).count === 0) return 0;
  const { rows } = await client.query(`SELECT to_regclass($1) IS NOT NULL AS known`, [`${schema}.about`]);
  const isKnown = z.object({ known: z.boolean() }).parse(rows[0]).known;
  const seen = isKnown ? await client.query(`SELECT * FROM ${schema}.about`) : null;
  const about = aboutRow.safeParse(seen?.rows[0]);
  if (!about.success || about.data.product !== PRODUCT) {
    throw new HeadwayError(
      'schema-mismatch',
      `The schema ${schema} of ${place} is not a job store of Headway; name another schema.`,
    );
  }
  if (about.data.version > migrations.length) {
    throw new HeadwayError(
      'schema-mismatch',
      `The schema ${schema} of ${place} was written by a newer Headway (store version ${about.data.version}, this one knows ${migrations.length}); update Headway.`,
    );
  }
  return about.data.version;
}
