// Enqueue on MySQL/MariaDB: all jobs of a call or none.
import { createHash } from 'node:crypto';
import type { Enqueued, FailedAttempt, JobState, NewJob } from '../job.ts';
import { cancelled } from './ended-by-store.ts';
import { GUARD, holdOf, readHolds } from './mysql-holds.ts';
import { DEAD_PARENT, deadRow, insertDead, JobLedger, stateCode, STATES } from './mysql-ledger.ts';
import { bytes, fieldsOf, type MysqlPool, type Statement, type Transaction } from './mysql-session.ts';
import { drained, newJobRow, parentIsDead, refused, type NewJobRow } from './new-job-row.ts';
import { IDEMPOTENCY_KEPT_MS, type Hold } from './store.ts';

/** A part of a payload, and what one INSERT holds of them, in characters: far below the server's least packet. */
const PART_CHARS = 256 * 1024;
const ROWS_AT_ONCE = 500;
/** Bytes that an id may have in the tables. */
const LONGEST = { tenantId: 1020, kind: 255 };

/** A row that is to be stored, with all that is known of it before it has an id. */
interface FreshRow {
  row: number;
  job: NewJobRow;
  laneId: number;
  state: JobState;
  /** The whole of it, in parts that the server takes. */
  payload: string[];
  /** Rows of this call and earlier jobs that it waits for. */
  parents: ({ row: number } | { id: number })[];
  stuckOn: number;
  /** The dead job for whose sake it goes straight to the dead set. */
  deadParentId: number | null;
}

/** What a row came to: a fresh one, or the id that its key was known by. */
type Outcome = FreshRow | { id: number };

export function enqueue(pool: MysqlPool, jobs: readonly NewJob[], nowMs: number): Promise<Enqueued[]> {
  if (jobs.length === 0) return Promise.resolve([]);
  // Another call may store the same key meanwhile: then it is known the second time.
  return pool.transaction((transaction) => new Enqueuing(transaction, jobs, nowMs).run(), {
    retryDuplicates: true,
  });
}

class Enqueuing {
  readonly #transaction: Transaction;
  readonly #jobs: readonly NewJob[];
  readonly #ledger: JobLedger;

  constructor(transaction: Transaction, jobs: readonly NewJob[], nowMs: number) {
    this.#transaction = transaction;
    this.#jobs = jobs;
    this.#ledger = new JobLedger(nowMs);
  }

