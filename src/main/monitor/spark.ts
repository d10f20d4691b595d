// The small lag chart of a row: the largest lag in each of the last buckets.
const BUCKETS = 60;

export class Spark {
  readonly #bucketMs: number;
  #bucket = -1;
  #values: readonly (number | null)[] = [];

  constructor(bucketMs: number) {
    this.#bucketMs = bucketMs;
  }

  /** Oldest first, the unfinished bucket last; a new array only when something changed. */
  get values(): readonly (number | null)[] {
    return this.#values;
  }

  /** `lagMs` null marks the bucket as not measured unless something else was measured in it. */
  add(atMs: number, lagMs: number | null): void {
    const bucket = Math.floor(atMs / this.#bucketMs);
    // A clock set back must not rewrite what was shown.
    if (bucket < this.#bucket) return;
    if (bucket > this.#bucket) {
      const missed = this.#bucket < 0 ? 0 : Math.min(bucket - this.#bucket - 1, BUCKETS);
      const gap = Array.from<null>({ length: missed }).fill(null);
      this.#values = [...this.#values, ...gap, lagMs].slice(-BUCKETS);
      this.#bucket = bucket;
      return;
    }
    const last = this.#values.at(-1) ?? null;
    if (lagMs === null || (last !== null && last >= lagMs)) return;
    this.#values = [...this.#values.slice(0, -1), lagMs];
  }
}
