// Every statement that looks at one table of PostgreSQL to map it, with what each walks. What one reads is bounded.
import { quotePgName } from '../postgres-errors.ts';
import { FIRST_ROWS, NEWEST_ROWS, VALUES } from './table-look.ts';

const quoted = quotePgName;

/** Parameters: the table's name, quoted. Walks: pg_class, by the name. */
export const relation = `
  SELECT c.oid::text AS oid, c.relkind AS kind, n.nspname AS schema, c.relname AS name, current_user::text AS role,
         has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') AS readable
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = to_regclass($1)`;

/** Names to choose from. Walks: pg_class. */
export const tableNames = `
  SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END AS name
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   ORDER BY abs(length(c.relname) - length($1::text)), 1
   LIMIT 5000`;

/** Parameters: the table's oid. Walks: pg_attribute, by the table. Seen without any grant on the table. */
export const columns = `
  SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
         pg_get_expr(d.adbin, d.adrelid) AS default_value, col_description(a.attrelid, a.attnum) AS comment,
         (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)
            FROM pg_catalog.pg_enum e WHERE e.enumtypid = a.atttypid)::text AS labels,
         (SELECT json_agg(pg_get_constraintdef(k.oid))
            FROM pg_catalog.pg_constraint k
           WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum])::text AS checks,
         EXISTS (SELECT FROM pg_catalog.pg_index i
                  WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey::int2[])) AS in_key
    FROM pg_catalog.pg_attribute a
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = ''
   WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
   ORDER BY a.attnum`;

/** The first columns of whole, valid B-tree indexes. Parameters: the table's oid. Walks: pg_index, by the table. */
export const indexed = `
  SELECT DISTINCT a.attname AS first
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
   WHERE i.indrelid = $1::oid AND i.indisvalid AND i.indpred IS NULL`;

/** All values of a column that an index starts with. Walks: that index, one entry a value. */
export const valuesByIndex = (table: string, state: string): string => `
  WITH RECURSIVE walked(state) AS (
    (SELECT ${quoted(state)} FROM ${table} WHERE ${quoted(state)} IS NOT NULL ORDER BY ${quoted(state)} LIMIT 1)
    UNION ALL
    SELECT (SELECT ${quoted(state)} FROM ${table} WHERE ${quoted(state)} > walked.state ORDER BY ${quoted(state)} LIMIT 1)
      FROM walked WHERE walked.state IS NOT NULL)
  SELECT state::text AS state, NULL::float8 AS attempts FROM walked WHERE state IS NOT NULL LIMIT ${VALUES}`;

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
  SELECT state::text AS state, max(attempts)::float8 AS attempts
    FROM (SELECT ${quoted(state)} AS state, ${attempts === null ? 'NULL::int' : quoted(attempts)} AS attempts
            FROM ${table} ${order} LIMIT ${newestBy === null ? FIRST_ROWS : NEWEST_ROWS}) AS looked
   WHERE state IS NOT NULL
   GROUP BY state
   LIMIT ${VALUES}`;
}

/** The commonest values by the server's own statistics. Parameters: schema, table, column. Walks: pg_statistic, by the column. */
export const commonValues = `
  SELECT v AS state, NULL::float8 AS attempts
    FROM pg_catalog.pg_stats s, unnest(s.most_common_vals::text::text[]) AS v
   WHERE s.schemaname = $1 AND s.tablename = $2 AND s.attname = $3 AND (s.n_distinct BETWEEN 1 AND ${VALUES})
   LIMIT ${VALUES}`;
