// A system on a MariaDB of its own, whose clock zone is east of UTC by half an hour more: a forgotten conversion shows.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { startMariaDb, type MariaDb } from '../mariadb.ts';
import type { SystemParts, WatchedSystem } from './system.ts';

export const READER = { user: 'reader', password: 'r' };

/** `create` makes the system's tables; the account is granted every database. What it opens ends with the system. */
export async function onMariaDb(
  create: (server: MariaDb, root: Connection, owned: AsyncDisposableStack) => Promise<SystemParts>,
  { bufferPoolMb = 512 }: { bufferPoolMb?: number } = {},
): Promise<WatchedSystem> {
  await using cleanup = new AsyncDisposableStack();
  // Counters by account need the user statistics.
  const server = cleanup.use(
    await startMariaDb({ bufferPoolMb, args: ['--default-time-zone=+05:30', '--userstat=1'] }),
  );
  const root = await server.connect();
  cleanup.defer(() => root.end());
  await root.query(
    `CREATE USER '${READER.user}'@'%' IDENTIFIED BY '${READER.password}'; GRANT SELECT ON *.* TO '${READER.user}'@'%'`,
  );
  const parts = await create(server, root, cleanup);
  const handlerReads = async (): Promise<number> => {
    const [rows] = await root.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Handler_read%'");
    return rows.reduce((sum, row) => sum + Number(row['Value']), 0);
  };
  /** What looking at the counters reads itself. */
  const first = await handlerReads();
  const ofLooking = (await handlerReads()) - first;
  const owned = cleanup.move();
  return {
    name: parts.name,
    type: 'mysql',
    source: (options = {}) => parts.source(options),
    tenantId: parts.tenantId ?? ((tenant) => tenant),
    clear: parts.clear,
    async put(jobs) {
      for (const job of jobs) await parts.put(job);
    },
    fill: parts.fill,
    async workOne() {
      if (typeof parts.workOne === 'string') await root.query(parts.workOne);
      else await parts.workOne();
    },
    async endSessions() {
      const [rows] = await root.query<RowDataPacket[]>(
        `SELECT id FROM information_schema.processlist WHERE user = '${READER.user}'`,
      );
      for (const row of rows) await root.query(`KILL ${Number(row['id'])}`);
    },
    reads: handlerReads,
    peerQuery: parts.peerQuery,
    async peer() {
      const before = await handlerReads();
      await root.query(parts.peerQuery);
      const reads = (await handlerReads()) - before - ofLooking;
      return { reads, rows: reads };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** SQL of a moment `ms` ago; negative lies ahead. */
export const ago = (ms: number): string => `UTC_TIMESTAMP(6) - INTERVAL ${Math.round(ms * 1000)} MICROSECOND`;
/** SQL of the creation of row `n` of `rows`, over an hour. */
export const spread = (rows: number): string =>
  `UTC_TIMESTAMP(6) - INTERVAL CAST(3600000000 * (1 - n / ${rows}) AS INTEGER) MICROSECOND`;
