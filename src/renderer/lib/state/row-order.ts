// Which tenants are shown and in what order: pure, so that the rules can be tested by themselves.
import { groupOf, type Group, type TenantRow } from '../../../contract/live.ts';

export const sortKeys = ['lag', 'name', 'ready', 'running', 'delayed', 'in', 'p95'] as const;
export type SortKey = (typeof sortKeys)[number];

/**
 * What the order by lag goes by: whole seconds, because fractions change with every poll. Whoever has the same
 * stands by name, so that the list is calm and a name is found where it was; idle tenants come last.
 */
function lagRank(row: TenantRow): number | null {
  if (row.lagMs === null) return null;
  return row.status === 'idle' ? -0.5 : Math.floor(row.lagMs / 1_000);
}

const valueOf: Record<Exclude<SortKey, 'name'>, (row: TenantRow) => number | null> = {
  lag: lagRank,
  ready: (row) => row.ready.value,
  running: (row) => row.running.value,
  delayed: (row) => row.delayed.value,
  in: (row) => row.arrivalsPerS,
  p95: (row) => row.runP95Ms,
};

/** Largest first, unknown last, then by name; `name` alone goes upwards. */
export function compareRows(key: SortKey): (a: TenantRow, b: TenantRow) => number {
  if (key === 'name') return byName;
  const value = valueOf[key];
  return (a, b) => (value(b) ?? -1) - (value(a) ?? -1) || byName(a, b);
}

/** Code-unit order: a collator costs a hundred times as much, and tenants' names are mostly plain. */
function byName(a: TenantRow, b: TenantRow): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** Every word of `text` stands somewhere in the row's name, detail, id, status or cause. */
export function rowFilter(text: string, group: Group | null): ((row: TenantRow) => boolean) | null {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0 && group === null) return null;
  return (row) => {
    if (group !== null && groupOf(row) !== group) return false;
    if (words.length === 0) return true;
    const hay = `${row.name} ${row.id} ${row.detail} ${row.status} ${row.cause?.text ?? ''}`.toLowerCase();
    return words.every((word) => hay.includes(word));
  };
}

/**
 * How few rows would have to be moved, added or taken away to turn one order into the other: everything outside
 * their longest common rising run. One row that rises to the top counts as one, not as everything under it.
 */
export function movedRows(from: readonly string[], to: readonly string[]): number {
  const place = new Map(from.map((id, index) => [id, index]));
  const tails: number[] = [];
  let added = 0;
  for (const id of to) {
    const at = place.get(id);
    if (at === undefined) {
      added += 1;
      continue;
    }
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((tails[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    tails[low] = at;
  }
  return added + (from.length - tails.length);
}
