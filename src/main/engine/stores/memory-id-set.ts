// A set of job ids that can be walked upwards: one bit an id, in pages that go when they are empty.

const PAGE_BITS = 12;
const PAGE_IDS = 1 << PAGE_BITS;
const WORDS = PAGE_IDS / 32;

interface Page {
  words: Uint32Array;
  count: number;
}

export class IdSet {
  readonly #pages: (Page | null)[] = [];
  /** No page below it holds an id. */
  #lowestPage = 0;

  has(id: number): boolean {
    return this.next(id - 1) === id;
  }

  /** Does nothing when it is in the set. */
  add(id: number): void {
    const at = Math.floor(id / PAGE_IDS);
    while (this.#pages.length <= at) this.#pages.push(null);
    const page = (this.#pages[at] ??= { words: new Uint32Array(WORDS), count: 0 });
    const word = (id & (PAGE_IDS - 1)) >>> 5;
    const before = page.words[word] ?? 0;
    const after = (before | (1 << (id & 31))) >>> 0;
    if (after === before) return;
    page.words[word] = after;
    page.count++;
    if (at < this.#lowestPage) this.#lowestPage = at;
  }

  /** Does nothing when it is not in the set. */
  delete(id: number): void {
    const at = Math.floor(id / PAGE_IDS);
    const page = this.#pages[at];
    if (!page) return;
    const word = (id & (PAGE_IDS - 1)) >>> 5;
    const before = page.words[word] ?? 0;
    const after = (before & ~(1 << (id & 31))) >>> 0;
    if (after === before) return;
    page.words[word] = after;
    if (--page.count === 0) this.#pages[at] = null;
  }

  /** The lowest id above `after`; null when there is none. */
  next(after: number): number | null {
    const from = after + 1;
    while (this.#lowestPage < this.#pages.length && !this.#pages[this.#lowestPage]) this.#lowestPage++;
    const first = Math.floor(from / PAGE_IDS);
    for (let at = Math.max(first, this.#lowestPage); at < this.#pages.length; at++) {
      const page = this.#pages[at];
      if (!page) continue;
      const bit = at === first ? from & (PAGE_IDS - 1) : 0;
      let mask = 0xffffffff << (bit & 31);
      for (let word = bit >>> 5; word < WORDS; word++) {
        const bits = (page.words[word] ?? 0) & mask;
        // The lowest bit that is set: `bits & -bits` leaves it alone.
        if (bits !== 0) return at * PAGE_IDS + word * 32 + (31 - Math.clz32(bits & -bits));
        mask = 0xffffffff;
      }
    }
    return null;
  }

  /** Ascending, from the first above `after`; ids may leave the set meanwhile. */
  *above(after: number): Generator<number> {
    for (let id = this.next(after); id !== null; id = this.next(id)) yield id;
  }
}
