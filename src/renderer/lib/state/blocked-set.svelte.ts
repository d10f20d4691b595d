// Jobs that wait for a dead one, by the job that is to blame.
import type { Backend } from './backend.ts';
import type { JobRecord } from '../format/engine-words.ts';
import { JobPages } from './job-pages.svelte.ts';

export interface BlockedJob {
  job: JobRecord;
  ancestorId: number;
}
export interface BlockedGroup {
  ancestorId: number;
  jobs: readonly JobRecord[];
}

/** By ancestor, the one that blocks most first; among equals the oldest. */
export function blockedGroups(list: readonly BlockedJob[]): BlockedGroup[] {
  const byAncestor = new Map<number, JobRecord[]>();
  for (const { job, ancestorId } of list)
    byAncestor.set(ancestorId, [...(byAncestor.get(ancestorId) ?? []), job]);
  return [...byAncestor]
    .map(([ancestorId, jobs]) => ({ ancestorId, jobs }))
    .sort((a, b) => b.jobs.length - a.jobs.length || a.ancestorId - b.ancestorId);
}

export class BlockedSetState {
  readonly pages: JobPages<BlockedJob>;
  chosenId = $state<number | null>(null);
  /** The job that blocks the chosen group; null while it is read, or when it is gone. */
  ancestor = $state.raw<JobRecord | null>(null);
  readonly groups: readonly BlockedGroup[] = $derived.by(() => blockedGroups(this.pages.list));
  readonly chosen: BlockedGroup | null = $derived.by(
    () => this.groups.find(({ ancestorId }) => ancestorId === this.chosenId) ?? this.groups[0] ?? null,
  );
  held = false;
  #readTotal: number | null = null;
  readonly #backend: Backend;
  readonly #connectionId: string;
  #reading: AbortController | null = null;

  constructor(backend: Backend, connectionId: string) {
    this.#backend = backend;
    this.#connectionId = connectionId;
    this.pages = new JobPages(
      (afterId, limit, signal) =>
        backend.call('engine.blockedJobs', { connectionId, afterId, limit }, { signal }),
      ({ job }) => job.id,
    );
    void this.pages.more();
  }

  /** Looks at one group, and reads the job that is to blame. */
  async choose(ancestorId: number): Promise<void> {
    this.chosenId = ancestorId;
    this.ancestor = null;
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    try {
      const { job } = await this.#backend.call(
        'engine.job',
        { connectionId: this.#connectionId, id: ancestorId },
        { signal: reading.signal },
      );
      if (!reading.signal.aborted) this.ancestor = job;
    } catch {
      // Only its name is missing then; its page says why it cannot be read.
    }
  }

  /** Reads the set again when it has another size than when it was read; not while somebody points at it. */
  take(total: number): void {
    if (total === this.#readTotal || this.held) return;
    const first = this.#readTotal === null;
    this.#readTotal = total;
    if (!first) void this.pages.again();
  }

  move(by: number): void {
    const at = this.groups.findIndex((group) => group === this.chosen);
    const next = this.groups[Math.max(0, Math.min(this.groups.length - 1, at + by))];
    if (next !== undefined) void this.choose(next.ancestorId);
  }

  [Symbol.dispose](): void {
    this.#reading?.abort();
    this.pages[Symbol.dispose]();
  }
}
