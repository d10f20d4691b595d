// What an exchange of the SQLite store hands over. Every row it reads is one of our own statements on a STRICT table, so its
// shape is known: parsing each by a schema would cost more than the statement.
import type { Claim } from '../job.ts';
import type { Lanes } from './sqlite-lanes.ts';
import type { RunningClaims } from './sqlite-running.ts';
import type { WritingStatements } from './sqlite-statements.ts';
import { EXCHANGE_PAYLOAD_BYTES, type Exchange, type Take } from './store.ts';

interface Candidate {
  id: number;
  lane: number;
  fence: number;
  priority: number;
  attempts: number;
  max_attempts: number;
  created_at: number;
  ready_at: number;
  batch: string | null;
  payload_bytes: number;
  has_more: number;
  payload: string | null;
}
/** The same as the statement "turns" gives it, but for the lane. */
type TurnRow = [
  id: number,
  fence: number,
  priority: number,
  attempts: number,
  maxAttempts: number,
  createdAtMs: number,
  readyAtMs: number,
  batch: string | null,
  payloadBytes: number,
  hasMore: number,
  payload: string | null,
];

/** A kind that may be claimed, and how many of it may still be. */
export interface KindBudget {
  id: number;
  left: number;
}

export class Claims {
  readonly #sql: WritingStatements;
  readonly #lanes: Lanes;
  readonly #running: RunningClaims;

  constructor(sql: WritingStatements, lanes: Lanes, running: RunningClaims) {
    this.#sql = sql;
    this.#lanes = lanes;
    this.#running = running;
  }

  /** `kinds`: those that may be claimed; `heldLanes`: whether any tenant is stopped. */
  take(
    take: NonNullable<Exchange['take']>,
    kinds: KindBudget[],
    heldLanes: boolean,
    owner: string,
    nowMs: number,
  ): Claim[] {
    const chosen =
      take.order === 'turns'
        ? this.#inTurns(take.takes, kinds)
        : this.#firstCome(take.count, kinds, heldLanes);
    if (chosen.length > 0) this.#sql.start.run(owner, nowMs, JSON.stringify(chosen.map(({ id }) => id)));
    return chosen.map((job) => this.#claim(job, owner, nowMs));
  }

  /** The first of each take in order, then the second of each; a kind that has had its share is passed over. */
  #inTurns(takes: readonly Take[], kinds: KindBudget[]): Candidate[] {
    const budgets = new Map(kinds.map((kind) => [kind.id, kind]));
    let open = this.#candidates(takes, kinds);
    const chosen = new Chosen();
    while (open.length > 0 && !chosen.isFull) {
      for (const turn of open) {
        const job = this.#nextOf(turn, budgets);
        if (job && !chosen.add(job)) break;
      }
      open = open.filter((turn) => turn.left > 0 && turn.next < turn.jobs.length);
    }
    return chosen.jobs;
  }

  #nextOf(turn: Turn, budgets: Map<number, KindBudget>): Candidate | null {
    while (turn.next < turn.jobs.length) {
      const job = turn.jobs[turn.next++];
      const budget = job && budgets.get(this.#lanes.byId(job.lane).kind);
      if (!budget || budget.left <= 0) continue;
      budget.left--;
      turn.left--;
      return job;
    }
    return null;
  }

