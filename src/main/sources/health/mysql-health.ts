// NOT YET: to be written.
import type { DatabaseHealth } from '../../../contract/database-health.ts';
import type { MysqlSession } from '../mysql-session.ts';
import type { WatchedTables } from './watched-tables.ts';

export function readMysqlHealth(
  _session: MysqlSession,
  _watched: WatchedTables,
  _now: () => number,
  _signal: AbortSignal,
): Promise<DatabaseHealth> {
  return Promise.reject(new Error('not yet'));
}
