// What PostgreSQL's catalogue tells of the tables of one system: their columns, their indexes, and rows that are hidden.
import { z } from 'zod';
import { quotePgName } from '../postgres-errors.ts';
import type { PostgresSession } from '../postgres-session.ts';

const relationRow = z.object({
  name: z.string(),
  is_table: z.boolean(),
  hidden: z.boolean(),
  columns: z.array(z.string()),
});
const indexRow = z.object({
  table: z.string(),
  name: z.string(),
  columns: z.array(z.string().nullable()),
  condition: z.string().nullable(),
});

export interface PostgresRelation {
  name: string;
  /** Not a view. */
  isTable: boolean;
  /** Whether row-level security hides rows from this account: it applies, and no policy shows all. */
  hidden: boolean;
  /** In their order. */
  columns: string[];
}

export interface PostgresIndex {
  table: string;
  name: string;
  /** Null where it is no plain column. */
  columns: (string | null)[];
  /** Of a partial index, as PostgreSQL writes it. */
  condition: string | null;
}

/** Walks: the catalogue's own indexes. $1: schema, $2: what the names begin with. */
const relations = `
  SELECT c.relname::text AS name, c.relkind IN ('r', 'p') AS is_table,
         row_security_active(c.oid) AND NOT (
           EXISTS (SELECT FROM pg_catalog.pg_policy p
                    WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
                      AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true'
                      AND EXISTS (SELECT FROM unnest(p.polroles) role
                                   WHERE CASE role WHEN 0 THEN true ELSE pg_catalog.pg_has_role(role, 'USAGE') END))
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)
         ) AS hidden,
         ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND starts_with(c.relname, $2) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   ORDER BY c.relname`;

/** Usable B-tree indexes of the same tables. Walks: likewise. */
const indexes = `
  SELECT t.relname::text AS table, c.relname::text AS name,
         ARRAY(SELECT a.attname::text
                 FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
                 LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                WHERE k.place <= i.indnkeyatts
                ORDER BY k.place) AS columns,
         pg_catalog.pg_get_expr(i.indpred, i.indrelid, true) AS condition
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
    JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
   WHERE n.nspname = $1 AND starts_with(t.relname, $2) AND i.indisvalid
   ORDER BY c.relname`;

export async function postgresRelations(
  session: PostgresSession,
  schema: string,
  prefix: string,
  signal: AbortSignal,
): Promise<PostgresRelation[]> {
  const rows = await session.rows(relationRow, relations, signal, [schema, prefix]);
  return rows.map(({ is_table: isTable, ...rest }) => ({ ...rest, isTable }));
}

export function postgresIndexes(
  session: PostgresSession,
  schema: string,
  prefix: string,
  signal: AbortSignal,
): Promise<PostgresIndex[]> {
  return session.rows(indexRow, indexes, signal, [schema, prefix]);
}

/** The warning about hidden rows of the `read` tables; none where nothing is hidden. */
export function hiddenRowsWarnings(
  schema: string,
  found: readonly PostgresRelation[],
  read: ReadonlySet<string>,
): string[] {
  const hidden = found.filter((relation) => relation.hidden && read.has(relation.name));
  if (hidden.length === 0) return [];
  const policies = hidden.map(
    ({ name }) =>
      `CREATE POLICY headway_reads ON ${quotePgName(schema)}.${quotePgName(name)} FOR SELECT TO … USING (true)`,
  );
  return [
    `Row-level security hides rows of ${hidden.map(({ name }) => name).join(', ')} from this account, so that counts are too low, or zero. An administrator runs ALTER ROLE … BYPASSRLS, or ${policies.join('; ')}.`,
  ];
}
