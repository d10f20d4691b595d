// One tenant: its row and stages live, its past from history over a range that all charts share.
import type { Snapshot } from '../../../contract/api.ts';
import type { WireError } from '../../../contract/errors.ts';
import { toWireError } from '../../../contract/errors.ts';
import type { History } from '../../../contract/history.ts';
import type { Backend } from './backend.ts';
import type { Painter } from './painter.svelte.ts';

/** What the charts show: the last `spanMs` and moving on, or a fixed piece that was dragged out. */
export type ChartRange = { kind: 'last'; spanMs: number } | { kind: 'fixed'; fromMs: number; toMs: number };

const MINUTE = 60_000;
export const spans = [
  { label: '5 m', spanMs: 5 * MINUTE },
  { label: '15 m', spanMs: 15 * MINUTE },
  { label: '1 h', spanMs: 60 * MINUTE },
  { label: '6 h', spanMs: 360 * MINUTE },
  { label: '24 h', spanMs: 1440 * MINUTE },
  { label: '7 d', spanMs: 10_080 * MINUTE },
] as const;

const MAX_POINTS = 240;
const RELOAD_MS = 2_000;

export class TenantState {
  live = $state.raw<Snapshot<'tenant'> | null>(null);
  error = $state.raw<WireError | null>(null);
  history = $state.raw<History | null>(null);
  historyError = $state.raw<WireError | null>(null);
  range: ChartRange = $state.raw({ kind: 'last', spanMs: 15 * MINUTE });
  /** The edges of what `history` holds; charts take them as their axis. */
  axis = $state.raw<{ fromMs: number; toMs: number } | null>(null);

  readonly #backend: Backend;
  readonly #painter: Painter;
  readonly #now: () => number;
  readonly #ids: { connectionId: string; tenantId: string };
  readonly #unsubscribe: () => void;
  readonly #stop = new AbortController();
  #next: Snapshot<'tenant'> | null = null;
  #loading: AbortController | null = null;
  #loadedAtMs = -Infinity;
  readonly #paint = (): void => {
    this.live = this.#next;
    // New data moves the charts on, not a timer: a paused or hidden window asks for nothing.
    if (this.range.kind === 'last' && this.#now() - this.#loadedAtMs >= this.#reloadMs) void this.load();
  };

  constructor(
    backend: Backend,
    painter: Painter,
    ids: { connectionId: string; tenantId: string },
    { now = Date.now, spanMs = 15 * MINUTE }: { now?: () => number; spanMs?: number } = {},
  ) {
    this.range = { kind: 'last', spanMs };
    this.#backend = backend;
    this.#painter = painter;
    this.#ids = ids;
    this.#now = now;
    const take = (next: Snapshot<'tenant'>): void => {
      this.error = null;
      this.#next = next;
      painter.request(this.#paint);
    };
    this.#unsubscribe = backend.subscribe('tenant', ids, {
      snapshot: take,
      delta: take,
      error: (error) => {
        this.error = error;
      },
    });
    void this.load();
  }

  show(range: ChartRange): void {
    this.range = range;
    void this.load();
  }

  /** Reads the history of the range; a newer call replaces one under way. */
  async load(): Promise<void> {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    this.#loadedAtMs = this.#now();
    const axis = this.#edges();
    try {
      const history = await this.#backend.call(
        'history.query',
        { ...this.#ids, ...axis, maxPoints: MAX_POINTS },
        { signal: AbortSignal.any([loading.signal, this.#stop.signal]) },
      );
      if (loading.signal.aborted) return;
      this.history = history;
      this.axis = axis;
      this.historyError = null;
    } catch (error) {
      if (!loading.signal.aborted && !this.#stop.signal.aborted) this.historyError = toWireError(error);
    }
  }

  /** A day's chart need not be read every other second. */
  get #reloadMs(): number {
    const bucketMs = this.history?.bucketMs ?? 0;
    return Math.max(RELOAD_MS, Math.min(bucketMs, 30_000));
  }

  #edges(): { fromMs: number; toMs: number } {
    if (this.range.kind === 'fixed') return { fromMs: this.range.fromMs, toMs: this.range.toMs };
    const toMs = this.#now();
    return { fromMs: toMs - this.range.spanMs, toMs };
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#unsubscribe();
    this.#painter.forget(this.#paint);
  }
}
