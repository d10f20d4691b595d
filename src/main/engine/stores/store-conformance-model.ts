// Part of the conformance suite: a store that is too plain to be wrong, side by side with the one under test.
import { HeadwayError } from '../../../contract/errors.ts';
import type { Claim, Depths, JobRecord, JobState, NewJob } from '../job.ts';
import { ending } from './store-conformance-acts.ts';
import { covers, ModelJobs } from './store-conformance-model-jobs.ts';
import type { Operation } from './store-conformance-operations.ts';
import type { Eligible, Store } from './store.ts';

interface Outcome {
  /** What the store said. */
  seen: unknown;
  /** What it should have said. */
  wanted: unknown;
}
type SketchedJob = (Operation & { call: 'enqueue' })['jobs'][number];
type SketchedEnd = (Operation & { call: 'settle' })['ends'][number];

export class StoreModel {
  readonly #model = new ModelJobs();
  /** Every claim that was ever made, so that ended ones are sent in again too. */
  readonly #claims: { owner: string; claim: Claim }[] = [];

  /** Makes the call on the store and on the model; answers what the store said and what it should have said. */
  async apply([made, passMs]: [Operation, number], store: Store): Promise<Outcome> {
    this.#model.nowMs += passMs;
    const nowMs = this.#model.nowMs;
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
          ? this.#model.turns(made.turns, made.count, made.kinds)
          : this.#model.first(made.count, made.kinds);
        const tenants = await store.ready({ after: null, limit: 9, eligible });
        for (const one of claims) {
          this.#claims.push({ owner: made.owner, claim: one });
          this.#model.start(one, made.owner);
        }
        const left = new Set(this.#model.claimable(made.kinds).map(({ tenantId }) => tenantId));
        return {
          seen: [claims.map(({ id }) => id), new Set(tenants.map(({ tenantId }) => tenantId))],
          wanted: [wanted, left],
        };
      }
      case 'settle':
        return this.#settle(made.ends, store);
      case 'promote': {
        for (const one of this.#model.in('delayed')) if (one.readyAtMs <= nowMs) one.state = 'ready';
        const times = this.#model.in('delayed').map(({ readyAtMs }) => readyAtMs);
        return {
          seen: await store.promoteDue(nowMs),
          wanted: times.length === 0 ? null : Math.min(...times),
        };
      }
      case 'hold':
      case 'unhold': {
        const { tenantId, kind } = made.scope;
        const others = this.#model.holds.filter((hold) => hold.tenantId !== tenantId || hold.kind !== kind);
        const wanted = others.length < this.#model.holds.length;
        this.#model.holds = others;
        if (made.call === 'unhold') return { seen: await store.unhold(made.scope), wanted };
        this.#model.holds.push({ tenantId, kind, mode: made.mode });
        await store.hold({ tenantId, kind, mode: made.mode, by: 'ann', reason: '', sinceMs: nowMs });
        return { seen: (await store.holds()).length, wanted: this.#model.holds.length };
      }
      case 'requeue': {
        const chosen = this.#model.chosen('dead', made.filter, made.limit);
        for (const one of chosen) {
          one.attempts = 0;
          one.readyAtMs = nowMs;
          one.state = one.parents.size > 0 ? 'pending' : 'ready';
        }
        return { seen: await store.requeue(made.filter, made.limit, nowMs), wanted: chosen.length };
      }
      case 'discard': {
        const chosen = this.#model.chosen('dead', made.filter, made.limit);
        for (const one of chosen) this.#model.discard(one);
        return { seen: await store.discard(made.filter, made.limit, nowMs), wanted: chosen.length };
      }
      case 'release':
      case 'cancel': {
        const chosen = this.#model.chosen('blocked', made.filter, made.limit);
        for (const one of chosen) {
          if (made.call === 'cancel') this.#model.die(one);
          else {
            one.parents.clear();
            this.#model.free(one);
          }
        }
        return {
          seen: await store.unblock(made.filter, made.call, made.limit, nowMs),
          wanted: chosen.length,
        };
      }
      case 'reclaim': {
        const lost = this.#model.in('running').filter((one) => one.owner !== made.owner);
        for (const one of lost) {
          this.#model.attempted(one);
          if (one.attempts >= one.maxAttempts) this.#model.die(one);
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
    const front = this.#model.in('ready').slice(0, 5);
    return {
      frontEndId: this.#model.in('ready').length > 5 ? front.at(-1)?.id : null,
      tenants: [...this.#model.arrivals].map(([tenantId, arrivalsTotal]) => {
        const own = [...this.#model.jobs.values()].filter((one) => one.tenantId === tenantId);
        const of = (state: JobState) => own.filter((one) => this.#model.stateOf(one) === state);
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
          lastStartedAtMs: this.#model.started.get(tenantId) ?? null,
          arrivalsTotal,
          attemptsTotal: this.#model.attempts.get(tenantId) ?? 0,
          frontIds: front.filter((one) => one.tenantId === tenantId).map(({ id }) => id),
        };
      }),
    };
  }

  /** What the store says, in the words of the model. */
  async depthsOf(store: Store): Promise<unknown> {
    const { tenants, frontEndId }: Depths = await store.depths(5);
    const byArrival = [...this.#model.arrivals.keys()];
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
    const blocked = this.#model.chosen('blocked', {}, Infinity);
    return {
      jobs: this.#model.ids.map((id) => {
        const one = this.#model.jobs.get(id);
        return one
          ? [
              this.#model.stateOf(one),
              one.tenantId,
              one.kind,
              one.priority,
              one.attempts,
              one.readyAtMs,
              [...one.parents].sort((a, b) => a - b),
            ]
          : null;
      }),
      dead: this.#model.chosen('dead', {}, Infinity).map(({ id }) => id),
      blocked: blocked.map(({ id }) => [id, true]),
    };
  }

  async recordsOf(store: Store): Promise<unknown> {
    const jobs: (JobRecord | null)[] = [];
    for (const id of this.#model.ids) jobs.push(await store.job(id));
    const blocked = await store.blockedJobs({}, 0, 1_000);
    return {
      jobs: jobs.map(
        (one) =>
          one && [one.state, one.tenantId, one.kind, one.priority, one.attempts, one.readyAtMs, one.waitsFor],
      ),
      dead: (await store.deadJobs({}, 0, 1_000)).map(({ id }) => id),
      blocked: blocked.map(({ job, ancestorId }) => [job.id, this.#model.culpritsOf(job.id).has(ancestorId)]),
    };
  }

  async #enqueue(jobs: SketchedJob[], store: Store): Promise<Outcome> {
    const nowMs = this.#model.nowMs;
    const rows = jobs.map(({ key, parents, delayMs, ...rest }, row): NewJob => ({
      ...rest,
      payload: row,
      readyAtMs: nowMs + delayMs,
      ...(key === null ? {} : { idempotencyKey: key }),
      // Earlier rows of the call, or the jobs that came last: those are likely to be there still.
      dependsOn: parents.flatMap((pick): NonNullable<NewJob['dependsOn']> => {
        if (pick < row) return [{ row: pick }];
        const id = this.#model.ids.at(row - 1 - pick);
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
      const known = row.idempotencyKey === undefined ? undefined : this.#model.keys.get(row.idempotencyKey);
      if (known !== undefined) return { id: known, fresh: false };
      // The ids are the store's choice, as long as they ascend.
      const id = Math.max(seen[i]?.id ?? 0, (this.#model.ids.at(-1) ?? 0) + 1);
      this.#model.insert(id, row, (at) => seen[at]?.id ?? 0);
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
      const known = key === undefined ? undefined : this.#model.keys.get(key);
      const twin = key === undefined ? undefined : rowOfKey.get(key);
      if (known !== undefined || twin !== undefined) {
        deadRows[i] =
          twin === undefined ? this.#model.jobs.get(known ?? 0)?.state === 'dead' : deadRows[twin] === true;
        continue;
      }
      if (key !== undefined) rowOfKey.set(key, i);
      if (this.#model.holds.some((hold) => hold.mode === 'drain' && covers(hold, row)))
        reasons.add('conflict');
      const isParentDead = (row.dependsOn ?? []).some((parent) =>
        'row' in parent ? deadRows[parent.row] : this.#model.jobs.get(parent.id)?.state === 'dead',
      );
      if (isParentDead && row.onDeadParent === 'block') reasons.add('bad-request');
      deadRows[i] = isParentDead && row.onDeadParent === 'cancel';
    }
    return [...reasons];
  }

  async #settle(ends: SketchedEnd[], store: Store): Promise<Outcome> {
    const nowMs = this.#model.nowMs;
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
      const one = this.#model.jobs.get(claim.id);
      const counts = one?.state === 'running' && one.claim?.fence === claim.fence;
      wanted.push(counts);
      if (counts) this.#model.end(one, settlement);
    }
    return { seen, wanted };
  }
}
