// All partitions, page after page by their ids, each page in a statement of its own, well within its time limit.
import type { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { MOST_PARTITIONS, NO_MESSAGE } from './schema-sql.ts';

/** Partitions of one statement. */
const PAGE = 2_000;
/** No fewer are tried when a statement was stopped. */
const LEAST_PAGE = 125;

export class Pages {
  #size = PAGE;

  /**
   * All rows, by the partitions' ids; `statement` takes the last id of the page before as $1. A page that takes too long is read in smaller
   * ones from then on; rejects with `budget-exceeded` when the smallest takes too long too.
   */
  async read<S extends z.ZodType<{ partition_id: string }>>(
    session: PostgresSession,
    row: S,
    statement: (limit: number) => string,
    signal: AbortSignal,
  ): Promise<z.infer<S>[]> {
    const all: z.infer<S>[] = [];
    let after = NO_MESSAGE;
    let partitions = 0;
    while (partitions < MOST_PARTITIONS) {
      const limit = Math.min(this.#size, MOST_PARTITIONS - partitions);
      let rows: z.infer<S>[];
      try {
        rows = await session.rows(row, statement(limit), signal, [after]);
      } catch (error) {
        if (!isOverBudget(error) || this.#size <= LEAST_PAGE) throw error;
        this.#size = Math.ceil(this.#size / 2);
        continue;
      }
      for (const each of rows) all.push(each);
      const count = new Set(rows.map(({ partition_id }) => partition_id)).size;
      partitions += count;
      const last = rows.at(-1);
      if (last === undefined || count < limit) break;
      after = last.partition_id;
    }
    return all;
  }
}

const isOverBudget = (error: unknown): boolean =>
  error instanceof HeadwayError && error.code === 'budget-exceeded';

/** Rows that follow one another by their partition. */
export function byPartition<R extends { partition_id: string }>(rows: readonly R[]): [R, ...R[]][] {
  const groups: [R, ...R[]][] = [];
  for (const row of rows) {
    const last = groups.at(-1);
    if (last?.[0].partition_id === row.partition_id) last.push(row);
    else groups.push([row]);
  }
  return groups;
}
