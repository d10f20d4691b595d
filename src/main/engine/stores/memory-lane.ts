// One kind of one tenant in the memory store: its counts, and its ready jobs in the order in which they are claimed (priority,
// then readiness, then id). Everything that a claim and its end touch stands in the lane and in the job, because with ten
// thousand tenants it is the memory that is slow: two objects a claim, whatever the number of tenants.
import { AgeQueue, isOlder } from './memory-age-queue.ts';
import type { JobLane, MemoryJob } from './memory-job.ts';
import type { MemoryKind } from './memory-kind.ts';

/** The ready jobs of the lane's usual priority are its own queue. */
export class MemoryLane extends AgeQueue implements JobLane {
  readonly tenantId: string;
  /** Of its tenant in the circle: ordered by `<` as the ids are byte by byte. */
  readonly key: string;
  readonly kind: MemoryKind<MemoryLane>;
  /** Whether the circle of its kind has it (memory-circle.ts). */
  inCircle = false;
  /** Its tenant, or the two of them together, are stopped by hand. */
  held: boolean;
  ready = 0;
  delayed = 0;
  waiting = 0;
  blocked = 0;
  running = 0;
  dead = 0;
  arrivals = 0;
  attempts = 0;
  /** 0 before the first. */
  lastStartedAtMs = 0;
  /** Of its own queue. */
  #priority = 0;
  /** Ready jobs of other priorities, highest first; without empty ones. Most lanes never have any. */
  #others: { priority: number; jobs: AgeQueue }[] | null = null;

  constructor(tenant: { id: string; key: string }, kind: MemoryKind<MemoryLane>, held: boolean) {
    super();
    this.tenantId = tenant.id;
    this.key = tenant.key;
    this.kind = kind;
    this.held = held;
  }

  addReady(job: MemoryJob): void {
    if (this.ready++ === 0) this.#priority = job.priority;
    if (job.priority === this.#priority) this.push(job);
    else this.#other(job.priority).push(job);
    this.kind.ready.add(job.id);
    if (!this.inCircle && !this.held) this.kind.circle.add(this);
  }

  deleteReady(job: MemoryJob): void {
    this.ready--;
    this.kind.ready.delete(job.id);
    if (job.priority === this.#priority) {
      this.delete(job);
      return;
    }
    const other = this.#other(job.priority);
    other.delete(job);
    const left = this.#others?.filter(({ jobs }) => !jobs.isEmpty) ?? [];
    this.#others = left.length > 0 ? left : null;
  }

  setHeld(held: boolean): void {
    this.held = held;
    if (!held && !this.inCircle && this.ready > 0) this.kind.circle.add(this);
  }

  /** The job whose turn it is. */
  next(): MemoryJob | null {
    const [highest] = this.#others ?? [];
    if (highest && (highest.priority > this.#priority || this.isEmpty)) return highest.jobs.head();
    return this.head();
  }

  /** The one that has been ready longest, whatever its priority. */
  oldest(): MemoryJob | null {
    let oldest = this.head();
    for (const { jobs } of this.#others ?? []) {
      const head = jobs.head();
      if (head && (!oldest || isOlder(head, oldest))) oldest = head;
    }
    return oldest;
  }

  #other(priority: number): AgeQueue {
    const others = (this.#others ??= []);
    const known = others.find((level) => level.priority === priority);
    if (known) return known.jobs;
    const jobs = new AgeQueue();
    others.push({ priority, jobs });
    others.sort((a, b) => b.priority - a.priority);
    return jobs;
  }
}
