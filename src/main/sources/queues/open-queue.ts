// The source of a queue connection: its system's reader on a guarded session of its database.
import { HeadwayError } from '../../../contract/errors.ts';
import type { QueueConnection } from '../../../contract/settings.ts';
import { MysqlSession } from '../mysql-session.ts';
import { PostgresSession } from '../postgres-session.ts';
import type { Source } from '../source.ts';
import { inspectGraphileWorker } from './graphile-worker/graphile-worker-reader.ts';
import { inspectMysqlJobs } from './jobs-table/mysql-jobs-reader.ts';
import { inspectPostgresJobs } from './jobs-table/postgres-jobs-reader.ts';
import { inspectPgBoss } from './pg-boss/pg-boss-reader.ts';
import type { QueueReader } from './queue-reader.ts';
import { QueueSource } from './queue-source.ts';

/** The server stops any statement of a poll that runs longer. */
const STATEMENT_TIMEOUT_MS = 500;

export interface QueueOptions {
  connection: Pick<QueueConnection, 'system' | 'database' | 'schema' | 'mapping'>;
  /** Found when a session is opened; null when the account has none. */
  password: () => Promise<string | null>;
  /** Local clock, epoch ms. */
  now: () => number;
  statementTimeoutMs?: number;
}

/** Connects at the first call. */
export function openQueue({ connection, password, now, ...options }: QueueOptions): Source {
  const { type, ...settings } = connection.database;
  const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  const sessionOptions = async () => ({ settings, password: await password(), statementTimeoutMs });
  if (type === 'mysql') {
    return new QueueSource({
      open: async (signal) => MysqlSession.open(await sessionOptions(), signal),
      inspect: (session, signal) => inspectMysqlJobs(session, mappingOf(connection), signal),
      server: ({ server }) => `${server.product} ${server.version}`,
      now,
    });
  }
  return new QueueSource({
    open: async (signal) => PostgresSession.open(await sessionOptions(), signal),
    inspect: (session, signal) => inspectPostgres(session, connection, signal),
    server: ({ version }) => `PostgreSQL ${version}`,
    now,
  });
}

function inspectPostgres(
  session: PostgresSession,
  connection: QueueOptions['connection'],
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const { system, schema } = connection;
  switch (system) {
    case 'pg-boss':
      return inspectPgBoss(session, schema ?? 'pgboss', signal);
    case 'graphile-worker':
      return inspectGraphileWorker(session, schema ?? 'graphile_worker', signal);
    case 'jobs-table':
      return inspectPostgresJobs(session, mappingOf(connection), signal);
  }
}

function mappingOf({ mapping }: QueueOptions['connection']): NonNullable<QueueConnection['mapping']> {
  if (mapping) return mapping;
  // The settings' schema refuses this.
  throw new HeadwayError('settings-invalid', 'A jobs table needs a mapping of its columns.');
}
