// The running jobs of the memory store: a chain, because jobs join and leave it a million times a second.
import type { MemoryJob } from './memory-job.ts';

export class RunningJobs {
  #newest: MemoryJob | null = null;

  add(job: MemoryJob): void {
    job.before = this.#newest;
    job.after = null;
    if (this.#newest) this.#newest.after = job;
    this.#newest = job;
  }

  delete(job: MemoryJob): void {
    if (job.before) job.before.after = job.after;
    if (job.after) job.after.before = job.before;
    else this.#newest = job.before;
    job.before = null;
    job.after = null;
  }

  /** Newest claims first. The job at hand may leave. */
  *[Symbol.iterator](): Generator<MemoryJob> {
    for (let job = this.#newest; job;) {
      const next: MemoryJob | null = job.before;
      yield job;
      job = next;
    }
  }
}
