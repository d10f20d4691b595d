// One list of a queue's jobs: its first page read again every few seconds, further ones as far as somebody asks.
import { toWireError } from '../../../contract/errors.ts';
import type { WireError } from '../../../contract/errors.ts';
import type { JobList, JobsPage, QueueJob } from '../../../contract/queue-jobs.ts';
import type { Backend } from './backend.ts';
import { Look } from './look.svelte.ts';

const PAGE = 100;
/** The contract's largest page: a longer list is not read again by itself. */
const LARGEST_PAGE = 500;
const REFRESH_MS = 5_000;

export class QueueJobs {
  readonly list: JobList;
  /** Everything read so far, in the system's order, each job once. */
  readonly jobs: readonly QueueJob[] = $derived.by(() => joined(this.first.value?.jobs ?? [], this.#further));
  readonly next: string | null = $derived.by(() => this.#next ?? null);
  readonly note: string | null = $derived.by(() => this.first.value?.note ?? null);
  /** Whether the system has no notion of such jobs: there are none, and it says why. */
  readonly isForeign: boolean = $derived.by(
    () => this.first.known && this.jobs.length === 0 && this.note !== null,
  );
  /** More rows than one page holds: reading them all again every few seconds is no small look. */
  readonly tooLong: boolean = $derived.by(() => this.jobs.length > LARGEST_PAGE);
  readonly first: Look<JobsPage>;
  loadingMore = $state(false);
  moreError = $state.raw<WireError | null>(null);
  /** The row under the keyboard, by its job's id. */
  cursor = $state<string | null>(null);
  readonly #read: (after: string | null, limit: number, signal: AbortSignal) => Promise<JobsPage>;
  readonly #stop = new AbortController();
  #further = $state.raw<readonly QueueJob[]>([]);
  #next = $state<string | null>(null);
  /** Counts what was read from the start: a further page of an older reading is dropped. */
  #readings = 0;

  constructor(
    backend: Backend,
    query: { connectionId: string; tenantId: string | null; list: JobList },
    now?: () => number,
  ) {
    this.list = query.list;
    this.#read = (after, limit, signal) => backend.call('queue.jobs', { ...query, after, limit }, { signal });
    this.first = new Look(
      async (signal) => {
        // As many as are shown, so that the list does not become shorter under the eye.
        const limit = Math.min(LARGEST_PAGE, Math.max(PAGE, this.jobs.length));
        const page = await this.#read(null, limit, signal);
        if (!signal.aborted) this.#begin(page);
        return page;
      },
      REFRESH_MS,
      now,
    );
    void this.first.load();
  }

  /** Reads it again when its time has come; a very long list, and one that means nothing here, only by hand. */
  follow(): void {
    if (!this.tooLong && !this.isForeign && !this.loadingMore) this.first.follow();
  }

  /** From the start again. */
  async again(): Promise<void> {
    await this.first.load();
  }

  /** The next page; nothing while one is under way or none is left. It goes before the list's own refresh. */
  async more(): Promise<void> {
    const { next } = this;
    if (next === null || this.loadingMore) return;
    this.first.cancel();
    const reading = this.#readings;
    this.loadingMore = true;
    try {
      const page = await this.#read(next, PAGE, this.#stop.signal);
      if (reading !== this.#readings) return;
      this.#further = [...this.#further, ...page.jobs];
      this.#next = page.next;
      this.moreError = null;
    } catch (error) {
      if (!this.#stop.signal.aborted) this.moreError = toWireError(error);
    } finally {
      this.loadingMore = false;
    }
  }

  /** Moves the cursor; from nowhere to the first row, or the last. */
  move(by: number): void {
    if (this.jobs.length === 0) return;
    const at = this.cursorIndex;
    const to = at < 0 ? (by > 0 ? 0 : this.jobs.length - 1) : at + by;
    this.cursor = this.jobs[Math.max(0, Math.min(this.jobs.length - 1, to))]?.id ?? null;
  }

  get cursorIndex(): number {
    return this.cursor === null ? -1 : this.jobs.findIndex(({ id }) => id === this.cursor);
  }

  #begin(page: JobsPage): void {
    this.#readings += 1;
    this.#further = [];
    this.#next = page.next;
    this.moreError = null;
    if (this.cursor !== null && !page.jobs.some(({ id }) => id === this.cursor)) this.cursor = null;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.first[Symbol.dispose]();
  }
}

/** A job that moved from one page to the next between two readings stands where it was read first. */
function joined(first: readonly QueueJob[], further: readonly QueueJob[]): readonly QueueJob[] {
  if (further.length === 0) return first;
  const byId = new Map<string, QueueJob>();
  for (const job of [...first, ...further]) if (!byId.has(job.id)) byId.set(job.id, job);
  return [...byId.values()];
}
