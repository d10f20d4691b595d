// Exchange on MySQL/MariaDB: ends of claims and new claims in one transaction of three round trips: lock and look,
// settle and search, take and commit.
import type { Claim, Settlement } from '../job.ts';
import { cascade, type Change } from './mysql-cascade.ts';
import { GUARD, holdOf, isPause, readHolds } from './mysql-holds.ts';
import { JobLedger, stateCode, type LockedJob } from './mysql-ledger.ts';
import { childrenOf, lockById } from './mysql-operator.ts';
import {
  bytes,
  fieldsOf,
  type MysqlPool,
  type Row,
  type Statement,
  type Transaction,
} from './mysql-session.ts';
import { EXCHANGE_PAYLOAD_BYTES, type Exchange, type Hold, type Store, type Take } from './store.ts';

/** Lanes searched by one statement. */
const LANES_AT_ONCE = 200;

type Answer = Awaited<ReturnType<Store['exchange']>>;

/** A ready job that is locked and may be claimed. */
interface Candidate {
  id: number;
  /** Empty where order does not ask for it. */
  tenantId: string;
  laneId: number;
  kind: string;
  urgency: number;
  readyAtMs: number;
  payloadBytes: number;
}
interface Lane {
  id: number;
  tenantId: string;
  kind: string;
}

/** When the commit's answer is lost on the way, nobody knows whether its claims were made: the engine sees to that. */
export function exchange(pool: MysqlPool, request: Exchange): Promise<Answer> {
  return pool.transaction((transaction) => new Exchanging(transaction, request).run());
}

class Exchanging {
  readonly #transaction: Transaction;
  readonly #request: Exchange;
  readonly #ledger: JobLedger;
  readonly #owner: Buffer;
  readonly #limits: ReadonlyMap<string, number>;

