// Who stands in front: how many ready jobs the workers' claim order puts before a tenant's oldest ready job.
//
// For sources whose workers claim in the order of one key (an id). What is known of each tenant is the head of
// its queue: the lowest keys of its ready jobs, as many as a cheap read saw.
import { sumCounts, type Count } from './count.ts';
import type { TenantSample } from './sample.ts';

/** A place in the claim order. Any order will do, as long as it is the one of `<`. */
export type OrderKey = number | bigint | string;

/** The head of one tenant's queue. */
export interface QueueHead<K extends OrderKey> {
  readonly tenantId: string;
  /** Keys of its ready jobs, ascending, from the lowest on. */
  readonly readyKeys: readonly K[];
  /**
   * The read stopped at this key (of a job in whatever state): ready jobs with greater keys may exist. Null when
   * the whole queue was seen.
   */
  readonly unseenAfter: K | null;
  /** Key of the ready job that has waited longest; null when none is ready. Not always the lowest key. */
  readonly oldestKey: K | null;
  /**
   * The greatest key of any job of the tenant with the count of its ready jobs, where both are cheap to know: when
   * even the last job is in front, all of them are. Null otherwise.
   */
  readonly whole: { readonly lastKey: K; readonly ready: Count } | null;
}

type Behind = NonNullable<TenantSample['behind']>;

/** As many owners are named. */
const OWNERS = 3;

/**
 * The ready jobs claimed before the tenant's oldest ready job (its own included), and who owns most of them with
 * their share, largest first. Null when the tenant has nothing ready or is not among the heads. Shares are of
 * the jobs counted: where the count is "at least", they are those of what was seen.
 */
export function behind<K extends OrderKey>(heads: readonly QueueHead<K>[], tenantId: string): Behind | null {
  const key = heads.find((head) => head.tenantId === tenantId)?.oldestKey ?? null;
  if (key === null) return null;
  const owners = heads.map((head) => ({ tenantId: head.tenantId, count: countBefore(head, key) }));
  const ahead = sumCounts(owners.map((owner) => owner.count));
  const tenants = owners
    .filter((owner) => owner.count.value > 0)
    .sort((a, b) => b.count.value - a.count.value)
    .slice(0, OWNERS)
    .map((owner) => ({ tenantId: owner.tenantId, share: owner.count.value / ahead.value }));
  return { ahead, tenants };
}

function countBefore<K extends OrderKey>({ readyKeys, unseenAfter, whole }: QueueHead<K>, key: K): Count {
  const seen = lowerBound(readyKeys, key);
  if (unseenAfter === null || unseenAfter >= key) return { value: seen, kind: 'exact' };
  if (whole === null || whole.lastKey >= key) return { value: seen, kind: 'at-least' };
  return whole.ready.value >= seen ? whole.ready : { value: seen, kind: 'at-least' };
}

/** How many of the ascending keys are less than `key`. */
function lowerBound<K extends OrderKey>(keys: readonly K[], key: K): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const candidate = keys[middle];
    if (candidate !== undefined && candidate < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
