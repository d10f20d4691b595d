// The steps of "Test", told as they begin and end.
import type { TestStep } from '../../contract/connection-test.ts';
import { toWireError } from '../../contract/errors.ts';
import type { ReportStep } from './source.ts';

/** What a step hands to the next and what it tells the engineer. */
export interface Finding<T> {
  value: T;
  detail: string;
  warning?: boolean;
}

/** A step failed and has told so: nothing that comes after it can be done. */
export class StepFailed extends Error {}

export class TestSteps<Id extends string> {
  readonly #titles: Readonly<Record<Id, string>>;
  readonly #report: ReportStep;
  readonly #now: () => number;
  readonly #rest: Set<Id>;

  /** `ids`: those that are to be done, in order. */
  constructor(
    titles: Readonly<Record<Id, string>>,
    ids: readonly Id[],
    { report, now }: { report: ReportStep; now: () => number },
  ) {
    this.#titles = titles;
    this.#report = report;
    this.#now = now;
    this.#rest = new Set(ids);
    for (const id of ids) this.#tell(id, { state: 'waiting' });
  }

  /** Rejects with StepFailed. */
  async take<T>(id: Id, work: () => Promise<Finding<T>>): Promise<T> {
    this.#rest.delete(id);
    this.#tell(id, { state: 'running' });
    const startedMs = this.#now();
    const took = () => Math.max(0, this.#now() - startedMs);
    try {
      const { value, detail, warning = false } = await work();
      this.#tell(id, { state: warning ? 'warning' : 'ok', durationMs: took(), detail });
      return value;
    } catch (cause) {
      this.#tell(id, { state: 'failed', durationMs: took(), error: toWireError(cause) });
      throw new StepFailed(id, { cause });
    }
  }

  skipRest(): void {
    for (const id of this.#rest) this.#tell(id, { state: 'skipped' });
  }

  #tell(id: Id, change: Partial<TestStep> & Pick<TestStep, 'state'>): void {
    this.#report({ id, title: this.#titles[id], durationMs: null, detail: '', error: null, ...change });
  }
}
