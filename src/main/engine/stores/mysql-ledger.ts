// What one transaction of the MySQL/MariaDB store changes: the jobs it has locked, what becomes of them, and what that
// does to the counts. Rows are read once, changed here, and written in few statements; lanes come last and in the
// order of their ids, so that two transactions never wait for each other's lanes.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { failedAttemptSchema } from '../../../contract/engine-report.ts';
import type { FailedAttempt, JobState } from '../job.ts';
import { fieldsOf, type Row, type Statement } from './mysql-session.ts';
import { FAILED_ATTEMPTS_KEPT } from './store.ts';

/** A state's number in the tables is its place here. */
export const STATES = ['ready', 'delayed', 'running', 'waiting', 'blocked', 'dead'] as const;
export const stateCode = (state: JobState): number => STATES.indexOf(state);
/** Likewise. */
export const DEAD_PARENT = ['block', 'cancel', 'release'] as const;

/** A job that this transaction has locked. */
export interface LockedJob {
  readonly id: number;
  readonly laneId: number;
  readonly kind: string;
  /** `gone`: it is deleted at the end. */
  state: JobState | 'gone';
  readyAtMs: number;
  claimedAtMs: number | null;
  owner: string | null;
  readonly fence: number;
  attempts: number;
  readonly maxAttempts: number;
  readonly onDeadParent: (typeof DEAD_PARENT)[number];
  /** Jobs it waits for, and how many of those are dead, discarded or blocked. */
  waitsFor: number;
  stuckOn: number;
  failedAttempts: FailedAttempt[];
}

export const LOCKED_COLUMNS = `job.id, job.lane_id, job.kind, job.state, job.ready_at, job.claimed_at, job.owner,
  job.fence, job.attempts, job.max_attempts, job.on_dead_parent, job.waits_for, job.stuck_on, job.failed_attempts`;

const failedAttempts = z.array(failedAttemptSchema);
export const readFailedAttempts = (text: string | null): FailedAttempt[] =>
  text === null ? [] : failedAttempts.parse(JSON.parse(text));

function lockedJob(row: Row): LockedJob {
  const { number, text, numberOrNull, textOrNull } = fieldsOf(row);
  return {
    id: number('id'),
    laneId: number('lane_id'),
    kind: text('kind'),
    state: STATES[number('state')] ?? 'ready',
    readyAtMs: number('ready_at'),
    claimedAtMs: numberOrNull('claimed_at'),
    owner: textOrNull('owner'),
    fence: number('fence'),
    attempts: number('attempts'),
    maxAttempts: number('max_attempts'),
    onDeadParent: DEAD_PARENT[number('on_dead_parent')] ?? 'block',
    waitsFor: number('waits_for'),
    stuckOn: number('stuck_on'),
    failedAttempts: readFailedAttempts(textOrNull('failed_attempts')),
  };
}

interface Counts {
  states: Record<JobState, number>;
  arrivals: number;
  attempts: number;
  lastStartedAtMs: number | null;
}

export class JobLedger {
  readonly nowMs: number;
  readonly jobs = new Map<number, LockedJob>();
  readonly #lanes = new Map<number, Counts>();
  readonly #changed = new Set<LockedJob>();
  /** Whose failed attempts are to be written: they are long, most changes leave them alone. */
  readonly #failed = new Set<LockedJob>();
  readonly #died = new Map<number, FailedAttempt>();
  readonly #risen = new Set<number>();
  readonly #timers: [atMs: number, id: number][] = [];
  /** Dependencies that end, by child. */
  readonly #freed = new Map<number, Set<number>>();
  readonly #freedWholly = new Set<number>();

  constructor(nowMs: number) {
    this.nowMs = Math.floor(nowMs);
  }

  /** Takes in rows of LOCKED_COLUMNS that were read FOR UPDATE; what is known already stays as it is. */
  lock(rows: readonly Row[]): LockedJob[] {
    return rows.map((row) => {
      const job = this.jobs.get(fieldsOf(row).number('id')) ?? lockedJob(row);
      this.jobs.set(job.id, job);
      return job;
    });
  }

  move(job: LockedJob, state: LockedJob['state']): void {
    const { states } = this.#count(job.laneId);
    if (job.state !== 'gone') states[job.state] -= 1;
    if (state !== 'gone') states[state] += 1;
    if (state !== 'running') {
      job.owner = null;
      job.claimedAtMs = null;
    }
    if (state === 'delayed') this.#timers.push([job.readyAtMs, job.id]);
    if (job.state === 'dead') {
      this.#died.delete(job.id);
      this.#risen.add(job.id);
    }
    job.state = state;
    this.#changed.add(job);
  }

