// What a person should know of Headway itself: settings that were refused, history that was set aside.
import type { Notice } from '../../../contract/api.ts';
import type { Backend } from './backend.ts';

export class NoticesState {
  list = $state.raw<readonly Notice[]>([]);
  readonly #unsubscribe: () => void;

  constructor(backend: Backend) {
    const take = (list: readonly Notice[]): void => {
      this.list = list;
    };
    this.#unsubscribe = backend.subscribe(
      'notices',
      {},
      { snapshot: take, delta: take, error: () => undefined },
    );
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
