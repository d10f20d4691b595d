// Queen 0.15: a partition of a queue is a tenant. An older generation is read by queen-2025-reader.ts.
import type { Capabilities } from '../../../../contract/capabilities.ts';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import type { TenantInfo } from '../../../../core/sample.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { queenCapabilities } from './capabilities.ts';
import { inspectSchema } from './inspect-schema.ts';
import { jobDetail } from './job-detail.ts';
import { jobsPage, locksPage } from './job-lists.ts';
import { QueenPoll } from './poll.ts';
import { Queen2025Reader } from './queen-2025-reader.ts';
import { anyRow, settingsRow } from './rows.ts';
import { settings, withoutCompiler, type Dialect } from './schema-sql.ts';
import { watchedTables } from './watched.ts';

/** Names of queues in a warning. */
const NAMED = 5;

/**
 * Looks for Queen in `schema` and reads it once. Rejects with `schema-mismatch` where it is not there or is none that is known, with
 * `grant-missing` where the account may not read it.
 */
export async function inspectQueen(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const found = await inspectSchema(session, schema, signal);
  await session.rows(anyRow, withoutCompiler, signal);
  const { expiring, stored_elsewhere, partitions } = await session.row(
    settingsRow,
    settings(schema, found.hasStorage),
    signal,
  );
  const warnings = [
    ...found.warnings,
    ...(expiring.length === 0
      ? []
      : [
          `Queen deletes messages that nobody consumed in time, by max_wait_time_seconds or retention: ${named(expiring)}. A pause there loses messages.`,
        ]),
    ...(stored_elsewhere.length === 0
      ? []
      : [`Queues in another store than rows are not shown: ${named(stored_elsewhere)}.`]),
  ];
  const reader =
    found.generation === 'current'
      ? new QueenReader(
          {
            schema,
            hasDeadLetters: found.has.has('dead_letter_queue'),
            hasSubscriptions: found.has.has('consumer_groups_metadata'),
            hasState: found.has.has('system_state'),
          },
          warnings,
        )
      : new Queen2025Reader({ schema, hasGroups: found.has.has('consumer_groups') }, partitions, warnings);
  // Shows that the account may read the tables, and which bounds hold.
  await reader.sample(session, signal);
  return reader;
}

const named = (names: readonly string[]): string =>
  names.slice(0, NAMED).map(quotePgName).join(', ') +
  (names.length > NAMED ? ` and ${names.length - NAMED} more` : '');

class QueenReader implements QueueReader<PostgresSession> {
  readonly system = 'Queen';
  readonly tenantWord = 'partition';
  readonly claimOrder =
    'within each partition the oldest message first; which partition comes next is not fixed';
  readonly capabilities: Capabilities;
  readonly #dialect: Dialect;
  readonly #lasting: readonly string[];
  readonly #poll: QueenPoll;

  constructor(dialect: Dialect, warnings: readonly string[]) {
    this.#dialect = dialect;
    this.#lasting = warnings;
    this.#poll = new QueenPoll(dialect);
    this.capabilities = capabilitiesOf(dialect);
  }

  get warnings(): readonly string[] {
    return [...this.#lasting, ...this.#poll.warnings];
  }

  tenants(session: PostgresSession, signal: AbortSignal): Promise<TenantInfo[]> {
    return this.#poll.tenants(session, signal);
  }

  sample(session: PostgresSession, signal: AbortSignal): Promise<QueueRead> {
    return this.#poll.sample(session, signal);
  }

  jobs(session: PostgresSession, query: JobsQuery, signal: AbortSignal): Promise<JobsPage> {
    return jobsPage(session, this.#dialect, query, signal);
  }

  job(session: PostgresSession, id: string, signal: AbortSignal): Promise<QueueJobDetail | null> {
    return jobDetail(session, this.#dialect, id, signal);
  }

  locks(session: PostgresSession, query: LocksQuery, signal: AbortSignal): Promise<LocksPage> {
    return locksPage(session, this.#dialect, query, signal);
  }

  watched(): Promise<WatchedTables> {
    return Promise.resolve(watchedTables(this.#dialect));
  }
}

function capabilitiesOf({ hasDeadLetters }: Dialect): Capabilities {
  if (hasDeadLetters) return queenCapabilities;
  return {
    ...queenCapabilities,
    facts: {
      ...queenCapabilities.facts,
      dead: { kind: 'no', note: 'The dead letters cannot be read here.' },
    },
  };
}
