// Which index a queue's statements lack on MySQL or MariaDB, by the plans and statistics of the server. Nothing is run, nothing made.
import { z } from 'zod';
import type { IndexAdvice, MissingIndex } from '../../../contract/database-health.ts';
import { quoteName } from '../mysql-errors.ts';
import type { MysqlSession } from '../mysql-session.ts';
import { conditionsOf, reachOf, unquoted } from './conditions.ts';
import { btreeBytes, writeCost } from './index-cost.ts';
import { mostUseful, savesEnough, type Saving } from './missing-indexes.ts';
import * as sql from './mysql-advice-sql.ts';
import { tableReads, type TableRead } from './mysql-plan.ts';
import { readingPart } from './reading-part.ts';
import { refusalOf } from './refusal.ts';
import { sqlTokens } from './sql-tokens.ts';
import type { ExaminedStatement, WantedIndex, WatchedTables } from './watched-tables.ts';

const number = z.coerce.number();
const tableRow = z.object({ row_count: number.nullable() });
const indexRow = z.object({
  name: z.string(),
  column_name: z.string().nullable(),
  different: number.nullable(),
});
const columnRow = z.object({ column_name: z.string(), type: z.string(), octets: number.nullable() });
const jsonRow = z.object({ EXPLAIN: z.string().transform((text): unknown => JSON.parse(text)) });
const lineRow = z.record(z.string(), z.union([z.string(), z.number(), z.null()]));

interface Table {
  name: string;
  bare: string;
  rows: number;
  /** Names by index, with the key of the table at the end, as InnoDB stores them. */
  indexes: { name: string; columns: (string | null)[]; different: (number | null)[] }[];
  widths: ReadonlyMap<string, number>;
}

/** Of a text whose length may be anything, about so much is written. */
const TEXT_WIDTH = 32;

/**
 * Explains what every statement reads (the server explains no write in a session that may only read) and looks for the indexes that they want,
 * under any name. What an index would save is known where it ends at a limit, or where the server has counted the
 * different values of its first columns in another index; else it is null. Rejects when the session fails.
 */
export async function adviseMysqlIndexes(
  session: MysqlSession,
  watched: WatchedTables,
  signal: AbortSignal,
): Promise<IndexAdvice> {
  const tables = new Map<string, Table>();
  const wanted = watched.statements.flatMap(({ wants }) => wants.map(({ table }) => table));
  for (const name of new Set([...watched.tables, ...wanted])) {
    const table = await readTable(session, name, signal);
    if (table !== null) tables.set(name, table);
  }
  const examined: IndexAdvice['examined'] = [];
  const savings: Saving[] = [];
  for (const statement of watched.statements) {
    const { reads, shown } = await examine(session, statement, signal);
    examined.push(shown);
    for (const want of reads === null ? [] : statement.wants) {
      const table = tables.get(want.table);
      const saving =
        table && savingOf(want, table, { statement, reads: reads ?? [], rowsNow: shown.rows ?? 0 });
      if (saving) savings.push(saving);
    }
  }
  return { missing: mostUseful(savings), examined };
}

async function readTable(session: MysqlSession, name: string, signal: AbortSignal): Promise<Table | null> {
  const parts = sqlTokens(name, 'mysql')
    .filter(({ kind }) => kind === 'name' || kind === 'word')
    .map(({ text }) => unquoted(text));
  const bare = parts.at(-1);
  if (bare === undefined) return null;
  const place = { schema: parts.at(-2) ?? null, table: bare };
  const [found] = await session.rows(tableRow, sql.table(place), signal);
  if (found === undefined) return null;
  const hidden = session.server.product === 'MariaDB' ? "IGNORED = 'YES'" : "IS_VISIBLE = 'NO'";
  const rows = await allowed(() => session.rows(indexRow, sql.indexes(place, hidden), signal)).then((known) =>
    // Versions before either had no hidden indexes.
    typeof known === 'string' ? session.rows(indexRow, sql.indexes(place, 'FALSE'), signal) : known,
  );
  const byName = Map.groupBy(rows, ({ name: index }) => index);
  const primary = byName.get('PRIMARY')?.map(({ column_name: column }) => column) ?? [];
  const columns = await session.rows(columnRow, sql.columns(place), signal);
  return {
    ...{ name, bare, rows: found.row_count ?? 0 },
    indexes: [...byName].map(([index, keys]) => ({
      name: index,
      columns: [...keys.map(({ column_name: column }) => column), ...(index === 'PRIMARY' ? [] : primary)],
      different: keys.map(({ different }) => different),
    })),
    widths: new Map(columns.map(({ column_name: column, type, octets }) => [column, widthOf(type, octets)])),
  };
}

