// Part of the conformance suite: a store that is too plain to be wrong; it looks at every job for every answer.
import { HeadwayError } from '../../../contract/errors.ts';
import type { Claim, Depths, JobRecord, JobState, NewJob, Settlement } from '../job.ts';
import { ending, T } from './store-conformance-acts.ts';
import type { Operation } from './store-conformance-operations.ts';
import {
  DEFAULT_MAX_ATTEMPTS,
  type Eligible,
  type Hold,
  type HoldScope,
  type JobFilter,
  type Store,
} from './store.ts';

interface ModelJob {
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

interface Outcome {
  /** What the store said. */
  seen: unknown;
  /** What it should have said. */
  wanted: unknown;
}
type SketchedJob = (Operation & { call: 'enqueue' })['jobs'][number];
type SketchedEnd = (Operation & { call: 'settle' })['ends'][number];

export class StoreModel {
  #nowMs = T;
  readonly #jobs = new Map<number, ModelJob>();
  /** Dead jobs that were removed: what waits for them waits for ever. */
  readonly #discarded = new Set<number>();
  readonly #keys = new Map<string, number>();
  readonly #arrivals = new Map<string, number>();
  readonly #attempts = new Map<string, number>();
  readonly #started = new Map<string, number>();
  #holds: Pick<Hold, 'tenantId' | 'kind' | 'mode'>[] = [];
  /** Every claim that was ever made, so that ended ones are sent in again too. */
  readonly #claims: { owner: string; claim: Claim }[] = [];
  /** Of every job that ever was, ascending. */
  readonly #ids: number[] = [];

