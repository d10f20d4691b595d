// Which missing indexes are worth a word.
import type { MissingIndex } from '../../../contract/database-health.ts';

/** A smaller table is read whole in a few milliseconds. */
const SMALL_TABLE_ROWS = 10_000;
/** Of each reading of a statement. */
const SAVED_AT_LEAST = 1_000;
const NAMED_AT_MOST = 20;

export interface Saving {
  columns: readonly string[];
  where: string | null;
  /** Rows that the statement would not read. */
  saved: number;
  missing: MissingIndex;
}

/** `rowsThen` is null where the server cannot tell it. */
export function savesEnough(rows: { tableRows: number; rowsNow: number; rowsThen: number | null }): boolean {
  const { tableRows, rowsNow, rowsThen } = rows;
  if (tableRows < SMALL_TABLE_ROWS) return false;
  if (rowsThen === null) return rowsNow >= SMALL_TABLE_ROWS;
  return rowsNow - rowsThen >= SAVED_AT_LEAST && rowsThen <= rowsNow / 2;
}

/** Each index once, with all that it is good for; one that begins another is left to that. The most useful first. */
export function mostUseful(savings: readonly Saving[]): MissingIndex[] {
  const servedBy = (one: Saving): Saving =>
    savings
      .filter((other) => begins(one, other))
      .reduce((best, other) => (other.columns.length > best.columns.length ? other : best), one);
  const groups = Map.groupBy(savings, (saving) => servedBy(saving).missing.ddl);
  return [...groups]
    .map(([ddl, group]) => {
      const own = group.filter(({ missing }) => missing.ddl === ddl).sort((a, b) => b.saved - a.saved);
      const whys = new Set([...own, ...group].map(({ missing }) => missing.why));
      return { first: own[0]?.missing, saved: Math.max(...group.map(({ saved }) => saved)), whys };
    })
    .sort((a, b) => b.saved - a.saved)
    .slice(0, NAMED_AT_MOST)
    .flatMap(({ first, whys }) => (first ? [{ ...first, why: sentences([...whys]) }] : []));
}

/** Several sentences as one text, whether they end in a full stop or not. */
export const sentences = (texts: readonly string[]): string =>
  texts.map((text) => text.trim().replace(/\.$/, '')).join('. ');

/** Whether an index serves wherever the other one is: it has the same rows, and the columns of the other come first in it. */
function begins(one: Saving, other: Saving): boolean {
  return (
    one.missing.table === other.missing.table &&
    one.where === other.where &&
    one.columns.every((column, at) => other.columns[at] === column)
  );
}
