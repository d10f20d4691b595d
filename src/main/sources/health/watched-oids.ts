// The watched tables as PostgreSQL numbers them, with all that hangs on them.
import { z } from 'zod';

export const relationRow = z.object({
  /** As a text, because an oid may be above 2^31. */
  oid: z.string(),
  /** Of the table that it is or belongs to, quoted: "pgboss"."job". */
  table: z.string(),
  kind: z.enum(['table', 'index']),
});

/**
 * $1: names as SQL writes them; one that is not there is left out. Tables, their partitions (partitioned tables themselves
 * hold no rows) and the indexes of both. Walks: pg_inherits by parent, pg_index by table.
 */
export const watchedRelations = `
  WITH RECURSIVE tree (oid) AS (
    SELECT DISTINCT to_regclass(name)::oid FROM unnest($1::text[]) AS names (name)
    UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
  ),
  tables AS (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name
      FROM tree
      JOIN pg_class c ON c.oid = tree.oid AND c.relkind IN ('r', 'm')
      JOIN pg_namespace n ON n.oid = c.relnamespace
  )
  SELECT oid::text AS oid, name AS table, 'table' AS kind FROM tables
  UNION ALL
  SELECT i.indexrelid::text, tables.name, 'index' FROM tables JOIN pg_index i ON i.indrelid = tables.oid`;
