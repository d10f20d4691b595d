// Where time went: the analysis of a range from the history, and sizes from the stored log, each by itself.
import { toWireError } from '../../../contract/errors.ts';
import type { WireError } from '../../../contract/errors.ts';
import type { TimingAnalysis, TimingSizes } from '../../../contract/log-search.ts';
import type { Backend } from './backend.ts';
import { againstEdges, edgesOf, type TimingWish } from './timing-query.ts';

/** A range that ends now is read again this often, or as often as a bucket of it is over if that is less often. */
const SOONEST_MS = 10_000;
const LATEST_MS = 120_000;

export interface Edges {
  fromMs: number;
  toMs: number;
}

export class TimingState {
  analysis = $state.raw<TimingAnalysis | null>(null);
  error = $state.raw<WireError | null>(null);
  /** Of what `analysis` holds, as asked for. */
  edges = $state.raw<Edges | null>(null);
  against = $state.raw<Edges | null>(null);
  /** While the range on the screen is not the one that was asked for. */
  loading = $state(false);
  sizes = $state.raw<TimingSizes | null>(null);
  sizesError = $state.raw<WireError | null>(null);
  sizesLoading = $state(false);
  readonly #backend: Backend;
  readonly #connectionId: string;
  readonly #now: () => number;
  #wish: TimingWish | null = null;
  #asking = new AbortController();
  #askingSizes = new AbortController();
  #askedAtMs = -Infinity;
  #busy = false;

  constructor(backend: Backend, connectionId: string, now: () => number = Date.now) {
    this.#backend = backend;
    this.#connectionId = connectionId;
    this.#now = now;
  }

  /** Shows something else; what was asked before is let go. */
  show(wish: TimingWish): void {
    const before = this.#wish;
    this.#wish = wish;
    const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
    const { stage: _stage, ...rest } = wish;
    const { stage: _before, ...restBefore } = before ?? { stage: '' };
    if (!same(rest, restBefore)) {
      this.loading = true;
      void this.#load(wish);
      void this.#loadSizes(wish);
    } else if (wish.stage !== before?.stage) void this.#loadSizes(wish);
  }

  /** Time goes on: a range that ends now is read again when there is something new to see. */
  tick(nowMs: number): void {
    const wish = this.#wish;
    if (wish?.range.kind !== 'last' || this.#busy) return;
    const everyMs = Math.min(LATEST_MS, Math.max(SOONEST_MS, this.analysis?.bucketMs ?? 0));
    if (nowMs - this.#askedAtMs >= everyMs) void this.#load(wish);
  }

  /** After an error. */
  retry(): void {
    if (this.#wish === null) return;
    if (this.error !== null || this.analysis === null) void this.#load(this.#wish);
    void this.#loadSizes(this.#wish);
  }

  async #load({ range, tenantIds, against: wanted }: TimingWish): Promise<void> {
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    this.#askedAtMs = this.#now();
    this.#busy = true;
    const edges = edgesOf(range, this.#now());
    const against = againstEdges(edges, wanted);
    try {
      const analysis = await this.#backend.call(
        'timing.analysis',
        { connectionId: this.#connectionId, ...edges, tenantIds: [...tenantIds], against },
        { signal },
      );
      if (signal.aborted) return;
      this.analysis = analysis;
      this.edges = edges;
      this.against = against;
      this.error = null;
    } catch (error) {
      if (!signal.aborted) this.error = toWireError(error);
    }
    if (signal.aborted) return;
    this.loading = false;
    this.#busy = false;
  }

  async #loadSizes({ range, tenantIds, stage }: TimingWish): Promise<void> {
    this.#askingSizes.abort();
    const { signal } = (this.#askingSizes = new AbortController());
    this.sizesLoading = true;
    // One tenant or all: that is what the log is searched for.
    const tenantId = tenantIds.length === 1 ? (tenantIds[0] ?? null) : null;
    try {
      const sizes = await this.#backend.call(
        'timing.sizes',
        { connectionId: this.#connectionId, ...edgesOf(range, this.#now()), tenantId, stage },
        { signal },
      );
      if (signal.aborted) return;
      this.sizes = sizes;
      this.sizesError = null;
    } catch (error) {
      if (signal.aborted) return;
      this.sizes = null;
      this.sizesError = toWireError(error);
    }
    this.sizesLoading = false;
  }

  [Symbol.dispose](): void {
    this.#asking.abort();
    this.#askingSizes.abort();
  }
}
