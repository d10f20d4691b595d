// A Queen of 2025, before consumers had cursors: lag, depth and what runs, as far as its tables tell. Nothing is ever done to it.
import {
  ERROR_CHARS,
  type JobsPage,
  type JobsQuery,
  type LocksPage,
  type QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import { atLeast, exact, sumCounts, zero, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantInfo, type TenantSample } from '../../../../core/sample.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { capabilitiesOf2025 } from './capabilities.ts';
import { deliveryDetail, deliveryOfId } from './job-detail.ts';
import { jobOf, placeOf, waitingPlace } from './job-lists.ts';
import { byPartition, Pages } from './pages.ts';
import { tenantInfos } from './poll.ts';
import { headLimit } from './poll-sql.ts';
import * as sql from './queen-2025-sql.ts';
import { clockRow, consumer2025Row, jobRow, tenantRow, type Consumer2025Row } from './rows.ts';
import { clock, table } from './schema-sql.ts';
import { partitionOf, tenantIdOf } from './tenant-id.ts';

export class Queen2025Reader implements QueueReader<PostgresSession> {
  readonly system = 'Queen (tables of 2025)';
  readonly tenantWord = 'partition';
  readonly claimOrder =
    'within each partition the oldest message first; which partition comes next is not fixed';
  readonly capabilities = capabilitiesOf2025;
  readonly warnings: readonly string[];
  readonly #dialect: sql.Dialect2025;
  readonly #pages = new Pages();
  #partitions: number;

  constructor(dialect: sql.Dialect2025, partitions: number, warnings: readonly string[]) {
    this.#dialect = dialect;
    this.#partitions = partitions;
    this.warnings = [
      ...warnings,
      'This is a Queen of 2025, before consumers had cursors: lag and depth are "at least" where many messages wait, and nothing can be done to it. Update Queen.',
    ];
  }

  async tenants(session: PostgresSession, signal: AbortSignal): Promise<TenantInfo[]> {
    const rows = await this.#pages.read(
      session,
      tenantRow,
      (limit) => sql.tenants(this.#dialect, limit),
      signal,
    );
    return tenantInfos(rows, new Map());
  }

  async sample(session: PostgresSession, signal: AbortSignal): Promise<QueueRead> {
    const depth = headLimit(this.#partitions);
    const statement = (limit: number) => sql.consumers(this.#dialect, limit, depth);
    const partitions = byPartition(await this.#pages.read(session, consumer2025Row, statement, signal));
    this.#partitions = partitions.length;
    const { now } = await session.row(clockRow, clock, signal);
    return {
      databaseTimeMs: now,
      tenants: partitions.map((rows) => partitionSample(rows, depth, now)),
      workers: { busy: null, total: null, lastSeenAtMs: null },
      kinds: null,
      rowsRead: null,
    };
  }

  async jobs(session: PostgresSession, query: JobsQuery, signal: AbortSignal): Promise<JobsPage> {
    const { list, tenantId, limit } = query;
    if (list === 'held' || list === 'blocked') return empty('Queen holds no messages back.');
    if (tenantId === null) return empty('Choose a partition: each message is looked up for its status.');
    const { queue, partition } = partitionOf(tenantId);
    const place = placeOf(query, waitingPlace) ?? sql.FIRST_PLACE;
    const parameters = [queue, partition, ...place, limit + 1, ERROR_CHARS];
    const rows = await session.rows(jobRow, sql.listed(this.#dialect, list), signal, parameters);
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    return {
      jobs: shown.map((row) => ({
        ...jobOf(row, list),
        id: `${row.message_id}/${row.consumer_group}`,
        // Here the attempts are the message's own.
        attempts: row.attempts,
      })),
      next: rows.length > limit && last ? JSON.stringify([list, ...last.place]) : null,
      note: null,
    };
  }

  job(session: PostgresSession, id: string, signal: AbortSignal): Promise<QueueJobDetail | null> {
    const delivery = deliveryOfId(id);
    if (delivery === null) return Promise.resolve(null);
    const { schema } = this.#dialect;
    const statement = (columns: readonly string[]) => sql.detail(this.#dialect, columns);
    return deliveryDetail(session, { schema, id, delivery, statement }, signal);
  }

  locks(): Promise<LocksPage> {
    return Promise.resolve({
      locks: [],
      rule: 'A pop leases a whole partition to one consumer group. Leases of a Queen of 2025 are not listed; what they hold is listed as running.',
      more: false,
    });
  }

  watched(): Promise<WatchedTables> {
    const { schema } = this.#dialect;
    const tables = (['queues', 'partitions', 'messages', 'messages_status', 'partition_leases'] as const).map(
      (name) => table(schema, name),
    );
    return Promise.resolve({ tables, statements: [] });
  }
}

const empty = (note: string): JobsPage => ({ jobs: [], next: null, note });

function partitionSample(
  rows: readonly [Consumer2025Row, ...Consumer2025Row[]],
  depth: number,
  nowMs: number,
): TenantSample {
  const [first] = rows;
  const groups = rows.map((row) => groupSample(row, depth, nowMs));
  const oldest = groups
    .flatMap((group) => group.oldestReady ?? [])
    .sort((a, b) => a.readyAtMs - b.readyAtMs)
    .at(0);
  return {
    ...nothingQueued(tenantIdOf(first.queue, first.partition)),
    ready: sumCounts(groups.map(({ ready }) => ready)),
    delayed: sumCounts(groups.map(({ delayed }) => delayed)),
    running: sumCounts(groups.map(({ running }) => running)),
    oldestReady: oldest
      ? { ...oldest, bound: groups.every(({ isWhole }) => isWhole) ? 'exact' : 'at-least' }
      : null,
  };
}

function groupSample(row: Consumer2025Row, depth: number, nowMs: number) {
  const isWhole = row.seen < depth;
  const count: (value: number) => Count = isWhole ? exact : atLeast;
  const createdAtMs =
    row.sought_at === null ? row.first_at : Math.min(row.sought_at, row.first_at ?? Infinity);
  const isDue = row.quiet && createdAtMs !== null && createdAtMs + row.delay_ms <= nowMs;
  const later = row.quiet ? row.pending - row.due : row.pending;
  return {
    isWhole,
    running: count(row.running),
    ready: row.quiet ? count(row.due) : zero,
    delayed: count(later),
    oldestReady: !isDue
      ? null
      : { readyAtMs: Math.max(createdAtMs + row.delay_ms, row.quiet_at ?? -Infinity), createdAtMs },
  };
}
