// Solid Queue as its tables tell of it, on PostgreSQL and on MySQL: a queue is a tenant.
import { z } from 'zod';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import type { Count } from '../../../../core/count.ts';
import type { TenantInfo } from '../../../../core/sample.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';
import { withDeeperCounts } from '../deeper-counts.ts';
import { DepthMemory } from '../depth-memory.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { solidQueueCapabilities } from './capabilities.ts';
import { jobDetail } from './job-detail.ts';
import { jobsPage, locksPage } from './job-lists.ts';
import { pollSample } from './poll-sample.ts';
import { readByQueue } from './read-by-queue.ts';
import { clock, DEEPER_PER_POLL, FEW_LANES, LANES, QUEUES, WHOLE_LANE } from './poll-sql.ts';
import { pollWarnings } from './poll-warnings.ts';
import { clockRow, queueRow, type QueueRow } from './rows.ts';
import type { Ask, SqlSession, Statements } from './statements.ts';
import { PREFIX, systemOf, type Relation } from './tables.ts';
import { watchedTables } from './watched.ts';

const readRow = z.object({ Value: z.coerce.number() });
/**
 * Names of many queues are kept so long: an index from which done jobs were deleted has an entry for each until the next vacuum. Queues
 * that have jobs in any other place are seen by every poll.
 */
const NAMES_KEPT_MS = 60_000;

export class SolidQueueReader<S extends SqlSession> implements QueueReader<S> {
  readonly system: string;
  readonly tenantWord = 'queue';
  readonly claimOrder = 'within each queue the lowest priority number first, then the lowest job id';
  readonly capabilities = solidQueueCapabilities;
  readonly #statements: Statements;
  readonly #relations: readonly Relation[];
  readonly #lasting: readonly string[];
  readonly #depths = new DepthMemory<string>(DEEPER_PER_POLL);
  /** Lanes at the last poll; null where that is not known, and when the last one failed. */
  #lanes: number | null = null;
  /** Queues as last asked for, at a moment of the database. */
  #queues: { rows: readonly QueueRow[]; atMs: number } | null = null;
  #databaseTimeMs = -Infinity;
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
    const rows = await this.#askQueues((row, sql) => session.rows(row, sql, signal));
    return rows.slice(0, QUEUES).map(({ name }) => ({ id: name, name, detail: '' }));
  }

  async sample(session: S, signal: AbortSignal): Promise<QueueRead> {
    const { dialect, ddl, ...statements } = this.#statements;
    const ask: Ask = (row, sql) => session.rows(row, sql, signal);
    const before = await this.#rowsRead(session, signal);
    const lastLanes = this.#lanes;
    this.#lanes = null;
    const { rows, lanes, laneLimit } = await statements.poll(ask, lastLanes);
    this.#lanes = lanes;
    const queues = this.#keptQueues() ?? (await this.#askQueues(ask));
    const watched = queues.slice(0, QUEUES);
    const names = watched.map(({ name }) => name);
    const scheduled = await readByQueue(ask, {
      rows,
      part: 'scheduled',
      names,
      ofEach: statements.scheduledOfEach,
    });
    const blocked = await readByQueue(ask, {
      rows,
      part: 'blocked',
      names,
      ofEach: statements.blockedOfEach,
    });
    const { now } = await session.row(clockRow, clock(dialect), signal);
    this.#databaseTimeMs = now;
    const more = { queues: queues.length > QUEUES, lanes: lanes > LANES };
    const sample = pollSample({
      queues: watched,
      moreQueues: more.queues,
      rows: [
        ...rows.filter(({ part }) => part !== 'scheduled' && part !== 'blocked'),
        ...scheduled.rows,
        ...blocked.rows,
      ],
      ...{ laneLimit, moreLanes: more.lanes, scheduledLimit: scheduled.limit, blockedLimit: blocked.limit },
    });
    this.#passing = pollWarnings(sample, more, ddl);
    const tenants = await withDeeperCounts(sample.tenants, {
      // A whole lane says enough.
      long: laneLimit < WHOLE_LANE ? sample.long : new Map<string, Count>(),
      memory: this.#depths,
      count: (ids) => statements.depths(ask, ids),
    });
    const after = await this.#rowsRead(session, signal);
    return {
      databaseTimeMs: now,
      tenants,
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

  #keptQueues(): readonly QueueRow[] | null {
    const kept = this.#queues;
    if (kept === null || kept.rows.length <= FEW_LANES) return null;
    return this.#databaseTimeMs - kept.atMs < NAMES_KEPT_MS ? kept.rows : null;
  }

  async #askQueues(ask: Ask): Promise<readonly QueueRow[]> {
    const rows = await ask(queueRow, this.#statements.queues);
    this.#queues = { rows, atMs: this.#databaseTimeMs };
    return rows;
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
