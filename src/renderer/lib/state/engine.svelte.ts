// An engine and its jobs, live, as the engine view, a job's page and a tenant's page show them.
import type { EngineView } from '../../../contract/engine-report.ts';
import type { WireError } from '../../../contract/errors.ts';
import type { Backend } from './backend.ts';
import type { Painter } from './painter.svelte.ts';

export class EngineState {
  readonly connectionId: string;
  view = $state.raw<EngineView | null>(null);
  error = $state.raw<WireError | null>(null);
  /** Called with each view that is painted. */
  onView: (view: EngineView) => void = () => undefined;
  /** What the store's clock is ahead of this computer's, ms. */
  #aheadMs = $state(0);
  readonly #painter: Painter;
  readonly #unsubscribe: () => void;
  #next: EngineView | null = null;
  #nextAheadMs = 0;
  readonly #paint = (): void => {
    if (this.#next === null) return;
    this.view = this.#next;
    this.#aheadMs = this.#nextAheadMs;
    this.onView(this.#next);
  };

  constructor(backend: Backend, painter: Painter, connectionId: string, now: () => number = Date.now) {
    this.connectionId = connectionId;
    this.#painter = painter;
    const take = (view: EngineView): void => {
      this.error = null;
      this.#next = view;
      this.#nextAheadMs = view.asOfMs - now();
      painter.request(this.#paint);
    };
    this.#unsubscribe = backend.subscribe(
      'engine',
      { connectionId },
      {
        snapshot: take,
        delta: take,
        error: (error) => {
          this.error = error;
        },
      },
    );
  }

  /** A moment of the local clock by the store's. While the screen is paused time stands still with it. */
  storeTime(localMs: number): number {
    return (this.#painter.pausedAtMs ?? localMs) + this.#aheadMs;
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#painter.forget(this.#paint);
  }
}
