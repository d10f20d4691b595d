// The store that keeps everything in memory: for tests, and to measure the scheduler alone. A call runs to its end before
// it returns, so each is one transaction; it answers by promise because the seam does.
import type { Claim, Depths, Enqueued, JobRecord, NewJob } from '../job.ts';
import { ClaimBatch, readyTenants } from './memory-claims.ts';
import type { IdSet } from './memory-id-set.ts';
import { JobStates } from './memory-job-states.ts';
import type { MemoryJob } from './memory-job.ts';
import type { MemoryKind } from './memory-kind.ts';
import type { MemoryLane } from './memory-lane.ts';
import { ancestorOf, chosen, deadGroupsOf, depthsOf, listOf, recordOf } from './memory-views.ts';
import { drained, newJobRow, parentIsDead, type NewJobRow } from './new-job-row.ts';
import {
  IDEMPOTENCY_KEPT_MS,
  type BlockedJob,
  type DeadGroup,
  type Eligible,
  type Exchange,
  type Hold,
  type HoldScope,
  type JobFilter,
  type JobsListed,
  type ListRequest,
  type Owner,
  type ReadyTenant,
  type Store,
} from './store.ts';

export class MemoryStore implements Store {
  readonly description = 'memory';
  readonly exclusive = true;
  readonly #now: () => number;
  readonly #jobs = new JobStates((tenantId, kind) => this.#isHeld(tenantId, kind));
  /** Oldest first. */
  readonly #keys = new Map<string, { id: number; atMs: number }>();
  readonly #owners = new Map<string, Owner>();
  #holds: Hold[] = [];
  #cursor: string | null = null;

  /** `now`: the store's clock, epoch ms. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  time(): Promise<number> {
    return Promise.resolve(this.#now());
  }

  enqueue(jobs: readonly NewJob[], nowMs: number): Promise<Enqueued[]> {
    // What throws in here rejects the promise.
    return new Promise((resolve) => {
      const rows = jobs.map((job, row) => newJobRow(job, row, nowMs));
      this.#forgetKeys(nowMs);
      this.#check(rows);
      this.#jobs.nowMs = Math.floor(nowMs);
      const ids: number[] = [];
      resolve(rows.map((row) => this.#insert(row, ids)));
    });
  }

  #forgetKeys(nowMs: number): void {
    for (const [key, { atMs }] of this.#keys) {
      if (atMs >= nowMs - IDEMPOTENCY_KEPT_MS) return;
      this.#keys.delete(key);
    }
  }

  /** Throws when one of the rows cannot be enqueued. */
  #check(rows: readonly NewJobRow[]): void {
    const drains = this.#holds.filter((hold) => hold.mode === 'drain');
    const isDead: boolean[] = [];
    const rowOfKey = new Map<string, number>();
    for (const [i, row] of rows.entries()) {
      const key = row.idempotencyKey;
      const twin = key === null ? undefined : rowOfKey.get(key);
      const known = key === null ? undefined : this.#keys.get(key);
      if (twin !== undefined || known) {
        isDead.push(twin === undefined ? this.#isDead(known?.id ?? 0) : isDead[twin] === true);
        continue;
      }
      if (key !== null) rowOfKey.set(key, i);
      if (drains.some((hold) => covers(hold, row))) throw drained(i, row);
      const deadRow = row.parentRows.find((parent) => isDead[parent]);
      const deadId = row.parentIds.find((id) => this.#isDead(id));
      const hasDeadParent = deadRow !== undefined || deadId !== undefined;
      if (hasDeadParent && row.onDeadParent === 'block')
        throw parentIsDead(i, deadId === undefined ? `row ${deadRow ?? 0}` : `job ${deadId}`);
      isDead.push(hasDeadParent && row.onDeadParent === 'cancel');
    }
  }

  #isDead(id: number): boolean {
    return this.#jobs.byId.get(id)?.state === 'dead';
  }