  /** Makes the call on the store and on the model; answers what the store said and what it should have said. */
  async apply([made, passMs]: [Operation, number], store: Store): Promise<Outcome> {
    this.#nowMs += passMs;
    const nowMs = this.#nowMs;
    switch (made.call) {
      case 'enqueue':
        return this.#enqueue(made.jobs, store);
      case 'claim': {
        const eligible: Eligible = made.kinds.map((kind) => ({ kind, limit: null }));
        const { claims } = await store.exchange({
          owner: made.owner,
          settlements: [],
          take: made.turns
            ? { order: 'turns', takes: made.turns.map((tenantId) => ({ tenantId, count: made.count })) }
            : { order: 'first-come', count: made.count },
          eligible,
          cursor: null,
          nowMs,
        });
        const wanted = made.turns
          ? this.#turns(made.turns, made.count, made.kinds)
          : this.#first(made.count, made.kinds);
        const tenants = await store.ready({ after: null, limit: 9, eligible });
        for (const one of claims) this.#start(one, made.owner);
        const left = new Set(this.#claimable(made.kinds).map(({ tenantId }) => tenantId));
        return {
          seen: [claims.map(({ id }) => id), new Set(tenants.map(({ tenantId }) => tenantId))],
          wanted: [wanted, left],
        };
      }
      case 'settle':
        return this.#settle(made.ends, store);
      case 'promote': {
        for (const one of this.#in('delayed')) if (one.readyAtMs <= nowMs) one.state = 'ready';
        const times = this.#in('delayed').map(({ readyAtMs }) => readyAtMs);
        return {
          seen: await store.promoteDue(nowMs),
          wanted: times.length === 0 ? null : Math.min(...times),
        };
      }
      case 'hold':
      case 'unhold': {
        const { tenantId, kind } = made.scope;
        const others = this.#holds.filter((hold) => hold.tenantId !== tenantId || hold.kind !== kind);
        const wanted = others.length < this.#holds.length;
        this.#holds = others;
        if (made.call === 'unhold') return { seen: await store.unhold(made.scope), wanted };
        this.#holds.push({ tenantId, kind, mode: made.mode });
        await store.hold({ tenantId, kind, mode: made.mode, by: 'ann', reason: '', sinceMs: nowMs });
        return { seen: (await store.holds()).length, wanted: this.#holds.length };
      }
      case 'requeue': {
        const chosen = this.#chosen('dead', made.filter, made.limit);
        for (const one of chosen) {
          one.attempts = 0;
          one.readyAtMs = nowMs;
          one.state = one.parents.size > 0 ? 'pending' : 'ready';
        }
        return { seen: await store.requeue(made.filter, made.limit, nowMs), wanted: chosen.length };
      }
      case 'discard': {
        const chosen = this.#chosen('dead', made.filter, made.limit);
        for (const one of chosen) this.#discard(one);
        return { seen: await store.discard(made.filter, made.limit, nowMs), wanted: chosen.length };
      }
      case 'release':
      case 'cancel': {
        const chosen = this.#chosen('blocked', made.filter, made.limit);
        for (const one of chosen) {
          if (made.call === 'cancel') this.#die(one);
          else {
            one.parents.clear();
            this.#free(one);
          }
        }
        return {
          seen: await store.unblock(made.filter, made.call, made.limit, nowMs),
          wanted: chosen.length,
        };
      }
      case 'reclaim': {
        const lost = this.#in('running').filter((one) => one.owner !== made.owner);
        for (const one of lost) {
          this.#attempted(one);
          if (one.attempts >= one.maxAttempts) this.#die(one);
          else {
            one.state = 'ready';
            one.readyAtMs = Math.max(one.readyAtMs, nowMs);
          }
        }
        return {
          seen: await store.reclaim({ except: made.owner, silentSinceMs: nowMs, nowMs }),
          wanted: lost.length,
        };
      }
    }
  }

  depths(): unknown {
    const front = this.#in('ready').slice(0, 5);
    return {
      frontEndId: this.#in('ready').length > 5 ? front.at(-1)?.id : null,
      tenants: [...this.#arrivals].map(([tenantId, arrivalsTotal]) => {
        const own = [...this.#jobs.values()].filter((one) => one.tenantId === tenantId);
        const of = (state: JobState) => own.filter((one) => this.#stateOf(one) === state);
        const [oldest] = of('ready').sort((a, b) => a.readyAtMs - b.readyAtMs || a.id - b.id);
        const starts = of('running').map((one) => one.claim?.claimedAtMs ?? 0);
        return {
          tenantId,
          ready: of('ready').length,
          delayed: of('delayed').length,
          running: of('running').length,
          waiting: of('waiting').length,
          blocked: of('blocked').length,
          dead: of('dead').length,
          oldestReady: oldest
            ? { id: oldest.id, readyAtMs: oldest.readyAtMs, createdAtMs: oldest.createdAtMs }
            : null,
          oldestRunningAtMs: starts.length === 0 ? null : Math.min(...starts),
          lastStartedAtMs: this.#started.get(tenantId) ?? null,
          arrivalsTotal,
          attemptsTotal: this.#attempts.get(tenantId) ?? 0,
          frontIds: front.filter((one) => one.tenantId === tenantId).map(({ id }) => id),
        };
      }),
    };
  }

  /** What the store says, in the words of the model. */
  async depthsOf(store: Store): Promise<unknown> {
    const { tenants, frontEndId }: Depths = await store.depths(5);
    const byArrival = [...this.#arrivals.keys()];
    const places = tenants.map((tenant) => ({
      ...tenant,
      ready: tenant.ready.value,
      delayed: tenant.delayed.value,
      running: tenant.running.value,
      waiting: tenant.waiting.value,
      blocked: tenant.blocked.value,
      dead: tenant.dead.value,
    }));
    places.sort((a, b) => byArrival.indexOf(a.tenantId) - byArrival.indexOf(b.tenantId));
    return { frontEndId, tenants: places };
  }

  records(): unknown {
    const blocked = this.#chosen('blocked', {}, Infinity);
    return {
      jobs: this.#ids.map((id) => {
        const one = this.#jobs.get(id);
        return one
          ? [
              this.#stateOf(one),
              one.tenantId,
              one.kind,
              one.priority,
              one.attempts,
              one.readyAtMs,
              [...one.parents].sort((a, b) => a - b),
            ]
          : null;
      }),
      dead: this.#chosen('dead', {}, Infinity).map(({ id }) => id),
      blocked: blocked.map(({ id }) => [id, true]),
    };
  }

  async recordsOf(store: Store): Promise<unknown> {
    const jobs: (JobRecord | null)[] = [];
    for (const id of this.#ids) jobs.push(await store.job(id));
    const blocked = await store.blockedJobs({}, 0, 1_000);
    return {
      jobs: jobs.map(
        (one) =>
          one && [one.state, one.tenantId, one.kind, one.priority, one.attempts, one.readyAtMs, one.waitsFor],
      ),
      dead: (await store.deadJobs({}, 0, 1_000)).map(({ id }) => id),
      blocked: blocked.map(({ job, ancestorId }) => [job.id, this.#culpritsOf(job.id).has(ancestorId)]),
    };
  }

  async #enqueue(jobs: SketchedJob[], store: Store): Promise<Outcome> {
    const nowMs = this.#nowMs;
    const rows = jobs.map(({ key, parents, delayMs, ...rest }, row): NewJob => ({
      ...rest,
      payload: row,
      readyAtMs: nowMs + delayMs,
      ...(key === null ? {} : { idempotencyKey: key }),
      // Earlier rows of the call, or the jobs that came last: those are likely to be there still.
      dependsOn: parents.flatMap((pick): NonNullable<NewJob['dependsOn']> => {
        if (pick < row) return [{ row: pick }];
        const id = this.#ids.at(row - 1 - pick);
        return id === undefined ? [] : [{ id }];
      }),
    }));
    let seen: { id: number; fresh: boolean }[];
    try {
      seen = await store.enqueue(rows, nowMs);
    } catch (error) {
      if (!(error instanceof HeadwayError)) throw error;
      const reasons = this.#refusals(rows);
      return { seen: error.code, wanted: reasons.find((code) => code === error.code) ?? reasons };
    }
    const reasons = this.#refusals(rows);
    if (reasons.length > 0) return { seen, wanted: reasons };
    const wanted = rows.map((row, i) => {
      const known = row.idempotencyKey === undefined ? undefined : this.#keys.get(row.idempotencyKey);
      if (known !== undefined) return { id: known, fresh: false };
      // The ids are the store's choice, as long as they ascend.
      const id = Math.max(seen[i]?.id ?? 0, (this.#ids.at(-1) ?? 0) + 1);
      this.#insert(id, row, (at) => seen[at]?.id ?? 0);
      return { id, fresh: true };
    });
    return { seen, wanted };
  }

  /** Why the call is refused as a whole, each reason there is. */
  #refusals(rows: readonly NewJob[]): string[] {
    const reasons = new Set<string>();
    const deadRows: boolean[] = [];
    const rowOfKey = new Map<string, number>();
    for (const [i, row] of rows.entries()) {
      const key = row.idempotencyKey;
      const known = key === undefined ? undefined : this.#keys.get(key);
      const twin = key === undefined ? undefined : rowOfKey.get(key);
      if (known !== undefined || twin !== undefined) {
        deadRows[i] =
          twin === undefined ? this.#jobs.get(known ?? 0)?.state === 'dead' : deadRows[twin] === true;
        continue;
      }
      if (key !== undefined) rowOfKey.set(key, i);
      if (this.#holds.some((hold) => hold.mode === 'drain' && covers(hold, row))) reasons.add('conflict');
      const isParentDead = (row.dependsOn ?? []).some((parent) =>
        'row' in parent ? deadRows[parent.row] : this.#jobs.get(parent.id)?.state === 'dead',
      );
      if (isParentDead && row.onDeadParent === 'block') reasons.add('bad-request');
      deadRows[i] = isParentDead && row.onDeadParent === 'cancel';
    }
    return [...reasons];
  }

  #insert(id: number, row: NewJob, idOfRow: (row: number) => number): void {
    const { tenantId, kind, idempotencyKey, onDeadParent = 'block' } = row;
    const parentIds = (row.dependsOn ?? []).map((parent) =>
      'row' in parent ? idOfRow(parent.row) : parent.id,
    );
    const parents = parentIds.flatMap((parentId) => this.#jobs.get(parentId) ?? []);
    const one: ModelJob = {
      id,
      tenantId,
      kind,
      state: 'pending',
      priority: row.priority ?? 0,
      attempts: 0,
      maxAttempts: row.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
      createdAtMs: this.#nowMs,
      readyAtMs: row.readyAtMs ?? this.#nowMs,
      parents: new Set(parents.map((parent) => parent.id)),
      onDeadParent,
      claim: null,
      owner: null,
    };
    this.#jobs.set(id, one);
    this.#ids.push(id);
    if (idempotencyKey !== undefined) this.#keys.set(idempotencyKey, id);
    count(this.#arrivals, tenantId);
    for (const parent of parents) if (parent.state === 'dead') this.#parentDied(one, parent.id);
    this.#freeIfAlone(one);
  }

  #turns(tenants: readonly string[], most: number, kinds: readonly string[]): number[] {
    const queues = tenants.map((tenantId) =>
      this.#claimable(kinds)
        .filter((one) => one.tenantId === tenantId)
        .sort((a, b) => b.priority - a.priority || a.readyAtMs - b.readyAtMs || a.id - b.id)
        .map(({ id }) => id),
    );
    return Array.from({ length: most }, (_, turn) => queues.flatMap((queue) => queue[turn] ?? [])).flat();
  }

  #first(most: number, kinds: readonly string[]): number[] {
    return this.#claimable(kinds)
      .map(({ id }) => id)
      .slice(0, most);
  }

  #claimable(kinds: readonly string[]): ModelJob[] {
    return this.#in('ready').filter(
      (one) =>
        kinds.includes(one.kind) && !this.#holds.some((hold) => hold.mode === 'pause' && covers(hold, one)),
    );
  }

  #start(claim: Claim, owner: string): void {
    this.#claims.push({ owner, claim });
    const one = this.#jobs.get(claim.id);
    if (!one) return;
    Object.assign(one, { state: 'running', claim, owner } satisfies Partial<ModelJob>);
    this.#started.set(one.tenantId, this.#nowMs);
  }

  async #settle(ends: SketchedEnd[], store: Store): Promise<Outcome> {
    const nowMs = this.#nowMs;
    const picked = ends.flatMap(({ pick, how, delayMs }) => {
      // Those that were made last: some of them have ended by now.
      const made = this.#claims.at(-1 - pick);
      return made ? [{ ...made, settlement: ending(made.claim, how, nowMs + delayMs) }] : [];
    });
    const seen: boolean[] = [];
    const wanted: boolean[] = [];
    for (const { owner, claim, settlement } of picked) {
      const { taken } = await store.exchange({
        owner,
        settlements: [settlement],
        take: null,
        eligible: [],
        cursor: null,
        nowMs,
      });
      seen.push(...taken);
      const one = this.#jobs.get(claim.id);
      const counts = one?.state === 'running' && one.claim?.fence === claim.fence;
      wanted.push(counts);
      if (counts) this.#end(one, settlement);
    }
    return { seen, wanted };
  }

  #end(one: ModelJob, settlement: Settlement): void {
    if (settlement.how !== 'returned') this.#attempted(one);
    switch (settlement.how) {
      case 'done':
        this.#remove(one);
        return;
      case 'retry':
        one.readyAtMs = settlement.atMs;
        one.state = settlement.atMs > this.#nowMs ? 'delayed' : 'ready';
        return;
      case 'dead':
        this.#die(one);
        return;
      case 'returned':
        one.state = 'ready';
    }
  }

  #attempted(one: ModelJob): void {
    one.attempts++;
    count(this.#attempts, one.tenantId);
  }

  #remove(one: ModelJob): void {
    this.#jobs.delete(one.id);
    for (const child of this.#childrenOf(one.id)) {
      child.parents.delete(one.id);
      this.#freeIfAlone(child);
    }
  }

