// A mapping for a table of MySQL or MariaDB: its columns, a bounded look at its rows, and what they mean.
import { z } from 'zod';
import type { MappingProposal } from '../../../contract/detection.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import { quoteName } from '../mysql-errors.ts';
import type { MysqlSession } from '../mysql-session.ts';
import { mismatch, tableParts } from '../queues/jobs-table/jobs-table.ts';
import { indexRow, mysqlColumnRow, mysqlRelationRow, namedRow, stateRow } from './catalogue-rows.ts';
import { columnsFor } from './column-roles.ts';
import { lookAtValues, type SeenValues } from './look-at-values.ts';
import * as sql from './mysql-table-sql.ts';
import { nearNames } from './near-names.ts';
import { proposeMapping, stateColumnOf } from './propose-mapping.ts';
import type { LookedColumn, TableLook } from './table-look.ts';

/** Rejects with `schema-mismatch` where there is no such table, it is a view, or it does not look like jobs. */
export async function proposeMysql(
  session: MysqlSession,
  table: string,
  signal: AbortSignal,
): Promise<MappingProposal> {
  const { schema, table: bare } = tableParts(table);
  const quotedName = schema === null ? quoteName(bare) : `${quoteName(schema)}.${quoteName(bare)}`;
  await find(session, { table, schema, bare, quotedName }, signal);
  const columnRows = await session.rows(mysqlColumnRow, sql.columns(schema, bare), signal);
  const indexes = await session.rows(indexRow, sql.indexed(schema, bare), signal);
  const look: TableLook = {
    database: 'mysql',
    table,
    quotedName,
    columns: columnRows.map(lookedColumn),
    primaryKey: columnRows.filter(({ in_key }) => in_key !== 0).map(({ name }) => name),
    indexed: indexes.flatMap(({ first }) => first ?? []),
  };
  const { seen, doubts } = await valuesOf(session, look, signal);
  const proposal = proposeMapping(look, seen);
  return { ...proposal, doubts: [...doubts, ...proposal.doubts] };
}

interface Wanted {
  table: string;
  schema: string | null;
  bare: string;
  quotedName: string;
}

async function find(
  session: MysqlSession,
  { table, schema, bare, quotedName }: Wanted,
  signal: AbortSignal,
): Promise<void> {
  const [relation] = await session.rows(mysqlRelationRow, sql.relation(schema, bare), signal);
  if (relation !== undefined) {
    if (relation.kind === 'BASE TABLE') return;
    throw mismatch(
      `${table} is a ${relation.kind.toLowerCase()}, whose rows cannot be walked by an index. Name the table that holds the jobs.`,
    );
  }
  try {
    await session.rows(z.unknown(), sql.touch(quotedName), signal);
  } catch (error) {
    // A table that is not granted is refused whether or not it exists: near names tell more than a grant would.
    const isAbsent =
      error instanceof HeadwayError && ['schema-mismatch', 'grant-missing'].includes(error.code);
    if (!isAbsent) throw error;
    const names = await session.rows(namedRow, sql.tableNames(schema), signal);
    const near = nearNames(
      table,
      names.map(({ name }) => name),
    );
    if (near.length === 0 && error.code === 'grant-missing') throw error;
    const denied = error.code === 'grant-missing' ? ', or it is not granted to this account' : '';
    throw mismatch(
      `There is no table ${table}${denied}. ${near.length > 0 ? `Perhaps ${near.join(' or ')} is meant.` : 'Check its name, with its database in front ("app.jobs") if it is another one than the connection\'s.'}`,
      error,
    );
  }
}

function lookedColumn(row: z.infer<typeof mysqlColumnRow>): LookedColumn {
  const { name, type, nullable, default_value, comment } = row;
  const labels = /^enum\((?<list>.*)\)$/i.exec(type)?.groups?.['list'];
  return {
    name,
    type,
    nullable: nullable !== 0,
    defaultValue: default_value,
    comment,
    allowed:
      labels === undefined
        ? null
        : [...labels.matchAll(/'((?:[^']|'')*)'/g)].map(([, text = '']) => text.replaceAll("''", "'")),
    isEnum: labels !== undefined,
  };
}

async function valuesOf(session: MysqlSession, look: TableLook, signal: AbortSignal): Promise<SeenValues> {
  const state = stateColumnOf(look);
  if (state === null) return { seen: [], doubts: [] };
  const rows = (statement: string) => () => session.rows(stateRow, statement, signal);
  const newest = [...columnsFor('createdAt', look.columns).map(({ name }) => name), ...look.primaryKey];
  const newestBy = newest.find((column) => look.indexed.includes(column)) ?? null;
  const attempts = columnsFor('attempts', look.columns)[0]?.name ?? null;
  const of = { state: state.name, attempts };
  return lookAtValues(
    [
      ...(look.indexed.includes(state.name) ? [rows(sql.valuesByIndex(look.quotedName, state.name))] : []),
      ...(newestBy === null ? [] : [rows(sql.valuesOfSome(look.quotedName, { ...of, newestBy }))]),
      rows(sql.valuesOfSome(look.quotedName, { ...of, newestBy: null })),
    ],
    look.table,
  );
}
