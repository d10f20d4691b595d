// Follows the rows of one connection and tells each window only what changed.
import type { Overview, OverviewDelta, OverviewHead, TenantRow } from '../../contract/live.ts';
import { Listeners } from './listeners.ts';

/** The fields of `next` that differ from `last`; null when none does. */
export function rowChange(
  last: TenantRow | undefined,
  next: TenantRow,
): OverviewDelta['changed'][number] | null {
  if (last === undefined) return next;
  const change: Record<string, unknown> = {};
  for (const key of Object.keys(next) as (keyof TenantRow)[]) {
    if (!same(last[key], next[key])) change[key] = next[key];
  }
  return Object.keys(change).length === 0 ? null : { ...change, id: next.id };
}

/** Equal as plain data; row fields are small, so their text is compared. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return JSON.stringify(a) === JSON.stringify(b);
}

export class OverviewFeed {
  readonly #listeners = new Listeners<OverviewDelta>();
  #head: OverviewHead;
  #rows: ReadonlyMap<string, TenantRow> = new Map();

  constructor(head: OverviewHead) {
    this.#head = head;
  }

  get head(): OverviewHead {
    return this.#head;
  }

  get rows(): ReadonlyMap<string, TenantRow> {
    return this.#rows;
  }

  publish(head: OverviewHead, rows: ReadonlyMap<string, TenantRow>): void {
    const last = this.#rows;
    this.#head = head;
    this.#rows = rows;
    if (this.#listeners.size === 0) return;
    const changed = [...rows.values()]
      .map((row) => rowChange(last.get(row.id), row))
      .filter((change) => change !== null);
    const removed = [...last.keys()].filter((id) => !rows.has(id));
    this.#listeners.emit({ head, changed, removed });
  }

  /** The overview now, and every change after it until `signal` aborts. */
  follow(listener: (delta: OverviewDelta) => void, signal: AbortSignal): Overview {
    this.#listeners.add(listener, signal);
    return { head: this.#head, rows: [...this.#rows.values()] };
  }
}