  async run(): Promise<Enqueued[]> {
    const { known, holds } = await this.#known();
    const twins = new Map<string, number>();
    const freshRows: number[] = [];
    /** By row: the row or the id that stands for it. */
    const stands = this.#jobs.map(({ idempotencyKey: key }, row): { row: number } | { id: number } => {
      const id = key === undefined ? undefined : known.get(key);
      if (id !== undefined) return { id };
      const twin = key === undefined ? undefined : twins.get(key);
      if (twin !== undefined) return { row: twin };
      if (key !== undefined) twins.set(key, row);
      freshRows.push(row);
      return { row };
    });
    this.#refuseDrained(freshRows, holds);
    const lanes = await this.#lanes(freshRows);
    const parents = await this.#parents(freshRows, stands);
    const outcomes = new Map<number, Outcome>();
    for (const [row, stand] of stands.entries()) if ('id' in stand) outcomes.set(row, stand);
    const fresh: FreshRow[] = [];
    for (const row of freshRows) {
      const prepared = this.#prepare(row, stands, outcomes, parents, lanes);
      outcomes.set(row, prepared);
      fresh.push(prepared);
    }
    const ids = await this.#store(fresh);
    return stands.map((stand, row) => {
      if ('id' in stand) return { id: stand.id, fresh: false };
      return { id: ids.get(stand.row) ?? 0, fresh: stand.row === row };
    });
  }

  /** Keys that are remembered, with their jobs, and the holds in force. */
  async #known(): Promise<{ known: Map<string, number>; holds: Hold[] }> {
    const keys = this.#jobs.flatMap(({ idempotencyKey: key }) => (key === undefined ? [] : [key]));
    const hashes = new Map(keys.map((key) => [keyHash(key).toString('hex'), key]));
    const stored = [...hashes.keys()].map((hash) => Buffer.from(hash, 'hex'));
    const [, holdRows = [], , keyRows = []] = await this.#transaction.run([
      ...GUARD,
      ...(stored.length === 0
        ? []
        : [
            {
              sql: 'DELETE FROM headway_key WHERE key_hash IN (?) AND kept_at < ?',
              values: [stored, this.#ledger.nowMs - IDEMPOTENCY_KEPT_MS],
            },
            { sql: 'SELECT key_hash, job_id FROM headway_key WHERE key_hash IN (?)', values: [stored] },
          ]),
    ]);
    const known = new Map<string, number>();
    for (const row of keyRows) {
      const hash: unknown = row['key_hash'];
      const key = Buffer.isBuffer(hash) ? hashes.get(hash.toString('hex')) : undefined;
      if (key !== undefined) known.set(key, fieldsOf(row).number('job_id'));
    }
    return { known, holds: readHolds(holdRows) };
  }

  #refuseDrained(freshRows: readonly number[], holds: readonly Hold[]): void {
    const drains = holds.filter(({ mode }) => mode === 'drain');
    for (const row of freshRows) {
      const job = this.#jobs[row];
      if (job !== undefined && holdOf(drains, job) !== undefined) throw drained(row, job);
    }
  }

  /** The lane of each tenant and kind; new ones are made. */
  async #lanes(rows: readonly number[]): Promise<Map<string, number>> {
    const wanted = new Map<string, [tenantId: Buffer, kind: Buffer]>();
    for (const row of rows) {
      const job = this.#jobs[row];
      if (job === undefined) continue;
      for (const name of ['tenantId', 'kind'] as const)
        if (Buffer.byteLength(job[name]) > LONGEST[name])
          throw refused(row, `${name} is longer than ${LONGEST[name]} bytes`);
      wanted.set(laneName(job.tenantId, job.kind), [bytes(job.tenantId), bytes(job.kind)]);
    }
    const lanes = new Map<string, number>();
    const look = async (missing: [Buffer, Buffer][]) => {
      const tenants = [...new Map(missing.map(([tenant]) => [tenant.toString('hex'), tenant])).values()];
      for (let at = 0; at < tenants.length; at += ROWS_AT_ONCE) {
        // lane_of
        const found = await this.#transaction.rows({
          sql: 'SELECT id, tenant_id, kind FROM headway_lane WHERE tenant_id IN (?)',
          values: [tenants.slice(at, at + ROWS_AT_ONCE)],
        });
        for (const { number, text } of found.map(fieldsOf))
          lanes.set(laneName(text('tenant_id'), text('kind')), number('id'));
      }
    };
    await look([...wanted.values()]);
    const missing = [...wanted].filter(([name]) => !lanes.has(name)).map(([, lane]) => lane);
    if (missing.length === 0) return lanes;
    // In one order, so that two calls do not wait for each other's lanes.
    missing.sort(([a, b], [c, d]) => Buffer.compare(a, c) || Buffer.compare(b, d));
    await this.#transaction.rows({
      sql: 'INSERT IGNORE INTO headway_lane (tenant_id, kind) VALUES ?',
      values: [missing],
    });
    await look(missing);
    return lanes;
  }

  /** The states of earlier jobs that rows wait for; locked, so that none of them ends before its child is stored. */
  async #parents(
    rows: readonly number[],
    stands: readonly ({ row: number } | { id: number })[],
  ): Promise<Map<number, JobState>> {
    const ids = new Set<number>();
    for (const row of rows)
      for (const parent of this.#jobs[row]?.dependsOn ?? []) {
        const stand = 'id' in parent ? parent : stands[parent.row];
        if (stand !== undefined && 'id' in stand) ids.add(stand.id);
      }
    const states = new Map<number, JobState>();
    if (ids.size === 0) return states;
    const found = await this.#transaction.rows({
      sql: 'SELECT id, state FROM headway_job WHERE id IN (?) ORDER BY id LOCK IN SHARE MODE',
      values: [[...ids].sort((a, b) => a - b)],
    });
    for (const { number } of found.map(fieldsOf))
      states.set(number('id'), STATES[number('state')] ?? 'ready');
    return states;
  }

  #prepare(
    row: number,
    stands: readonly ({ row: number } | { id: number })[],
    outcomes: ReadonlyMap<number, Outcome>,
    parentStates: ReadonlyMap<number, JobState>,
    lanes: ReadonlyMap<string, number>,
  ): FreshRow {
    const given = this.#jobs[row];
    const laneId = given && lanes.get(laneName(given.tenantId, given.kind));
    if (given === undefined || laneId === undefined) throw new Error(`row ${row} has no lane`);
    const { nowMs } = this.#ledger;
    const job = newJobRow(given, row, nowMs);
    const parents = new Map<string, { row: number } | { id: number }>();
    let stuckOn = 0;
    let deadParentId: number | null = null;
    const stood = [
      ...job.parentRows.flatMap((parent) => stands[parent] ?? []),
      ...job.parentIds.map((id) => ({ id })),
    ];
    for (const stand of stood) {
      const name = JSON.stringify(stand);
      if (parents.has(name)) continue;
      const before = 'row' in stand ? outcomes.get(stand.row) : undefined;
      const sibling = before !== undefined && 'state' in before ? before : null;
      const state = 'id' in stand ? parentStates.get(stand.id) : sibling?.state;
      // No longer stored: it was done.
      if (state === undefined) continue;
      if (state === 'dead') {
        if (job.onDeadParent === 'block')
          throw parentIsDead(row, 'id' in stand ? `job ${stand.id}` : `row ${stand.row}`);
        if (job.onDeadParent === 'release') continue;
        deadParentId = 'id' in stand ? stand.id : (sibling?.deadParentId ?? null);
      }
      parents.set(name, stand);
      if (state === 'dead' || state === 'blocked') stuckOn += 1;
    }
    const state =
      deadParentId !== null
        ? 'dead'
        : stuckOn > 0
          ? 'blocked'
          : parents.size > 0
            ? 'waiting'
            : job.readyAtMs > nowMs
              ? 'delayed'
              : 'ready';
    return {
      row,
      job,
      laneId,
      state,
      payload: partsOf(job.payload),
      parents: [...parents.values()],
      stuckOn,
      deadParentId,
    };
  }

  /** Writes the rows and commits; answers their ids. */
  async #store(fresh: readonly FreshRow[]): Promise<Map<number, number>> {
    const ids = new Map<number, number>();
    for (const { laneId, state } of fresh) this.#ledger.arrived(laneId, state);
    const inserts: FreshRow[][] = [];
    let chars = 0;
    for (const one of fresh) {
      const last = inserts.at(-1);
      const size = one.payload[0]?.length ?? 0;
      if (last === undefined || last.length === ROWS_AT_ONCE || chars + size > PART_CHARS) {
        inserts.push([one]);
        chars = size;
      } else {
        last.push(one);
        chars += size;
      }
    }
    const results = await this.#transaction.results([
      { sql: 'SELECT @@auto_increment_increment AS step' },
      ...inserts.map((rows) => ({ sql: INSERT_JOBS, values: [rows.map((one) => this.#columns(one))] })),
    ]);
    const step = Array.isArray(results[0]) ? fieldsOf(results[0][0]).number('step') : 1;
    for (const [i, rows] of inserts.entries()) {
      const result = results[i + 1];
      if (result === undefined || Array.isArray(result)) throw new Error('an insert without an id');
      // One INSERT of known length gets consecutive ids, whatever innodb_autoinc_lock_mode is.
      for (const [place, one] of rows.entries()) ids.set(one.row, result.insertId + place * step);
    }
    await this.#transaction.commit([...this.#besides(fresh, ids), ...this.#ledger.laneStatements()]);
    return ids;
  }

  #columns({ job, laneId, state, payload, parents, stuckOn, deadParentId }: FreshRow): unknown[] {
    const why = this.#why(deadParentId);
    return [
      laneId,
      bytes(job.kind),
      stateCode(state),
      -job.priority,
      job.readyAtMs,
      job.createdAtMs,
      job.maxAttempts,
      job.batchId,
      DEAD_PARENT.indexOf(job.onDeadParent),
      parents.length,
      stuckOn,
      why === null ? null : JSON.stringify([why]),
      payload.reduce((sum, part) => sum + Buffer.byteLength(part), 0),
      payload.length,
      payload[0],
    ];
  }

  #why(deadParentId: number | null): FailedAttempt | null {
    const { nowMs } = this.#ledger;
    return deadParentId === null ? null : cancelled({ attempts: 0, parentId: deadParentId, nowMs });
  }

  /** What stands in other tables than the jobs'. */
  *#besides(fresh: readonly FreshRow[], ids: ReadonlyMap<number, number>): Generator<Statement> {
    const { nowMs } = this.#ledger;
    const idOf = (row: number): number => ids.get(row) ?? 0;
    for (const { row, payload } of fresh)
      for (const [part, text] of payload.entries())
        if (part > 0)
          yield {
            sql: 'INSERT INTO headway_payload (job_id, part, payload) VALUES (?, ?, ?)',
            values: [idOf(row), part, text],
          };
    yield* rowsOf('INSERT INTO headway_timer (ready_at, job_id) VALUES ?', fresh, ({ state, job, row }) =>
      state === 'delayed' ? [[job.readyAtMs, idOf(row)]] : [],
    );
    yield* rowsOf('INSERT INTO headway_dependency (parent_id, job_id) VALUES ?', fresh, ({ parents, row }) =>
      parents.map((parent) => ['id' in parent ? parent.id : idOf(parent.row), idOf(row)]),
    );
    yield* rowsOf(
      'INSERT INTO headway_key (key_hash, job_id, kept_at) VALUES ?',
      fresh.filter(({ job }) => job.idempotencyKey !== null),
      ({ job, row }) => [[keyHash(job.idempotencyKey ?? ''), idOf(row), nowMs]],
    );
    const dead = fresh.flatMap(({ deadParentId, row, laneId, job }) => {
      const why = this.#why(deadParentId);
      return why === null ? [] : [deadRow(idOf(row), laneId, job.kind, why, nowMs)];
    });
    if (dead.length > 0) yield insertDead(dead);
    // A little of what is old goes with each call that brings something new.
    if (fresh.some(({ job }) => job.idempotencyKey !== null))
      yield {
        sql: 'DELETE FROM headway_key WHERE kept_at < ? ORDER BY kept_at LIMIT 100',
        values: [nowMs - IDEMPOTENCY_KEPT_MS],
      };
  }
}

const INSERT_JOBS = `INSERT INTO headway_job (lane_id, kind, state, urgency, ready_at, created_at, max_attempts, batch_id,
  on_dead_parent, waits_for, stuck_on, failed_attempts, payload_bytes, payload_parts, payload) VALUES ?`;

function* rowsOf(
  sql: string,
  fresh: readonly FreshRow[],
  rows: (one: FreshRow) => unknown[][],
): Generator<Statement> {
  const all = fresh.flatMap(rows);
  for (let at = 0; at < all.length; at += ROWS_AT_ONCE)
    yield { sql, values: [all.slice(at, at + ROWS_AT_ONCE)] };
}

/** At least one part. A character of two code units is not torn. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    let end = Math.min(at + PART_CHARS, text.length);
    if (end < text.length && /[\ud800-\udbff]/.test(text.charAt(end - 1))) end -= 1;
    parts.push(text.slice(at, end));
    at = end;
  }
  return parts;
}

const keyHash = (key: string): Buffer => createHash('sha256').update(key).digest();
const laneName = (tenantId: string, kind: string): string => `${kind}\n${tenantId}`;
