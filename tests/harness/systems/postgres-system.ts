// A system on a PostgreSQL of its own, whose clock zone is east of UTC by half an hour more: a forgotten conversion shows.
import type { Client } from 'pg';
import { startPostgres, type Postgres } from '../postgres.ts';
import type { SystemParts, WatchedSystem } from './system.ts';

export const READER = { user: 'reader', password: 'r' };
const PEER = 'peer';

/** `create` makes the system's tables; the accounts are granted all schemas afterwards. What it opens ends with the system. */
export async function onPostgres(
  create: (server: Postgres, root: Client, owned: AsyncDisposableStack) => Promise<SystemParts>,
  { sharedBuffersMb = 256 }: { sharedBuffersMb?: number } = {},
): Promise<WatchedSystem> {
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(
    await startPostgres({
      sharedBuffersMb,
      settings: {
        timezone: 'Asia/Kolkata',
        autovacuum: 'off',
        max_wal_size: '4GB',
        shared_preload_libraries: 'pg_stat_statements',
        'pg_stat_statements.track': 'all',
        // Reads only: every connection of the bench is one of few.
        max_connections: '30',
      },
    }),
  );
  const root = await server.connect();
  cleanup.defer(() => root.end());
  await root.query('CREATE EXTENSION pg_stat_statements');
  const parts = await create(server, root, cleanup);
  for (const role of [READER.user, PEER]) {
    await root.query(`CREATE ROLE ${role} LOGIN PASSWORD '${READER.password}' BYPASSRLS`);
    await root.query(`GRANT pg_read_all_data TO ${role}`);
  }
  const peer = await server.connect();
  cleanup.defer(() => peer.end());
  await peer.query(`SET ROLE ${PEER}; SET jit = off`);
  const readsOf = async (role: string): Promise<number> => {
    const { rows } = await root.query<{ reads: string }>(
      `SELECT coalesce(sum(shared_blks_hit + shared_blks_read), 0)::text AS reads
         FROM pg_stat_statements WHERE userid = $1::regrole`,
      [role],
    );
    return Number(rows[0]?.reads);
  };
  const owned = cleanup.move();
  return {
    name: parts.name,
    type: 'postgres',
    source: (options = {}) => parts.source(options),
    tenantId: parts.tenantId ?? ((tenant) => tenant),
    clear: parts.clear,
    async put(jobs) {
      for (const job of jobs) await parts.put(job);
    },
    async fill(rows, tenants) {
      await parts.fill(rows, tenants);
      await root.query('VACUUM ANALYZE');
    },
    async workOne() {
      if (typeof parts.workOne === 'string') await root.query(parts.workOne);
      else await parts.workOne();
    },
    async endSessions() {
      await root.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [
        READER.user,
      ]);
    },
    reads: () => readsOf(READER.user),
    peerQuery: parts.peerQuery,
    async peer() {
      const before = await readsOf(PEER);
      await peer.query(parts.peerQuery);
      return { reads: (await readsOf(PEER)) - before, rows: await rowsOf(peer, parts.peerQuery) };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface PlanNode {
  'Node Type': string;
  'Actual Rows'?: number;
  'Actual Loops'?: number;
  'Rows Removed by Filter'?: number;
  Plans?: PlanNode[];
}

/** Rows and index entries that the scans of a statement return, before any filter: what a poll's own count is of. */
async function rowsOf(client: Client, statement: string): Promise<number> {
  const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${statement}`,
  );
  const scanned = (node: PlanNode): number => {
    const own = node['Node Type'].includes('Scan')
      ? ((node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0)) * (node['Actual Loops'] ?? 1)
      : 0;
    return own + (node.Plans ?? []).reduce((sum, child) => sum + scanned(child), 0);
  };
  const plan = rows[0]?.['QUERY PLAN'][0].Plan;
  if (plan === undefined) throw new Error('EXPLAIN answered nothing');
  return Math.round(scanned(plan));
}

/** SQL of a moment `ms` ago; negative lies ahead. */
export const ago = (ms: number): string => `clock_timestamp() - ${ms} * interval '1 millisecond'`;
/** SQL of the creation of row `n` of `rows`, over an hour. */
export const spread = (rows: number): string =>
  `clock_timestamp() - interval '1 hour' * (1 - n::float8 / ${rows})`;
