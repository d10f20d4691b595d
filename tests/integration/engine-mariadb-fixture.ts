// A MariaDB with an empty database `jobs`, and stores on it.
import type { RowDataPacket } from 'mysql2/promise';
import { MysqlStore, type MysqlStoreOptions } from '../../src/main/engine/stores/mysql-store.ts';
import { startMariaDb, type MariaDb, type MariaDbOptions } from '../harness/mariadb.ts';

export async function startJobsDb(options: MariaDbOptions = {}): Promise<MariaDb> {
  const db = await startMariaDb(options);
  const root = await db.connect();
  await root.query('CREATE DATABASE jobs');
  await root.end();
  return db;
}

export const openStore = (db: MariaDb, more: Partial<MysqlStoreOptions> = {}): Promise<MysqlStore> =>
  MysqlStore.open({
    host: db.host,
    port: db.port,
    user: db.rootUser,
    password: db.rootPassword,
    database: 'jobs',
    ...more,
  });

/** Setting up a database takes longer than a test: its tables are emptied instead. */
export async function emptyJobsDb(db: MariaDb): Promise<void> {
  const root = await db.connect('jobs');
  const [tables] = await root.query<RowDataPacket[]>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'jobs'
      AND table_name NOT IN ('headway_store', 'headway_circle')`,
  );
  if (tables.length > 0)
    await root.query(
      [
        ...tables.map(({ name }) => `DELETE FROM ${String(name)}`),
        'UPDATE headway_circle SET last_turn = NULL',
      ].join(';'),
    );
  await root.end();
}

/** Runs one statement as root in `jobs`. */
export async function rowsOf(db: MariaDb, sql: string): Promise<RowDataPacket[]> {
  const root = await db.connect('jobs');
  try {
    const [rows] = await root.query<RowDataPacket[]>(sql);
    return rows;
  } finally {
    await root.end();
  }
}

/** Lanes whose counts are not what a look at every job says: none, or the store has lost count. */
export const miscounts = (db: MariaDb): Promise<RowDataPacket[]> =>
  rowsOf(
    db,
    `SELECT lane.id, lane.n_ready, lane.n_delayed, lane.n_running, lane.n_waiting, lane.n_blocked, lane.n_dead,
        GROUP_CONCAT(job.state) AS states
      FROM headway_lane AS lane LEFT JOIN headway_job AS job ON job.lane_id = lane.id GROUP BY lane.id
      HAVING lane.n_ready <> COALESCE(SUM(job.state = 0), 0) OR lane.n_delayed <> COALESCE(SUM(job.state = 1), 0)
        OR lane.n_running <> COALESCE(SUM(job.state = 2), 0) OR lane.n_waiting <> COALESCE(SUM(job.state = 3), 0)
        OR lane.n_blocked <> COALESCE(SUM(job.state = 4), 0) OR lane.n_dead <> COALESCE(SUM(job.state = 5), 0)`,
  );
