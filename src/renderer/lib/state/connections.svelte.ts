// Every connection with its state, as the backend tells it.
import type { ConnectionSummary } from '../../../contract/live.ts';
import type { Backend } from './backend.ts';

export class ConnectionsState {
  /** Null until the first list came. */
  list = $state.raw<readonly ConnectionSummary[] | null>(null);
  readonly #unsubscribe: () => void;

  constructor(backend: Backend) {
    const take = (list: readonly ConnectionSummary[]): void => {
      this.list = list;
    };
    this.#unsubscribe = backend.subscribe(
      'connections',
      {},
      { snapshot: take, delta: take, error: () => undefined },
    );
  }

  get(id: string | null): ConnectionSummary | undefined {
    return this.list?.find((connection) => connection.id === id);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
