// The optimiser's own estimate of how many rows statements would yield: it plans them and reads none.
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import type { PostgresSession } from '../postgres-session.ts';

/** A plan that divides its rows among processes would tell the part of one. For the session. */
const planAlone = `SELECT set_config('max_parallel_workers_per_gather', '0', false)`;

const planned = z.object({ 'Plan Rows': z.number() });
const explained = z.object({
  'QUERY PLAN': z.tuple([
    z.object({ Plan: planned.extend({ 'Node Type': z.string(), Plans: z.array(planned).optional() }) }),
  ]),
});

/** In the order of `statements`, which have one column, all of a type. As good as the statistics of the table. */
export async function rowEstimates(
  session: PostgresSession,
  statements: readonly string[],
  signal: AbortSignal,
): Promise<number[]> {
  if (statements.length === 0) return [];
  await session.rows(z.unknown(), planAlone, signal);
  const { 'QUERY PLAN': plans } = await session.row(
    explained,
    `EXPLAIN (FORMAT JSON) ${statements.join(' UNION ALL ')}`,
    signal,
  );
  const [{ Plan: plan }] = plans;
  const parts = statements.length === 1 ? [plan] : (plan.Plans ?? []);
  if (parts.length !== statements.length) {
    throw new HeadwayError('schema-mismatch', 'The server explained a statement in an unexpected form.');
  }
  return parts.map((part) => part['Plan Rows']);
}
