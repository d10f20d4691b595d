// GoodJob 3 and 4 on PostgreSQL: a queue is a tenant. Facts are from its migrations and models.
import { z } from 'zod';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import { shownPayload } from '../../../../core/shown-payload.ts';
import type { Count } from '../../../../core/count.ts';
import type { TenantInfo } from '../../../../core/sample.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { withDeeperCounts } from '../deeper-counts.ts';
import { DepthMemory } from '../depth-memory.ts';
import { hiddenRowsWarnings, postgresIndexes, postgresRelations } from '../postgres-relations.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { goodJobCapabilities } from './capabilities.ts';
import { depths } from './depths.ts';
import { jobId, jobRow, queueJob, queueLock, readCursor, writeCursor } from './look-rows.ts';
import * as look from './look-sql.ts';
import { pollSample, type PollSample } from './poll-sample.ts';
import * as sql from './poll-sql.ts';
import { anyRow, clockRow, partRow, queueRow } from './rows.ts';
import { goodJobTables, NEEDED, PREFIX, systemOf, tableWarnings, type GoodJobTables } from './tables.ts';
import { watchedTables } from './watched.ts';

const wholeRow = z.record(z.string(), z.string().nullable());
const attemptRow = z.object({
  at_ms: z.number().nullable(),
  error: z.string().nullable(),
  owner: z.string().nullable(),
});

/**
 * Looks for GoodJob in `schema` and polls it once. Rejects with `schema-mismatch` where it is not there or not whole, with
 * `grant-missing` where the account may not read it.
 */
export async function inspectGoodJob(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const relations = await postgresRelations(session, schema, PREFIX, signal);
  const tables = goodJobTables(schema, relations, await postgresIndexes(session, schema, PREFIX, signal));
  await session.rows(anyRow, sql.sessionSettings, signal);
  const reader = new GoodJobReader(tables, [
    ...hiddenRowsWarnings(schema, relations, new Set(Object.keys(NEEDED))),
    ...tableWarnings(tables, relations),
  ]);
  await reader.sample(session, signal);
  return reader;
}

class GoodJobReader implements QueueReader<PostgresSession> {
  readonly system: string;
  readonly tenantWord = 'queue';
  readonly claimOrder: string;
  readonly capabilities;
  readonly #tables: GoodJobTables;
  readonly #lasting: readonly string[];
  readonly #depths = new DepthMemory<string>(sql.DEEPER_PER_POLL);
  /** Of the last poll. */
  #passing: readonly string[] = [];

  constructor(tables: GoodJobTables, warnings: readonly string[]) {
    this.system = systemOf(tables);
    this.capabilities = goodJobCapabilities[tables.locksByRow ? 4 : 3];
    this.claimOrder = `by priority (the ${tables.locksByRow ? 'lowest' : 'highest'} number first), then by creation`;
    this.#tables = tables;
    this.#lasting = warnings;
  }

