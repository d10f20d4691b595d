// Solid Queue as its tables tell of it, on PostgreSQL and on MySQL: a queue is a tenant.
import { z } from 'zod';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import type { TenantInfo } from '../../../../core/sample.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { solidQueueCapabilities } from './capabilities.ts';
import { jobDetail } from './job-detail.ts';
import { jobsPage, locksPage } from './job-lists.ts';
import { pollSample } from './poll-sample.ts';
import { clock, laneLimit, LANES, QUEUES } from './poll-sql.ts';
import { pollWarnings } from './poll-warnings.ts';
import { clockRow, laneRow, partRow, queueRow, type PartRow } from './rows.ts';
import type { SqlSession, Statements } from './statements.ts';
import { PREFIX, systemOf, type Relation } from './tables.ts';
import { watchedTables } from './watched.ts';

const readRow = z.object({ Value: z.coerce.number() });

export class SolidQueueReader<S extends SqlSession> implements QueueReader<S> {
  readonly system: string;
  readonly tenantWord = 'queue';
  readonly claimOrder = 'within each queue the lowest priority number first, then the lowest job id';
  readonly capabilities = solidQueueCapabilities;
  readonly #statements: Statements;
  readonly #relations: readonly Relation[];
  readonly #lasting: readonly string[];
  /** Of the last poll. */
  #passing: readonly string[] = [];

  constructor(statements: Statements, relations: readonly Relation[], warnings: readonly string[]) {
    this.system = systemOf(relations);
    this.#statements = statements;
    this.#relations = relations;
    this.#lasting = warnings;
  }

  get warnings(): readonly string[] {
    return [...this.#lasting, ...this.#passing];
  }

  async tenants(session: S, signal: AbortSignal): Promise<TenantInfo[]> {
    const rows = await session.rows(queueRow, this.#statements.queues, signal);
    return rows.slice(0, QUEUES).map(({ name }) => ({ id: name, name, detail: '' }));
  }

  async sample(session: S, signal: AbortSignal): Promise<QueueRead> {
    const { dialect, indexes, ddl, ...statements } = this.#statements;
    const before = await this.#rowsRead(session, signal);
    const queues = await session.rows(queueRow, statements.queues, signal);
    const lanes = await session.rows(laneRow, statements.lanes, signal);
    const watched = queues.slice(0, QUEUES);
    const limit = laneLimit(lanes.length);
    const found = { lanes: lanes.slice(0, LANES), limit, queues: watched.map(({ name }) => name) };
    const rows: PartRow[] = [];
    for (const sql of statements.poll(found)) rows.push(...(await session.rows(partRow, sql, signal)));
    const after = await this.#rowsRead(session, signal);
    const { now } = await session.row(clockRow, clock(dialect), signal);
    const more = { queues: queues.length > QUEUES, lanes: lanes.length > LANES };
    const sample = pollSample({
      queues: watched,
      moreQueues: more.queues,
      rows,
      laneLimit: limit,
      moreLanes: more.lanes,
      scheduledByQueue: indexes.dueByQueue !== null,
      blockedByQueue: indexes.blockedByQueue !== null,
    });
    this.#passing = pollWarnings(sample, more, ddl);
    return {
      databaseTimeMs: now,
      tenants: sample.tenants,
      workers: sample.workers,
      kinds: null,
      rowsRead: before === null || after === null ? null : after - before,
    };
  }

  jobs(session: S, query: JobsQuery, signal: AbortSignal): Promise<JobsPage> {
    return jobsPage(session, this.#looks(), query, signal);
  }

  job(session: S, id: string, signal: AbortSignal): Promise<QueueJobDetail | null> {
    return jobDetail(session, this.#looks(), id, signal);
  }

  locks(session: S, query: LocksQuery, signal: AbortSignal): Promise<LocksPage> {
    return locksPage(session, this.#looks(), query, signal);
  }

  watched(): Promise<WatchedTables> {
    return Promise.resolve(watchedTables(this.#statements));
  }

  #looks() {
    const processes = this.#relations.find(({ name }) => name === `${PREFIX}processes`);
    return {
      dialect: this.#statements.dialect,
      relations: this.#relations,
      hasNames: processes?.columns.includes('name') === true,
    };
  }

  async #rowsRead(session: S, signal: AbortSignal): Promise<number | null> {
    const { rowsRead } = this.#statements;
    if (rowsRead === null) return null;
    const rows = await session.rows(readRow, rowsRead, signal);
    return rows.reduce((sum, { Value }) => sum + Value, 0);
  }
}
