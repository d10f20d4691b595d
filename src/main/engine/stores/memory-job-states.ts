// The jobs of the memory store and how they go from state to state, with everything that is counted and ordered of them.
import type { Claim, FailedAttempt, JobState, Settlement } from '../job.ts';
import { cancelled, lostAttempt } from './ended-by-store.ts';
import { AgeQueue } from './memory-age-queue.ts';
import { DependencyGraph } from './memory-dependencies.ts';
import { IdSet } from './memory-id-set.ts';
import { extraOf, JobTable, type JobExtra, type MemoryJob } from './memory-job.ts';
import { MemoryKind } from './memory-kind.ts';
import { MemoryLane } from './memory-lane.ts';
import { RunningJobs } from './memory-running.ts';
import { MemoryTenant } from './memory-tenant.ts';
import type { NewJobRow } from './new-job-row.ts';
import { FAILED_ATTEMPTS_KEPT } from './store.ts';

export class JobStates {
  /** Of the call at hand; epoch ms, whole. */
  nowMs = 0;
  readonly byId = new JobTable();
  readonly kinds = new Map<string, MemoryKind<MemoryLane>>();
  readonly tenants = new Map<string, MemoryTenant>();
  readonly running = new RunningJobs();
  readonly delayed = new AgeQueue();
  readonly dead = new IdSet();
  readonly blocked = new IdSet();
  #lastId = 0;
  readonly #graph = new DependencyGraph({
    wait: (job) => this.#enter(job, 'waiting'),
    block: (job) => this.#enter(job, 'blocked'),
    cancel: (job, parentId) => this.#buryUntried(job, parentId),
    free: (job) => this.#free(job),
  });

  readonly #isHeld: (tenantId: string, kind: string) => boolean;

  /** `isHeld`: whether a tenant, or a kind of it, is stopped by hand. */
  constructor(isHeld: (tenantId: string, kind: string) => boolean) {
    this.#isHeld = isHeld;
  }

  kind(name: string): MemoryKind<MemoryLane> {
    let kind = this.kinds.get(name);
    if (!kind) this.kinds.set(name, (kind = new MemoryKind<MemoryLane>(name)));
    return kind;
  }

  tenant(id: string): MemoryTenant {
    let tenant = this.tenants.get(id);
    if (!tenant) this.tenants.set(id, (tenant = new MemoryTenant(id)));
    return tenant;
  }

  #lane(tenant: MemoryTenant, kind: MemoryKind<MemoryLane>): MemoryLane {
    let lane = tenant.lane(kind);
    if (!lane) tenant.lanes.push((lane = new MemoryLane(tenant, kind, this.#isHeld(tenant.id, kind.name))));
    return lane;
  }

  /** `parents`: those that are stored. */
  insert(row: NewJobRow, parents: readonly MemoryJob[]): MemoryJob {
    const tenant = this.tenant(row.tenantId);
    const value: unknown = row.payload.length < 32 ? JSON.parse(row.payload) : undefined;
    const isText = value === undefined || (typeof value === 'object' && value !== null);
    const job: MemoryJob = {
      id: ++this.#lastId,
      lane: this.#lane(tenant, this.kind(row.kind)),
      // What is no object cannot be changed by whoever is given it.
      payload: isText ? row.payload : (value as MemoryJob['payload']),
      payloadIsText: isText,
      payloadBytes: Buffer.byteLength(row.payload),
      state: 'waiting',
      priority: row.priority,
      attempts: 0,
      maxAttempts: row.maxAttempts,
      createdAtMs: row.createdAtMs,
      readyAtMs: row.readyAtMs,
      fence: 0,
      owner: null,
      claimedAtMs: 0,
      extra: null,
      place: 0,
      inHeap: false,
      before: null,
      after: null,
    };
    this.byId.add(job);
    job.lane.arrivals++;
    job.lane.waiting++;
    if (row.batchId !== null) extraOf(job).batchId = row.batchId;
    if (parents.length === 0) this.#free(job);
    else this.#arriveWaiting(job, row.onDeadParent, parents);
    return job;
  }

  #arriveWaiting(
    job: MemoryJob,
    onDeadParent: JobExtra['onDeadParent'],
    parents: readonly MemoryJob[],
  ): void {
    const extra = extraOf(job);
    extra.onDeadParent = onDeadParent;
    for (const parent of parents)
      if (parent.state !== 'dead' || onDeadParent !== 'release') this.#graph.link(job, parent);
    const deadParent = parents.find((parent) => parent.state === 'dead');
    if (extra.parents.size === 0) this.#free(job);
    else if (deadParent && onDeadParent === 'cancel') this.#buryUntried(job, deadParent.id);
    else if (extra.badParents > 0) this.#enter(job, 'blocked');
  }

  /** A ready job goes to an engine. */
  start(job: MemoryJob, owner: string): Claim {
    const { lane, id, priority, createdAtMs, readyAtMs } = job;
    lane.deleteReady(job);
    lane.running++;
    if (lane.lastStartedAtMs < this.nowMs) lane.lastStartedAtMs = this.nowMs;
    this.running.add(job);
    job.state = 'running';
    job.owner = owner;
    job.claimedAtMs = this.nowMs;
    return {
      id,
      fence: ++job.fence,
      tenantId: lane.tenantId,
      kind: lane.kind.name,
      payload: job.payloadIsText ? JSON.parse(String(job.payload)) : job.payload,
      priority,
      batchId: job.extra === null ? null : job.extra.batchId,
      attempt: job.attempts + 1,
      maxAttempts: job.maxAttempts,
      createdAtMs,
      readyAtMs,
      claimedAtMs: this.nowMs,
    };
  }

  /** False when the claim is no longer the owner's. */
  end(settlement: Settlement, owner: string): boolean {
    const { id, fence } = settlement.claim;
    const job = this.byId.get(id);
    if (job === undefined || job.state !== 'running' || job.fence !== fence || job.owner !== owner)
      return false;
    if (settlement.how !== 'returned') {
      job.attempts++;
      job.lane.attempts++;
    }
    switch (settlement.how) {
      case 'done':
        this.#leave(job);
        this.byId.delete(job);
        this.#graph.done(job);
        return true;
      case 'retry':
        remember(job, settlement.failed);
        this.#enterAt(job, Math.ceil(settlement.atMs));
        return true;
      case 'dead':
        this.#bury(job, settlement.failed);
        this.#graph.died(job, false);
        return true;
      case 'returned':
        this.#enter(job, 'ready');
        return true;
    }
  }

  /** Its engine is dead: the attempt counts. */
  reclaim(job: MemoryJob): void {
    const { owner, readyAtMs, claimedAtMs } = job;
    const attempt = ++job.attempts;
    job.lane.attempts++;
    const lost = lostAttempt({ attempt, owner: owner ?? '', readyAtMs, claimedAtMs, nowMs: this.nowMs });
    if (attempt >= job.maxAttempts) {
      this.#bury(job, lost);
      this.#graph.died(job, false);
    } else {
      remember(job, lost);
      this.#enterAt(job, Math.max(readyAtMs, this.nowMs));
    }
  }

  /** Delayed jobs whose time has come; answers when the next one's comes. */
  promote(): number | null {
    for (let next = this.delayed.head(); next; next = this.delayed.head()) {
      if (next.readyAtMs > this.nowMs) return next.readyAtMs;
      this.#enter(next, 'ready');
    }
    return null;
  }

  /** A dead job is tried anew, after what it waits for. */
  requeue(job: MemoryJob): void {
    job.attempts = 0;
    const extra = extraOf(job);
    if (extra.parents.size === 0) this.#enterAt(job, this.nowMs);
    else {
      this.#leave(job);
      job.readyAtMs = this.nowMs;
      this.#arrive(job, extra.badParents > 0 ? 'blocked' : 'waiting');
    }
    this.#graph.requeued(job);
  }

  /** A dead job is removed. */
  discard(job: MemoryJob): void {
    this.#leave(job);
    this.byId.delete(job);
    this.#graph.leave(job);
    this.#graph.discarded(job);
  }

  /** A blocked job waits for nothing any more. */
  release(job: MemoryJob): void {
    this.#graph.release(job);
  }

  /** A blocked job goes to the dead set by a person's will. */
  cancel(job: MemoryJob): void {
    this.#buryUntried(job, null);
    this.#graph.died(job, true);
  }

  #buryUntried(job: MemoryJob, parentId: number | null): void {
    this.#bury(job, cancelled({ attempts: job.attempts, parentId, nowMs: this.nowMs }));
  }

  #bury(job: MemoryJob, failed: FailedAttempt): void {
    remember(job, failed);
    extraOf(job).diedAtMs = this.nowMs;
    this.#enter(job, 'dead');
  }

  /** It waits for nothing any more: ready from now, or delayed until its own time. */
  #free(job: MemoryJob): void {
    this.#enterAt(job, Math.max(job.readyAtMs, this.nowMs));
  }

  #enterAt(job: MemoryJob, readyAtMs: number): void {
    this.#leave(job);
    job.readyAtMs = readyAtMs;
    this.#arrive(job, readyAtMs > this.nowMs ? 'delayed' : 'ready');
  }

  #enter(job: MemoryJob, state: Exclude<JobState, 'running'>): void {
    this.#leave(job);
    this.#arrive(job, state);
  }

  /** Out of what its state keeps of it; the order there is by its times, so they change only after this. */
  #leave(job: MemoryJob): void {
    if (job.state === 'ready') {
      job.lane.deleteReady(job);
      return;
    }
    job.lane[job.state]--;
    switch (job.state) {
      case 'delayed':
        this.delayed.delete(job);
        return;
      case 'running':
        this.running.delete(job);
        job.owner = null;
        return;
      case 'dead':
        this.dead.delete(job.id);
        return;
      case 'blocked':
        this.blocked.delete(job.id);
        return;
      case 'waiting':
    }
  }

  #arrive(job: MemoryJob, state: Exclude<JobState, 'running'>): void {
    job.state = state;
    if (state === 'ready') {
      job.lane.addReady(job);
      return;
    }
    job.lane[state]++;
    switch (state) {
      case 'delayed':
        this.delayed.push(job);
        return;
      case 'dead':
        this.dead.add(job.id);
        return;
      case 'blocked':
        this.blocked.add(job.id);
        return;
      case 'waiting':
    }
  }
}

function remember(job: MemoryJob, failed: FailedAttempt): void {
  const extra = extraOf(job);
  extra.failedAttempts = [failed, ...extra.failedAttempts.slice(0, FAILED_ATTEMPTS_KEPT - 1)];
}
