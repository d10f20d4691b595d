// Jobs by id, a page after the other: a set that may hold millions is read as far as somebody looks.
import { toWireError } from '../../../contract/errors.ts';
import type { WireError } from '../../../contract/errors.ts';

const PAGE = 200;

/** `T` is a stored job or something that holds one. */
export class JobPages<T> {
  list = $state.raw<readonly T[]>([]);
  /** True once the first page came. */
  known = $state(false);
  loading = $state(false);
  /** Whether there may be more after the last one. */
  hasMore = $state(true);
  error = $state.raw<WireError | null>(null);
  readonly #read: (afterId: number, limit: number, signal: AbortSignal) => Promise<T[]>;
  readonly #idOf: (item: T) => number;
  #reading: AbortController | null = null;

  constructor(
    read: (afterId: number, limit: number, signal: AbortSignal) => Promise<T[]>,
    idOf: (item: T) => number,
  ) {
    this.#read = read;
    this.#idOf = idOf;
  }

  /** The next page; nothing while one is under way or none is left. */
  async more(): Promise<void> {
    if (this.loading || !this.hasMore) return;
    const last = this.list.at(-1);
    await this.#page(last === undefined ? 0 : this.#idOf(last), (page) => [...this.list, ...page]);
  }

  /** From the first again, as many as were shown, up to one page: what is gone leaves. */
  async again(): Promise<void> {
    await this.#page(0, (page) => page);
  }

  async #page(afterId: number, join: (page: T[]) => readonly T[]): Promise<void> {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    this.loading = true;
    try {
      const page = await this.#read(afterId, PAGE, reading.signal);
      if (reading.signal.aborted) return;
      this.list = join(page);
      this.hasMore = page.length === PAGE;
      this.known = true;
      this.error = null;
    } catch (error) {
      if (!reading.signal.aborted) this.error = toWireError(error);
    } finally {
      if (this.#reading === reading) this.loading = false;
    }
  }

  [Symbol.dispose](): void {
    this.#reading?.abort();
  }
}