  #die(one: ModelJob): void {
    one.state = 'dead';
    for (const child of this.#childrenOf(one.id)) this.#parentDied(child, one.id);
  }

  #discard(one: ModelJob): void {
    this.#jobs.delete(one.id);
    this.#discarded.add(one.id);
    for (const child of this.#childrenOf(one.id))
      if (child.state === 'dead') child.parents.delete(one.id);
      else this.#parentDied(child, one.id);
    // One that has just been cancelled for its sake no longer waits for it either.
    for (const child of this.#childrenOf(one.id)) if (child.state === 'dead') child.parents.delete(one.id);
  }

  #parentDied(child: ModelJob, parentId: number): void {
    if (child.state !== 'pending') return;
    if (child.onDeadParent === 'cancel') this.#die(child);
    if (child.onDeadParent !== 'release') return;
    child.parents.delete(parentId);
    this.#freeIfAlone(child);
  }

  #freeIfAlone(one: ModelJob): void {
    if (one.state === 'pending' && one.parents.size === 0) this.#free(one);
  }

  #free(one: ModelJob): void {
    one.readyAtMs = Math.max(one.readyAtMs, this.#nowMs);
    one.state = one.readyAtMs > this.#nowMs ? 'delayed' : 'ready';
  }

  #childrenOf(id: number): ModelJob[] {
    return [...this.#jobs.values()].filter((one) => one.parents.has(id));
  }

