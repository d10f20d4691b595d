// Every statement that looks for queues in PostgreSQL, with what each walks. All read the catalogue, save the versions.
import { quotePgName } from '../postgres-errors.ts';

/** Tables told of one database; a database with more of such tables is looked at in part. */
export const TABLES_AT_MOST = 2_000;

/**
 * Tables by their names ($1), and tables with columns that say of a state ($2) and of a worker ($3, regular expressions), those with
 * most of the latter first. Walks: pg_class and pg_attribute once, filtered before anything is asked of a table. Seen without grants.
 */
export const tables = `
  WITH shaped AS (
    SELECT a.attrelid,
           bool_or(a.attname ~* $2) AS has_state,
           count(*) FILTER (WHERE a.attname ~* $3) AS worker_columns
      FROM pg_catalog.pg_attribute a
     WHERE a.attnum > 0 AND NOT a.attisdropped AND (a.attname ~* $2 OR a.attname ~* $3)
     GROUP BY a.attrelid
  ), picked AS (
    SELECT c.oid, n.oid AS nspoid, n.nspname, c.relname, c.relkind,
           c.relname = ANY ($1::text[]) AS named, coalesce(s.worker_columns, 0) AS worker_columns
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN shaped s ON s.attrelid = c.oid
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND (c.relname = ANY ($1::text[]) OR (s.worker_columns >= 2 OR s.has_state AND s.worker_columns >= 1))
     ORDER BY named DESC, worker_columns DESC, n.nspname, c.relname
     LIMIT ${TABLES_AT_MOST + 1}
  )
  SELECT p.nspname AS schema, p.relname AS name, p.relkind AS kind, obj_description(p.oid, 'pg_class') AS comment,
         row_security_active(p.oid) AND NOT (
           EXISTS (SELECT FROM pg_catalog.pg_policy r
                    WHERE r.polrelid = p.oid AND r.polpermissive AND r.polcmd IN ('r', '*')
                      AND pg_get_expr(r.polqual, r.polrelid) = 'true'
                      AND EXISTS (SELECT FROM unnest(r.polroles) role
                                   WHERE CASE role WHEN 0 THEN true ELSE pg_has_role(role, 'USAGE') END))
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy r WHERE r.polrelid = p.oid AND NOT r.polpermissive)
         ) AS hides_rows,
         access.readable,
         (SELECT json_agg(json_build_object(
                   'name', a.attname,
                   'type', format_type(a.atttypid, a.atttypmod),
                   'readable', access.readable OR access.usable AND has_column_privilege(p.oid, a.attnum, 'SELECT'))
                 ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped)::text AS columns
    FROM picked p
   CROSS JOIN LATERAL (
           SELECT has_schema_privilege(p.nspoid, 'USAGE') AS usable,
                  has_schema_privilege(p.nspoid, 'USAGE') AND has_table_privilege(p.oid, 'SELECT') AS readable
         ) access
   ORDER BY p.named DESC, p.worker_columns DESC, p.nspname, p.relname`;

/** Walks: a system's own table of versions, which has a row a migration. */
export const version = (schema: string, table: string, read: string): string =>
  `SELECT (${read})::text AS version FROM ${quotePgName(schema)}.${quotePgName(table)}`;

/** For this session: such statements are compiled for longer than they run. */
export const withoutCompiler = 'SET jit = off';
