// Version 2 of the SQLite store: lanes (one kind of one tenant) with their counts, priorities, dependencies, holds, what
// failed and why. A claim touches one small row and three small indexes; what is large or rare stands in other tables.
export const versionTwo = `
  -- A kind of job; 0 carries what version 1 counted of tenants without saying of which kind.
  CREATE TABLE kind (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  INSERT INTO kind VALUES (0, '');

  -- One kind of one tenant. The store counts as it goes: no sample has to.
  CREATE TABLE lane (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL, -- BINARY: byte by byte, the order of the circle
    kind INTEGER NOT NULL REFERENCES kind,
    ready INTEGER NOT NULL DEFAULT 0,
    delayed INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    blocked INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    arrivals INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_started_at INTEGER,
    open INTEGER NOT NULL DEFAULT 0, -- 1 while it has ready jobs: the circle is not touched when only their number changes
    held INTEGER NOT NULL DEFAULT 0, -- 1 while its tenant, or just it, is stopped by hand
    UNIQUE (tenant, kind)
  ) STRICT;
  CREATE INDEX lane_circle ON lane (kind, tenant) WHERE open = 1 AND held = 0;

  CREATE TABLE job_2 (
    id INTEGER PRIMARY KEY, -- given by circle.last_id, never reused: an id orders by arrival for ever
    lane INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'delayed', 'waiting', 'blocked', 'running', 'dead')),
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    claimed_at INTEGER,
    failures INTEGER NOT NULL DEFAULT 0, -- failed attempts ever: rows in failed_attempt
    parents INTEGER NOT NULL DEFAULT 0, -- 1 when it ever waited for others: rows in dependency
    children INTEGER NOT NULL DEFAULT 0, -- 1 when others ever waited for it
    on_dead_parent TEXT NOT NULL DEFAULT 'block' CHECK (on_dead_parent IN ('block', 'cancel', 'release')),
    batch TEXT,
    dead_cause TEXT,
    dead_class TEXT,
    dead_at INTEGER,
    payload_bytes INTEGER NOT NULL,
    payload TEXT -- null when it is so long that it stands in large_payload: a claim writes this row anew
  ) STRICT;
  CREATE TABLE large_payload (job INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT;
  CREATE TABLE failed_attempt (
    job INTEGER NOT NULL,
    number INTEGER NOT NULL,
    told TEXT NOT NULL, -- JSON of FailedAttempt (job.ts)
    PRIMARY KEY (job, number)
  ) STRICT, WITHOUT ROWID;

  -- A child waits for a parent that is not done; the row of a discarded parent stays for those that stay blocked.
  CREATE TABLE dependency (parent INTEGER NOT NULL, child INTEGER NOT NULL, PRIMARY KEY (parent, child))
    STRICT, WITHOUT ROWID;
  CREATE INDEX dependency_child ON dependency (child, parent);

  -- Null: every tenant, every kind.
  CREATE TABLE hold (tenant TEXT, kind TEXT, mode TEXT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, since INTEGER NOT NULL)
    STRICT;

  ALTER TABLE owner ADD COLUMN report TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE circle ADD COLUMN last_id INTEGER NOT NULL DEFAULT 0;
  UPDATE circle SET last_id = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'job'), 0);

  INSERT INTO kind (name) SELECT DISTINCT kind FROM job;
  INSERT INTO lane (tenant, kind, arrivals, attempts, last_started_at)
    SELECT id, 0, arrivals, attempts, last_started_at FROM tenant;
  INSERT INTO lane (tenant, kind, ready, delayed, running, dead, open)
    SELECT tenant_id, kind.id, sum(state = 'ready'), sum(state = 'delayed'), sum(state = 'running'),
      sum(state = 'dead'), max(state = 'ready')
    FROM job JOIN kind ON kind.name = job.kind GROUP BY tenant_id, kind.id;
  INSERT INTO job_2 (id, lane, kind, state, priority, created_at, ready_at, attempts, max_attempts, fence, owner,
      claimed_at, failures, dead_cause, dead_class, dead_at, payload_bytes, payload)
    SELECT job.id, lane.id, kind.id, state, 0, created_at, ready_at, job.attempts, max_attempts, fence, owner,
      started_at, error IS NOT NULL, iif(state = 'dead', coalesce(error, 'unknown'), NULL), iif(state = 'dead', 'transient', NULL),
      iif(state = 'dead', ready_at, NULL), octet_length(payload), iif(octet_length(payload) > 1000, NULL, payload)
    FROM job JOIN kind ON kind.name = job.kind JOIN lane ON lane.tenant = job.tenant_id AND lane.kind = kind.id;
  INSERT INTO large_payload SELECT id, payload FROM job WHERE octet_length(payload) > 1000;
  INSERT INTO failed_attempt
    SELECT id, 1, json_object('attempt', attempts, 'owner', '', 'startedAtMs', ready_at, 'waitMs', 0, 'runMs', 0,
      'stages', json('{}'),
      'failure', json_object('class', 'transient', 'message', error, 'cause', error, 'stderrTail', NULL))
    FROM job WHERE error IS NOT NULL;
  DROP TABLE job;
  DROP TABLE tenant;
  ALTER TABLE job_2 RENAME TO job;

  -- Partial, so that each holds only what it is walked for.
  CREATE INDEX job_turn ON job (lane, priority DESC, ready_at, id) WHERE state = 'ready';
  CREATE INDEX job_first_come ON job (kind, id) WHERE state = 'ready';
  CREATE INDEX job_running ON job (lane, claimed_at) WHERE state = 'running';
  CREATE INDEX job_due ON job (ready_at) WHERE state = 'delayed';
  CREATE INDEX job_dead ON job (kind, dead_cause, dead_at, dead_class) WHERE state = 'dead';
  CREATE INDEX job_dead_id ON job (id, lane) WHERE state = 'dead';
  CREATE INDEX job_blocked ON job (id, lane) WHERE state = 'blocked';
`;
