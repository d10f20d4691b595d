// Ready jobs of a few queues, beyond what a poll reads of each.
import { z } from 'zod';
import { estimate, exact, type Count } from '../../../../core/count.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { planRows } from '../plan-rows.ts';
import { allDue, deeper, DEEPER } from './poll-sql.ts';
import type { GoodJobTables } from './tables.ts';

const depthRow = z.object({ name: z.string(), jobs: z.number() });

/**
 * Due jobs without those that run (`running`, by queue): counted where they are few, else the planner's estimate. Rejects as the
 * session does.
 */
export async function depths(
  session: PostgresSession,
  tables: GoodJobTables,
  { names, running }: { names: readonly string[]; running: ReadonlyMap<string, Count> },
  signal: AbortSignal,
): Promise<Map<string, Count>> {
  const rows = await session.rows(depthRow, deeper(tables, names), signal);
  const long = rows.filter(({ jobs }) => jobs >= DEEPER);
  const expected = await planRows(
    (row, sql) => session.rows(row, sql, signal),
    long.map(({ name }) => allDue(tables, name)),
  );
  const estimates = new Map(long.map(({ name }, i) => [name, expected[i] ?? 0]));
  return new Map(
    rows.map(({ name, jobs }) => {
      const held = running.get(name);
      const planned = estimates.get(name);
      const ready = Math.max(0, Math.max(jobs, planned ?? 0) - (held?.value ?? 0));
      return [name, (planned === undefined && held?.kind === 'exact' ? exact : estimate)(ready)];
    }),
  );
}
