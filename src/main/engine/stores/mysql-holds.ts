// Holds of the MySQL/MariaDB store. Every claim and every enqueue shares the lock of one row and reads the holds after
// that; a new hold waits until it has that row alone. So none is made under an older word than the newest.
import { createHash } from 'node:crypto';
import { bytes, fieldsOf, type MysqlPool, type Row, type Statement } from './mysql-session.ts';
import type { Hold, HoldScope } from './store.ts';

const READ_HOLDS: Statement = {
  sql: 'SELECT tenant_id, kind, mode, held_by, reason, since_at FROM headway_hold',
};

/** The first statements of a transaction that obeys the holds; the second one's rows are for readHolds. */
export const GUARD: readonly Statement[] = [
  { sql: 'SELECT version FROM headway_store WHERE one = 1 LOCK IN SHARE MODE' },
  READ_HOLDS,
];

export const readHolds = (rows: readonly Row[]): Hold[] =>
  rows.map((row) => {
    const { text, textOrNull, number } = fieldsOf(row);
    return {
      tenantId: textOrNull('tenant_id'),
      kind: textOrNull('kind'),
      mode: text('mode') === 'drain' ? 'drain' : 'pause',
      by: text('held_by'),
      reason: text('reason'),
      sinceMs: number('since_at'),
    };
  });

/** What claims obey; a drain is obeyed by enqueue alone. */
export const isPause = ({ mode }: Hold): boolean => mode === 'pause';

/** The hold among these that is meant for a tenant's jobs of a kind. */
export const holdOf = (holds: readonly Hold[], job: { tenantId: string; kind: string }): Hold | undefined =>
  holds.find(
    ({ tenantId, kind }) =>
      (tenantId === null || tenantId === job.tenantId) && (kind === null || kind === job.kind),
  );

export const holds = (pool: MysqlPool): Promise<Hold[]> =>
  pool.use(async (session) => readHolds(await session.rows(READ_HOLDS)));

export async function hold(
  pool: MysqlPool,
  { tenantId, kind, mode, by, reason, sinceMs }: Hold,
): Promise<void> {
  await pool.transaction(async (transaction) => {
    await transaction.rows({ sql: 'SELECT version FROM headway_store WHERE one = 1 FOR UPDATE' });
    await transaction.commit([
      {
        sql: `REPLACE INTO headway_hold (scope_hash, tenant_id, kind, mode, held_by, reason, since_at)
          VALUES (?, ?, ?, ?, ?, ?, ?)`,
        values: [
          scopeHash({ tenantId, kind }),
          tenantId === null ? null : bytes(tenantId),
          kind === null ? null : bytes(kind),
          bytes(mode),
          by,
          reason,
          Math.floor(sinceMs),
        ],
      },
    ]);
  });
}

export const unhold = (pool: MysqlPool, scope: HoldScope): Promise<boolean> =>
  pool.use(async (session) => {
    const [result] = await session.results([
      { sql: 'DELETE FROM headway_hold WHERE scope_hash = ?', values: [scopeHash(scope)] },
    ]);
    return result !== undefined && !Array.isArray(result) && result.affectedRows > 0;
  });

/** Names a scope, nulls and all. */
const scopeHash = ({ tenantId, kind }: HoldScope): Buffer =>
  createHash('sha256')
    .update(JSON.stringify([tenantId, kind]))
    .digest()
    .subarray(0, 16);