function widthOf(type: string, octets: number | null): number {
  if (octets !== null) return Math.min(octets, TEXT_WIDTH);
  return { tinyint: 1, smallint: 2, mediumint: 3, int: 4, date: 3, timestamp: 7 }[type] ?? 8;
}

async function examine(
  session: MysqlSession,
  { name, sql: statement }: ExaminedStatement,
  signal: AbortSignal,
): Promise<{ reads: TableRead[] | null; shown: IndexAdvice['examined'][number] }> {
  const shown = { name, sql: statement, plan: null, rows: null };
  const part = readingPart(statement, 'mysql');
  if (part === null) {
    const problem = 'The server explains no write in a session that may only read.';
    return { reads: null, shown: { ...shown, problem } };
  }
  const plan = await allowed(async () => ({
    ...(await session.row(jsonRow, sql.asJson(part), signal)),
    lines: await session.rows(lineRow, sql.asText(part), signal),
  }));
  if (typeof plan === 'string') return { reads: null, shown: { ...shown, problem: plan } };
  const reads = tableReads(plan.EXPLAIN);
  // A form of plan that is not known names no table.
  const rows =
    reads.length === 0 ? null : Math.round(reads.reduce((sum, read) => sum + read.rows * read.loops, 0));
  const isWhole = part === statement.trim().replace(/;\s*$/, '');
  const problem = isWhole
    ? null
    : 'The plan is of what it reads alone: the server explains no write in a session that may only read.';
  return { reads, shown: { ...shown, plan: inColumns(plan.lines), rows, problem } };
}

