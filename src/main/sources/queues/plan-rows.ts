// How many rows PostgreSQL's planner expects of statements. It reads statistics, and no rows.
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';

const node = z.object({ 'Plan Rows': z.number().nonnegative() });
const planRow = z.object({
  'QUERY PLAN': z.tuple([z.object({ Plan: node.extend({ Plans: z.array(node).optional() }) })]),
});
type Ask = (row: typeof planRow, sql: string) => Promise<z.infer<typeof planRow>[]>;

/** Of each of `selects`, which are plain ones without LIMIT, in their order. Rejects as `ask` does. */
export async function planRows(ask: Ask, selects: readonly string[]): Promise<number[]> {
  if (selects.length === 0) return [];
  const parts = selects.map((select) => `(${select})`).join('\n  UNION ALL ');
  const [row] = await ask(planRow, `EXPLAIN (FORMAT JSON) ${parts}`);
  const plan = row?.['QUERY PLAN'][0].Plan;
  // The parts of a UNION ALL are appended to each other in their order; one alone is the plan itself.
  const nodes = plan === undefined ? [] : selects.length === 1 ? [plan] : (plan.Plans ?? []);
  if (nodes.length !== selects.length)
    throw new HeadwayError('schema-mismatch', 'PostgreSQL explained a statement in an unexpected form.');
  return nodes.map((each) => Math.round(each['Plan Rows']));
}
