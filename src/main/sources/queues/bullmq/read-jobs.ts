// One look at the jobs of all queues: states that few jobs are in together, the others queue by queue.
import type { PostgresSession } from '../../postgres-session.ts';
import * as jobsSql from './jobs-sql.ts';
import * as sql from './poll-sql.ts';
import type { Look } from './queue-sample.ts';
import { jobsRow, sweptNothing, sweptRows, type JobsRow } from './rows.ts';

type Sweep = keyof typeof sweptRows;

/** By queue. */
export async function readJobs(
  session: PostgresSession,
  { schema, has }: { schema: string; has: ReadonlySet<sql.IndexName> },
  queues: readonly { queue: string }[],
  signal: AbortSignal,
): Promise<{ jobs: Map<string, JobsRow>; look: Look }> {
  const depth = sql.depthFor(queues.length);
  const swept = new Map<sql.IndexName, Map<string, Partial<JobsRow>>>();
  for (const name of Object.keys(sweptRows) as Sweep[]) {
    // Few queues are looked at deep enough, each by itself.
    if (!has.has(name) || depth.heads >= jobsSql.DEEP) continue;
    const rows = await session.rows(sweptRows[name], jobsSql.sweeps[name](schema), signal);
    const seen = rows.reduce((sum, row) => sum + row.seen, 0);
    if (seen <= jobsSql.SWEPT) swept.set(name, new Map(rows.map((row) => [row.queue, row])));
  }
  const walked = new Set([...has].filter((name) => !swept.has(name)));
  const statement = jobsSql.jobs(schema, depth, walked);
  const jobs = new Map<string, JobsRow>();
  for (let at = 0; at < queues.length; at += sql.QUEUES_PER_STATEMENT) {
    const names = queues.slice(at, at + sql.QUEUES_PER_STATEMENT).map(({ queue }) => queue);
    for (const row of await session.rows(jobsRow, statement, signal, [names])) {
      for (const [name, found] of swept)
        Object.assign(row, found.get(row.queue) ?? sweptNothing[name as Sweep]);
      jobs.set(row.queue, row);
    }
  }
  return { jobs, look: { depth, swept: new Set(swept.keys()) } };
}
