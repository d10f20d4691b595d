// The tables of the MySQL/MariaDB store, as numbered migrations: entry n brings the store from version n to n + 1.
//
// The schema of a database cannot be changed in one transaction here, so each statement may run again: a migration that
// was cut off is done anew, and the version is written last.
//
// Ids are bytes (VARBINARY): every text collation that both systems have ignores trailing spaces or case.
import { HeadwayError } from '../../../contract/errors.ts';
import { fieldsOf, type MysqlSession, type Statement } from './mysql-session.ts';

const SIGNATURE = 'headway engine store';
/** How long a second engine waits for the first one's migration, in seconds. */
const LOCK_SECONDS = 60;

const migrations: readonly (readonly string[])[] = [
  [
    // `one` is what a hold locks and every claim shares: see mysql-exchange.ts.
    `CREATE TABLE IF NOT EXISTS headway_store (
      one TINYINT NOT NULL PRIMARY KEY, signature VARCHAR(64) NOT NULL, version INT NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    // A lane is one tenant's jobs of one kind. It counts them in the transaction that moves them.
    `CREATE TABLE IF NOT EXISTS headway_lane (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      tenant_id VARBINARY(1020) NOT NULL,
      kind VARBINARY(255) NOT NULL,
      n_ready INT NOT NULL DEFAULT 0,
      n_delayed INT NOT NULL DEFAULT 0,
      n_running INT NOT NULL DEFAULT 0,
      n_waiting INT NOT NULL DEFAULT 0,
      n_blocked INT NOT NULL DEFAULT 0,
      n_dead INT NOT NULL DEFAULT 0,
      arrivals BIGINT NOT NULL DEFAULT 0,
      attempts BIGINT NOT NULL DEFAULT 0,
      last_started_at BIGINT NULL,
      has_ready TINYINT GENERATED ALWAYS AS (n_ready > 0) STORED,
      UNIQUE KEY lane_of (tenant_id, kind),
      KEY lane_ready (has_ready, kind, tenant_id)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    // Never reused: an id orders by arrival for ever. urgency is minus the priority, for MariaDB 10.6 has no
    // descending indexes. The first part of the payload stands here, long ones go on in headway_payload.
    `CREATE TABLE IF NOT EXISTS headway_job (
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      lane_id INT NOT NULL,
      kind VARBINARY(255) NOT NULL,
      state TINYINT NOT NULL,
      urgency INT NOT NULL,
      ready_at BIGINT NOT NULL,
      created_at BIGINT NOT NULL,
      claimed_at BIGINT NULL,
      owner VARBINARY(1020) NULL,
      fence INT NOT NULL DEFAULT 0,
      attempts INT NOT NULL DEFAULT 0,
      max_attempts INT NOT NULL,
      batch_id TEXT NULL,
      on_dead_parent TINYINT NOT NULL,
      waits_for INT NOT NULL,
      stuck_on INT NOT NULL,
      failed_attempts LONGTEXT NULL,
      payload_bytes INT NOT NULL,
      payload_parts INT NOT NULL,
      payload LONGTEXT NOT NULL,
      KEY job_turn (state, lane_id, urgency, ready_at),
      KEY job_front (state)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    `CREATE TABLE IF NOT EXISTS headway_payload (
      job_id BIGINT NOT NULL, part INT NOT NULL, payload LONGTEXT NOT NULL, PRIMARY KEY (job_id, part)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    // When delayed jobs become ready; of its own, so that jobs that never wait pay nothing.
    `CREATE TABLE IF NOT EXISTS headway_timer (
      ready_at BIGINT NOT NULL, job_id BIGINT NOT NULL, PRIMARY KEY (ready_at, job_id)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    // A row stands until the parent is done or the child waits no longer; one whose parent is gone was discarded.
    `CREATE TABLE IF NOT EXISTS headway_dependency (
      parent_id BIGINT NOT NULL, job_id BIGINT NOT NULL, PRIMARY KEY (parent_id, job_id), KEY dependency_of (job_id)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    `CREATE TABLE IF NOT EXISTS headway_dead (
      job_id BIGINT NOT NULL PRIMARY KEY,
      lane_id INT NOT NULL,
      kind VARBINARY(255) NOT NULL,
      cause_hash BINARY(16) NOT NULL,
      error_class VARBINARY(32) NOT NULL,
      died_at BIGINT NOT NULL,
      cause TEXT NOT NULL,
      message TEXT NOT NULL,
      KEY dead_group (kind, cause_hash, died_at)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    `CREATE TABLE IF NOT EXISTS headway_key (
      key_hash BINARY(32) NOT NULL PRIMARY KEY, job_id BIGINT NOT NULL, kept_at BIGINT NOT NULL, KEY key_age (kept_at)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    `CREATE TABLE IF NOT EXISTS headway_owner (
      id VARBINARY(1020) NOT NULL PRIMARY KEY, beat_at BIGINT NOT NULL, report LONGTEXT NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    `CREATE TABLE IF NOT EXISTS headway_hold (
      scope_hash BINARY(16) NOT NULL PRIMARY KEY,
      tenant_id VARBINARY(1020) NULL,
      kind VARBINARY(255) NULL,
      mode VARBINARY(8) NOT NULL,
      held_by TEXT NOT NULL,
      reason TEXT NOT NULL,
      since_at BIGINT NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,

    // One row: the tenant that had the last turn of the fair order.
    `CREATE TABLE IF NOT EXISTS headway_circle (
      one TINYINT NOT NULL PRIMARY KEY, last_turn VARBINARY(1020) NULL
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`,
    'INSERT IGNORE INTO headway_circle (one, last_turn) VALUES (1, NULL)',
  ],
];

const tables = `SELECT table_name AS name FROM information_schema.tables
  WHERE table_schema = DATABASE() AND table_name LIKE 'headway\\_%'`;
const versionOf: Statement = { sql: 'SELECT signature, version FROM headway_store WHERE one = 1' };

/**
 * Brings the database up to date, one engine at a time, or with `mayCreate` false only looks. Rejects with
 * `schema-mismatch` where the tables are not ours, a newer version wrote them, or there are none and none may be made.
 */
export async function migrate(session: MysqlSession, place: string, mayCreate: boolean): Promise<void> {
  if (!mayCreate) {
    const version = await storedVersion(session, place);
    if (version === 0)
      throw mismatch(
        `${place} holds no job store of Headway. Name the database that the engine was started with.`,
      );
    if (version < migrations.length)
      throw mismatch(
        `${place} holds an older job store (version ${version}). Update the engine that uses it.`,
      );
    return;
  }
  const lock = `CONCAT('headway ', MD5(DATABASE()))`;
  const [got] = await session.rows({ sql: `SELECT GET_LOCK(${lock}, ${LOCK_SECONDS}) AS got` });
  if (fieldsOf(got).number('got') !== 1)
    throw new HeadwayError('timeout', `Another engine has been setting up ${place} for over a minute.`, {
      retryable: true,
    });
  try {
    const version = await storedVersion(session, place);
    for (const [from, statements] of migrations.entries()) {
      if (from < version) continue;
      for (const sql of statements) await session.rows({ sql });
      await session.rows({
        sql: `INSERT INTO headway_store (one, signature, version) VALUES (1, ?, ?)
          ON DUPLICATE KEY UPDATE version = VALUES(version)`,
        values: [SIGNATURE, from + 1],
      });
    }
  } finally {
    await session.rows({ sql: `SELECT RELEASE_LOCK(${lock}) AS released` });
  }
}

/** 0: an empty database, or one whose first migration was cut off. */
async function storedVersion(session: MysqlSession, place: string): Promise<number> {
  const names = (await session.rows({ sql: tables })).map((row) => fieldsOf(row).text('name'));
  if (names.length === 0) return 0;
  const foreign = mismatch(
    `The tables ${names.slice(0, 3).join(', ')} of ${place} are not of a job store of Headway. Name another database.`,
  );
  // The first table of the first migration: without it, nothing here was begun by us.
  if (!names.includes('headway_store')) throw foreign;
  const rows = await session.rows(versionOf).catch((error: unknown) => {
    // Columns of other names: a table of somebody else.
    throw error instanceof HeadwayError && error.code === 'schema-mismatch' ? foreign : error;
  });
  if (rows.length === 0) return 0;
  const row = fieldsOf(rows[0]);
  if (row.text('signature') !== SIGNATURE) throw foreign;
  const version = row.number('version');
  if (version > migrations.length)
    throw mismatch(
      `The job store of ${place} was written by a newer Headway (store version ${version}, this one knows ${migrations.length}); update Headway.`,
    );
  return version;
}

const mismatch = (message: string): HeadwayError => new HeadwayError('schema-mismatch', message);
