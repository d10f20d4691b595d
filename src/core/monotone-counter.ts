// Differences of a counter that only grows, such as MAX(id): the honest way to count what comes between polls.

/** What a counter grew by, and since when. */
export interface CounterStep {
  delta: number;
  sinceMs: number;
}

/** Follows one monotone total. A total that falls (restored database, emptied table) is a reset, not a flow. */
export class MonotoneCounter {
  #last: { total: number; atMs: number } | null = null;
  /** The total before a reset. When the counter is back above it, the fall was a misreading or was undone. */
  #highWater = -Infinity;

  /**
   * The growth since the last known total; null when there is none to compare with, when the total is unknown
   * now, and at a reset. A total that returns above its value before a reset counts from there only: the jump
   * back is no arrival of millions.
   */
  step(total: number | null, atMs: number): CounterStep | null {
    if (total === null) return null;
    const last = this.#last;
    this.#last = { total, atMs };
    if (last === null) return null;
    if (total < last.total) {
      this.#highWater = Math.max(this.#highWater, last.total);
      return null;
    }
    if (total >= this.#highWater && last.total < this.#highWater) {
      return { delta: total - this.#highWater, sinceMs: last.atMs };
    }
    return { delta: total - last.total, sinceMs: last.atMs };
  }
}
