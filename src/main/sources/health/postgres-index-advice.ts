// Which index a queue's statements lack on PostgreSQL, by the plans and statistics of the server. Nothing is run, nothing made.
import { z } from 'zod';
import type { IndexAdvice, MissingIndex } from '../../../contract/database-health.ts';
import { quotePgName } from '../postgres-errors.ts';
import type { PostgresSession } from '../postgres-session.ts';
import { conditionsOf, reachOf } from './conditions.ts';
import { btreeBytes, writeCost } from './index-cost.ts';
import { mostUseful, savesEnough, sentences, type Saving } from './missing-indexes.ts';
import * as sql from './postgres-advice-sql.ts';
import { planRow, scansOf, type Scan } from './postgres-plan.ts';
import { readingPart } from './reading-part.ts';
import { refusalOf } from './refusal.ts';
import type { ExaminedStatement, WantedIndex, WatchedTables } from './watched-tables.ts';

const tableRow = z.object({
  watched: z.string(),
  oid: z.string(),
  schema: z.string(),
  table: z.string(),
  name: z.string(),
  rows: z.number().nullable(),
});
type Table = z.infer<typeof tableRow>;
const indexRow = z.object({
  table_oid: z.string(),
  name: z.string(),
  columns: z.array(z.string()),
  condition: z.string().nullable(),
  usable: z.boolean(),
});
type Index = z.infer<typeof indexRow>;
const widthRow = z.object({ column: z.string(), width: z.number() });
const settingRow = z.object({ name: z.string(), setting: z.string() });
const lineRow = z.object({ 'QUERY PLAN': z.string() });

/** Of a column without statistics. */
const WIDTH_UNKNOWN = 16;

/**
 * Explains every statement and looks for the indexes that they want, under any name: the wanted columns first, on whole tables or on rows
 * that include all that are wanted. What an index would save is the planner's own estimate: rows that fulfil those
 * conditions which the index's columns lead to, from the table's statistics, as EXPLAIN tells of a SELECT with them.
 * A statement that may not be explained says why. Rejects when the session fails.
 */
export async function advisePostgresIndexes(
  session: PostgresSession,
  watched: WatchedTables,
  signal: AbortSignal,
): Promise<IndexAdvice> {
  return new Advisor(session, signal).advise(watched);
}

class Advisor {
  readonly #session: PostgresSession;
  readonly #signal: AbortSignal;
  /** Rows by the planner's estimate, by statement; each is asked once. */
  readonly #estimates = new Map<string, number | null>();

  constructor(session: PostgresSession, signal: AbortSignal) {
    this.#session = session;
    this.#signal = signal;
  }

  async advise({ tables: names, statements }: WatchedTables): Promise<IndexAdvice> {
    const wanted = statements.flatMap(({ wants }) => wants.map(({ table }) => table));
    const tables = await this.#tables([...new Set([...names, ...wanted])]);
    const oids = [...new Set(tables.map(({ oid }) => oid))];
    const indexes = await this.#session.rows(indexRow, sql.indexes, this.#signal, [oids]);
    const examined: IndexAdvice['examined'] = [];
    const savings: Saving[] = [];
    for (const statement of statements) {
      const look = () => this.#examine(statement, tables);
      const { scans, shown } = statement.own ? await look() : await this.#with(sql.setAside, look);
      examined.push(shown);
      if (scans === null || shown.rows === null) continue;
      for (const want of statement.wants) {
        for (const table of tables.filter(({ watched }) => watched === want.table)) {
          const saving = await this.#saving(want, table, scans, indexes, shown.rows);
          if (saving !== null) savings.push(saving);
        }
      }
    }
    return { missing: mostUseful(savings), examined };
  }

  async #tables(names: readonly string[]): Promise<(Table & { rows: number; analysed: boolean })[]> {
    const rows = await this.#session.rows(tableRow, sql.tables, this.#signal, [names]);
    const known = [];
    for (const table of rows) {
      const estimate = table.rows ?? (await this.#rowsWhere(table, 'headway', null)) ?? 0;
      known.push({ ...table, rows: Math.round(estimate), analysed: table.rows !== null });
    }
    return known;
  }

