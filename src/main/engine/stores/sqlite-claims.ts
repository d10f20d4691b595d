// What an exchange of the SQLite store hands over. Every row it reads is one of our own statements on a STRICT table, so its
// shape is known: parsing each by a schema would cost more than the statement.
import type { Claim } from '../job.ts';
import type { Lanes } from './sqlite-lanes.ts';
import type { RunningClaims } from './sqlite-running.ts';
import type { WritingStatements } from './sqlite-statements.ts';
import { EXCHANGE_PAYLOAD_BYTES, type Exchange, type Take } from './store.ts';

interface CandidateRow {
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
  payload: string | null;
  has_more: number;
}

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
    return chosen.map((row) => this.#start(row, owner, nowMs));
  }

  /** The first of each take in order, then the second of each; a kind that has had its share is passed over. */
  #inTurns(takes: readonly Take[], kinds: KindBudget[]): CandidateRow[] {
    const budgets = new Map(kinds.map((kind) => [kind.id, kind]));
    let open = takes.map(({ tenantId, count }) => ({
      rows: this.#candidates(tenantId, count, kinds),
      next: 0,
      left: count,
    }));
    const chosen = new Chosen();
    while (open.length > 0 && !chosen.isFull) {
      for (const turn of open) {
        const row = this.#nextOf(turn, budgets);
        if (row && !chosen.add(row)) break;
      }
      open = open.filter((turn) => turn.left > 0 && turn.next < turn.rows.length);
    }
    return chosen.rows;
  }

  #nextOf(
    turn: { rows: CandidateRow[]; next: number; left: number },
    budgets: Map<number, KindBudget>,
  ): CandidateRow | null {
    while (turn.next < turn.rows.length) {
      const row = turn.rows[turn.next++];
      const budget = row && budgets.get(this.#lanes.byId(row.lane).kind);
      if (!budget || budget.left <= 0) continue;
      budget.left--;
      turn.left--;
      return row;
    }
    return null;
  }

  /** Of one tenant, in the order of its turn: up to `count` of each kind. */
  #candidates(tenantId: string, count: number, kinds: readonly KindBudget[]): CandidateRow[] {
    const found: CandidateRow[][] = [];
    for (const { id, left } of kinds) {
      const lane = this.#lanes.find(tenantId, id);
      if (lane && lane.ready > 0 && lane.held === 0)
        found.push(this.#sql.turn.all(lane.id, Math.min(count, left)) as unknown as CandidateRow[]);
    }
    const [only] = found;
    return only && found.length === 1 ? only : found.flat().sort(byTurn);
  }

  /** The ready jobs with the lowest ids. */
  #firstCome(count: number, kinds: readonly KindBudget[], heldLanes: boolean): CandidateRow[] {
    const statement = heldLanes ? this.#sql.firstComeUnheld : this.#sql.firstCome;
    const found = kinds.flatMap(
      ({ id, left }) => statement.all(id, Math.min(count, left)) as unknown as CandidateRow[],
    );
    if (kinds.length > 1) found.sort((a, b) => a.id - b.id);
    const chosen = new Chosen();
    for (const row of found.slice(0, count)) if (!chosen.add(row)) break;
    return chosen.rows;
  }

  #start(row: CandidateRow, owner: string, nowMs: number): Claim {
    const { id, priority, attempts } = row;
    const fence = row.fence + 1;
    this.#sql.start.run(owner, nowMs, id);
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

/** Rows until their payloads are too much for one exchange. */
class Chosen {
  readonly rows: CandidateRow[] = [];
  isFull = false;
  #bytes = 0;

  /** False when the row is one too much. */
  add(row: CandidateRow): boolean {
    this.#bytes += row.payload_bytes;
    this.isFull = this.rows.length > 0 && this.#bytes > EXCHANGE_PAYLOAD_BYTES;
    if (!this.isFull) this.rows.push(row);
    return !this.isFull;
  }
}

const byTurn = (a: CandidateRow, b: CandidateRow): number =>
  b.priority - a.priority || a.ready_at - b.ready_at || a.id - b.id;
