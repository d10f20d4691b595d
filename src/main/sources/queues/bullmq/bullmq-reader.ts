// BullMQ 6 on its PostgreSQL backend: a queue is a tenant.
import type { Capabilities } from '../../../../contract/capabilities.ts';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { JobsQuery, LocksQuery } from '../../../../contract/queue-jobs.ts';
import type { TenantInfo } from '../../../../core/sample.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { byIndex, planByIndex } from '../by-index.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { capabilitiesFound } from './capabilities.ts';
import { indexesFound, lastingWarnings, mismatch, passingWarnings } from './found-schema.ts';
import { DeeperCounts } from './deeper-counts.ts';
import { jobDetail, jobsPage, locksPage } from './job-lists.ts';
import { DEEP } from './jobs-sql.ts';
import * as sql from './poll-sql.ts';
import { queueSample, workersSample } from './queue-sample.ts';
import { readJobs } from './read-jobs.ts';
import {
  anyRow,
  clockRow,
  functionRow,
  indexRow,
  queueNameRow,
  queueRow,
  relationRow,
  versionRow,
  type RelationRow,
} from './rows.ts';
import { watchedTables } from './watched.ts';

/**
 * Looks for BullMQ in `schema`. Rejects with `schema-mismatch` where it is not there or not whole, with `grant-missing`
 * where the account may not read it.
 */
export async function inspectBullmq(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const relations = await session.rows(relationRow, sql.relations, signal, [schema]);
  const wrong = mismatch(relations, schema);
  if (wrong !== null) throw new HeadwayError('schema-mismatch', wrong);
  await session.rows(anyRow, sql.touch(schema), signal);
  const canRead = (name: string) =>
    relations.some((each) => each.name === name && each.readable && !each.hidden);
  const { version, client } = canRead('migration')
    ? await session.row(versionRow, sql.schemaVersion(schema), signal)
    : { version: null, client: null };
  const has = indexesFound(await session.rows(indexRow, sql.indexes, signal, [schema]));
  const functions = await session.rows(functionRow, sql.functions, signal, [schema]);
  return new BullmqReader({
    schema,
    version,
    has,
    relations,
    readable: { events: canRead('event'), rateLimits: canRead('rate_limit') },
    warnings: lastingWarnings({ schema, version, client, relations, has }),
    functions: new Set(functions.map(({ name }) => name)),
  });
}

interface Found {
  schema: string;
  version: number | null;
  has: ReadonlySet<sql.IndexName>;
  relations: readonly RelationRow[];
  readable: sql.Readable;
  warnings: readonly string[];
  functions: ReadonlySet<string>;
}

class BullmqReader implements QueueReader<PostgresSession> {
  readonly system: string;
  readonly tenantWord = 'queue';
  readonly claimOrder = 'within each queue by priority (0 first), then by place';
  readonly capabilities: Capabilities;
  readonly #found: Found;
  readonly #deeper: DeeperCounts;
  /** Of the last poll. */
  #passing: readonly string[] = [];
  #isPlanning = false;
  /** When pauses began that have since left the newest events. */
  #pausedAt = new Map<string, number>();

  constructor(found: Found) {
    const { version, functions, relations, has } = found;
    this.#found = found;
    this.#deeper = new DeeperCounts(found.schema);
    this.system = version === null ? 'BullMQ' : `BullMQ 6 (schema version ${version})`;
    const writable = ['job', 'meta'].every((name) =>
      relations.some((each) => each.name === name && each.writable),
    );
    const lost = Object.keys(sql.INDEXES).filter((name) => !has.has(name as sql.IndexName));
    this.capabilities = capabilitiesFound(functions, writable, lost);
  }

  get warnings(): readonly string[] {
    return [...this.#found.warnings, ...this.#passing];
  }

  async tenants(session: PostgresSession, signal: AbortSignal): Promise<TenantInfo[]> {
    const rows = await session.rows(queueNameRow, sql.queueNames(this.#found.schema), signal);
    return rows.slice(0, sql.QUEUES).map(({ queue }) => ({ id: queue, name: queue, detail: '' }));
  }

  async sample(session: PostgresSession, signal: AbortSignal): Promise<QueueRead> {
    const { schema, readable } = this.#found;
    if (!this.#isPlanning) await session.rows(anyRow, planByIndex, signal);
    this.#isPlanning = true;
    const found = await session.rows(queueRow, sql.queues(schema, readable), signal);
    const queues = found.slice(0, sql.QUEUES);
    const { jobs, look } = await readJobs(session, this.#found, queues, signal);
    const { now_ms: databaseTimeMs } = await session.row(clockRow, sql.clock, signal);
    this.#passing = passingWarnings(queues, found.length > queues.length, databaseTimeMs);
    this.#pausedAt = new Map(
      queues.flatMap(({ queue, paused, paused_at_ms }) => {
        const at = paused ? (paused_at_ms ?? this.#pausedAt.get(queue)) : undefined;
        return at === undefined ? [] : [[queue, at]];
      }),
    );
    const samples = queues.flatMap((queue) => {
      const row = jobs.get(queue.queue);
      return row ? [queueSample(queue, row, look, this.#pausedAt.get(queue.queue) ?? null)] : [];
    });
    return {
      databaseTimeMs,
      tenants:
        look.depth.heads < DEEP
          ? await this.#deeper.known(session, samples, databaseTimeMs, signal)
          : samples,
      workers: workersSample([...jobs.values()], look, databaseTimeMs),
      kinds: null,
      rowsRead: null,
    };
  }

  jobs(session: PostgresSession, query: JobsQuery, signal: AbortSignal) {
    return byIndex(session, signal, () => jobsPage(session, this.#found.schema, query, signal));
  }

  job(session: PostgresSession, id: string, signal: AbortSignal) {
    const columns = this.#found.relations.find(({ name }) => name === 'job')?.columns ?? [];
    return byIndex(session, signal, () => jobDetail(session, this.#found.schema, columns, id, signal));
  }

  locks(session: PostgresSession, query: LocksQuery, signal: AbortSignal) {
    return byIndex(session, signal, () => locksPage(session, this.#found.schema, query, signal));
  }

  async watched(session: PostgresSession, signal: AbortSignal): Promise<WatchedTables> {
    const { schema, has } = this.#found;
    const [first] = await session.rows(queueNameRow, sql.queueNames(schema), signal);
    const { now_ms: nowMs } = await session.row(clockRow, sql.clock, signal);
    return watchedTables(schema, first?.queue ?? 'queue', nowMs, has);
  }
}