  async #examine(
    { name, sql: statement }: ExaminedStatement,
    tables: readonly Table[],
  ): Promise<{ scans: CountedScan[] | null; shown: IndexAdvice['examined'][number] }> {
    const whole = statement.trim().replace(/;\s*$/, '');
    const none = { name, sql: statement, plan: null, rows: null };
    const first = await this.#explain(whole);
    if (typeof first !== 'string') {
      return {
        scans: first.scans,
        shown: { ...none, plan: first.plan, rows: await this.#count(first.scans, tables), problem: null },
      };
    }
    const part = readingPart(whole, 'postgres');
    const second = part === null || part === whole ? first : await this.#explain(part);
    if (typeof second === 'string') return { scans: null, shown: { ...none, problem: first } };
    const rows = await this.#count(second.scans, tables);
    const problem = `The plan is of what it reads alone; of the whole the server says: ${first}`;
    return { scans: second.scans, shown: { ...none, plan: second.plan, rows, problem } };
  }

  /** A text is why not. */
  async #explain(statement: string): Promise<{ scans: CountedScan[]; plan: string } | string> {
    try {
      const root = await this.#session.row(planRow, sql.asJson(statement), this.#signal);
      const lines = await this.#session.rows(lineRow, sql.asText(statement), this.#signal);
      const scans = scansOf(root).map((scan) => ({ ...scan, reading: 0 }));
      return { scans, plan: lines.map((line) => line['QUERY PLAN']).join('\n') };
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** Fills in what each scan reads; the sum. */
  async #count(scans: CountedScan[], tables: readonly Table[]): Promise<number> {
    for (const scan of scans) {
      const { reads, loops, fraction } = scan;
      const table = tables.find((each) => each.schema === scan.schema && each.table === scan.table) ?? {
        ...{ name: `${quotePgName(scan.schema)}.${quotePgName(scan.table)}`, rows: null },
      };
      const all =
        reads.what === 'entries'
          ? reads.rows
          : reads.what === 'table'
            ? (table.rows ?? (await this.#rowsWhere(table, scan.alias, null)))
            : await this.#rowsWhere(table, scan.alias, reads.condition);
      // A condition on another table's row fits what it fits each time.
      scan.reading = (all ?? scan.matching) * fraction * loops;
    }
    return Math.round(scans.reduce((sum, { reading }) => sum + reading, 0));
  }

  async #saving(
    want: WantedIndex,
    table: Table & { rows: number; analysed: boolean },
    scans: readonly CountedScan[],
    indexes: readonly Index[],
    rowsNow: number,
  ): Promise<Saving | null> {
    const here = scans.filter((scan) => scan.schema === table.schema && scan.table === table.table);
    if (here.length === 0) return null;
    let now = 0;
    let then = 0;
    for (const scan of here) {
      now += scan.reading;
      then += Math.min(scan.reading, (await this.#rowsWith(want, table, scan)) * scan.loops);
    }
    if (!savesEnough({ tableRows: table.rows, rowsNow: now, rowsThen: then })) return null;
    const saved = now - then;
    const rowsThen = Math.max(0, Math.round(rowsNow - saved));
    const same = indexes.filter(
      (index) =>
        index.table_oid === table.oid && want.columns.every((column, at) => index.columns[at] === column),
    );
    for (const index of same) {
      if (index.usable && (await this.#covers(table, index.condition, want.where))) return null;
    }
    const broken = same.find(({ usable }) => !usable);
    const missing = await this.#missing(want, table, broken?.name ?? null);
    return { columns: want.columns, where: want.where, saved, missing: { ...missing, rowsNow, rowsThen } };
  }

  /** What a scan would read each time by the wanted index. */
  async #rowsWith(want: WantedIndex, table: Table & { rows: number }, scan: CountedScan): Promise<number> {
    const conditions = scan.conditions.flatMap((text) => conditionsOf(text, scan.alias, 'postgres'));
    const { followed, ordered } = reachOf(want.columns, conditions, scan.limit?.sortedBy ?? null);
    const followedText = [...new Set(followed.map(({ text }) => `(${text})`))];
    const all = [...followedText, ...(want.where === null ? [] : [`(${want.where})`])];
    if (all.length === 0 && !(ordered && scan.limit)) return Infinity;
    const range =
      all.length === 0
        ? table.rows
        : ((await this.#rowsWhere(table, scan.alias, all.join(' AND '))) ?? scan.matching);
    if (!ordered || scan.limit === null) return range;
    return Math.min(
      range,
      Math.ceil((scan.limit.rows * range) / Math.max(1, Math.min(range, scan.matching))),
    );
  }

  async #missing(
    want: WantedIndex,
    table: Table & { rows: number; analysed: boolean },
    broken: string | null,
  ): Promise<MissingIndex> {
    const entries = want.where === null ? table.rows : await this.#rowsWhere(table, 'headway', want.where);
    const widths = await this.#session.rows(widthRow, sql.widths, this.#signal, [table.schema, table.table]);
    const keyBytes = want.columns.reduce(
      (sum, column) => sum + (widths.find((each) => each.column === column)?.width ?? WIDTH_UNKNOWN),
      0,
    );
    const where = want.where === null ? '' : ` WHERE ${want.where}`;
    const columns = want.columns.map(quotePgName).join(', ');
    return {
      table: table.name,
      ddl: `CREATE INDEX CONCURRENTLY ON ${table.name} (${columns})${where};`,
      why: sentences([
        want.why,
        ...(broken === null
          ? []
          : [
              `Index ${broken} is broken and serves nobody: DROP INDEX CONCURRENTLY ${quotePgName(table.schema)}.${quotePgName(broken)}`,
            ]),
        ...(table.analysed
          ? []
          : [`The table was never analysed, so that the numbers are guesses: ANALYZE ${table.name}`]),
      ]),
      rowsNow: null,
      rowsThen: null,
      sizeBytes: entries === null ? null : btreeBytes(entries, keyBytes),
      cost: writeCost(
        want.columns,
        { partial: want.where !== null, rows: table.rows },
        'Building it blocks no writes and',
      ),
    };
  }

  /** Whether an index on the rows of `condition` has all rows of `wanted`: each part of its condition is one of theirs, as the server writes them. */
  async #covers(table: Table, condition: string | null, wanted: string | null): Promise<boolean> {
    if (condition === null) return true;
    if (wanted === null) return false;
    return this.#with(sql.withoutIndexes, async () => {
      const [has, wants] = [await this.#filter(table, condition), await this.#filter(table, wanted)];
      return has !== null && wants !== null && has.every((part) => wants.includes(part));
    });
  }

  /** The parts of a condition, in the planner's own words; null where it has none for it. */
  async #filter(table: Table, condition: string): Promise<string[] | null> {
    try {
      const root = await this.#session.row(
        planRow,
        sql.rowsWhere(table.name, 'headway', condition),
        this.#signal,
      );
      if (root['Node Type'] !== 'Seq Scan') return null;
      return conditionsOf(root.Filter ?? '', 'headway', 'postgres').map(({ text }) => text);
    } catch (error) {
      refusalOf(error);
      return null;
    }
  }

  /** The planner's estimate; null where the condition does not stand on its own, as one on another table's row does not. */
  async #rowsWhere(table: { name: string }, alias: string, condition: string | null): Promise<number | null> {
    const statement = sql.rowsWhere(table.name, quotePgName(alias), condition);
    const known = this.#estimates.get(statement);
    if (known !== undefined) return known;
    let rows: number | null;
    try {
      rows = (await this.#session.row(planRow, statement, this.#signal))['Plan Rows'];
    } catch (error) {
      refusalOf(error);
      rows = null;
    }
    this.#estimates.set(statement, rows);
    return rows;
  }

  /** Runs `work` with planner settings changed by a statement that tells the old ones. */
  async #with<T>(change: string, work: () => Promise<T>): Promise<T> {
    const before = await this.#session.rows(settingRow, change, this.#signal);
    try {
      return await work();
    } finally {
      if (before.length > 0 && !this.#session.lost) {
        const parameters = [before.map(({ name }) => name), before.map(({ setting }) => setting)];
        await this.#session.rows(z.unknown(), sql.restore, this.#signal, parameters);
      }
    }
  }
}

/** A scan with the rows it expects to read. */
interface CountedScan extends Scan {
  reading: number;
}