  constructor(transaction: Transaction, request: Exchange) {
    this.#transaction = transaction;
    this.#request = request;
    this.#ledger = new JobLedger(request.nowMs);
    this.#owner = bytes(request.owner);
    this.#limits = new Map(
      request.eligible
        .map(({ kind, limit }) => [kind, limit ?? Infinity] as const)
        .filter(([, limit]) => limit > 0),
    );
  }

  async run(): Promise<Answer> {
    const { settlements, take, cursor } = this.#request;
    const ids = [...new Set(settlements.map(({ claim }) => claim.id))].sort((a, b) => a - b);
    const [, holdRows = [], ...rest] = await this.#transaction.run([
      ...GUARD,
      // In this order: a child that was stored before its parent was locked is seen.
      ...(ids.length === 0 ? [] : [lockById(ids), childrenOf(ids)]),
      ...this.#lanesOfTakes(),
    ]);
    const [lockedRows = [], parentRows = []] = ids.length === 0 ? [] : rest.splice(0, 2);
    this.#ledger.lock(lockedRows);
    const changes: Change[] = [];
    const taken = settlements.map((settlement) => this.#settle(settlement, changes));
    const parents = new Set(parentRows.map((row) => fieldsOf(row).number('parent_id')));
    const heard = changes.filter(({ parentId }) => parents.has(parentId));
    if (heard.length > 0) await cascade(this.#transaction, this.#ledger, heard);

    const candidates = await this.#search(readHolds(holdRows).filter(isPause), rest.flat().map(laneOf));
    const chosen = take?.order === 'turns' ? this.#inTurns(take.takes, candidates) : this.#first(candidates);
    const claimedIds = chosen.map(({ id }) => id);
    const byLane = Map.groupBy(chosen, ({ laneId }) => laneId);
    for (const [laneId, jobs] of byLane) this.#ledger.started(laneId, jobs.length);
    const [, claimedRows = [], partRows = []] = await this.#transaction.commit([
      ...(chosen.length === 0 ? [] : this.#claim(claimedIds)),
      ...this.#ledger.laneStatements(),
      ...(cursor === null
        ? []
        : [{ sql: 'UPDATE headway_circle SET last_turn = ? WHERE one = 1', values: [bytes(cursor)] }]),
    ]);
    if (chosen.length === 0) return { taken, claims: [] };
    const claims = claimsOf(claimedRows, partRows);
    return { taken, claims: claimedIds.flatMap((id) => claims.get(id) ?? []) };
  }

  /** Every lane of the tenants whose turn it is: also one that has nothing ready may get something by this exchange. */
  #lanesOfTakes(): Statement[] {
    const { take } = this.#request;
    if (take?.order !== 'turns' || take.takes.length === 0 || this.#limits.size === 0) return [];
    // lane_of
    return [
      {
        sql: 'SELECT id, tenant_id, kind, n_ready FROM headway_lane WHERE tenant_id IN (?)',
        values: [take.takes.map(({ tenantId }) => bytes(tenantId))],
      },
    ];
  }

  /** Whether it counted; what it means for those that wait is added to `changes`. */
  #settle(settlement: Settlement, changes: Change[]): boolean {
    const { id, fence } = settlement.claim;
    const job = this.#ledger.jobs.get(id);
    const isHis = job?.state === 'running' && job.fence === fence && job.owner === this.#request.owner;
    if (!isHis) return false;
    this.#end(job, settlement, changes);
    return true;
  }

  #end(job: LockedJob, settlement: Settlement, changes: Change[]): void {
    if (settlement.how === 'returned') {
      this.#ledger.move(job, 'ready');
      return;
    }
    this.#ledger.attempted(job);
    switch (settlement.how) {
      case 'done':
        this.#ledger.move(job, 'gone');
        changes.push({ parentId: job.id, now: 'done', wasBad: false });
        return;
      case 'retry':
        this.#ledger.failed(job, settlement.failed);
        job.readyAtMs = Math.ceil(settlement.atMs);
        this.#ledger.move(job, job.readyAtMs > this.#ledger.nowMs ? 'delayed' : 'ready');
        return;
      case 'dead':
        this.#ledger.bury(job, settlement.failed);
        changes.push({ parentId: job.id, now: 'died', wasBad: false });
    }
  }

  /** Writes what was settled, then locks ready jobs that may be claimed. */
  async #search(holds: readonly Hold[], lanes: readonly (Lane & { ready: number })[]): Promise<Candidate[]> {
    const settled = this.#ledger.takeStatements();
    const searches = await this.#searches(holds, lanes);
    const rows = await this.#transaction.run([...settled, ...searches]);
    const tenants = new Map(lanes.map(({ id, tenantId }) => [id, tenantId]));
    return rows.slice(settled.length).flatMap((found) => found.map((row) => candidateOf(row, tenants)));
  }

  async #searches(
    holds: readonly Hold[],
    lanes: readonly (Lane & { ready: number })[],
  ): Promise<Statement[]> {
    const { take } = this.#request;
    if (take === null) return [];
    const kinds = [...this.#limits].filter(
      ([kind]) => !holds.some((hold) => hold.tenantId === null && (hold.kind === null || hold.kind === kind)),
    );
    if (kinds.length === 0) return [];
    if (take.order === 'first-come') return this.#searchFront(take.count, kinds, holds);

    const eligible = new Map(kinds);
    const wanted = new Map<string, number>();
    for (const { tenantId, count } of take.takes) wanted.set(tenantId, (wanted.get(tenantId) ?? 0) + count);
    // job_turn: one seek a lane. What two owners search at once is shared by skipping what the other has locked.
    const walks = lanes.flatMap((lane) => {
      const limit = eligible.get(lane.kind);
      const most = Math.min(wanted.get(lane.tenantId) ?? 0, limit ?? 0);
      const ready = lane.ready + this.#ledger.grown(lane.id);
      if (most <= 0 || ready <= 0 || holdOf(holds, lane) !== undefined) return [];
      return [
        `(SELECT ${CANDIDATE} FROM headway_job FORCE INDEX (job_turn)
          WHERE state = ${stateCode('ready')} AND lane_id = ${lane.id}
          ORDER BY urgency, ready_at, id LIMIT ${most} FOR UPDATE SKIP LOCKED)`,
      ];
    });
    return Array.from({ length: Math.ceil(walks.length / LANES_AT_ONCE) }, (_, i) => ({
      sql: walks.slice(i * LANES_AT_ONCE, (i + 1) * LANES_AT_ONCE).join(' UNION ALL '),
    }));
  }

  /** job_front, from the lowest id on. A kind with a limit is searched on its own, or it would hide the others. */
  async #searchFront(
    count: number,
    kinds: readonly (readonly [kind: string, limit: number])[],
    holds: readonly Hold[],
  ): Promise<Statement[]> {
    if (count <= 0) return [];
    const heldTenants = holds.flatMap(({ tenantId }) => (tenantId === null ? [] : [bytes(tenantId)]));
    const heldLanes =
      heldTenants.length === 0
        ? []
        : (
            await this.#transaction.rows({
              sql: 'SELECT id, tenant_id, kind, n_ready FROM headway_lane WHERE tenant_id IN (?)',
              values: [heldTenants],
            })
          )
            .map(laneOf)
            .filter((lane) => holdOf(holds, lane) !== undefined)
            .map(({ id }) => id);
    const unlimited = kinds.filter(([, limit]) => limit === Infinity).map(([kind]) => kind);
    const groups = [
      ...(unlimited.length === 0 ? [] : [{ names: unlimited, most: count }]),
      ...kinds
        .filter(([, limit]) => limit !== Infinity)
        .map(([kind, limit]) => ({ names: [kind], most: Math.min(count, limit) })),
    ];
    return groups.map(({ names, most }) => ({
      sql: `SELECT ${CANDIDATE} FROM headway_job FORCE INDEX (job_front)
        WHERE state = ? AND kind IN (?)${heldLanes.length === 0 ? '' : ' AND lane_id NOT IN (?)'}
        ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED`,
      values: [stateCode('ready'), names.map(bytes), ...(heldLanes.length === 0 ? [] : [heldLanes]), most],
    }));
  }

  #inTurns(takes: readonly Take[], candidates: readonly Candidate[]): Candidate[] {
    const queues = Map.groupBy(candidates, ({ tenantId }) => tenantId);
    for (const queue of queues.values())
      queue.sort((a, b) => a.urgency - b.urgency || a.readyAtMs - b.readyAtMs || a.id - b.id);
    const pick = this.#picker();
    const chosen: Candidate[] = [];
    const rounds = Math.max(0, ...takes.map(({ count }) => count));
    for (let round = 0; round < rounds; round++) {
      const before = chosen.length;
      for (const { tenantId, count } of takes) {
        const queue = queues.get(tenantId);
        while (round < count && queue !== undefined && queue.length > 0) {
          const next = queue.shift();
          const picked = next === undefined ? 'kind is full' : pick(next);
          if (picked === 'enough') return chosen;
          if (picked === 'kind is full' || next === undefined) continue;
          chosen.push(next);
          break;
        }
      }
      if (chosen.length === before) break;
    }
    return chosen;
  }

  #first(candidates: readonly Candidate[]): Candidate[] {
    const { take } = this.#request;
    const count = take?.order === 'first-come' ? take.count : 0;
    const pick = this.#picker();
    const chosen: Candidate[] = [];
    for (const next of [...candidates].sort((a, b) => a.id - b.id)) {
      if (chosen.length >= count) break;
      const picked = pick(next);
      if (picked === 'enough') break;
      if (picked === 'taken') chosen.push(next);
    }
    return chosen;
  }

  /** Keeps to the limits of kinds and to what payloads may come to. */
  #picker(): (next: Candidate) => 'taken' | 'kind is full' | 'enough' {
    const left = new Map(this.#limits);
    let payloadBytes: number | null = null;
    return (next) => {
      const room = left.get(next.kind) ?? 0;
      if (room <= 0) return 'kind is full';
      const beyondFirst: number = payloadBytes === null ? 0 : payloadBytes + next.payloadBytes;
      if (beyondFirst > EXCHANGE_PAYLOAD_BYTES) return 'enough';
      payloadBytes = beyondFirst;
      left.set(next.kind, room - 1);
      return 'taken';
    };
  }

  /** The first three of the last round trip: take, read, read the rest of long payloads. */
  #claim(ids: readonly number[]): Statement[] {
    return [
      {
        sql: 'UPDATE headway_job SET state = ?, owner = ?, claimed_at = ?, fence = fence + 1 WHERE id IN (?)',
        values: [stateCode('running'), this.#owner, this.#ledger.nowMs, ids],
      },
      {
        sql: `SELECT job.id, job.fence, lane.tenant_id, job.kind, job.urgency, job.batch_id, job.attempts,
            job.max_attempts, job.created_at, job.ready_at, job.claimed_at, job.payload
          FROM headway_job AS job JOIN headway_lane AS lane ON lane.id = job.lane_id WHERE job.id IN (?)`,
        values: [ids],
      },
      {
        sql: 'SELECT job_id, payload FROM headway_payload WHERE job_id IN (?) ORDER BY job_id, part',
        values: [ids],
      },
    ];
  }
}

