// The alert rules of one connection, and changes to them. A change goes into the settings, for every connection.
import type { AlertRule, Metric } from '../../../core/alert.ts';
import type { RuleOverride } from '../../../contract/settings.ts';
import type { Backend } from './backend.ts';

export class RulesState {
  rules = $state.raw<readonly AlertRule[] | null>(null);
  problem = $state<string | null>(null);
  readonly #backend: Backend;
  readonly #connectionId: string;
  readonly #ended = new AbortController();

  constructor(backend: Backend, connectionId: string) {
    this.#backend = backend;
    this.#connectionId = connectionId;
    void this.#run(() => Promise.resolve());
  }

  /** Makes the change and reads back what holds now; a refused change leaves the rules as they were. */
  async change(rule: Metric, change: RuleOverride): Promise<void> {
    await this.#run(async (signal) => {
      await this.#backend.call(
        'rules.change',
        { connectionId: this.#connectionId, rule, change },
        { signal },
      );
    });
  }

  async #run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#ended;
    let problem: string | null = null;
    try {
      await work(signal);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    try {
      this.rules = await this.#backend.call('rules.list', { connectionId: this.#connectionId }, { signal });
    } catch (error) {
      problem ??= error instanceof Error ? error.message : String(error);
    }
    if (!signal.aborted) this.problem = problem;
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
  }
}
