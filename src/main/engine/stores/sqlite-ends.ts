// How claims end in the SQLite store, and what comes of it.
import type { FailedAttempt, Settlement } from '../job.ts';
import { cancelled, lostAttempt } from './ended-by-store.ts';
import { Dependencies, type Bury } from './sqlite-dependencies.ts';
import type { Lanes } from './sqlite-lanes.ts';
import type { RunningClaim, RunningClaims } from './sqlite-running.ts';
import type { WritingStatements } from './sqlite-statements.ts';
import { FAILED_ATTEMPTS_KEPT } from './store.ts';

interface LostRow {
  id: number;
  attempts: number;
  max_attempts: number;
  owner: string;
  ready_at: number;
  claimed_at: number;
  lane: number;
}

export class Ends {
  readonly dependencies: Dependencies;
  readonly #sql: WritingStatements;
  readonly #lanes: Lanes;
  readonly #running: RunningClaims;
  /** Of the call at hand; epoch ms, whole. */
  nowMs = 0;
  /** Jobs that others wait for, which are told at the end of the call. */
  #done: number[] = [];
  #dead: number[] = [];

  constructor(sql: WritingStatements, lanes: Lanes, running: RunningClaims) {
    this.#sql = sql;
    this.#lanes = lanes;
    this.#running = running;
    const bury: Bury = ({ id, lane, from }, failed) => {
      this.#bury(id, failed, 0);
      this.#lanes.move(this.#lanes.byId(lane), from, 'dead');
    };
    this.dependencies = new Dependencies(sql, lanes, bury);
  }

  settle(settlements: readonly Settlement[], owner: string): boolean[] {
    const taken = settlements.map((settlement) => {
      const { id, fence } = settlement.claim;
      const claim = this.#running.get(id);
      if (claim?.fence !== fence || claim.owner !== owner) return false;
      this.#end(settlement, claim);
      return true;
    });
    this.#tellChildren();
    return taken;
  }

  #end(settlement: Settlement, claim: RunningClaim): void {
    const { id } = settlement.claim;
    const lane = this.#lanes.byId(claim.lane);
    this.#running.delete(id);
    if (settlement.how !== 'returned') this.#lanes.countAttempt(lane);
    switch (settlement.how) {
      case 'done':
        this.#lanes.move(lane, 'running', null);
        if (claim.hasMore) this.#finishMore(id);
        else this.#sql.finish.run(id);
        return;
      case 'retry':
        this.#retry(id, claim.lane, Math.ceil(settlement.atMs), settlement.failed);
        return;
      case 'dead':
        this.#lanes.move(lane, 'running', 'dead');
        if (this.#bury(id, settlement.failed, 1)) this.#dead.push(id);
        return;
      case 'returned':
        this.#lanes.move(lane, 'running', 'ready');
        this.#sql.giveBack.run(id);
    }
  }

  #finishMore(id: number): void {
    const row = this.#sql.finishMore.get(id);
    this.#sql.forgetAttempts.run(id);
    this.#sql.forgetLargePayload.run(id);
    if (row?.['children'] === 1) this.#done.push(id);
  }

  #retry(id: number, lane: number, readyAtMs: number, failed: FailedAttempt): void {
    const state = readyAtMs > this.nowMs ? 'delayed' : 'ready';
    this.#lanes.move(this.#lanes.byId(lane), 'running', state);
    this.#sql.retry.run(state, readyAtMs, id);
    this.#remember(id, failed);
  }

  /** Answers whether others wait for it. */
  #bury(id: number, failed: FailedAttempt, attempts: 0 | 1): boolean {
    const { cause, class: errorClass } = failed.failure;
    const row = this.#sql.bury.get(attempts, cause, errorClass, this.nowMs, id);
    this.#remember(id, failed);
    return row?.['children'] === 1;
  }

  #remember(id: number, failed: FailedAttempt): void {
    const failures = Number(this.#sql.failAgain.get(id)?.['failures']);
    this.#sql.addAttempt.run(id, failures, JSON.stringify(failed));
    if (failures > FAILED_ATTEMPTS_KEPT) this.#sql.dropAttempts.run(id, failures - FAILED_ATTEMPTS_KEPT);
  }

  /** Once for all that ended in this call. */
  #tellChildren(): void {
    const done = this.#done;
    const dead = this.#dead;
    this.#done = [];
    this.#dead = [];
    this.dependencies.done(done, this.nowMs);
    if (dead.length > 0) this.dependencies.died(dead, this.nowMs);
  }

  /** Takes the jobs of silent owners; the attempt counts. */
  reclaim(except: string, silentSinceMs: number): number {
    const { nowMs } = this;
    const rows = this.#sql.lost.all(except, silentSinceMs) as unknown as LostRow[];
    for (const row of rows) {
      const { id, owner, ready_at: readyAtMs, claimed_at: claimedAtMs } = row;
      const lane = this.#lanes.byId(row.lane);
      const attempt = row.attempts + 1;
      this.#running.delete(id);
      this.#lanes.countAttempt(lane);
      const lost = lostAttempt({ attempt, owner, readyAtMs, claimedAtMs, nowMs });
      if (attempt >= row.max_attempts) {
        this.#lanes.move(lane, 'running', 'dead');
        if (this.#bury(id, lost, 1)) this.#dead.push(id);
      } else this.#retry(id, lane.id, Math.max(readyAtMs, nowMs), lost);
    }
    this.#tellChildren();
    return rows.length;
  }

  /** Blocked jobs go to the dead set by a person's will. */
  cancel(ids: readonly number[]): void {
    const { nowMs } = this;
    for (const id of ids) {
      // Our own statement on a STRICT table.
      const { attempts, lane } = this.#sql.attemptsOf.get(id) as { attempts: number; lane: number };
      if (this.#bury(id, cancelled({ attempts, parentId: null, nowMs }), 0)) this.#dead.push(id);
      this.#lanes.move(this.#lanes.byId(lane), 'blocked', 'dead');
    }
    this.#tellChildren();
  }
}