  touch(job: LockedJob): void {
    this.#changed.add(job);
  }

  attempted(job: LockedJob): void {
    job.attempts += 1;
    this.#count(job.laneId).attempts += 1;
    this.#changed.add(job);
  }

  failed(job: LockedJob, attempt: FailedAttempt): void {
    job.failedAttempts = [attempt, ...job.failedAttempts].slice(0, FAILED_ATTEMPTS_KEPT);
    this.#failed.add(job);
    this.#changed.add(job);
  }

  /** To the dead set; why is kept beside it. */
  bury(job: LockedJob, attempt: FailedAttempt): void {
    this.failed(job, attempt);
    this.move(job, 'dead');
    this.#died.set(job.id, attempt);
  }

  /** Ready from now, or from its own time if that is later. */
  free(job: LockedJob): void {
    job.readyAtMs = Math.max(job.readyAtMs, this.nowMs);
    this.move(job, job.readyAtMs > this.nowMs ? 'delayed' : 'ready');
  }

  /** `job` waits no longer for `parentId`. */
  unbind(job: LockedJob, parentId: number): void {
    const parents = this.#freed.get(job.id) ?? new Set();
    this.#freed.set(job.id, parents.add(parentId));
    job.waitsFor -= 1;
    this.#changed.add(job);
  }

  /** Whether `job` has been told already that it waits no longer for `parentId`. */
  isUnbound(job: LockedJob, parentId: number): boolean {
    return this.#freedWholly.has(job.id) || this.#freed.get(job.id)?.has(parentId) === true;
  }

  /** `job` waits for nothing any more. */
  unbindAll(job: LockedJob): void {
    this.#freedWholly.add(job.id);
    job.waitsFor = 0;
    job.stuckOn = 0;
    this.#changed.add(job);
  }

  arrived(laneId: number, state: JobState): void {
    const counts = this.#count(laneId);
    counts.states[state] += 1;
    counts.arrivals += 1;
  }

  /** Claims are written by a statement of their own; they only count here. */
  started(laneId: number, count: number): void {
    const counts = this.#count(laneId);
    counts.states.ready -= count;
    counts.states.running += count;
    counts.lastStartedAtMs = this.nowMs;
  }

  /** By how much the ready jobs of a lane have grown so far. */
  grown(laneId: number): number {
    return this.#lanes.get(laneId)?.states.ready ?? 0;
  }

