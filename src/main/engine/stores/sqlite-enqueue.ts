// What comes into the SQLite store.
import type { Enqueued, JobState } from '../job.ts';
import { cancelled } from './ended-by-store.ts';
import type { Lanes } from './sqlite-lanes.ts';
import { drained, parentIsDead, type NewJobRow } from './new-job-row.ts';
import type { RunningClaims } from './sqlite-running.ts';
import type { WritingStatements } from './sqlite-statements.ts';
import { IDEMPOTENCY_KEPT_MS, type Hold } from './store.ts';

/** Bytes from which a payload stands in a table of its own. */
const LARGE_PAYLOAD_BYTES = 1_000;

/** A row of the call that has an id by now; its state is null when it is no longer stored. */
interface KnownRow {
  id: number;
  state: JobState | null;
}

export class Intake {
  readonly #sql: WritingStatements;
  readonly #lanes: Lanes;
  readonly #running: RunningClaims;

  constructor(sql: WritingStatements, lanes: Lanes, running: RunningClaims) {
    this.#sql = sql;
    this.#lanes = lanes;
    this.#running = running;
  }

  /** Throws what refuses a row; the transaction is then to be undone. */
  enqueue(rows: readonly NewJobRow[], holds: readonly Hold[], nowMs: number): Enqueued[] {
    const [first] = rows;
    if (!first) return [];
    if (rows.some((row) => row.idempotencyKey !== null))
      this.#sql.forgetKeys.run(nowMs - IDEMPOTENCY_KEPT_MS);
    let lastId = Number(this.#sql.lastId.get()?.['last_id']);
    const known: KnownRow[] = [];
    const enqueued = rows.map((row, i): Enqueued => {
      const twin = this.#known(row.idempotencyKey);
      if (twin) {
        known.push(twin);
        return { id: twin.id, fresh: false };
      }
      if (holds.some((hold) => hold.mode === 'drain' && covers(hold, row))) throw drained(i, row);
      const id = ++lastId;
      known.push({ id, state: this.#insert(id, i, row, holds, known) });
      return { id, fresh: true };
    });
    this.#sql.moveLastId.run(lastId);
    return enqueued;
  }

  #known(key: string | null): KnownRow | null {
    if (key === null) return null;
    const row = this.#sql.jobOfKey.get(key);
    if (!row) return null;
    const id = Number(row['job_id']);
    return { id, state: this.#stateOf(id) };
  }

  #stateOf(id: number): JobState | null {
    const row = this.#sql.stateOf.get(id);
    // The column's CHECK allows the states alone.
    return row ? (row['state'] as JobState) : null;
  }

  #insert(
    id: number,
    at: number,
    row: NewJobRow,
    holds: readonly Hold[],
    known: readonly KnownRow[],
  ): JobState {
    const { tenantId, kind, payload, readyAtMs, createdAtMs } = row;
    const hasParents = row.parentIds.length + row.parentRows.length > 0;
    const parents = hasParents ? this.#parents(at, row, known) : [];
    const state = stateAmong(parents, row);
    const isHeld = () =>
      holds.some((hold) => hold.tenantId === tenantId && (hold.kind === null || hold.kind === kind));
    const lane = this.#lanes.laneOf(tenantId, kind, isHeld);
    const bytes = Buffer.byteLength(payload);
    const isLarge = bytes > LARGE_PAYLOAD_BYTES;
    this.#sql.insert.run(
      id,
      lane.id,
      lane.kind,
      state,
      row.priority,
      createdAtMs,
      readyAtMs,
      row.maxAttempts,
      row.onDeadParent,
      row.batchId,
      parents.length > 0 ? 1 : 0,
      bytes,
      isLarge ? null : payload,
    );
    this.#lanes.arrive(lane, state);
    if (isLarge) this.#sql.insertLargePayload.run(id, payload);
    if (row.idempotencyKey !== null) this.#sql.rememberKey.run(row.idempotencyKey, id, createdAtMs);
    for (const parent of parents) {
      this.#sql.addDependency.run(parent.id, id);
      this.#sql.markParent.run(parent.id);
      this.#running.markParent(parent.id);
    }
    if (state === 'dead') this.#cancel(id, parents, createdAtMs);
    return state;
  }

  /** The stored jobs it waits for. Throws where a dead one blocks it. */
  #parents(at: number, row: NewJobRow, known: readonly KnownRow[]): KnownRow[] {
    const parents = new Map<number, KnownRow>();
    for (const parentRow of row.parentRows) {
      const parent = known[parentRow];
      if (parent?.state === 'dead' && row.onDeadParent === 'block')
        throw parentIsDead(at, `row ${parentRow}`);
      if (parent) parents.set(parent.id, parent);
    }
    for (const id of row.parentIds) {
      const state = this.#stateOf(id);
      if (state === 'dead' && row.onDeadParent === 'block') throw parentIsDead(at, `job ${id}`);
      parents.set(id, { id, state });
    }
    return [...parents.values()].filter(
      ({ state }) => state !== null && (state !== 'dead' || row.onDeadParent !== 'release'),
    );
  }

  #cancel(id: number, parents: readonly KnownRow[], nowMs: number): void {
    const parentId = Math.min(...parents.flatMap((parent) => (parent.state === 'dead' ? parent.id : [])));
    const failed = cancelled({ attempts: 0, parentId, nowMs });
    this.#sql.bury.get(0, failed.failure.cause, failed.failure.class, nowMs, id);
    this.#sql.failAgain.get(id);
    this.#sql.addAttempt.run(id, 1, JSON.stringify(failed));
  }
}

function stateAmong(parents: readonly KnownRow[], row: NewJobRow): JobState {
  if (parents.length === 0) return row.readyAtMs > row.createdAtMs ? 'delayed' : 'ready';
  if (row.onDeadParent === 'cancel' && parents.some(({ state }) => state === 'dead')) return 'dead';
  return parents.some(({ state }) => state === 'dead' || state === 'blocked') ? 'blocked' : 'waiting';
}

const covers = (hold: Hold, row: NewJobRow): boolean =>
  (hold.tenantId === null || hold.tenantId === row.tenantId) &&
  (hold.kind === null || hold.kind === row.kind);
