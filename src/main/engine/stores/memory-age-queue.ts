// Jobs by when they became or become ready, then by id.
//
// They come nearly always in that order, so a chain that is appended to does; the few that do not go to a heap beside it.
// Each job knows its place, so that it can leave from the middle.
import type { MemoryJob } from './memory-job.ts';

export const isOlder = (a: MemoryJob, b: MemoryJob): boolean =>
  a.readyAtMs < b.readyAtMs || (a.readyAtMs === b.readyAtMs && a.id < b.id);

export class AgeQueue {
  #first: MemoryJob | null = null;
  #last: MemoryJob | null = null;
  /** Those that came out of order: a binary heap, a job's place is its index. */
  readonly #heap: MemoryJob[] = [];

  get isEmpty(): boolean {
    return this.#first === null && this.#heap.length === 0;
  }

  push(job: MemoryJob): void {
    const last = this.#last;
    if (last === null || isOlder(last, job)) {
      job.inHeap = false;
      job.before = last;
      job.after = null;
      if (last === null) this.#first = job;
      else last.after = job;
      this.#last = job;
    } else {
      job.inHeap = true;
      this.#heap.push(job);
      this.#rise(this.#heap.length - 1, job);
    }
  }

  head(): MemoryJob | null {
    const first = this.#first;
    const top = this.#heap.length === 0 ? null : (this.#heap[0] ?? null);
    if (!first || !top) return first ?? top;
    return isOlder(first, top) ? first : top;
  }

  delete(job: MemoryJob): void {
    if (job.inHeap) {
      this.#deleteFromHeap(job.place);
      return;
    }
    const { after } = job;
    if (job === this.#first) {
      // The next one keeps its word of this one: it is the first now, and nobody asks it. One memory access less a claim.
      this.#first = after;
      if (after === null) this.#last = null;
      return;
    }
    if (job.before) job.before.after = after;
    if (after) after.before = job.before;
    else this.#last = job.before;
  }

  #deleteFromHeap(at: number): void {
    const last = this.#heap.pop();
    if (!last || at === this.#heap.length) return;
    const moved = this.#rise(at, last);
    if (moved === at) this.#sink(at, last);
  }

  #rise(from: number, job: MemoryJob): number {
    let at = from;
    while (at > 0) {
      const up = (at - 1) >>> 1;
      const parent = this.#heap[up];
      if (!parent || !isOlder(job, parent)) break;
      this.#heap[at] = parent;
      parent.place = at;
      at = up;
    }
    this.#heap[at] = job;
    job.place = at;
    return at;
  }

  #sink(from: number, job: MemoryJob): void {
    let at = from;
    for (;;) {
      let down = 2 * at + 1;
      let child = this.#heap[down];
      const other = this.#heap[down + 1];
      if (!child) break;
      if (other && isOlder(other, child)) {
        child = other;
        down++;
      }
      if (!isOlder(child, job)) break;
      this.#heap[at] = child;
      child.place = at;
      at = down;
    }
    this.#heap[at] = job;
    job.place = at;
  }
}
