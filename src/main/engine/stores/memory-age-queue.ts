// Jobs by when they became or become ready, then by id.
//
// They come nearly always in that order, so a queue that is appended to does; the few that do not go to a heap beside it.
// Each job knows its place, so that it can leave from the middle.
import type { MemoryJob } from './memory-job.ts';

export const isOlder = (a: MemoryJob, b: MemoryJob): boolean =>
  a.readyAtMs < b.readyAtMs || (a.readyAtMs === b.readyAtMs && a.id < b.id);

export class AgeQueue {
  /** Oldest first; null where one left from the middle. A job's place is its index and `#dropped`. */
  #queue: (MemoryJob | null)[] = [];
  #first = 0;
  #dropped = 0;
  #gaps = 0;
  /** Those that came out of order: a binary heap, a job's place is its index. */
  readonly #heap: MemoryJob[] = [];

  get isEmpty(): boolean {
    return this.#first === this.#queue.length && this.#heap.length === 0;
  }

  push(job: MemoryJob): void {
    const last = this.#queue.at(-1);
    // A gap at the end does not say what stood there; the heap is never wrong.
    if (this.#first === this.#queue.length || (last && isOlder(last, job))) {
      job.inHeap = false;
      job.place = this.#queue.length + this.#dropped;
      this.#queue.push(job);
    } else {
      job.inHeap = true;
      this.#heap.push(job);
      this.#rise(this.#heap.length - 1, job);
    }
  }

  head(): MemoryJob | null {
    const first = this.#queue[this.#first] ?? null;
    const top = this.#heap[0] ?? null;
    if (!first || !top) return first ?? top;
    return isOlder(first, top) ? first : top;
  }

  delete(job: MemoryJob): void {
    if (job.inHeap) {
      this.#deleteFromHeap(job.place);
      return;
    }
    const at = job.place - this.#dropped;
    this.#queue[at] = null;
    this.#gaps++;
    this.#tidy();
  }

  /** What stands first is a job or the queue is empty, and most of its places hold jobs. */
  #tidy(): void {
    while (this.#first < this.#queue.length && this.#queue[this.#first] === null) {
      this.#first++;
      this.#gaps--;
    }
    const length = this.#queue.length;
    if (this.#first === length) this.#drop(length);
    else if (this.#first > 64 && this.#first * 2 > length) this.#drop(this.#first);
    else if (this.#gaps > 64 && this.#gaps * 2 > length - this.#first) this.#closeGaps();
  }

  /** Gives up the first places, which are empty. */
  #drop(places: number): void {
    if (places === this.#queue.length) this.#queue.length = 0;
    else this.#queue = this.#queue.slice(places);
    this.#dropped += places;
    this.#first = 0;
  }

  #closeGaps(): void {
    this.#queue = this.#queue.filter((job) => job !== null);
    this.#first = 0;
    this.#dropped = 0;
    this.#gaps = 0;
    for (const [place, job] of this.#queue.entries()) if (job) job.place = place;
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
