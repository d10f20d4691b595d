// The database's clock against this computer's.
import type { MysqlSession } from '../mysql-session.ts';
import type { PostalAccess } from './postal-schema.ts';
import { clockRow } from './rows.ts';
import * as sql from './sql.ts';

export interface DatabaseClock {
  /** The database's time, epoch ms. */
  nowMs: number;
  /** Database minus local, with half the round trip as its error. */
  offsetMs: number;
  errorMs: number;
  /** Newest heartbeat of a leading worker; null when none was seen or it may not be read. */
  leaderSeenAtMs: number | null;
}

export async function readClock(
  session: MysqlSession,
  access: PostalAccess,
  now: () => number,
  signal: AbortSignal,
): Promise<DatabaseClock> {
  const sentMs = now();
  const read = await session.row(clockRow, sql.clock(access.workerRoles), signal);
  const receivedMs = now();
  return {
    nowMs: read.now,
    offsetMs: read.now - (sentMs + receivedMs) / 2,
    errorMs: Math.max(0, receivedMs - sentMs) / 2,
    leaderSeenAtMs: read.leader_seen_at,
  };
}
