// Version 1 of the SQLite store: one index a claim order, counts kept by triggers.
export const versionOne = `
  CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: an id orders by arrival for ever
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'delayed', 'running', 'dead')),
    created_at INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    started_at INTEGER,
    error TEXT
  ) STRICT;
  -- Partial, so that each holds only what it is walked for.
  CREATE INDEX job_first_come ON job (id, tenant_id) WHERE state = 'ready';
  CREATE INDEX job_fair ON job (tenant_id, ready_at, id) WHERE state = 'ready';
  CREATE INDEX job_due ON job (ready_at) WHERE state = 'delayed';
  CREATE INDEX job_running ON job (tenant_id, started_at) WHERE state = 'running';

  CREATE TABLE tenant (
    id TEXT PRIMARY KEY,
    ready INTEGER NOT NULL DEFAULT 0,
    delayed INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    arrivals INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_started_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tenant_ready ON tenant (id, ready) WHERE ready > 0;

  -- Counts are kept by the tables themselves: no statement can forget them, no sample has to count.
  CREATE TRIGGER job_arrives AFTER INSERT ON job BEGIN
    INSERT INTO tenant (id) VALUES (NEW.tenant_id) ON CONFLICT DO NOTHING;
    UPDATE tenant SET
      arrivals = arrivals + 1,
      ready = ready + (NEW.state = 'ready'),
      delayed = delayed + (NEW.state = 'delayed')
    WHERE id = NEW.tenant_id;
  END;
  CREATE TRIGGER job_moves AFTER UPDATE OF state ON job WHEN NEW.state <> OLD.state BEGIN
    UPDATE tenant SET
      ready = ready + (NEW.state = 'ready') - (OLD.state = 'ready'),
      delayed = delayed + (NEW.state = 'delayed') - (OLD.state = 'delayed'),
      running = running + (NEW.state = 'running') - (OLD.state = 'running'),
      dead = dead + (NEW.state = 'dead') - (OLD.state = 'dead'),
      last_started_at = iif(NEW.state = 'running', NEW.started_at, last_started_at)
    WHERE id = NEW.tenant_id;
  END;
  CREATE TRIGGER job_leaves AFTER DELETE ON job BEGIN
    UPDATE tenant SET
      ready = ready - (OLD.state = 'ready'),
      delayed = delayed - (OLD.state = 'delayed'),
      running = running - (OLD.state = 'running'),
      dead = dead - (OLD.state = 'dead')
    WHERE id = OLD.tenant_id;
  END;

  CREATE TABLE idempotency (key TEXT PRIMARY KEY, job_id INTEGER NOT NULL, at INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
  CREATE INDEX idempotency_at ON idempotency (at);

  CREATE TABLE owner (id TEXT PRIMARY KEY, beat_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  -- One row: the tenant that had the last turn of the fair order.
  CREATE TABLE circle (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT) STRICT;
  INSERT INTO circle VALUES (1, NULL);
`;
