// What the engine says of a store that fails: one outage is one problem, however many parts of the engine notice it and
// however often they try again.
export class StoreHealth {
  readonly #onProblem: (problem: Error) => void;
  /** What fails now. */
  readonly #failing = new Set<string>();

  constructor(onProblem: (problem: Error) => void) {
    this.#onProblem = onProblem;
  }

  /** `doing`: what the engine was about, in words; the same words for the same thing. */
  failed(doing: string, error: unknown): void {
    const isKnown = this.#failing.size > 0;
    this.#failing.add(doing);
    if (isKnown) return;
    const problem = `the job store failed while ${doing}; it is asked again until it answers`;
    this.#onProblem(new Error(problem, { cause: error }));
  }

  succeeded(doing: string): void {
    this.#failing.delete(doing);
  }
}
