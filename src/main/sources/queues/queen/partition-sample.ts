// From what was read of a partition's consumer groups to what is known of it, each number with its bound. Pure.
import { atLeast, exact, sumCounts, zero, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantSample, type WorkersSample } from '../../../../core/sample.ts';
import { WALKED } from './poll-sql.ts';
import type { ConsumerRow } from './rows.ts';
import { PARKED_BY } from './schema-sql.ts';
import { tenantIdOf } from './tenant-id.ts';

type Oldest = NonNullable<TenantSample['oldestReady']>;

interface GroupSample {
  ready: Count;
  delayed: Count;
  running: Count;
  oldest: Oldest | null;
}

/** A partition, and the consumer group that is furthest behind in it; null where no group is. */
export interface PartitionSample {
  sample: TenantSample;
  worstGroup: string | null;
}

/**
 * A message counts once for each consumer group that has not consumed it: that is the work there is, and the lag is that of the group
 * that is furthest behind. `rows`: all groups of one partition. `depth`: how many messages were counted one by one.
 */
export function partitionSample(
  rows: readonly [ConsumerRow, ...ConsumerRow[]],
  depth: number,
): PartitionSample {
  const groups = rows.map((row) => ({ row, ...groupSample(row, depth) }));
  const [first] = rows;
  const starts = rows.flatMap((row) => (isWorked(row) && row.held > 0 ? (row.acquired_at ?? []) : []));
  let oldest: Oldest | null = null;
  let worstGroup: string | null = null;
  for (const group of groups) {
    if (group.oldest === null || (oldest !== null && !isOlder(group.oldest, oldest))) continue;
    oldest = group.oldest;
    worstGroup = group.row.consumer_group;
  }
  const bound = groups.some((group) => group.oldest?.bound === 'at-least') ? 'at-least' : 'exact';
  return {
    worstGroup,
    sample: {
      ...nothingQueued(tenantIdOf(first.queue, first.partition)),
      ready: sumCounts(groups.map(({ ready }) => ready)),
      delayed: sumCounts(groups.map(({ delayed }) => delayed)),
      running: sumCounts(groups.map(({ running }) => running)),
      // A lease that ran out holds nothing: the next pop takes its messages, which are ready since then.
      stale: zero,
      oldestReady: oldest && { ...oldest, bound },
      lastStartedAtMs: starts.length === 0 ? null : Math.max(...starts),
      oldestRunningAtMs: starts.length === 0 ? null : Math.min(...starts),
      attemptsTotal: rows.reduce((sum, { consumed }) => sum + consumed, 0),
      paused: parked(rows),
    },
  };
}

function groupSample(row: ConsumerRow, depth: number): GroupSample {
  const beyond = row.held > WALKED && row.seen === WALKED;
  const leased = (beyond ? atLeast : exact)(Math.min(row.held, row.seen));
  const behind: Count = beyond ? atLeast(row.since_lease) : capped(row.after, depth);
  const free = row.live ? behind : sumCounts([leased, behind]);
  const running = row.live ? leased : zero;
  // A queue that waits for quiet gives nothing out until its newest message is old enough.
  if (!row.quiet) return { ready: zero, delayed: free, running, oldest: null };
  const again = row.live ? zero : leased;
  const due: Count = row.due < row.after ? exact(row.due) : behind;
  return {
    ready: row.delay_ms > 0 ? sumCounts([again, due]) : free,
    delayed: row.delay_ms > 0 ? capped(row.later, depth) : zero,
    running,
    oldest: oldestOf(row, beyond),
  };
}

function oldestOf(row: ConsumerRow, beyond: boolean): Oldest | null {
  // Where the walk did not reach the lease's end, the first one behind it is not known.
  const bound = beyond ? 'at-least' : 'exact';
  const readyAt = (createdAt: number, freedAt: number): Oldest => ({
    readyAtMs: Math.max(createdAt + row.delay_ms, freedAt, row.quiet_at ?? -Infinity),
    createdAtMs: createdAt,
    bound,
  });
  const found: Oldest[] = [];
  // Given back when the lease ran out; those behind it could have been taken all the time.
  if (!row.live && row.held > 0 && row.first_at !== null)
    found.push(readyAt(row.first_at, row.expires_at ?? -Infinity));
  const isDue = row.delay_ms === 0 || row.due > 0;
  if (row.after_at !== null && isDue) found.push(readyAt(row.after_at, -Infinity));
  if (beyond && row.since_lease_at !== null) found.push(readyAt(row.since_lease_at, -Infinity));
  return found.reduce<Oldest | null>(
    (oldest, next) => (oldest === null || isOlder(next, oldest) ? next : oldest),
    null,
  );
}

/** Of messages that became ready together, as at the end of a wait for quiet, the first one counts. */
const isOlder = (a: Oldest, b: Oldest): boolean =>
  a.readyAtMs < b.readyAtMs || (a.readyAtMs === b.readyAtMs && a.createdAtMs < b.createdAtMs);
const capped = (count: number, depth: number): Count => (count < depth ? exact(count) : atLeast(count));
const isParked = ({ live, worker_id }: ConsumerRow): boolean =>
  live && worker_id?.startsWith(PARKED_BY) === true;
const isWorked = (row: ConsumerRow): boolean => row.live && !isParked(row);

function parked(rows: readonly ConsumerRow[]): TenantSample['paused'] {
  const leases = rows.filter(isParked);
  const [first] = leases;
  if (first === undefined) return null;
  const operation = first.worker_id?.slice(PARKED_BY.length) ?? '';
  const which = leases.length < rows.length ? `${leases.length} of ${rows.length} consumer groups` : '';
  return {
    by: 'Headway',
    sinceMs: first.acquired_at,
    reason: [`operation ${operation}`, which].filter((part) => part !== '').join(', '),
  };
}

/** A lease names one pop, not a process: busy are batches under way. */
export function workersOf(rows: Iterable<ConsumerRow>): WorkersSample {
  const owners = new Set<string>();
  let lastSeenAtMs: number | null = null;
  for (const row of rows) {
    if (isWorked(row) && row.worker_id !== null) owners.add(row.worker_id);
    for (const at of [row.last_consumed_at, isParked(row) ? null : row.acquired_at])
      if (at !== null && (lastSeenAtMs === null || at > lastSeenAtMs)) lastSeenAtMs = at;
  }
  return { busy: owners.size, total: null, lastSeenAtMs };
}