  /** Of each take up to so many jobs of each kind, in the order of its tenant's turn. */
  #candidates(takes: readonly Take[], kinds: readonly KindBudget[]): Turn[] {
    const turns = takes.map(({ count }): Turn => ({ jobs: [], next: 0, left: count }));
    // Most takes are for as many jobs: one statement for all lanes of which as many are wanted.
    const byCount = new Map<number, { lane: number; turn: Turn }[]>();
    for (const [i, { tenantId, count }] of takes.entries()) {
      for (const { id, left } of kinds) {
        const lane = this.#lanes.find(tenantId, id);
        const turn = turns[i];
        const wanted = Math.min(count, left);
        if (!turn || !lane || lane.ready === 0 || lane.held !== 0 || wanted < 1) continue;
        const alike = byCount.get(wanted);
        if (alike) alike.push({ lane: lane.id, turn });
        else byCount.set(wanted, [{ lane: lane.id, turn }]);
      }
    }
    for (const [count, asked] of byCount) this.#read(count, asked);
    if (kinds.length > 1) for (const { jobs } of turns) jobs.sort(byTurn);
    return turns;
  }

  #read(count: number, asked: readonly { lane: number; turn: Turn }[]): void {
    const rows = this.#sql.turns.all(count, JSON.stringify(asked.map(({ lane }) => lane)));
    for (const [i, { lane, turn }] of asked.entries()) {
      const jobs = JSON.parse(String(rows[i]?.['jobs'])) as TurnRow[];
      for (const job of jobs) turn.jobs.push(candidateOf(lane, job));
    }
  }

  /** The ready jobs with the lowest ids. */
  #firstCome(count: number, kinds: readonly KindBudget[], heldLanes: boolean): Candidate[] {
    const statement = heldLanes ? this.#sql.firstComeUnheld : this.#sql.firstCome;
    const found = kinds.flatMap(
      ({ id, left }) => statement.all(id, Math.min(count, left)) as unknown as Candidate[],
    );
    if (kinds.length > 1) found.sort((a, b) => a.id - b.id);
    const chosen = new Chosen();
    for (const job of found.slice(0, count)) if (!chosen.add(job)) break;
    return chosen.jobs;
  }

  #claim(row: Candidate, owner: string, nowMs: number): Claim {
    const { id, priority, attempts } = row;
    const fence = row.fence + 1;
    const lane = this.#lanes.byId(row.lane);
    this.#lanes.start(lane, nowMs);
    const hasMore = row.has_more !== 0 || row.payload === null;
    this.#running.set(id, { lane: lane.id, fence, owner, hasMore });
    return {
      id,
      fence,
      tenantId: lane.tenant,
      kind: this.#lanes.kindName(lane.kind),
      payload: JSON.parse(row.payload ?? this.#largePayload(id)),
      priority,
      batchId: row.batch,
      attempt: attempts + 1,
      maxAttempts: row.max_attempts,
      createdAtMs: row.created_at,
      readyAtMs: row.ready_at,
      claimedAtMs: nowMs,
    };
  }

  #largePayload(id: number): string {
    const row = this.#sql.largePayload.get(id) as { payload: string } | undefined;
    if (!row) throw new Error(`job ${id} has lost its payload`);
    return row.payload;
  }
}

/** What one take may have. */
interface Turn {
  readonly jobs: Candidate[];
  /** The next of them to look at. */
  next: number;
  /** How many more it is to have. */
  left: number;
}

/** Jobs until their payloads are too much for one exchange. */
class Chosen {
  readonly jobs: Candidate[] = [];
  isFull = false;
  #bytes = 0;

  /** False when the job is one too much. */
  add(job: Candidate): boolean {
    this.#bytes += job.payload_bytes;
    this.isFull = this.jobs.length > 0 && this.#bytes > EXCHANGE_PAYLOAD_BYTES;
    if (!this.isFull) this.jobs.push(job);
    return !this.isFull;
  }
}

function candidateOf(lane: number, row: TurnRow): Candidate {
  const [
    id,
    fence,
    priority,
    attempts,
    max_attempts,
    created_at,
    ready_at,
    batch,
    payload_bytes,
    has_more,
    payload,
  ] = row;
  return {
    id,
    lane,
    fence,
    priority,
    attempts,
    max_attempts,
    created_at,
    ready_at,
    batch,
    payload_bytes,
    has_more,
    payload,
  };
}

const byTurn = (a: Candidate, b: Candidate): number =>
  b.priority - a.priority || a.ready_at - b.ready_at || a.id - b.id;