  #in(state: ModelJob['state']): ModelJob[] {
    return [...this.#jobs.values()].filter((one) => one.state === state);
  }

  #chosen(state: 'dead' | 'blocked', filter: JobFilter, limit: number): ModelJob[] {
    return [...this.#jobs.values()]
      .filter(
        (one) =>
          this.#stateOf(one) === state &&
          (filter.tenantId === undefined || one.tenantId === filter.tenantId) &&
          (filter.kind === undefined || one.kind === filter.kind),
      )
      .slice(0, limit);
  }

  #stateOf(one: ModelJob): JobState {
    if (one.state !== 'pending') return one.state;
    return this.#culprits(one).size > 0 ? 'blocked' : 'waiting';
  }

  #culpritsOf(id: number): Set<number> {
    const one = this.#jobs.get(id);
    return one ? this.#culprits(one) : new Set();
  }

  /** The dead and the discarded above a job. */
  #culprits(one: ModelJob): Set<number> {
    const found = new Set<number>();
    for (const id of one.parents) {
      const parent = this.#jobs.get(id);
      if (this.#discarded.has(id) || parent?.state === 'dead') found.add(id);
      else if (parent?.state === 'pending') for (const above of this.#culprits(parent)) found.add(above);
    }
    return found;
  }
}

const count = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};
const covers = (hold: HoldScope, job: { tenantId: string; kind: string }): boolean =>
  (hold.tenantId === null || hold.tenantId === job.tenantId) &&
  (hold.kind === null || hold.kind === job.kind);
