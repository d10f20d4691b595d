// Jobs that wait for others, in the SQLite store: what an end, a death or a second try means for those that wait. Each step
// is one statement over all jobs concerned, however many they are.
import type { FailedAttempt, JobState } from '../job.ts';
import { cancelled } from './ended-by-store.ts';
import type { Lanes } from './sqlite-lanes.ts';
import type { WritingStatements } from './sqlite-statements.ts';

interface LaneRow {
  lane: number;
}
interface FreedRow extends LaneRow {
  id: number;
  state: 'ready' | 'delayed';
}
interface CancelledRow extends LaneRow {
  id: number;
  state: 'waiting' | 'blocked';
  attempts: number;
  parent: number;
}

/** Sends a job to the dead set; no attempt is counted. */
export type Bury = (job: { id: number; lane: number; from: JobState }, failed: FailedAttempt) => void;

export class Dependencies {
  readonly #sql: WritingStatements;
  readonly #lanes: Lanes;
  readonly #bury: Bury;

  constructor(sql: WritingStatements, lanes: Lanes, bury: Bury) {
    this.#sql = sql;
    this.#lanes = lanes;
    this.#bury = bury;
  }

  /** They are done and no longer stored. */
  done(parents: readonly number[], nowMs: number): void {
    if (parents.length === 0) return;
    const ids = JSON.stringify(parents);
    const children = idsOf(this.#sql.childrenOf.all(ids), 'child');
    this.#sql.dropParents.run(ids);
    this.#free(children, nowMs);
  }

  /** They have just gone to the dead set (or leave it for nowhere): those that wait are cancelled, released or blocked. */
  died(dead: readonly number[], nowMs: number): void {
    const all = [...dead];
    for (let latest = all; latest.length > 0;) {
      const rows = this.#sql.toCancel.all(JSON.stringify(latest)) as unknown as CancelledRow[];
      for (const { id, lane, state, attempts, parent } of rows)
        this.#bury({ id, lane, from: state }, cancelled({ attempts, parentId: parent, nowMs }));
      latest = rows.map(({ id }) => id);
      all.push(...latest);
    }
    const ids = JSON.stringify(all);
    const released = idsOf(this.#sql.releaseFrom.all(ids), 'child');
    if (released.length > 0) this.#free(released, nowMs);
    this.#count(this.#sql.block.all(ids), 'waiting', 'blocked');
    if (released.length > 0) this.#unblock(released);
  }

  /** Dead jobs are tried anew: ready, or after what they wait for. */
  requeue(ids: readonly number[], nowMs: number): void {
    const rows = this.#sql.requeue.all({ ids: JSON.stringify(ids), now: nowMs }) as unknown as (LaneRow & {
      state: 'ready' | 'blocked';
    })[];
    for (const { lane, state } of rows) this.#lanes.move(this.#lanes.byId(lane), 'dead', state);
    this.#unblock(ids);
  }

  /** Dead jobs are removed; what must stay blocked keeps its row of them. */
  discard(ids: readonly number[], nowMs: number): void {
    const json = JSON.stringify(ids);
    this.#sql.dropChildren.run(json);
    this.died(ids, nowMs);
    this.#sql.dropDeadChildren.run(json);
    this.#count(this.#sql.remove.all(json), 'dead', null);
    this.#sql.removeAttempts.run(json);
    this.#sql.removeLargePayloads.run(json);
  }

  /** Blocked jobs wait for nothing any more. */
  release(ids: readonly number[], nowMs: number): void {
    this.#sql.dropChildren.run(JSON.stringify(ids));
    this.#free(ids, nowMs);
    this.#unblock(ids);
  }

  /** Those that wait for nothing any more become ready, or delayed until their own time. */
  #free(ids: readonly number[], nowMs: number): void {
    const json = JSON.stringify(ids);
    for (const state of ['waiting', 'blocked'] as const) {
      const rows = this.#sql.free.all({ ids: json, state, now: nowMs }) as unknown as FreedRow[];
      for (const row of rows) this.#lanes.move(this.#lanes.byId(row.lane), state, row.state);
    }
  }

  /** Among the given and below them: who has no bad parent left waits again. */
  #unblock(ids: readonly number[]): void {
    this.#count(this.#sql.unblock.all(JSON.stringify(ids)), 'blocked', 'waiting');
  }

  #count(rows: unknown[], from: JobState, to: JobState | null): void {
    for (const { lane } of rows as LaneRow[]) this.#lanes.move(this.#lanes.byId(lane), from, to);
  }
}

const idsOf = (rows: Record<string, unknown>[], column: string): number[] =>
  rows.map((row) => Number(row[column]));
