// Reads the queues of many servers by their ends: never more than a head and a tail of each.
import type { MysqlSession } from '../mysql-session.ts';
import { chunks } from './chunks.ts';
import type { QueueRead } from './heads.ts';
import * as rows from './rows.ts';
import { queuedRow } from './rows.ts';
import type { QueuedMessageRow } from './rows.ts';
import * as sql from './sql.ts';

/** Rows by server as they were read, before the clock was. */
export interface QueueRows {
  heads: Map<number, QueuedMessageRow[]>;
  tails: Map<number, QueuedMessageRow[]>;
  estimates: Map<number, number>;
  /** A head of this many rows may not be the whole queue. */
  headLimit: number;
  /** Servers with more than a head that were not looked deeper at. */
  unlooked: ReadonlySet<number>;
}

/** Heads of all `owners`; of those that `pick` takes from the ones with more than a head also the newest rows and the optimiser's estimate. */
export async function readQueues(
  session: MysqlSession,
  index: string,
  owners: readonly number[],
  pick: (long: readonly number[]) => readonly number[],
  signal: AbortSignal,
): Promise<QueueRows> {
  const heads = new Map<number, QueuedMessageRow[]>();
  const tails = new Map<number, QueuedMessageRow[]>();
  const estimates = new Map<number, number>();
  const headLimit = sql.headLimit(owners.length);
  for (const chunk of chunks(owners, sql.QUEUES_PER_STATEMENT)) {
    group(heads, await session.rows(rows.queuedMessageRow, sql.heads(index, chunk, headLimit), signal));
  }
  const long = owners.filter((id) => (heads.get(id)?.length ?? 0) >= headLimit);
  const picked = pick(long);
  for (const chunk of chunks(picked, sql.QUEUES_PER_STATEMENT)) {
    group(tails, await session.rows(rows.queuedMessageRow, sql.tails(index, chunk, sql.TAIL_ROWS), signal));
    for (const line of await session.rows(rows.explainRow, sql.rowEstimates(index, chunk), signal)) {
      // EXPLAIN numbers the parts of a UNION from 1, in their order.
      const id = line.id === null ? undefined : chunk[line.id - 1];
      if (id !== undefined && line.rows !== null) estimates.set(id, line.rows);
    }
  }
  return { heads, tails, estimates, headLimit, unlooked: new Set(long.filter((id) => !picked.includes(id))) };
}

/** One server's part, with the poll's time known. */
export function queueRead(serverId: number, read: QueueRows, nowMs: number): QueueRead {
  const judged = (all: QueuedMessageRow[] | undefined) => (all ?? []).map((row) => queuedRow(row, nowMs));
  const head = judged(read.heads.get(serverId)).sort((a, b) => a.id - b.id);
  return {
    tenantId: String(serverId),
    head,
    tail: judged(read.tails.get(serverId)),
    more: head.length >= read.headLimit,
    estimatedRows: read.estimates.get(serverId) ?? null,
  };
}

function group(byServer: Map<number, QueuedMessageRow[]>, all: QueuedMessageRow[]): void {
  for (const row of all) {
    const known = byServer.get(row.server_id);
    if (known === undefined) byServer.set(row.server_id, [row]);
    else known.push(row);
  }
}
