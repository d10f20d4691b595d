// NOT YET: to be written.
import type { IndexAdvice } from '../../../contract/database-health.ts';
import type { PostgresSession } from '../postgres-session.ts';
import type { WatchedTables } from './watched-tables.ts';

export function advisePostgresIndexes(
  _session: PostgresSession,
  _watched: WatchedTables,
  _signal: AbortSignal,
): Promise<IndexAdvice> {
  return Promise.reject(new Error('not yet'));
}
