// Every statement that looks for queues in MySQL and MariaDB, with what each walks. All read information_schema, save the versions.
import { escape } from 'mysql2';
import { quoteName } from '../mysql-errors.ts';

/** Tables told of one database; a database with more of such tables is looked at in part. */
export const TABLES_AT_MOST = 2_000;

const list = (names: readonly string[]): string => names.map((name) => escape(name)).join(', ');

/**
 * Tables by their names, and tables with columns that say of a state and of a worker (regular expressions), those with most of the
 * latter first. Walks: information_schema.COLUMNS of this database. Only what is granted is seen.
 */
export const tables = (names: readonly string[], state: string, worker: string): string => `
  SELECT TABLE_NAME AS name,
         CAST(JSON_ARRAYAGG(JSON_ARRAY(COLUMN_NAME, COLUMN_TYPE, FIND_IN_SET('select', PRIVILEGES) > 0)) AS CHAR) AS columns
    FROM information_schema.COLUMNS
   WHERE TABLE_SCHEMA = DATABASE()
   GROUP BY TABLE_NAME
  HAVING TABLE_NAME IN (${list(names)})
      OR SUM(LOWER(COLUMN_NAME) REGEXP ${escape(worker)}) >= 2
      OR SUM(LOWER(COLUMN_NAME) REGEXP ${escape(worker)}) >= 1 AND SUM(LOWER(COLUMN_NAME) REGEXP ${escape(state)}) >= 1
   ORDER BY TABLE_NAME IN (${list(names)}) DESC, SUM(LOWER(COLUMN_NAME) REGEXP ${escape(worker)}) DESC, TABLE_NAME
   LIMIT ${TABLES_AT_MOST + 1}`;

/** For this session: the columns of one table are longer than the shipped 1,024 characters of MySQL. */
export const longLists = 'SET SESSION group_concat_max_len = 1048576';

/** Walks: information_schema.TABLES of this database. */
export const views = `
  SELECT TABLE_NAME AS name FROM information_schema.TABLES
   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE <> 'BASE TABLE'`;

export const grants = 'SHOW GRANTS';

export const version = (table: string, read: string): string =>
  `SELECT ${read} AS version FROM ${quoteName(table)}`;

/** Tables of such names in other databases that this account sees. Walks: information_schema.TABLES, by name. */
export const elsewhere = (names: readonly string[]): string => `
  SELECT TABLE_SCHEMA AS database_name, TABLE_NAME AS table_name
    FROM information_schema.TABLES
   WHERE TABLE_SCHEMA <> DATABASE() AND TABLE_NAME IN (${list(names)})
   ORDER BY 1, 2
   LIMIT 20`;