const CANDIDATE = 'id, lane_id, kind, urgency, ready_at, payload_bytes';

function laneOf(row: Row): Lane & { ready: number } {
  const { number, text } = fieldsOf(row);
  return { id: number('id'), tenantId: text('tenant_id'), kind: text('kind'), ready: number('n_ready') };
}

function candidateOf(row: Row, tenants: ReadonlyMap<number, string>): Candidate {
  const { number, text } = fieldsOf(row);
  const laneId = number('lane_id');
  return {
    id: number('id'),
    tenantId: tenants.get(laneId) ?? '',
    laneId,
    kind: text('kind'),
    urgency: number('urgency'),
    readyAtMs: number('ready_at'),
    payloadBytes: number('payload_bytes'),
  };
}

function claimsOf(rows: readonly Row[], parts: readonly Row[]): Map<number, Claim> {
  const further = Map.groupBy(parts.map(fieldsOf), ({ number }) => number('job_id'));
  return new Map(
    rows.map((row) => {
      const { number, text, textOrNull } = fieldsOf(row);
      const id = number('id');
      const payload = [text('payload'), ...(further.get(id) ?? []).map((part) => part.text('payload'))];
      const claim: Claim = {
        id,
        fence: number('fence'),
        tenantId: text('tenant_id'),
        kind: text('kind'),
        payload: JSON.parse(payload.join('')),
        priority: 0 - number('urgency'),
        batchId: textOrNull('batch_id'),
        attempt: number('attempts') + 1,
        maxAttempts: number('max_attempts'),
        createdAtMs: number('created_at'),
        readyAtMs: number('ready_at'),
        claimedAtMs: number('claimed_at'),
      };
      return [id, claim];
    }),
  );
}
