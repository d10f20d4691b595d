// Every statement of the index advisor on MySQL and MariaDB. They read information_schema and plans, never a row of a table.
import { escape } from 'mysql2';

export interface TableName {
  /** Null: of the connection's database. */
  schema: string | null;
  table: string;
}

const inTable = ({ schema, table }: TableName): string =>
  `TABLE_SCHEMA = ${schema === null ? 'DATABASE()' : escape(schema)} AND TABLE_NAME = ${escape(table)}`;

/** Rows and bytes by InnoDB's own estimate. */
export const table = (name: TableName): string => `
  SELECT TABLE_ROWS AS row_count FROM information_schema.TABLES WHERE ${inTable(name)}`;

/**
 * Columns of whole B-trees that statements may use, in order, with the number of different values up to each. Where only the start of a value
 * is in the index its column is null. \`hidden\`: how the server marks an index that no plan uses.
 */
export const indexes = (name: TableName, hidden: string): string => `
  SELECT INDEX_NAME AS name, CASE WHEN SUB_PART IS NULL THEN COLUMN_NAME END AS column_name, CARDINALITY AS different
    FROM information_schema.STATISTICS
   WHERE ${inTable(name)} AND INDEX_TYPE = 'BTREE' AND NOT (${hidden})
   ORDER BY INDEX_NAME, SEQ_IN_INDEX`;

/** Bytes of a value: of a number its own, of a text at most what it may be. */
export const columns = (name: TableName): string => `
  SELECT COLUMN_NAME AS column_name, DATA_TYPE AS type, CHARACTER_OCTET_LENGTH AS octets
    FROM information_schema.COLUMNS
   WHERE ${inTable(name)}`;

export const asText = (statement: string): string => `EXPLAIN ${statement}`;
export const asJson = (statement: string): string => `EXPLAIN FORMAT=JSON ${statement}`;
