// A job as the memory store keeps it, and the table that finds it by id.
import type { FailedAttempt, JobState, NewJob } from '../job.ts';

/** What few jobs have. */
export interface JobExtra {
  batchId: string | null;
  /** Newest first. */
  failedAttempts: FailedAttempt[];
  diedAtMs: number;
  /** Jobs it waits for that are not done; a dead job keeps those of which it was cancelled. */
  parents: Set<number>;
  /** How many of them are dead, discarded or blocked. */
  badParents: number;
  onDeadParent: NonNullable<NewJob['onDeadParent']>;
}

/** The lane of a job (memory-lane.ts), as far as the job's ways through its states go. */
export interface JobLane extends Record<JobState, number> {
  readonly tenantId: string;
  readonly kind: { readonly name: string; budget: number };
  readonly held: boolean;
  arrivals: number;
  attempts: number;
  lastStartedAtMs: number;
  addReady(job: MemoryJob): void;
  deleteReady(job: MemoryJob): void;
}

export interface MemoryJob {
  readonly id: number;
  readonly lane: JobLane;
  /** The payload itself where it is a value that nobody can change, else its JSON text. */
  readonly payload: string | number | boolean | null;
  readonly payloadIsText: boolean;
  readonly payloadBytes: number;
  state: JobState;
  readonly priority: number;
  attempts: number;
  readonly maxAttempts: number;
  readonly createdAtMs: number;
  readyAtMs: number;
  fence: number;
  owner: string | null;
  claimedAtMs: number;
  extra: JobExtra | null;
  /** Where it stands in its queue (memory-age-queue.ts). */
  place: number;
  inHeap: boolean;
  /** Its neighbours in that queue, or among the running. */
  before: MemoryJob | null;
  after: MemoryJob | null;
}

/** What few jobs have, made when it is first needed. */
export function extraOf(job: MemoryJob): JobExtra {
  return (job.extra ??= {
    batchId: null,
    failedAttempts: [],
    diedAtMs: 0,
    parents: new Set(),
    badParents: 0,
    onDeadParent: 'block',
  });
}

const PAGE_JOBS = 1024;

interface Page {
  jobs: (MemoryJob | null)[];
  count: number;
}

/** Jobs by id. Ids ascend for ever and old jobs go: pages of an array, dropped when empty, are faster than a map. */
export class JobTable {
  readonly #pages: (Page | null)[] = [];

  get(id: number): MemoryJob | undefined {
    return this.#pages[Math.floor(id / PAGE_JOBS)]?.jobs[id % PAGE_JOBS] ?? undefined;
  }

  /** By id. */
  *[Symbol.iterator](): Generator<MemoryJob> {
    for (const page of this.#pages) for (const job of page?.jobs ?? []) if (job) yield job;
  }

  add(job: MemoryJob): void {
    const at = Math.floor(job.id / PAGE_JOBS);
    while (this.#pages.length <= at) this.#pages.push(null);
    const page = (this.#pages[at] ??= {
      jobs: Array.from({ length: PAGE_JOBS }, () => null),
      count: 0,
    });
    page.jobs[job.id % PAGE_JOBS] = job;
    page.count++;
  }

  delete(job: MemoryJob): void {
    const at = Math.floor(job.id / PAGE_JOBS);
    const page = this.#pages[at];
    if (!page) return;
    page.jobs[job.id % PAGE_JOBS] = null;
    if (--page.count === 0) this.#pages[at] = null;
  }
}
