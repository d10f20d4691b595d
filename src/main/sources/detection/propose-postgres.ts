// A mapping for a table of PostgreSQL: its columns, a bounded look at its rows, and what they mean.
import { z } from 'zod';
import type { MappingProposal } from '../../../contract/detection.ts';
import { quotePgName } from '../postgres-errors.ts';
import type { PostgresSession } from '../postgres-session.ts';
import { mismatch, tableParts } from '../queues/jobs-table/jobs-table.ts';
import { indexRow, namedRow, postgresColumnRow, relationRow, stateRow } from './catalogue-rows.ts';
import { columnsFor } from './column-roles.ts';
import { lookAtValues, type SeenValues } from './look-at-values.ts';
import { nearNames } from './near-names.ts';
import { withoutCompiler } from './postgres-catalogue-sql.ts';
import * as sql from './postgres-table-sql.ts';
import { proposeMapping, stateColumnOf } from './propose-mapping.ts';
import type { LookedColumn, TableLook } from './table-look.ts';

const notTables: Record<string, string> = { v: 'a view', m: 'a materialized view', f: 'a foreign table' };

/** Rejects with `schema-mismatch` where there is no such table, it is a view, or it does not look like jobs. */
export async function proposePostgres(
  session: PostgresSession,
  table: string,
  signal: AbortSignal,
): Promise<MappingProposal> {
  await session.rows(z.unknown(), withoutCompiler, signal);
  const found = await find(session, table, signal);
  const columnRows = await session.rows(postgresColumnRow, sql.columns, signal, [found.oid]);
  const indexes = await session.rows(indexRow, sql.indexed, signal, [found.oid]);
  const look: TableLook = {
    database: 'postgres',
    table,
    quotedName: `${quotePgName(found.schema)}.${quotePgName(found.name)}`,
    columns: columnRows.map(lookedColumn),
    primaryKey: columnRows.filter(({ in_key }) => in_key).map(({ name }) => name),
    indexed: indexes.flatMap(({ first }) => first ?? []),
  };
  const { seen, doubts } = await valuesOf(session, look, found, signal);
  const proposal = proposeMapping(look, seen);
  return { ...proposal, doubts: [...doubts, ...proposal.doubts] };
}

type Relation = z.infer<typeof relationRow>;

async function find(session: PostgresSession, table: string, signal: AbortSignal): Promise<Relation> {
  const { schema, table: bare } = tableParts(table);
  const name = schema === null ? quotePgName(bare) : `${quotePgName(schema)}.${quotePgName(bare)}`;
  const [relation] = await session.rows(relationRow, sql.relation, signal, [name]);
  if (relation === undefined) {
    const names = await session.rows(namedRow, sql.tableNames, signal, [bare]);
    const near = nearNames(
      table,
      names.map((row) => row.name),
    );
    throw mismatch(
      `There is no table ${table}. ${near.length > 0 ? `Perhaps ${near.join(' or ')} is meant.` : 'Check its name, with its schema in front ("app.jobs") if it is not on the search path.'}`,
    );
  }
  if (relation.kind !== 'r' && relation.kind !== 'p') {
    throw mismatch(
      `${table} is ${notTables[relation.kind] ?? 'no table'}, whose rows cannot be walked by an index. Name the table that holds the jobs.`,
    );
  }
  return relation;
}

function lookedColumn(row: z.infer<typeof postgresColumnRow>): LookedColumn {
  const { name, type, nullable, default_value, comment, labels, checks } = row;
  const allowed = labels.length > 0 ? labels : checks.flatMap(literals);
  return {
    name,
    type,
    nullable,
    defaultValue: default_value,
    comment: comment ?? '',
    allowed: allowed.length > 0 ? allowed : null,
    isEnum: labels.length > 0,
  };
}

/** The values of "CHECK ((status = ANY (ARRAY['a'::text, 'b'::text])))"; none of a check that says anything else. */
function literals(check: string): string[] {
  if (!/= ANY|= '/.test(check) || /~|LIKE|<|>|NOT /.test(check)) return [];
  return [...check.matchAll(/'((?:[^']|'')*)'/g)].map(([, text = '']) => text.replaceAll("''", "'"));
}

async function valuesOf(
  session: PostgresSession,
  look: TableLook,
  { schema, name, role, readable }: Relation,
  signal: AbortSignal,
): Promise<SeenValues> {
  const state = stateColumnOf(look);
  if (state === null) return { seen: [], doubts: [] };
  if (!readable) {
    const account = quotePgName(role);
    const grant = `GRANT USAGE ON SCHEMA ${quotePgName(schema)} TO ${account}; GRANT SELECT ON ${look.quotedName} TO ${account};`;
    return {
      seen: [],
      doubts: [
        `This account may not read ${look.table}, so that no row was looked at. An administrator runs: ${grant}`,
      ],
    };
  }
  const rows =
    (statement: string, parameters: readonly string[] = []) =>
    () =>
      session.rows(stateRow, statement, signal, parameters);
  const newest = [...columnsFor('createdAt', look.columns).map((column) => column.name), ...look.primaryKey];
  const newestBy = newest.find((column) => look.indexed.includes(column)) ?? null;
  const attempts = columnsFor('attempts', look.columns)[0]?.name ?? null;
  const of = { state: state.name, attempts };
  return lookAtValues(
    [
      ...(look.indexed.includes(state.name) ? [rows(sql.valuesByIndex(look.quotedName, state.name))] : []),
      ...(newestBy === null ? [] : [rows(sql.valuesOfSome(look.quotedName, { ...of, newestBy }))]),
      rows(sql.valuesOfSome(look.quotedName, { ...of, newestBy: null })),
      rows(sql.commonValues, [schema, name, state.name]),
    ],
    look.table,
  );
}
