// Whose turn it is: tenants in a circle, so that a burst of one delays each other by one job at most.
//
// After tenant n comes the next higher key that has a ready job; past the highest, the circle begins again at
// the lowest. The trap is to keep the cursor in an object that is rebuilt on every tick: it then starts from
// nothing each time, the lowest key is served first for ever, and the others starve. Hence the cursor is plain
// data that goes in and comes out: store it in the same transaction as the claim, and it survives ticks,
// threads and restarts.

/** A tenant's place in the circle. Any total order will do, as long as it is the one of `<`. */
export type TenantKey = string | number;

/** The tenant that was served last; null before the very first turn. It need not exist any more. */
export interface TurnCursor<K extends TenantKey = string> {
  readonly after: K | null;
}

/** The cursor of a circle in which nobody has had a turn. */
export const FIRST_TURN: TurnCursor<never> = { after: null };

export interface Turn<K extends TenantKey> {
  readonly tenant: K;
  /** The cursor to keep once the tenant's job is claimed. */
  readonly cursor: TurnCursor<K>;
}

/**
 * The tenant whose turn it is, or null when nobody has a ready job.
 *
 * @param ready keys of the tenants that have a ready job, ascending by `<`, without repeats
 */
export function nextTurn<K extends TenantKey>(ready: readonly K[], cursor: TurnCursor<K>): Turn<K> | null {
  const tenant = ready[indexAfter(ready, cursor.after)] ?? ready[0];
  return tenant === undefined ? null : { tenant, cursor: { after: tenant } };
}

/** A tenant with how many of its jobs are ready. */
export interface ReadyTenant<K extends TenantKey> {
  readonly tenant: K;
  readonly ready: number;
}

/**
 * The next `limit` turns at once, for claims in batches: the same tenants in the same order as asking
 * `nextTurn` job by job while nothing arrives. Fewer when there are fewer ready jobs.
 *
 * @param ready ascending by tenant key, without repeats
 */
export function nextTurns<K extends TenantKey>(
  ready: readonly ReadyTenant<K>[],
  cursor: TurnCursor<K>,
  limit: number,
): { turns: K[]; cursor: TurnCursor<K> } {
  const start = indexAfter(
    ready.map((entry) => entry.tenant),
    cursor.after,
  );
  let round = [...ready.slice(start), ...ready.slice(0, start)].filter((entry) => entry.ready > 0);
  const turns: K[] = [];
  for (let taken = 1; round.length > 0 && turns.length < limit; taken++) {
    for (const { tenant } of round.slice(0, limit - turns.length)) turns.push(tenant);
    round = round.filter((entry) => entry.ready > taken);
  }
  return { turns, cursor: { after: turns.at(-1) ?? cursor.after } };
}

/** Index of the first key above `after`; the length when there is none, 0 when `after` is null. */
function indexAfter<K extends TenantKey>(keys: readonly K[], after: K | null): number {
  if (after === null) return 0;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const key = keys[middle];
    if (key !== undefined && key > after) high = middle;
    else low = middle + 1;
  }
  return low;
}