/** A table as the server's own client shows it, without its frame. */
function inColumns(rows: readonly z.infer<typeof lineRow>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const lines = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? 'NULL')))];
  const widths = names.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((text, at) => text.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

interface Examined {
  statement: ExaminedStatement;
  reads: readonly TableRead[];
  rowsNow: number;
}

function savingOf(want: WantedIndex, table: Table, { statement, reads, rowsNow }: Examined): Saving | null {
  const has = table.indexes.some(({ columns }) => want.columns.every((column, at) => columns[at] === column));
  if (has) return null;
  const aliases = aliasesOf(table.bare, statement.sql);
  const here = reads.filter(({ alias }) => aliases.has(alias.toLowerCase()));
  const now = here.reduce((sum, { rows, loops }) => sum + rows * loops, 0);
  let then: number | null = 0;
  for (const read of here) {
    const rows = rowsWith(
      want,
      table,
      read,
      here.length === 1 && !changes(statement.sql, want.columns) ? limitOf(statement.sql) : null,
    );
    then = then === null || rows === null ? null : then + Math.min(read.rows, rows) * read.loops;
  }
  if (here.length === 0 || !savesEnough({ tableRows: table.rows, rowsNow: now, rowsThen: then })) return null;
  const rowsThen = then === null ? null : Math.max(0, Math.round(rowsNow - (now - then)));
  const missing = missingIndex(want, table);
  return {
    columns: want.columns,
    where: want.where,
    saved: now - (then ?? 0),
    missing: { ...missing, rowsNow, rowsThen },
  };
}

function missingIndex(want: WantedIndex, { name, bare, rows, widths }: Table): MissingIndex {
  const index = quoteName(`${bare}_${want.columns.join('_')}`.slice(0, 64));
  const keyBytes = want.columns.reduce((sum, column) => sum + (widths.get(column) ?? TEXT_WIDTH), 0);
  return {
    table: name,
    ddl: `CREATE INDEX ${index} ON ${name} (${want.columns.map(quoteName).join(', ')}) ALGORITHM=INPLACE LOCK=NONE;`,
    why: want.why,
    rowsNow: null,
    rowsThen: null,
    // InnoDB adds the table's own key to each entry.
    sizeBytes: btreeBytes(rows, keyBytes + 8),
    cost: writeCost(
      want.columns,
      { partial: false, rows },
      'Building it lets writes go on, waits a moment for open transactions, and',
    ),
  };
}

/** What a read would be each time by the wanted index; null where the server has no statistics that tell. */
function rowsWith(want: WantedIndex, table: Table, read: TableRead, limit: number | null): number | null {
  const conditions = read.conditions.flatMap((text) => conditionsOf(text, read.alias, 'mysql'));
  const { followed, ordered } = reachOf(want.columns, conditions, read.sortedBy);
  // A condition that the index does not follow may drop rows, and then the limit is reached later.
  if (limit !== null && ordered && !read.usesKey && followed.length === conditions.length) return limit;
  const equal = new Set(followed.flatMap(({ kind, columns }) => (kind === 'equal' ? columns : [])));
  const known = table.indexes.flatMap(({ columns, different }) =>
    different.flatMap((count, at) => {
      const isFollowed = columns.slice(0, at + 1).every((column) => column !== null && equal.has(column));
      return isFollowed && count !== null ? [count] : [];
    }),
  );
  return known.length === 0 ? null : Math.ceil(table.rows / Math.max(1, ...known));
}

/** What a statement calls a table: its name, or what follows it. */
function aliasesOf(table: string, statement: string): Set<string> {
  const tokens = sqlTokens(statement, 'mysql').filter(({ kind }) => kind !== 'space' && kind !== 'comment');
  const aliases = new Set([table.toLowerCase()]);
  for (const [at, { kind, text }] of tokens.entries()) {
    if ((kind !== 'name' && kind !== 'word') || unquoted(text).toLowerCase() !== table.toLowerCase())
      continue;
    const next = tokens[at + 1]?.text.toUpperCase() === 'AS' ? tokens[at + 2] : tokens[at + 1];
    if (next?.kind === 'name' || next?.kind === 'word') aliases.add(unquoted(next.text).toLowerCase());
  }
  return aliases;
}

/** Whether an UPDATE changes one of these columns: then the server first reads all that an index on them finds, whatever the limit. */
function changes(statement: string, columns: readonly string[]): boolean {
  const tokens = sqlTokens(statement, 'mysql').filter(({ kind }) => kind === 'name' || kind === 'word');
  const at = (word: string) => tokens.findIndex(({ text }) => text.toUpperCase() === word);
  const [set, where] = [at('SET'), at('WHERE')];
  if (at('UPDATE') !== 0 || set < 0) return false;
  return tokens
    .slice(set, where < 0 ? undefined : where)
    .some(({ text }) => columns.includes(unquoted(text)));
}

/** The limit at the end of a statement of one SELECT. */
function limitOf(statement: string): number | null {
  const part = readingPart(statement, 'mysql') ?? '';
  if (/\b(?:GROUP BY|UNION|DISTINCT)\b/i.test(part)) return null;
  const limit = /\bLIMIT\s+(?<rows>\d+)$/i.exec(part.trim())?.groups?.['rows'];
  return limit === undefined ? null : Number(limit);
}

/** What a read yields, or why the server refused it; what ends the session is thrown on. */
async function allowed<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    return refusalOf(error);
  }
}
