// Scheduled and blocked jobs of each queue: told by the walk without regard to queues while they are few, else by an index of theirs.
import { laneLimit, WALK } from './poll-sql.ts';
import { partRow, type PartRow } from './rows.ts';
import type { Ask, Statements } from './statements.ts';

export interface ByQueue {
  /** Of the poll. */
  rows: readonly PartRow[];
  part: 'scheduled' | 'blocked';
  /** Of the watched queues. */
  names: readonly string[];
  ofEach: Statements['scheduledOfEach'];
}

/** Rows of the part, and how many of each queue were read at most where they were read by queue. Rejects as `ask` does. */
export async function readByQueue(
  ask: Ask,
  { rows, part, names, ofEach }: ByQueue,
): Promise<{ rows: PartRow[]; limit: number | null }> {
  const walked = rows.filter((row) => row.part === part);
  if (ofEach === null || walked.reduce((sum, { jobs }) => sum + jobs, 0) < WALK)
    return { rows: walked, limit: null };
  const limit = laneLimit(names.length);
  const read: PartRow[] = [];
  for (const sql of ofEach(names, limit)) read.push(...(await ask(partRow, sql)));
  return { rows: read, limit };
}
