// The ready jobs of one kind of one tenant, in the order in which they are claimed: priority, then readiness, then id.
import { AgeQueue, isOlder } from './memory-age-queue.ts';
import type { MemoryJob } from './memory-job.ts';
import type { MemoryKind } from './memory-kind.ts';
import type { MemoryTenant } from './memory-tenant.ts';

interface Level {
  priority: number;
  jobs: AgeQueue;
}

export class ReadyLane {
  readonly tenant: MemoryTenant;
  readonly kind: MemoryKind;
  /** Counted exactly. */
  ready = 0;
  /** Whether the circle of its kind has it (memory-circle.ts). */
  inCircle = false;
  /** Its tenant, or the two of them together, are stopped by hand. */
  held: boolean;
  /** By priority, highest first; without empty ones. */
  readonly #levels: Level[] = [];

  constructor(tenant: MemoryTenant, kind: MemoryKind, held: boolean) {
    this.held = held;
    this.tenant = tenant;
    this.kind = kind;
  }

  push(job: MemoryJob): void {
    this.ready++;
    this.#level(job.priority).jobs.push(job);
    this.kind.ready.add(job.id);
    if (!this.held) this.kind.circle.add(this);
  }

  delete(job: MemoryJob): void {
    this.ready--;
    this.kind.ready.delete(job.id);
    const level = this.#level(job.priority);
    level.jobs.delete(job);
    // The last one stays: most lanes have jobs of one priority for ever.
    if (level.jobs.isEmpty && this.#levels.length > 1) this.#levels.splice(this.#levels.indexOf(level), 1);
  }

  setHeld(held: boolean): void {
    this.held = held;
    if (!held && this.ready > 0) this.kind.circle.add(this);
  }

  /** The job whose turn it is. */
  head(): MemoryJob | null {
    return this.#levels[0]?.jobs.head() ?? null;
  }

  /** The one that has been ready longest, whatever its priority. */
  oldest(): MemoryJob | null {
    let oldest: MemoryJob | null = null;
    for (const { jobs } of this.#levels) {
      const head = jobs.head();
      if (head && (!oldest || isOlder(head, oldest))) oldest = head;
    }
    return oldest;
  }

  #level(priority: number): Level {
    const first = this.#levels[0];
    if (first?.priority === priority) return first;
    // Left empty by jobs of another priority.
    if (first?.jobs.isEmpty) this.#levels.shift();
    let at = this.#levels.findIndex((level) => level.priority <= priority);
    if (at < 0) at = this.#levels.length;
    const found = this.#levels[at];
    if (found?.priority === priority) return found;
    const level = { priority, jobs: new AgeQueue() };
    this.#levels.splice(at, 0, level);
    return level;
  }
}
