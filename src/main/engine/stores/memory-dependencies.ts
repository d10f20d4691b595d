// Jobs that wait for others, in the memory store: who waits for whom, and what a death, an end or a second try means for
// those that wait. Each job counts its bad parents (dead, discarded or blocked), so every step looks at neighbours only.
import { extraOf, type MemoryJob } from './memory-job.ts';

/** What the store does with a job; it keeps the counts. */
export interface Moves {
  wait: (job: MemoryJob) => void;
  block: (job: MemoryJob) => void;
  /** To the dead set, because `parentId` is dead. */
  cancel: (job: MemoryJob, parentId: number) => void;
  /** Ready from now, or delayed until its own time. */
  free: (job: MemoryJob) => void;
}

/** What happened to a parent: `died-blocked` was bad before, to those that wait for it. */
type ParentEvent = 'blocked' | 'good' | 'died' | 'died-blocked';

export class DependencyGraph {
  readonly #children = new Map<number, Set<MemoryJob>>();
  readonly #moves: Moves;
  /** In the order in which they happened: a child hears of its parent's states one after the other. */
  readonly #events: { parent: MemoryJob; event: ParentEvent }[] = [];

  constructor(moves: Moves) {
    this.#moves = moves;
  }

  /** A new job waits for `parent`, which is stored. */
  link(job: MemoryJob, parent: MemoryJob): void {
    const extra = extraOf(job);
    if (extra.parents.has(parent.id)) return;
    extra.parents.add(parent.id);
    if (parent.state === 'dead' || parent.state === 'blocked') extra.badParents++;
    const children = this.#children.get(parent.id);
    if (children) children.add(job);
    else this.#children.set(parent.id, new Set([job]));
  }

  done(parent: MemoryJob): void {
    for (const child of this.#childrenOf(parent)) this.#unlink(child, parent.id, false);
    this.#spread();
  }

  /** `job` has just been buried. */
  died(job: MemoryJob, wasBlocked: boolean): void {
    this.#tell(job, wasBlocked ? 'died-blocked' : 'died');
    this.#spread();
  }

  /** A dead job has just become ready, waiting or blocked. */
  requeued(job: MemoryJob): void {
    if (job.state !== 'blocked') this.#tell(job, 'good');
    this.#spread();
  }

  /** A dead job is removed. */
  discarded(parent: MemoryJob): void {
    for (const child of this.#childrenOf(parent)) {
      if (isPending(child) && extraOf(child).onDeadParent === 'cancel') this.#cancel(child, parent.id);
      if (!isPending(child) || extraOf(child).onDeadParent === 'release')
        this.#unlink(child, parent.id, true);
    }
    this.#spread();
  }

  /** A blocked job waits no longer. */
  release(job: MemoryJob): void {
    const extra = extraOf(job);
    for (const parentId of extra.parents) this.#forget(job, parentId);
    extra.parents.clear();
    extra.badParents = 0;
    this.#moves.free(job);
    this.#tell(job, 'good');
    this.#spread();
  }

  /** A dead job is removed: it waits for nothing any more. */
  leave(job: MemoryJob): void {
    for (const parentId of job.extra?.parents ?? []) this.#forget(job, parentId);
  }

  #tell(parent: MemoryJob, event: ParentEvent): void {
    if (this.#children.has(parent.id)) this.#events.push({ parent, event });
  }

  #spread(): void {
    for (let next = this.#events.shift(); next; next = this.#events.shift())
      for (const child of this.#childrenOf(next.parent)) this.#hear(child, next.parent, next.event);
  }

  #hear(child: MemoryJob, parent: MemoryJob, event: ParentEvent): void {
    const extra = extraOf(child);
    if (event === 'good') {
      extra.badParents--;
      this.#unblockIfGood(child);
      return;
    }
    if (event !== 'blocked' && isPending(child) && extra.onDeadParent === 'release') {
      this.#unlink(child, parent.id, event === 'died-blocked');
      return;
    }
    if (event !== 'died-blocked') extra.badParents++;
    if (event !== 'blocked' && isPending(child) && extra.onDeadParent === 'cancel')
      this.#cancel(child, parent.id);
    else if (child.state === 'waiting') {
      this.#moves.block(child);
      this.#tell(child, 'blocked');
    }
  }

  #cancel(child: MemoryJob, parentId: number): void {
    const wasBlocked = child.state === 'blocked';
    this.#moves.cancel(child, parentId);
    this.#tell(child, wasBlocked ? 'died-blocked' : 'died');
  }

  #unlink(child: MemoryJob, parentId: number, wasBad: boolean): void {
    extraOf(child).parents.delete(parentId);
    this.#forget(child, parentId);
    if (wasBad) extraOf(child).badParents--;
    if (!isPending(child)) return;
    if (extraOf(child).parents.size > 0) {
      this.#unblockIfGood(child);
      return;
    }
    const wasBlocked = child.state === 'blocked';
    this.#moves.free(child);
    if (wasBlocked) this.#tell(child, 'good');
  }

  #unblockIfGood(child: MemoryJob): void {
    if (child.state !== 'blocked' || extraOf(child).badParents > 0) return;
    this.#moves.wait(child);
    this.#tell(child, 'good');
  }

  #forget(child: MemoryJob, parentId: number): void {
    const children = this.#children.get(parentId);
    children?.delete(child);
    if (children?.size === 0) this.#children.delete(parentId);
  }

  /** As they are now: they may come and go while they are walked. */
  #childrenOf(parent: MemoryJob): MemoryJob[] {
    const children = this.#children.get(parent.id);
    return children ? [...children].sort((a, b) => a.id - b.id) : [];
  }
}

const isPending = (job: MemoryJob): boolean => job.state === 'waiting' || job.state === 'blocked';
