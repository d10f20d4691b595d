// Every statement of the index advisor on PostgreSQL. They read the catalogue and plans, never a row of a table.

/**
 * $1: tables as SQL names them. Those that hold rows: the tables themselves, or their partitions. Rows as the planner takes them: those of the
 * last analyse, for the pages of today; null where it was never analysed. Walks: pg_inherits by parent.
 */
export const tables = `
  WITH RECURSIVE tree (name, oid) AS (
    SELECT DISTINCT name, to_regclass(name)::oid FROM unnest($1::text[]) AS names (name)
    UNION
    SELECT tree.name, i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
  )
  SELECT tree.name AS watched, c.oid::text AS oid, n.nspname AS schema, c.relname AS table,
         format('%I.%I', n.nspname, c.relname) AS name,
         CASE WHEN c.reltuples >= 0 AND c.relpages > 0
              THEN c.reltuples::float8 / c.relpages * pg_relation_size(c.oid) / current_setting('block_size')::float8
         END AS rows
    FROM tree
    JOIN pg_class c ON c.oid = tree.oid AND c.relkind IN ('r', 'm')
    JOIN pg_namespace n ON n.oid = c.relnamespace`;

/** $1: oids of tables. B-trees, also broken ones; an expression is no column. Walks: pg_index by table. */
export const indexes = `
  SELECT i.indrelid::text AS table_oid, c.relname AS name,
         ARRAY(SELECT coalesce(a.attname::text, '')
                 FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
                 LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
                WHERE k.position <= i.indnkeyatts
                ORDER BY k.position) AS columns,
         pg_get_expr(i.indpred, i.indrelid) AS condition,
         i.indisvalid AND i.indisready AND i.indislive AS usable
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
   WHERE i.indrelid = ANY($1::oid[])`;

/** $1: schema, $2: table. Average bytes of each column, by the last analyse. */
export const widths = `
  SELECT attname AS column, max(avg_width)::float8 AS width FROM pg_stats WHERE schemaname = $1 AND tablename = $2 GROUP BY attname`;

/**
 * The planner's settings that were made in this session are set aside, as a client of the database has none of them. What was set is
 * returned, for \`restore\`.
 */
export const setAside = `
  SELECT name, setting, set_config(name, reset_val, false) AS was
    FROM pg_settings
   WHERE source = 'session' AND category LIKE 'Query Tuning%'`;
/** $1: names, $2: values. */
export const restore = `
  SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS kept (name, value)`;
/** So that a plan writes a whole condition as a filter, and leaves out nothing that an index stands for. */
export const withoutIndexes = `
  SELECT name, setting, set_config(name, 'off', false) AS was
    FROM pg_settings
   WHERE name IN ('enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan')`;

export const asText = (statement: string): string => `EXPLAIN ${statement}`;
export const asJson = (statement: string): string => `EXPLAIN (FORMAT JSON, VERBOSE) ${statement}`;

/** What the planner would read for a condition on one table. Null: all rows. */
export const rowsWhere = (table: string, alias: string, condition: string | null): string =>
  asJson(`SELECT FROM ONLY ${table} AS ${alias}${condition === null ? '' : ` WHERE ${condition}`}`);