  /** `ids`: of the rows before it; adds its own. */
  #insert(row: NewJobRow, ids: number[]): Enqueued {
    const key = row.idempotencyKey;
    const known = key === null ? undefined : this.#keys.get(key);
    if (known) {
      ids.push(known.id);
      return { id: known.id, fresh: false };
    }
    const parentIds = [...row.parentIds, ...row.parentRows.map((parent) => ids[parent] ?? 0)];
    // One that is no longer stored was done.
    const parents = parentIds.flatMap((parentId) => this.#jobs.byId.get(parentId) ?? []);
    const { id } = this.#jobs.insert(row, parents);
    if (key !== null) this.#keys.set(key, { id, atMs: row.createdAtMs });
    ids.push(id);
    return { id, fresh: true };
  }

  ready(request: { after: string | null; limit: number; eligible: Eligible }): Promise<ReadyTenant[]> {
    return Promise.resolve(readyTenants(this.#claimable(request.eligible), request.after, request.limit));
  }

  #claimable(eligible: Eligible): MemoryKind<MemoryLane>[] {
    if (this.#pauses().some((hold) => hold.tenantId === null && hold.kind === null)) return [];
    const kinds: MemoryKind<MemoryLane>[] = [];
    for (const { kind: name, limit } of eligible) {
      const kind = this.#jobs.kinds.get(name);
      if (kind && !kind.held && limit !== 0) kinds.push(kind);
    }
    return kinds;
  }

  exchange(request: Exchange): Promise<{ taken: boolean[]; claims: Claim[] }> {
    const { owner, take, eligible, cursor } = request;
    this.#jobs.nowMs = Math.floor(request.nowMs);
    const taken = request.settlements.map((settlement) => this.#jobs.end(settlement, owner));
    if (cursor !== null) this.#cursor = cursor;
    if (take === null) return Promise.resolve({ taken, claims: [] });
    const batch = new ClaimBatch(this.#jobs, owner, this.#claimable(eligible), eligible);
    if (take.order === 'turns') batch.takeTurns(take.takes);
    else batch.takeFirst(take.count);
    return Promise.resolve({ taken, claims: batch.close() });
  }

  cursor(): Promise<string | null> {
    return Promise.resolve(this.#cursor);
  }

  promoteDue(nowMs: number): Promise<number | null> {
    this.#jobs.nowMs = Math.floor(nowMs);
    return Promise.resolve(this.#jobs.promote());
  }

  beat(owner: string, report: string, nowMs: number): Promise<void> {
    const beatAtMs = Math.max(Math.floor(nowMs), this.#owners.get(owner)?.beatAtMs ?? 0);
    this.#owners.set(owner, { id: owner, beatAtMs, report });
    return Promise.resolve();
  }

  leave(owner: string): Promise<void> {
    this.#owners.delete(owner);
    return Promise.resolve();
  }

  owners(): Promise<Owner[]> {
    return Promise.resolve([...this.#owners.values()]);
  }

  reclaim(request: { except: string; silentSinceMs: number; nowMs: number }): Promise<number> {
    const { except, silentSinceMs, nowMs } = request;
    this.#jobs.nowMs = Math.floor(nowMs);
    const isSilent = (owner: string): boolean =>
      owner !== except && (this.#owners.get(owner)?.beatAtMs ?? 0) <= silentSinceMs;
    const lost = [...this.#jobs.running].filter((job) => isSilent(job.owner ?? '')).reverse();
    for (const job of lost) this.#jobs.reclaim(job);
    for (const owner of [...this.#owners.keys()]) if (isSilent(owner)) this.#owners.delete(owner);
    return Promise.resolve(lost.length);
  }

  depths(frontLimit: number): Promise<Depths> {
    return Promise.resolve(depthsOf(this.#jobs, this.#cursor, frontLimit));
  }

  holds(): Promise<Hold[]> {
    return Promise.resolve([...this.#holds]);
  }

  hold(hold: Hold): Promise<void> {
    this.#holds = [...this.#holds.filter((other) => !isSameScope(other, hold)), { ...hold }];
    this.#applyHolds(hold);
    return Promise.resolve();
  }

  unhold(scope: HoldScope): Promise<boolean> {
    const remaining = this.#holds.filter((hold) => !isSameScope(hold, scope));
    const wasHeld = remaining.length < this.#holds.length;
    this.#holds = remaining;
    this.#applyHolds(scope);
    return Promise.resolve(wasHeld);
  }

  /** Lanes and kinds know whether they are held, so that no claim has to ask. */
  #applyHolds({ tenantId, kind }: HoldScope): void {
    if (tenantId !== null) {
      for (const lane of this.#jobs.tenants.get(tenantId)?.lanes ?? [])
        lane.setHeld(this.#isHeld(tenantId, lane.kind.name));
    } else if (kind !== null) {
      this.#jobs.kind(kind).held = this.#pauses().some(
        (hold) => hold.tenantId === null && hold.kind === kind,
      );
    }
  }

  /** Whether the tenant, or the kind of it, is stopped; not the kind for all. */
  /** What claims obey; a drain is obeyed by enqueue alone. */
  #pauses(): Hold[] {
    return this.#holds.filter(({ mode }) => mode === 'pause');
  }

  #isHeld(tenantId: string, kind: string): boolean {
    return this.#pauses().some(
      (hold) => hold.tenantId === tenantId && (hold.kind === null || hold.kind === kind),
    );
  }

  job(id: number): Promise<JobRecord | null> {
    const job = this.#jobs.byId.get(id);
    return Promise.resolve(job ? recordOf(job) : null);
  }

  payload(id: number, limitChars: number): Promise<string | null> {
    const job = this.#jobs.byId.get(id);
    if (!job) return Promise.resolve(null);
    const text = job.payloadIsText ? String(job.payload) : JSON.stringify(job.payload);
    return Promise.resolve(text.slice(0, limitChars));
  }

  list(request: ListRequest): Promise<JobsListed> {
    return Promise.resolve(listOf(this.#jobs, request));
  }

  deadGroups(limit: number): Promise<DeadGroup[]> {
    return Promise.resolve(deadGroupsOf(this.#jobs, limit));
  }

  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return Promise.resolve(chosen(this.#jobs, this.#jobs.dead, filter, afterId, limit).map(recordOf));
  }

  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    const jobs = chosen(this.#jobs, this.#jobs.blocked, filter, afterId, limit);
    return Promise.resolve(
      jobs.map((job) => ({ job: recordOf(job), ancestorId: ancestorOf(this.#jobs, job) })),
    );
  }

  requeue(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#each(this.#jobs.dead, filter, limit, nowMs, (job) => this.#jobs.requeue(job));
  }

  discard(filter: JobFilter, limit: number, nowMs: number): Promise<number> {
    return this.#each(this.#jobs.dead, filter, limit, nowMs, (job) => this.#jobs.discard(job));
  }

  unblock(filter: JobFilter, how: 'release' | 'cancel', limit: number, nowMs: number): Promise<number> {
    return this.#each(this.#jobs.blocked, filter, limit, nowMs, (job) => {
      // What was done to an earlier one may have done it already.
      if (job.state === 'blocked' && how === 'cancel') this.#jobs.cancel(job);
      else if (how === 'release' && job.state !== 'dead') this.#jobs.release(job);
    });
  }

  #each(
    among: IdSet,
    filter: JobFilter,
    limit: number,
    nowMs: number,
    act: (job: MemoryJob) => void,
  ): Promise<number> {
    this.#jobs.nowMs = Math.floor(nowMs);
    const jobs = chosen(this.#jobs, among, filter, 0, limit);
    for (const job of jobs) act(job);
    return Promise.resolve(jobs.length);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const covers = (hold: HoldScope, job: { tenantId: string; kind: string }): boolean =>
  (hold.tenantId === null || hold.tenantId === job.tenantId) &&
  (hold.kind === null || hold.kind === job.kind);
const isSameScope = (a: HoldScope, b: HoldScope): boolean => a.tenantId === b.tenantId && a.kind === b.kind;
