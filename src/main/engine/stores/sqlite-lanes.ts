// Lanes (one kind of one tenant) of the SQLite store, with their counts. Only this process writes to the file, so what was
// once read stays true: counts are kept here during a transaction and written once for each lane that changed.
import type { JobState } from '../job.ts';
import type { ReadingStatements, WritingStatements } from './sqlite-statements.ts';

/** Lanes that are remembered between transactions. */
const REMEMBERED = 20_000;

export interface Lane {
  readonly id: number;
  readonly tenant: string;
  readonly kind: number;
  ready: number;
  delayed: number;
  waiting: number;
  blocked: number;
  running: number;
  dead: number;
  arrivals: number;
  attempts: number;
  last_started_at: number | null;
  /** 1 while the circle shows it. */
  open: number;
  held: number;
  /** What is to be written: nothing, what every claim and end changes, everything. */
  changed: 'no' | 'turn' | 'all';
}

export class Lanes {
  readonly #sql: WritingStatements;
  readonly #kindIds = new Map<string, number>();
  readonly #kindNames = new Map<number, string>();
  readonly #byKind = new Map<number, Map<string, Lane>>();
  readonly #byId = new Map<number, Lane>();
  readonly #changed: Lane[] = [];
  readonly #readKinds: () => { id: number; name: string }[];

  constructor(reading: ReadingStatements, writing: WritingStatements) {
    this.#sql = writing;
    // The rows of our own statement on a STRICT table.
    this.#readKinds = () => reading.kinds.all() as { id: number; name: string }[];
    this.#learnKinds();
  }

  #learnKinds(): void {
    for (const { id, name } of this.#readKinds()) {
      this.#kindIds.set(name, id);
      this.#kindNames.set(id, name);
    }
  }

  kindId(name: string): number | undefined {
    return this.#kindIds.get(name);
  }

  kindName(id: number): string {
    return this.#kindNames.get(id) ?? '';
  }

  get kindIds(): Iterable<number> {
    return this.#kindNames.keys();
  }

  /** Makes the kind and the lane where there are none. `isHeld`: whether a new one begins stopped. */
  laneOf(tenant: string, kind: string, isHeld: () => boolean): Lane {
    const kindId = this.#kindIds.get(kind) ?? this.#addKind(kind);
    const known = this.find(tenant, kindId);
    if (known) return known;
    this.#sql.addLane.run(tenant, kindId, isHeld() ? 1 : 0);
    const added = this.find(tenant, kindId);
    if (!added) throw new Error(`the lane of "${tenant}" was not added`);
    return added;
  }

  #addKind(name: string): number {
    const id = Number(this.#sql.addKind.run(name).lastInsertRowid);
    this.#kindIds.set(name, id);
    this.#kindNames.set(id, name);
    return id;
  }

  find(tenant: string, kindId: number): Lane | null {
    const known = this.#byKind.get(kindId)?.get(tenant);
    if (known) return known;
    return this.#remember(this.#sql.lane.get(tenant, kindId));
  }

  byId(id: number): Lane {
    const lane = this.#byId.get(id) ?? this.#remember(this.#sql.laneOfId.get(id));
    if (!lane) throw new Error(`there is no lane ${id}`);
    return lane;
  }

  #remember(row: Record<string, unknown> | undefined): Lane | null {
    if (!row) return null;
    // SELECT * of a STRICT table whose columns are the fields of Lane.
    const lane = { ...row, changed: 'no' } as Lane;
    this.#byId.set(lane.id, lane);
    const ofKind = this.#byKind.get(lane.kind) ?? new Map<string, Lane>();
    this.#byKind.set(lane.kind, ofKind.set(lane.tenant, lane));
    return lane;
  }

  /** A job of the lane goes from state to state; null: it comes or goes. */
  move(lane: Lane, from: JobState | null, to: JobState | null): void {
    if (from !== null) lane[from]--;
    if (to !== null) lane[to]++;
    this.#touch(lane, isTurn(from) && isTurn(to) ? 'turn' : 'all');
  }

  arrive(lane: Lane, state: JobState): void {
    lane.arrivals++;
    lane[state]++;
    this.#touch(lane, 'all');
  }

  start(lane: Lane, nowMs: number): void {
    lane.ready--;
    lane.running++;
    if (lane.last_started_at === null || lane.last_started_at < nowMs) lane.last_started_at = nowMs;
    this.#touch(lane, 'turn');
  }

  countAttempt(lane: Lane): void {
    lane.attempts++;
    this.#touch(lane, 'turn');
  }

  #touch(lane: Lane, what: 'turn' | 'all'): void {
    if (lane.changed === 'no') this.#changed.push(lane);
    if (lane.changed !== 'all') lane.changed = what;
  }

  /** Before the transaction is committed. */
  write(): void {
    for (const lane of this.#changed) {
      const { id, ready, running, attempts, last_started_at: startedAt } = lane;
      if (lane.changed === 'turn') this.#sql.countTurn.run(ready, running, attempts, startedAt, id);
      else {
        const { delayed, waiting, blocked, dead, arrivals } = lane;
        this.#sql.countAll.run(
          ready,
          running,
          attempts,
          startedAt,
          delayed,
          waiting,
          blocked,
          dead,
          arrivals,
          id,
        );
      }
      const open = ready > 0 ? 1 : 0;
      if (open !== lane.open) {
        this.#sql.openLane.run(open, id);
        lane.open = open;
      }
      lane.changed = 'no';
    }
    this.#changed.length = 0;
    if (this.#byId.size > REMEMBERED) this.#forgetLanes();
  }

  /** The transaction was undone, or holds changed: what is remembered may be wrong. */
  forget(): void {
    this.#forgetLanes();
    this.#kindIds.clear();
    this.#kindNames.clear();
    this.#learnKinds();
  }

  #forgetLanes(): void {
    this.#byId.clear();
    this.#byKind.clear();
    this.#changed.length = 0;
  }
}

const isTurn = (state: JobState | null): boolean =>
  state === null || state === 'ready' || state === 'running';
