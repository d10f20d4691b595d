// NOT YET: to be written.
import type { IndexAdvice } from '../../../contract/database-health.ts';
import type { MysqlSession } from '../mysql-session.ts';
import type { WatchedTables } from './watched-tables.ts';

export function adviseMysqlIndexes(
  _session: MysqlSession,
  _watched: WatchedTables,
  _signal: AbortSignal,
): Promise<IndexAdvice> {
  return Promise.reject(new Error('not yet'));
}
