// The source of a queue connection: its system's reader on guarded sessions of its database.
import { HeadwayError } from '../../../contract/errors.ts';
import { queueSystems, type QueueSystem } from '../../../contract/queue-systems.ts';
import type { QueueConnection } from '../../../contract/settings.ts';
import { readMysqlHealth } from '../health/mysql-health.ts';
import { adviseMysqlIndexes } from '../health/mysql-index-advice.ts';
import { readPostgresHealth } from '../health/postgres-health.ts';
import { advisePostgresIndexes } from '../health/postgres-index-advice.ts';
import { MysqlSession } from '../mysql-session.ts';
import { PostgresSession } from '../postgres-session.ts';
import type { Source } from '../source.ts';
import { inspectBullmq } from './bullmq/bullmq-reader.ts';
import { inspectGoodJob } from './good-job/good-job-reader.ts';
import { inspectGraphileWorker } from './graphile-worker/graphile-worker-reader.ts';
import { inspectMysqlJobs } from './jobs-table/mysql-jobs-reader.ts';
import { inspectPostgresJobs } from './jobs-table/postgres-jobs-reader.ts';
import { inspectOban } from './oban/oban-reader.ts';
import { inspectPgBoss } from './pg-boss/pg-boss-reader.ts';
import { inspectQueen } from './queen/queen-reader.ts';
import { inspectRiver } from './river/river-reader.ts';
import type { QueueReader, QueueSession } from './queue-reader.ts';
import { QueueSource } from './queue-source.ts';
import { mysqlRowsRead, postgresRowsRead } from './rows-read.ts';
import { inspectMysqlSolidQueue } from './solid-queue/inspect-mysql.ts';
import { inspectPostgresSolidQueue } from './solid-queue/inspect-postgres.ts';

export interface QueueOptions {
  connection: Pick<QueueConnection, 'system' | 'database' | 'schema' | 'mapping'>;
  /** Found when a session is opened; null when the account has none. */
  password: () => Promise<string | null>;
  /** Local clock, epoch ms. */
  now: () => number;
  /** Of a poll's statements. */
  statementTimeoutMs?: number;
}

/** Looks at a system's tables; `schema` is where they lie. */
type Inspect<S extends QueueSession> = (
  session: S,
  schema: string,
  signal: AbortSignal,
) => Promise<QueueReader<S>>;

/** A jobs table has no schema of its own: its mapping names the table. */
const onPostgres: Readonly<Record<Exclude<QueueSystem, 'jobs-table'>, Inspect<PostgresSession>>> = {
  'pg-boss': inspectPgBoss,
  'graphile-worker': inspectGraphileWorker,
  river: inspectRiver,
  oban: inspectOban,
  bullmq: inspectBullmq,
  queen: inspectQueen,
  'solid-queue': inspectPostgresSolidQueue,
  'good-job': inspectGoodJob,
};
const onMysql: Partial<Record<QueueSystem, Inspect<MysqlSession>>> = {
  'solid-queue': inspectMysqlSolidQueue,
};

/** Connects at the first call. */
export function openQueue({ connection, password, now, ...limits }: QueueOptions): Source {
  const { type, ...settings } = connection.database;
  const sessionOptions = async (statementTimeoutMs: number) => ({
    settings,
    password: await password(),
    statementTimeoutMs,
  });
  if (type === 'mysql') {
    return new QueueSource({
      open: async (timeoutMs, signal) => MysqlSession.open(await sessionOptions(timeoutMs), signal),
      inspect: (session, signal) => inspectMysql(session, connection, signal),
      health: (session, watched, signal) => readMysqlHealth(session, watched, now, signal),
      indexAdvice: adviseMysqlIndexes,
      countRows: mysqlRowsRead(),
      server: ({ server }) => `${server.product} ${server.version}`,
      now,
      ...limits,
    });
  }
  return new QueueSource({
    open: async (timeoutMs, signal) => PostgresSession.open(await sessionOptions(timeoutMs), signal),
    inspect: (session, signal) => inspectPostgres(session, connection, signal),
    health: (session, watched, signal) => readPostgresHealth(session, watched, now, signal),
    indexAdvice: advisePostgresIndexes,
    countRows: postgresRowsRead(now),
    server: ({ version }) => `PostgreSQL ${version}`,
    now,
    ...limits,
  });
}

type Connection = QueueOptions['connection'];

function inspectPostgres(
  session: PostgresSession,
  connection: Connection,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const { system, schema } = connection;
  if (system === 'jobs-table') return inspectPostgresJobs(session, mappingOf(connection), signal);
  return onPostgres[system](session, schema ?? queueSystems[system].schema ?? 'public', signal);
}

function inspectMysql(
  session: MysqlSession,
  connection: Connection,
  signal: AbortSignal,
): Promise<QueueReader<MysqlSession>> {
  const { system, database } = connection;
  if (system === 'jobs-table') return inspectMysqlJobs(session, mappingOf(connection), signal);
  const inspect = onMysql[system] ?? unknownHere(system, 'MySQL');
  return inspect(session, database.database, signal);
}

function mappingOf({ mapping }: Connection): NonNullable<QueueConnection['mapping']> {
  if (mapping) return mapping;
  // The settings' schema refuses this.
  throw new HeadwayError('settings-invalid', 'A jobs table needs a mapping of its columns.');
}

/** The settings' schema refuses this too. */
function unknownHere(system: QueueSystem, server: string): never {
  throw new HeadwayError('settings-invalid', `${queueSystems[system].name} does not run on ${server}.`);
}
