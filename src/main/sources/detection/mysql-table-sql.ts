// Every statement that looks at one table of MySQL or MariaDB to map it, with what each walks. What one reads is bounded.
import { escape } from 'mysql2';
import { quoteName } from '../mysql-errors.ts';
import { FIRST_ROWS, NEWEST_ROWS, VALUES } from './table-look.ts';

const quoted = quoteName;
const inSchema = (schema: string | null): string =>
  `TABLE_SCHEMA = ${schema === null ? 'DATABASE()' : escape(schema)}`;

/** Walks: information_schema.TABLES, by schema and table. No row also when the account may not see it. */
export const relation = (schema: string | null, table: string): string => `
  SELECT TABLE_TYPE AS kind FROM information_schema.TABLES WHERE ${inSchema(schema)} AND TABLE_NAME = ${escape(table)}`;

/** Names to choose from. Walks: information_schema.TABLES, by schema. */
export const tableNames = (schema: string | null): string => `
  SELECT ${schema === null ? 'TABLE_NAME' : "CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)"} AS name
    FROM information_schema.TABLES WHERE ${inSchema(schema)} AND TABLE_TYPE = 'BASE TABLE' LIMIT 5000`;

/** Tells an absent table from one that is not granted. Reads no row. */
export const touch = (table: string): string => `SELECT 1 FROM ${table} LIMIT 0`;

/** Walks: information_schema.COLUMNS, by schema and table. */
export const columns = (schema: string | null, table: string): string => `
  SELECT COLUMN_NAME AS name, COLUMN_TYPE AS type, IS_NULLABLE = 'YES' AS nullable, COLUMN_DEFAULT AS default_value,
         COLUMN_COMMENT AS comment, COLUMN_KEY = 'PRI' AS in_key
    FROM information_schema.COLUMNS
   WHERE ${inSchema(schema)} AND TABLE_NAME = ${escape(table)}
   ORDER BY ORDINAL_POSITION`;

/** Columns that a B-tree index starts with. Walks: information_schema.STATISTICS, by schema and table. */
export const indexed = (schema: string | null, table: string): string => `
  SELECT DISTINCT COLUMN_NAME AS first
    FROM information_schema.STATISTICS
   WHERE ${inSchema(schema)} AND TABLE_NAME = ${escape(table)} AND SEQ_IN_INDEX = 1 AND INDEX_TYPE = 'BTREE'
     AND SUB_PART IS NULL`;

/** All values of a column that an index starts with. Walks: that index, loosely, one entry a value. */
export const valuesByIndex = (table: string, state: string): string => `
  SELECT CAST(${quoted(state)} AS CHAR) AS state, NULL AS attempts
    FROM ${table} WHERE ${quoted(state)} IS NOT NULL GROUP BY ${quoted(state)} LIMIT ${VALUES}`;

/**
 * Values of some rows: the last by a column that an index starts with (a walk of it backwards), or the first as they lie. Bounded by
 * the number of rows either way.
 */
export function valuesOfSome(
  table: string,
  { state, attempts, newestBy }: { state: string; attempts: string | null; newestBy: string | null },
): string {
  const order = newestBy === null ? '' : `ORDER BY ${quoted(newestBy)} DESC`;
  return `
  SELECT CAST(state AS CHAR) AS state, MAX(attempts) AS attempts
    FROM (SELECT ${quoted(state)} AS state, ${attempts === null ? 'NULL' : quoted(attempts)} AS attempts
            FROM ${table} ${order} LIMIT ${newestBy === null ? FIRST_ROWS : NEWEST_ROWS}) AS looked
   WHERE state IS NOT NULL
   GROUP BY CAST(state AS CHAR)
   LIMIT ${VALUES}`;
}
