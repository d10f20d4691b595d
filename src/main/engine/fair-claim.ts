// The fair order over a store: core/fair-order.ts decides whose turn it is, the store shows it no more tenants than
// a claim can serve. So a claim costs the same with ten tenants and with ten thousand.
import { nextTurns, type ReadyTenant, type TurnCursor } from '../../core/fair-order.ts';

/** Up to `limit` tenants with ready jobs whose id is above `after` (any id when null), ascending by id. */
export type ReadyAfter = (after: string | null, limit: number) => ReadyTenant<string>[];

/** The tenants of the next `limit` turns, and the cursor to keep with their claim. */
export function takeTurns(
  readyAfter: ReadyAfter,
  cursor: TurnCursor,
  limit: number,
): { turns: string[]; cursor: TurnCursor } {
  const ahead = readyAfter(cursor.after, limit);
  if (ahead.length >= limit || cursor.after === null) return nextTurns(ahead, cursor, limit);
  // Fewer than one turn each: the circle wraps around to the lowest ids, up to where `ahead` begins.
  const first = ahead[0];
  const wrapped = readyAfter(null, limit).filter(
    (entry) => first === undefined || entry.tenant < first.tenant,
  );
  return nextTurns([...wrapped, ...ahead], cursor, limit);
}
