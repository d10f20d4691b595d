// One poll of Queen: page after page of its partitions, each in a statement of its own.
import { atLeast, estimate, exact, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantInfo, type TenantSample } from '../../../../core/sample.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import type { QueueRead } from '../queue-reader.ts';
import { DeeperCounts } from './deeper-counts.ts';
import { byPartition, Pages } from './pages.ts';
import { partitionSample, workersOf } from './partition-sample.ts';
import * as sql from './poll-sql.ts';
import {
  clockRow,
  consumerRow,
  deadRow,
  stateRow,
  tenantRow,
  type ConsumerRow,
  type TenantRow,
} from './rows.ts';
import { clock, messagesIndex, MOST_PARTITIONS, QUEUE_MODE, type Dialect } from './schema-sql.ts';
import { tenantIdOf } from './tenant-id.ts';

/** Dead letters of so many partitions are counted with every poll; those of more now and then. */
const FEW_PARTITIONS = 1_000;
const DEAD_EVERY_MS = 30_000;
const NAMED_GROUPS = 3;

/** Reads Queen's partitions, and remembers between two polls what it need not read anew. */
export class QueenPoll {
  readonly #dialect: Dialect;
  readonly #pages = new Pages();
  readonly #deeper: DeeperCounts;
  #worst = new Map<string, string>();
  #dead: { counts: Map<string, Count>; atMs: number } | null = null;
  /** Warnings that depend on what the last poll found. */
  warnings: readonly string[] = [];

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.#deeper = new DeeperCounts(dialect);
  }

  async sample(session: PostgresSession, signal: AbortSignal): Promise<QueueRead> {
    const state = await session.row(stateRow, sql.state(this.#dialect), signal);
    const depth = sql.headLimit(state.partitions);
    const canSearch = state.has_index || state.message_bytes <= sql.SMALL_BYTES;
    this.warnings = this.#warn(state.partitions, canSearch);
    const rows = canSearch ? await this.#consumers(session, depth, signal) : [];
    const partitions = byPartition(rows);
    const { now } = await session.row(clockRow, clock, signal);
    const dead = await this.#deadLetters(session, { partitions: state.partitions, depth, now }, signal);
    const read = partitions.map((groups) => ({
      partitionId: groups[0].partition_id,
      ...partitionSample(groups, depth),
    }));
    const known =
      depth < sql.DEEP
        ? await this.#deeper.known(session, read, now, signal)
        : read.map(({ sample }) => sample);
    const paused: TenantSample['paused'] = state.paused
      ? {
          by: 'Queen',
          sinceMs: state.paused_since,
          reason: 'pop maintenance mode: no consumer is given anything',
        }
      : null;
    this.#worst = new Map();
    for (const [i, { sample, worstGroup }] of read.entries())
      if (worstGroup !== null && (partitions[i]?.length ?? 0) > 1)
        this.#worst.set(sample.tenantId, worstGroup);
    const tenants = known.map((sample, i): TenantSample => ({
      ...sample,
      dead: dead?.get(read[i]?.partitionId ?? '') ?? null,
      paused: paused ?? sample.paused,
    }));
    return {
      databaseTimeMs: now,
      tenants: canSearch ? tenants : await this.#unsearched(session, paused, signal),
      workers: canSearch ? workersOf(rows) : { busy: null, total: null, lastSeenAtMs: null },
      kinds: null,
      rowsRead: null,
    };
  }

  async tenants(session: PostgresSession, signal: AbortSignal): Promise<TenantInfo[]> {
    const rows = await this.#pages.read(
      session,
      tenantRow,
      (limit) => sql.tenants(this.#dialect, limit),
      signal,
    );
    return tenantInfos(rows, this.#worst);
  }

  #warn(partitions: number, canSearch: boolean): string[] {
    return [
      ...(partitions > MOST_PARTITIONS
        ? [`Only ${MOST_PARTITIONS} partitions are watched; this database has more.`]
        : []),
      ...(canSearch
        ? []
        : [
            `No index leads to the messages past a consumer's cursor, in a large table: lag and depth are not known. Queen brings it; it can be made by: ${messagesIndex(this.#dialect.schema)}.`,
          ]),
    ];
  }

  #consumers(session: PostgresSession, depth: number, signal: AbortSignal): Promise<ConsumerRow[]> {
    return this.#pages.read(
      session,
      consumerRow,
      (limit) => sql.consumers(this.#dialect, limit, depth),
      signal,
    );
  }

  /** Partitions are named, and nothing is said of their messages. */
  async #unsearched(
    session: PostgresSession,
    paused: TenantSample['paused'],
    signal: AbortSignal,
  ): Promise<TenantSample[]> {
    const tenants = await this.tenants(session, signal);
    const unknown = atLeast(0);
    return tenants.map(({ id }) => ({
      ...nothingQueued(id),
      ...{ ready: unknown, delayed: unknown, running: unknown, stale: unknown, paused },
    }));
  }

  /** Kept counts of many partitions may be half a minute old: an estimate, whether they are of this poll or not. */
  async #deadLetters(
    session: PostgresSession,
    { partitions, depth, now }: { partitions: number; depth: number; now: number },
    signal: AbortSignal,
  ): Promise<Map<string, Count> | null> {
    if (!this.#dialect.hasDeadLetters) return null;
    const isFew = partitions <= FEW_PARTITIONS;
    const kept = this.#dead;
    if (!isFew && kept !== null && now - kept.atMs < DEAD_EVERY_MS && now >= kept.atMs) return kept.counts;
    const rows = await this.#pages.read(
      session,
      deadRow,
      (limit) => sql.dead(this.#dialect, limit, depth),
      signal,
    );
    const count = (dead: number): Count => {
      if (dead >= depth) return atLeast(dead);
      return (isFew ? exact : estimate)(dead);
    };
    const counts = new Map(rows.map(({ partition_id, dead }) => [partition_id, count(dead)]));
    this.#dead = { counts, atMs: now };
    return counts;
  }
}

/** `worst`: by tenant, the group that is furthest behind, where one is known. */
export function tenantInfos(rows: readonly TenantRow[], worst: ReadonlyMap<string, string>): TenantInfo[] {
  return rows
    .map(({ queue, partition, groups, group_count }) => {
      const id = tenantIdOf(queue, partition);
      const detail = groupsDetail(groups, group_count, worst.get(id));
      return { id, name: `${queue} / ${partition}`, detail };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function groupsDetail(groups: readonly string[], count: number, worst: string | undefined): string {
  if (count < 2)
    return groups[0] === undefined || groups[0] === QUEUE_MODE ? '' : `consumer group ${groups[0]}`;
  if (worst !== undefined) return `${count} consumer groups, furthest behind: ${groupName(worst)}`;
  const named = groups.slice(0, NAMED_GROUPS).map(groupName).join(', ');
  return `${count} consumer groups: ${named}${count > NAMED_GROUPS ? ', …' : ''}`;
}

const groupName = (group: string): string => (group === QUEUE_MODE ? 'consumers without a group' : group);
