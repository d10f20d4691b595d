// The overview of one connection. Deltas go into a plain map; a paint turns it into the list on the screen.
// While a row is pointed at or selected the list keeps its order: values go on changing in place, and how many
// rows wait to move is said instead.
import { applyRows, groupOf, type Group, type OverviewHead, type TenantRow } from '../../../contract/live.ts';
import type { WireError } from '../../../contract/errors.ts';
import { depthOf } from '../format/state-bar.ts';
import type { Backend } from './backend.ts';
import type { Painter } from './painter.svelte.ts';
import { compareRows, movedRows, rowFilter, type SortKey } from './row-order.ts';

/** What holds the order: the pointer over the rows, the keyboard's cursor, the peek, selected text, an overlay. */
export type Hold = 'pointer' | 'cursor' | 'peek' | 'text' | 'overlay';

const noCounts: Record<Group, number> = { late: 0, stalled: 0, ok: 0, 'no-data': 0 };

export class OverviewState {
  readonly connectionId: string;
  head = $state.raw<OverviewHead | null>(null);
  /** The rows on the screen, in order. A row is a new object when something of it changed. */
  rows = $state.raw<readonly TenantRow[]>([]);
  /** All tenants by group, filtered or not. */
  counts = $state.raw(noCounts);
  /** Jobs of the tenant that has most: the scale of the bars. */
  deepest = $state.raw(0);
  /** Rows that will move once the order is free again. */
  moved = $state(0);
  /** True once the first snapshot came. */
  known = $state(false);
  error = $state.raw<WireError | null>(null);
  filter = $state.raw<{ text: string; group: Group | null }>({ text: '', group: null });
  sort = $state.raw<SortKey>('lag');
  /** The row under the keyboard, and whether its details are shown beside the table. */
  cursor = $state.raw<string | null>(null);
  peeking = $state(false);
  readonly frozen: boolean = $derived.by(() => this.#holds.size > 0);

  readonly #painter: Painter;
  readonly #all = new Map<string, TenantRow>();
  #holds = $state.raw<ReadonlySet<Hold>>(new Set());
  #nextHead: OverviewHead | null = null;
  #nextKnown = false;
  readonly #unsubscribe: () => void;
  readonly #paint = (): void => this.#publish(this.#holds.size > 0);

  constructor(backend: Backend, painter: Painter, connectionId: string) {
    this.connectionId = connectionId;
    this.#painter = painter;
    this.#unsubscribe = backend.subscribe(
      'overview',
      { connectionId },
      {
        snapshot: ({ head, rows }) => {
          this.error = null;
          this.#nextHead = head;
          this.#nextKnown = true;
          this.#all.clear();
          for (const row of rows) this.#all.set(row.id, row);
          painter.request(this.#paint);
        },
        delta: (delta) => {
          if (delta.head !== undefined) this.#nextHead = delta.head;
          applyRows(this.#all, delta);
          painter.request(this.#paint);
        },
        error: (error) => {
          this.error = error;
        },
      },
    );
  }

  /** One tenant by id, whether it is filtered out or not. */
  row(id: string): TenantRow | undefined {
    return this.#all.get(id);
  }

  /** All tenants, in no order: for the palette. */
  all(): Iterable<TenantRow> {
    return this.#all.values();
  }

  setText(text: string): void {
    this.filter = { ...this.filter, text };
    this.#publish(false);
  }

  /** The group alone; asked for the present one, all again. */
  toggleGroup(group: Group | null): void {
    this.filter = { ...this.filter, group: this.filter.group === group ? null : group };
    this.#publish(false);
  }

  setSort(sort: SortKey): void {
    this.sort = sort;
    this.#publish(false);
  }

  hold(hold: Hold): void {
    if (!this.#holds.has(hold)) this.#holds = new Set([...this.#holds, hold]);
  }

  /** Lets go; when nothing else holds the order, the waiting moves are made. */
  release(hold: Hold): void {
    if (!this.#holds.has(hold)) return;
    this.#holds = new Set([...this.#holds].filter((held) => held !== hold));
    if (this.#holds.size === 0) this.#painter.request(this.#paint);
  }

  /** Makes the waiting moves now, whatever holds the order. */
  applyMoves(): void {
    this.#publish(false);
  }

  moveCursor(by: number): void {
    if (this.rows.length === 0) return;
    const at = this.cursorIndex;
    const next = at < 0 ? (by > 0 ? 0 : this.rows.length - 1) : at + by;
    this.setCursor(this.rows[Math.max(0, Math.min(this.rows.length - 1, next))]?.id ?? null);
  }

  get cursorIndex(): number {
    return this.cursor === null ? -1 : this.rows.findIndex((row) => row.id === this.cursor);
  }

  setCursor(id: string | null): void {
    this.cursor = id;
    if (id === null) {
      this.setPeek(false);
      this.release('cursor');
    } else this.hold('cursor');
  }

  setPeek(open: boolean): void {
    this.peeking = open;
    if (open) this.hold('peek');
    else this.release('peek');
  }

  #publish(frozen: boolean): void {
    this.head = this.#nextHead;
    this.known = this.#nextKnown;
    const counts = { ...noCounts };
    let deepest = 0;
    for (const row of this.#all.values()) {
      counts[groupOf(row)] += 1;
      deepest = Math.max(deepest, depthOf(row));
    }
    this.counts = counts;
    this.deepest = deepest;

    const shown = rowFilter(this.filter.text, this.filter.group);
    const ordered = shown === null ? [...this.#all.values()] : [...this.#all.values()].filter(shown);
    ordered.sort(compareRows(this.sort));
    if (!frozen || this.rows.length === 0) {
      this.rows = ordered;
      this.moved = 0;
      return;
    }
    this.moved = movedRows(
      this.rows.map((row) => row.id),
      ordered.map((row) => row.id),
    );
    // A tenant that is gone keeps its place until the order is free: nothing slides under the pointer.
    this.rows = this.rows.map((row) => this.#all.get(row.id) ?? row);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#painter.forget(this.#paint);
  }
}
