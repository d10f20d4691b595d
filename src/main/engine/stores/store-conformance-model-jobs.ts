// Part of the conformance suite: the jobs of the model and what becomes of them, as plain as can be.
import type { Claim, JobState, NewJob, Settlement } from '../job.ts';
import { T } from './store-conformance-acts.ts';
import { DEFAULT_MAX_ATTEMPTS, type Hold, type HoldScope, type JobFilter } from './store.ts';

export interface ModelJob {
  id: number;
  tenantId: string;
  kind: string;
  /** `pending`: waits or is blocked. */
  state: 'ready' | 'delayed' | 'pending' | 'running' | 'dead';
  priority: number;
  attempts: number;
  maxAttempts: number;
  createdAtMs: number;
  readyAtMs: number;
  parents: Set<number>;
  onDeadParent: 'block' | 'cancel' | 'release';
  claim: Claim | null;
  owner: string | null;
}

export class ModelJobs {
  nowMs = T;
  readonly jobs = new Map<number, ModelJob>();
  /** Dead jobs that were removed: what waits for them waits for ever. */
  readonly discarded = new Set<number>();
  readonly keys = new Map<string, number>();
  readonly arrivals = new Map<string, number>();
  readonly attempts = new Map<string, number>();
  readonly started = new Map<string, number>();
  holds: Pick<Hold, 'tenantId' | 'kind' | 'mode'>[] = [];
  /** Of every job that ever was, ascending. */
  readonly ids: number[] = [];

  insert(id: number, row: NewJob, idOfRow: (row: number) => number): void {
    const { tenantId, kind, idempotencyKey, onDeadParent = 'block' } = row;
    const parentIds = (row.dependsOn ?? []).map((parent) =>
      'row' in parent ? idOfRow(parent.row) : parent.id,
    );
    const parents = parentIds.flatMap((parentId) => this.jobs.get(parentId) ?? []);
    const one: ModelJob = {
      id,
      tenantId,
      kind,
      state: 'pending',
      priority: row.priority ?? 0,
      attempts: 0,
      maxAttempts: row.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
      createdAtMs: this.nowMs,
      readyAtMs: row.readyAtMs ?? this.nowMs,
      parents: new Set(parents.map((parent) => parent.id)),
      onDeadParent,
      claim: null,
      owner: null,
    };
    this.jobs.set(id, one);
    this.ids.push(id);
    if (idempotencyKey !== undefined) this.keys.set(idempotencyKey, id);
    count(this.arrivals, tenantId);
    for (const parent of parents) if (parent.state === 'dead') this.parentDied(one, parent.id);
    this.freeIfAlone(one);
  }

  turns(tenants: readonly string[], most: number, kinds: readonly string[]): number[] {
    const queues = tenants.map((tenantId) =>
      this.claimable(kinds)
        .filter((one) => one.tenantId === tenantId)
        .sort((a, b) => b.priority - a.priority || a.readyAtMs - b.readyAtMs || a.id - b.id)
        .map(({ id }) => id),
    );
    return Array.from({ length: most }, (_, turn) => queues.flatMap((queue) => queue[turn] ?? [])).flat();
  }

  first(most: number, kinds: readonly string[]): number[] {
    return this.claimable(kinds)
      .map(({ id }) => id)
      .slice(0, most);
  }

  claimable(kinds: readonly string[]): ModelJob[] {
    return this.in('ready').filter(
      (one) =>
        kinds.includes(one.kind) && !this.holds.some((hold) => hold.mode === 'pause' && covers(hold, one)),
    );
  }

  start(claim: Claim, owner: string): void {
    const one = this.jobs.get(claim.id);
    if (!one) return;
    Object.assign(one, { state: 'running', claim, owner } satisfies Partial<ModelJob>);
    this.started.set(one.tenantId, this.nowMs);
  }

  end(one: ModelJob, settlement: Settlement): void {
    if (settlement.how !== 'returned') this.attempted(one);
    switch (settlement.how) {
      case 'done':
        this.remove(one);
        return;
      case 'retry':
        one.readyAtMs = settlement.atMs;
        one.state = settlement.atMs > this.nowMs ? 'delayed' : 'ready';
        return;
      case 'dead':
        this.die(one);
        return;
      case 'returned':
        one.state = 'ready';
    }
  }

  attempted(one: ModelJob): void {
    one.attempts++;
    count(this.attempts, one.tenantId);
  }

  remove(one: ModelJob): void {
    this.jobs.delete(one.id);
    for (const child of this.childrenOf(one.id)) {
      child.parents.delete(one.id);
      this.freeIfAlone(child);
    }
  }

  die(one: ModelJob): void {
    one.state = 'dead';
    for (const child of this.childrenOf(one.id)) this.parentDied(child, one.id);
  }

  discard(one: ModelJob): void {
    this.jobs.delete(one.id);
    this.discarded.add(one.id);
    for (const child of this.childrenOf(one.id))
      if (child.state === 'dead') child.parents.delete(one.id);
      else this.parentDied(child, one.id);
    // One that has just been cancelled for its sake no longer waits for it either.
    for (const child of this.childrenOf(one.id)) if (child.state === 'dead') child.parents.delete(one.id);
  }

  parentDied(child: ModelJob, parentId: number): void {
    if (child.state !== 'pending') return;
    if (child.onDeadParent === 'cancel') this.die(child);
    if (child.onDeadParent !== 'release') return;
    child.parents.delete(parentId);
    this.freeIfAlone(child);
  }

  freeIfAlone(one: ModelJob): void {
    if (one.state === 'pending' && one.parents.size === 0) this.free(one);
  }

  free(one: ModelJob): void {
    one.readyAtMs = Math.max(one.readyAtMs, this.nowMs);
    one.state = one.readyAtMs > this.nowMs ? 'delayed' : 'ready';
  }

  childrenOf(id: number): ModelJob[] {
    return [...this.jobs.values()].filter((one) => one.parents.has(id));
  }

  in(state: ModelJob['state']): ModelJob[] {
    return [...this.jobs.values()].filter((one) => one.state === state);
  }

  chosen(state: 'dead' | 'blocked', filter: JobFilter, limit: number): ModelJob[] {
    return [...this.jobs.values()]
      .filter(
        (one) =>
          this.stateOf(one) === state &&
          (filter.tenantId === undefined || one.tenantId === filter.tenantId) &&
          (filter.kind === undefined || one.kind === filter.kind),
      )
      .slice(0, limit);
  }

  stateOf(one: ModelJob): JobState {
    if (one.state !== 'pending') return one.state;
    return this.culprits(one).size > 0 ? 'blocked' : 'waiting';
  }

  culpritsOf(id: number): Set<number> {
    const one = this.jobs.get(id);
    return one ? this.culprits(one) : new Set();
  }

  /** The dead and the discarded above a job. */
  culprits(one: ModelJob): Set<number> {
    const found = new Set<number>();
    for (const id of one.parents) {
      const parent = this.jobs.get(id);
      if (this.discarded.has(id) || parent?.state === 'dead') found.add(id);
      else if (parent?.state === 'pending') for (const above of this.culprits(parent)) found.add(above);
    }
    return found;
  }
}

const count = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};
export const covers = (hold: HoldScope, job: { tenantId: string; kind: string }): boolean =>
  (hold.tenantId === null || hold.tenantId === job.tenantId) &&
  (hold.kind === null || hold.kind === job.kind);
