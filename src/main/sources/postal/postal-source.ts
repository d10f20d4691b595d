// The Postal source: mail servers are its tenants, queued messages its jobs. This folder reads Postal's main
// database and its message databases on MariaDB or MySQL; it never writes.
import type { PostalConnection, DatabaseSettings } from '../../../contract/settings.ts';
import { readMysqlHealth } from '../health/mysql-health.ts';
import { adviseMysqlIndexes } from '../health/mysql-index-advice.ts';
import { MysqlSession } from '../mysql-session.ts';
import { QueueSource } from '../queues/queue-source.ts';
import type { Source } from '../source.ts';
import { MessageDatabases } from './message-databases.ts';
import { inspectPostal } from './postal-reader.ts';

export interface PostalSourceOptions {
  database: DatabaseSettings;
  postal: PostalConnection['postal'];
  /** Found when a session is opened; null when the account has none. */
  password: () => Promise<string | null>;
  /** Local clock, epoch ms. */
  now: () => number;
  /** The server stops any statement of a poll that runs longer (default 500). */
  statementTimeoutMs?: number;
  /** A whole call fails with `timeout` after this long (default 10,000). */
  callTimeoutMs?: number;
}

/** Connects at the first call. */
export function openPostal({ database, postal, password, now, ...limits }: PostalSourceOptions): Source {
  // The last ids seen outlive a session: counters must not fall when a connection is lost.
  const messages = new MessageDatabases(postal.messageDatabasePrefix);
  return new QueueSource({
    open: async (statementTimeoutMs, signal) =>
      MysqlSession.open({ settings: database, password: await password(), statementTimeoutMs }, signal),
    inspect: (session, signal) => inspectPostal(session, { database, postal, messages, now }, signal),
    health: (session, watched, signal) => readMysqlHealth(session, watched, now, signal),
    indexAdvice: adviseMysqlIndexes,
    server: ({ server }) => `${server.product} ${server.version}`,
    now,
    ...limits,
  });
}
