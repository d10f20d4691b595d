// What a schema holds of a system's tables, and what keeps them from being read.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { INDEX_COLUMNS } from './state-table.ts';

const relationRow = z.object({
  name: z.string(),
  kind: z.string(),
  /** Row-level security hides rows of it from this account. */
  hidden: z.boolean(),
  /** An unlogged table cannot be read on a standby. */
  away: z.boolean(),
  comment: z.string().nullable(),
  bytes: z.number(),
  columns: z.array(z.object({ name: z.string(), type: z.string(), readable: z.boolean() })),
});
export type Relation = z.infer<typeof relationRow>;
const indexRow = z.object({ columns: z.array(z.string()), condition: z.string().nullable() });
const labelRow = z.object({ label: z.string() });

/** As they were found; every relation by its name. */
export interface FoundTables {
  schema: string;
  relations: ReadonlyMap<string, Relation>;
  /** Valid indexes of the jobs. */
  indexes: readonly z.infer<typeof indexRow>[];
  /** The words of the state column's type. */
  labels: readonly string[];
}

/**
 * Relations of a schema ($1) by their names ($2). Whether row-level security hides rows: where it is active and no policy that shows
 * all rows applies to this account. Walks: the catalogue's own indexes.
 */
const relations = `
  SELECT c.relname AS name, c.relkind AS kind,
         row_security_active(c.oid) AND NOT (
           EXISTS (SELECT FROM pg_policy p
                    WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
                      AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                      AND EXISTS (SELECT FROM unnest(p.polroles) role
                                   WHERE CASE role WHEN 0 THEN true ELSE pg_has_role(role, 'USAGE') END))
           AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)
         ) AS hidden,
         c.relpersistence = 'u' AND pg_is_in_recovery() AS away,
         obj_description(c.oid, 'pg_class') AS comment,
         CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END::float8 AS bytes,
         (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, NULL), 'readable',
                   has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')) ORDER BY a.attnum), '[]')
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

/** Valid indexes of a table ($1: schema, $2: name): their columns in order, and the condition. Walks: the catalogue's own indexes. */
const indexes = `
  SELECT ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) k) AS columns,
         pg_get_expr(i.indpred, i.indrelid) AS condition
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = $2 AND i.indisvalid`;

/** The words of a type ($1: schema, $2: name). Walks: the catalogue's own indexes. */
const labels = `
  SELECT e.enumlabel AS label
    FROM pg_enum e
    JOIN pg_type t ON t.oid = e.enumtypid
    JOIN pg_namespace n ON n.oid = t.typnamespace
   WHERE n.nspname = $1 AND t.typname = $2
   ORDER BY e.enumsortorder`;

export async function findTables(
  session: PostgresSession,
  {
    schema,
    jobs,
    others,
    stateType,
  }: { schema: string; jobs: string; others: readonly string[]; stateType: string },
  signal: AbortSignal,
): Promise<FoundTables> {
  const found = await session.rows(relationRow, relations, signal, [schema, [jobs, ...others]]);
  return {
    schema,
    relations: new Map(found.map((relation) => [relation.name, relation])),
    indexes: await session.rows(indexRow, indexes, signal, [schema, jobs]),
    labels: (await session.rows(labelRow, labels, signal, [schema, stateType])).map(({ label }) => label),
  };
}

/** The first reason why the jobs of `system` cannot be read here is thrown: `schema-mismatch`, or `grant-missing`. */
export function requireJobs(
  { schema, relations, labels }: FoundTables,
  needs: {
    system: string;
    jobs: string;
    columns: readonly string[];
    labels: readonly string[];
    install: string;
  },
): Relation {
  const { system, jobs } = needs;
  const table = relations.get(jobs);
  const mismatch = (what: string) => new HeadwayError('schema-mismatch', what);
  if (table === undefined) {
    throw mismatch(
      `Schema ${quotePgName(schema)} has no table ${jobs}. Check the database and the schema of this connection; ${needs.install}`,
    );
  }
  if (!['r', 'p'].includes(table.kind)) {
    throw mismatch(
      `${quotePgName(schema)}.${jobs} is not a table, but a view of one. Enter the schema in which ${system} keeps its table.`,
    );
  }
  const names = new Set(table.columns.map(({ name }) => name));
  const lacking = [
    ...needs.columns.filter((name) => !names.has(name)).map((name) => `column ${name}`),
    ...needs.labels.filter((label) => !labels.includes(label)).map((label) => `state ${label}`),
  ];
  if (lacking.length > 0) {
    throw mismatch(
      `Table ${jobs} of schema ${quotePgName(schema)} is not one of a ${system} that Headway reads: without ${lacking.join(', ')}. ${needs.install}`,
    );
  }
  const closed = table.columns.filter(({ name, readable }) => !readable && needs.columns.includes(name));
  if (closed.length > 0) {
    throw new HeadwayError(
      'grant-missing',
      `This account may not read ${closed.map(({ name }) => name).join(', ')} of ${quotePgName(schema)}.${jobs}. An administrator runs GRANT USAGE ON SCHEMA ${quotePgName(schema)} and GRANT SELECT ON ALL TABLES IN SCHEMA ${quotePgName(schema)} TO it.`,
    );
  }
  return table;
}

/** Whether a table beside the jobs can be read, and if not, why: what is unknown then is said by `unknown`. */
export function readableOther(
  { schema, relations }: FoundTables,
  name: string,
  unknown: string,
): { readable: boolean; warning: string | null } {
  const relation = relations.get(name);
  if (relation === undefined) return { readable: false, warning: null };
  if (relation.away) {
    return { readable: false, warning: `${name} cannot be read on a standby: ${unknown}.` };
  }
  if (relation.columns.every(({ readable }) => readable)) return { readable: true, warning: null };
  return {
    readable: false,
    warning: `This account may not read ${name}: ${unknown}. An administrator runs GRANT SELECT ON ${quotePgName(schema)}.${quotePgName(name)} TO it.`,
  };
}

export function hiddenWarnings({ schema, relations }: FoundTables): string[] {
  const hidden = [...relations.values()].filter((relation) => relation.hidden).map(({ name }) => name);
  if (hidden.length === 0) return [];
  const policies = hidden.map(
    (name) =>
      `CREATE POLICY headway_reads ON ${quotePgName(schema)}.${quotePgName(name)} FOR SELECT TO … USING (true)`,
  );
  return [
    `Row-level security hides rows of ${hidden.join(', ')} from this account, so that counts are too low, or zero. An administrator runs ALTER ROLE … BYPASSRLS, or ${policies.join('; ')}.`,
  ];
}

/** States that this Headway does not know: their jobs are not counted. */
export function unknownLabelWarnings({ labels }: FoundTables, known: readonly string[]): string[] {
  const unknown = labels.filter((label) => !known.includes(label));
  if (unknown.length === 0) return [];
  return [`Jobs in state ${unknown.join(', ')} are not counted: this Headway does not know what that means.`];
}

/** Whether some index begins with these columns; `where` is its condition as PostgreSQL writes it, or null for a whole one. */
export function hasIndex(
  { indexes }: FoundTables,
  columns: readonly string[],
  where: string | null = null,
): boolean {
  return indexes.some(
    (index) =>
      columns.every((name, i) => index.columns[i] === name) &&
      (index.condition === null || index.condition === where),
  );
}

export const hasMainIndex = (found: FoundTables): boolean => hasIndex(found, INDEX_COLUMNS.slice(0, 4));

/** Without its index a table up to this size is scanned instead: some milliseconds. */
export const SCANNED_BYTES = 16 * 1024 * 1024;