  #count(laneId: number): Counts {
    let counts = this.#lanes.get(laneId);
    if (counts === undefined) {
      const states = { ready: 0, delayed: 0, running: 0, waiting: 0, blocked: 0, dead: 0 };
      counts = { states, arrivals: 0, attempts: 0, lastStartedAtMs: null };
      this.#lanes.set(laneId, counts);
    }
    return counts;
  }

  /** All changes but the counts, once: they are forgotten when they have been told. */
  takeStatements(): Statement[] {
    const statements = [...this.#jobStatements(), ...this.#deadStatements(), ...this.#dependencyStatements()];
    if (this.#timers.length > 0)
      statements.push({
        sql: 'INSERT IGNORE INTO headway_timer (ready_at, job_id) VALUES ?',
        values: [this.#timers.splice(0)],
      });
    return statements;
  }

  *#jobStatements(): Generator<Statement> {
    const gone: number[] = [];
    // Jobs that come to the same end share a statement: a burst is settled in one.
    const alike = new Map<string, { ids: number[]; values: unknown[] }>();
    for (const job of this.#changed) {
      if (job.state === 'gone') {
        gone.push(job.id);
        continue;
      }
      const values: unknown[] = [
        stateCode(job.state),
        job.readyAtMs,
        job.claimedAtMs,
        job.owner === null ? null : Buffer.from(job.owner),
        job.attempts,
        job.waitsFor,
        job.stuckOn,
        ...(this.#failed.has(job) ? [JSON.stringify(job.failedAttempts)] : []),
      ];
      const key = JSON.stringify(values);
      const group = alike.get(key) ?? { ids: [], values };
      alike.set(key, group);
      group.ids.push(job.id);
    }
    for (const { ids, values } of alike.values())
      yield {
        sql: `UPDATE headway_job SET state = ?, ready_at = ?, claimed_at = ?, owner = ?, attempts = ?, waits_for = ?,
          stuck_on = ?${values.length > 7 ? ', failed_attempts = ?' : ''} WHERE id IN (?)`,
        values: [...values, ids],
      };
    if (gone.length > 0) {
      yield { sql: 'DELETE FROM headway_job WHERE id IN (?)', values: [gone] };
      yield { sql: 'DELETE FROM headway_payload WHERE job_id IN (?)', values: [gone] };
    }
    this.#changed.clear();
    this.#failed.clear();
  }

  *#deadStatements(): Generator<Statement> {
    if (this.#risen.size > 0)
      yield { sql: 'DELETE FROM headway_dead WHERE job_id IN (?)', values: [[...this.#risen]] };
    this.#risen.clear();
    const dead = [...this.#died].flatMap(([id, attempt]) => {
      const job = this.jobs.get(id);
      return job === undefined ? [] : [deadRow(id, job.laneId, job.kind, attempt, this.nowMs)];
    });
    if (dead.length > 0) yield { sql: INSERT_DEAD, values: [dead] };
    this.#died.clear();
  }

  *#dependencyStatements(): Generator<Statement> {
    const byParent = new Map<number, number[]>();
    for (const [child, parents] of this.#freed)
      for (const parent of parents) byParent.set(parent, [...(byParent.get(parent) ?? []), child]);
    for (const [parent, children] of byParent)
      yield {
        sql: 'DELETE FROM headway_dependency WHERE parent_id = ? AND job_id IN (?)',
        values: [parent, children],
      };
    this.#freed.clear();
    if (this.#freedWholly.size > 0)
      yield { sql: 'DELETE FROM headway_dependency WHERE job_id IN (?)', values: [[...this.#freedWholly]] };
    this.#freedWholly.clear();
  }

  /** What the lanes grow by; the last statements before the commit. */
  laneStatements(): Statement[] {
    const rows = [...this.#lanes]
      .map(([id, { states, arrivals, attempts, lastStartedAtMs }]) => ({
        id,
        counts: [...STATES.map((state) => states[state]), arrivals, attempts, lastStartedAtMs],
      }))
      .filter(({ counts }) => counts.some((count) => count !== 0 && count !== null))
      .sort((a, b) => a.id - b.id)
      .map(({ id, counts }) => [id, '', '', ...counts]);
    if (rows.length === 0) return [];
    // Every row exists, so nothing is inserted: this is an update of many rows by many values.
    return [{ sql: GROW_LANES, values: [rows] }];
  }
}

const INSERT_DEAD = `INSERT INTO headway_dead
  (job_id, lane_id, kind, cause_hash, error_class, died_at, cause, message) VALUES ?`;

const GROW_LANES = `INSERT INTO headway_lane
  (id, tenant_id, kind, n_ready, n_delayed, n_running, n_waiting, n_blocked, n_dead, arrivals, attempts, last_started_at)
  VALUES ?
  ON DUPLICATE KEY UPDATE
    n_ready = n_ready + VALUES(n_ready),
    n_delayed = n_delayed + VALUES(n_delayed),
    n_running = n_running + VALUES(n_running),
    n_waiting = n_waiting + VALUES(n_waiting),
    n_blocked = n_blocked + VALUES(n_blocked),
    n_dead = n_dead + VALUES(n_dead),
    arrivals = arrivals + VALUES(arrivals),
    attempts = attempts + VALUES(attempts),
    last_started_at = GREATEST(
      COALESCE(last_started_at, VALUES(last_started_at)), COALESCE(VALUES(last_started_at), last_started_at))`;

/** Rows for the dead set that were not locked, because they were buried as they arrived. */
export const insertDead = (rows: ReturnType<typeof deadRow>[]): Statement => ({
  sql: INSERT_DEAD,
  values: [rows],
});

export function deadRow(
  id: number,
  laneId: number,
  kind: string,
  { failure }: FailedAttempt,
  diedAtMs: number,
) {
  return [
    id,
    laneId,
    Buffer.from(kind),
    causeHash(failure.cause),
    Buffer.from(failure.class),
    diedAtMs,
    failure.cause,
    failure.message,
  ];
}

/** Names a cause in an index, however long it is. */
export const causeHash = (cause: string): Buffer =>
  createHash('sha256').update(cause).digest().subarray(0, 16);