  get warnings(): readonly string[] {
    return [...this.#lasting, ...this.#passing];
  }

  async tenants(session: PostgresSession, signal: AbortSignal): Promise<TenantInfo[]> {
    const rows = await session.rows(queueRow, sql.queues(this.#tables), signal);
    return rows.slice(0, sql.QUEUES).map(({ name }) => ({ id: name, name, detail: '' }));
  }

  async sample(session: PostgresSession, signal: AbortSignal): Promise<QueueRead> {
    const rows = await session.rows(partRow, sql.poll(this.#tables), signal);
    const { now } = await session.row(clockRow, sql.clock, signal);
    const { locksByRow, indexes } = this.#tables;
    const tellsDead = indexes.discarded || indexes.finished;
    const sample = pollSample({ rows, locksByRow, tellsDead });
    this.#passing = passingWarnings(sample);
    const running = new Map(sample.tenants.map((tenant) => [tenant.tenantId, tenant.running]));
    const tenants = await withDeeperCounts(sample.tenants, {
      // Hundreds say enough. Before 4.0 no index leads to the jobs that have no time.
      long: locksByRow && sample.isShared ? sample.long : new Map<string, Count>(),
      memory: this.#depths,
      count: (names) => depths(session, this.#tables, { names, running }, signal),
    });
    return { databaseTimeMs: now, tenants, workers: sample.workers, kinds: null, rowsRead: null };
  }

  async jobs(session: PostgresSession, query: JobsQuery, signal: AbortSignal): Promise<JobsPage> {
    const { list, tenantId, limit } = query;
    if (list === 'held' || list === 'blocked') return { jobs: [], next: null, note: absent[list] };
    const after = readCursor(query.after, list);
    const statement = look.list(this.#tables, list, { tenantId, after, limit: limit + 1 });
    const rows = await session.rows(jobRow, statement, signal);
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    return {
      jobs: shown.map(queueJob),
      next:
        rows.length > limit && last !== undefined && last.place !== null
          ? writeCursor({ list, at: last.place, id: last.id })
          : null,
      note:
        list === 'dead' ? 'Discarded jobs are listed where GoodJob keeps them (preserve_job_records).' : null,
    };
  }

  async job(session: PostgresSession, id: string, signal: AbortSignal): Promise<QueueJobDetail | null> {
    if (!jobId.safeParse(id).success) return null;
    const [row] = await session.rows(jobRow, look.job(this.#tables, id), signal);
    const [whole] = await session.rows(wholeRow, look.whole(this.#tables, id), signal);
    if (row === undefined || whole === undefined) return null;
    const { headway_payload: payload = null, ...own } = whole;
    const attempts = await session.rows(attemptRow, look.attempts(this.#tables, id), signal);
    const isWhole = attempts.length < look.ATTEMPTS;
    return {
      job: queueJob(row),
      fields: Object.entries(own).map(([name, value]) => ({ name, value })),
      payload: payload === null ? null : shownPayload(payload, []),
      attempts: attempts.map(({ at_ms: atMs, error, owner }, i) => ({
        ...{ attempt: isWhole ? attempts.length - i : null, atMs, error, owner },
      })),
    };
  }

  async locks(session: PostgresSession, query: LocksQuery, signal: AbortSignal): Promise<LocksPage> {
    const { tenantId, limit } = query;
    const statement = look.list(this.#tables, 'running', { tenantId, after: null, limit: limit + 1 });
    const rows = await session.rows(jobRow, statement, signal);
    return {
      locks: rows.slice(0, limit).map(queueLock),
      rule: this.#tables.locksByRow
        ? 'A job is held by its process’s id, and mostly by an advisory lock too, which goes with its session. Other processes clear what a dead one held: at once where its lock is gone, after 5 min without a sign of life where it took none.'
        : 'A job is held by an advisory lock, which goes with its session: nothing stays locked behind a dead worker.',
      more: rows.length > limit,
    };
  }

  watched(): Promise<WatchedTables> {
    return Promise.resolve(watchedTables(this.#tables));
  }
}

const absent = {
  held: 'GoodJob pauses queues, job classes and labels, not jobs: what is paused stays ready, or delayed.',
  blocked:
    'GoodJob keeps no jobs back: one over its concurrency limit is scheduled for later, and listed as delayed.',
};

function passingWarnings({ otherPauses, deadIsCut, isPaused, moreQueues }: PollSample): string[] {
  return [
    ...(isPaused
      ? [
          `Pauses are set. GoodJob honours them only where enable_pauses is on, which the database does not tell: watch whether what is paused still starts.`,
        ]
      : []),
    ...(otherPauses.length > 0
      ? [`Paused beside queues: ${otherPauses.slice(0, 10).join(', ')}. Such jobs count as ready.`]
      : []),
    ...(deadIsCut
      ? [
          `More than ${(sql.WALK - 1).toLocaleString('en')} finished jobs were looked through for discarded ones: those of each queue are "at least".`,
        ]
      : []),
    ...(moreQueues
      ? [`There are more than ${sql.QUEUES.toLocaleString('en')} queues; no more are watched.`]
      : []),
  ];
}
