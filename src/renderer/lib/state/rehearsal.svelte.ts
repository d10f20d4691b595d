// The rehearsal on this computer, with its switches; null where none is played.
import type { Rehearsal, RehearsalSwitches } from '../../../contract/rehearsal.ts';
import type { Backend } from './backend.ts';

export class RehearsalState {
  now = $state.raw<Rehearsal | null>(null);
  /** What the last switch or burst failed with. */
  problem = $state<string | null>(null);
  readonly #backend: Backend;
  readonly #unsubscribe: () => void;

  constructor(backend: Backend) {
    this.#backend = backend;
    const take = (rehearsal: Rehearsal | null): void => {
      this.now = rehearsal;
    };
    this.#unsubscribe = backend.subscribe(
      'rehearsal',
      {},
      { snapshot: take, delta: take, error: () => undefined },
    );
  }

  async set(change: Partial<RehearsalSwitches>): Promise<void> {
    const now = this.now;
    if (now === null) return;
    await this.#try(async () => {
      this.now = await this.#backend.call('rehearsal.set', {
        order: now.order,
        workers: now.workers,
        ...change,
      });
    });
  }

  async burst(): Promise<void> {
    await this.#try(async () => {
      await this.#backend.call('rehearsal.burst', {});
    });
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      this.problem = null;
      await work();
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
