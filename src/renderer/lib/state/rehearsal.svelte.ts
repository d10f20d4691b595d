// The rehearsal on this computer: which incident is played, with its switches; null where none is played.
import type { Incident, Rehearsal, RehearsalChange } from '../../../contract/rehearsal.ts';
import type { Backend } from './backend.ts';

export class RehearsalState {
  now = $state.raw<Rehearsal | null>(null);
  /** What the last switch or action failed with. */
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

  /** Another incident, played as it was: without its cure. */
  async play(incident: Incident): Promise<void> {
    await this.#change({ incident });
  }

  async turn(id: string, value: string): Promise<void> {
    await this.#change({ switches: { [id]: value } });
  }

  /** Makes the incident happen now. */
  async act(): Promise<void> {
    await this.#try(async () => {
      await this.#backend.call('rehearsal.act', {});
    });
  }

  async #change(change: RehearsalChange): Promise<void> {
    await this.#try(async () => {
      this.now = await this.#backend.call('rehearsal.set', change);
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
