// Every statement that reads the health of MySQL or MariaDB. All are of the server's own tables and counters, whose size depends on
// sessions, never on rows. Each names the grant it needs.

/** Needs no grant. */
export const counters = `
  SHOW GLOBAL STATUS
 WHERE Variable_name IN ('Threads_connected', 'Innodb_buffer_pool_read_requests', 'Innodb_buffer_pool_reads',
                         'Innodb_history_list_length')`;
export const maxConnections = 'SELECT @@max_connections AS max';

/** For MySQL, whose status does not tell it. Needs PROCESS. */
export const historyLength = `
  SELECT COUNT AS length FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'`;

/** InnoDB's times are of the system's zone, whatever the session's. Its tables show one moment, kept for all that ask within 0.1 s of each other. */
const sinceMs = (time: string) =>
  `TIMESTAMPDIFF(MICROSECOND, ${time}, CONVERT_TZ(NOW(6), @@time_zone, 'SYSTEM')) / 1000`;

/** Needs PROCESS. A transaction without a thread is a prepared one of XA. */
export const oldestTransaction = `
  SELECT trx_mysql_thread_id AS id, ${sinceMs('trx_started')} AS for_ms
    FROM information_schema.INNODB_TRX
   WHERE trx_mysql_thread_id <> CONNECTION_ID()
   ORDER BY trx_started
   LIMIT 1`;

const waits = (from: string, on: string) => `
  SELECT r.trx_mysql_thread_id AS waiting, b.trx_mysql_thread_id AS blocking,
         ${sinceMs('r.trx_wait_started')} AS wait_ms, ${sinceMs('b.trx_started')} AS blocker_ms, ${on} AS \`on\`
    FROM ${from}
   ORDER BY r.trx_wait_started
   LIMIT 200`;

/** Who waits for whose row. Needs PROCESS. */
export const mariadbLockWaits = waits(
  `information_schema.INNODB_LOCK_WAITS w
    JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id`,
  `(SELECT MIN(l.lock_table) FROM information_schema.INNODB_LOCKS l WHERE l.lock_id = w.requested_lock_id)`,
);
/** The same. Needs PROCESS, and SELECT on performance_schema. (MySQL 8 manual, "The data_lock_waits Table".) */
export const mysqlLockWaits = waits(
  `performance_schema.data_lock_waits w
    JOIN information_schema.INNODB_TRX r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID`,
  `(SELECT MIN(CONCAT('\`', l.OBJECT_SCHEMA, '\`.\`', l.OBJECT_NAME, '\`')) FROM performance_schema.data_locks l
           WHERE l.ENGINE_LOCK_ID = w.REQUESTING_ENGINE_LOCK_ID)`,
);

/** What the text of a statement is cut to before it is read. */
const TEXT_CHARS = 4_000;

/**
 * Statements that run for over a second, replicas that fetch changes, sessions that wait for a table, and those with one of these ids. Without
 * PROCESS only those of this account. \`time\`: how MariaDB and MySQL tell milliseconds.
 */
export const sessions = (timeMs: string, ids: readonly number[]): string => `
  SELECT ID AS id, USER AS user, HOST AS host, COMMAND AS command, STATE AS state, ${timeMs} AS for_ms,
         LEFT(INFO, ${TEXT_CHARS}) AS text
    FROM information_schema.PROCESSLIST
   WHERE ID <> CONNECTION_ID()
     AND (ID IN (${[0, ...ids].map((id) => Math.trunc(id)).join(', ')})
          OR (COMMAND IN ('Query', 'Execute') AND (${timeMs} >= 1000 OR STATE LIKE 'Waiting for table%'))
          OR COMMAND LIKE 'Binlog Dump%')
   ORDER BY ${timeMs} DESC
   LIMIT 500`;

/** This server as a replica, a row for each it follows. Needs SLAVE MONITOR. */
export const mariadbReplica = 'SHOW ALL SLAVES STATUS';
/** The same. Needs REPLICATION CLIENT. Before MySQL 8.0.22 it had another name. */
export const mysqlReplica = 'SHOW REPLICA STATUS';
export const oldMysqlReplica = 'SHOW SLAVE STATUS';
