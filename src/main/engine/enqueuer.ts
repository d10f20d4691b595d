// The way in: rows are checked and ordered, then stored all or none; or each is answered on its own.
import { HeadwayError } from '../../contract/errors.ts';
import type { EngineKind } from './engine-parts.ts';
import { EnqueueCheck } from './enqueue-check.ts';
import { orderedRows } from './enqueue-check-order.ts';
import type { Enqueued, NewJob } from './job.ts';

export interface EnqueuerParts {
  /** All or none. */
  store: (jobs: readonly NewJob[]) => Promise<Enqueued[]>;
}

type Answer = Enqueued | HeadwayError;
/** A job with its place in the caller's list. */
interface Row {
  row: number;
  job: NewJob;
}

export class Enqueuer {
  readonly #parts: EnqueuerParts;
  #check: EnqueueCheck;

  constructor(parts: EnqueuerParts, kinds: readonly EngineKind[]) {
    this.#parts = parts;
    this.#check = new EnqueueCheck(kinds);
  }

  configure(kinds: readonly EngineKind[]): void {
    this.#check = new EnqueueCheck(kinds);
  }

  /** All or none; answers in the order of `jobs`. Rejects with the first row's error. */
  async all(jobs: readonly NewJob[]): Promise<Enqueued[]> {
    const { jobs: ordered, rows, errors } = orderedRows(jobs, this.#check);
    const [first] = [...errors].sort(([a], [b]) => a - b);
    if (first) throw first[1];
    const answers = await this.#parts.store(ordered);
    const inOrder: Enqueued[] = [];
    for (const [place, answer] of answers.entries()) inOrder[rows[place] ?? place] = answer;
    return inOrder;
  }

  /** The good rows are enqueued; answers in the order of `jobs`. Rejects only where the store fails. */
  async each(jobs: readonly NewJob[]): Promise<Answer[]> {
    const { jobs: ordered, rows, errors } = orderedRows(jobs, this.#check);
    const answers: Answer[] = [];
    for (const [row, error] of errors) answers[row] = error;
    const good = ordered.map((job, place) => ({ job, row: rows[place] ?? place }));
    await this.#store(clustersOf(good), answers);
    return answers;
  }

  /** Rows that wait for each other stand or fall together: halves are tried until the refused ones are found. */
  async #store(clusters: readonly Row[][], answers: Answer[]): Promise<void> {
    const rows = clusters.flat();
    if (rows.length === 0) return;
    try {
      const stored = await this.#parts.store(together(clusters));
      for (const [place, answer] of stored.entries()) answers[rows[place]?.row ?? place] = answer;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (clusters.length === 1) {
        for (const { row } of rows) answers[row] = error;
        return;
      }
      const half = Math.ceil(clusters.length / 2);
      await this.#store(clusters.slice(0, half), answers);
      await this.#store(clusters.slice(half), answers);
    }
  }
}

function isRefusal(error: unknown): error is HeadwayError {
  return error instanceof HeadwayError && (error.code === 'bad-request' || error.code === 'conflict');
}

/** Rows that wait for one another, each list parents first and with `dependsOn` counted within it. */
function clustersOf(rows: readonly Row[]): Row[][] {
  const leaders = rows.map((_, place) => place);
  const leaderOf = (place: number): number => {
    let leader = place;
    while (leaders[leader] !== leader) leader = leaders[leader] ?? leader;
    leaders[place] = leader;
    return leader;
  };
  for (const [place, { job }] of rows.entries()) {
    for (const parent of job.dependsOn ?? []) {
      if ('row' in parent) leaders[leaderOf(place)] = leaderOf(parent.row);
    }
  }
  const clusters = new Map<number, { places: Map<number, number>; rows: Row[] }>();
  for (const [place, { row, job }] of rows.entries()) {
    const leader = leaderOf(place);
    const cluster = clusters.get(leader) ?? { places: new Map<number, number>(), rows: [] };
    clusters.set(leader, cluster);
    cluster.rows.push({ row, job: shifted(job, (parent) => cluster.places.get(parent) ?? -1) });
    cluster.places.set(place, cluster.rows.length - 1);
  }
  return [...clusters.values()].map((cluster) => cluster.rows);
}

/** The jobs of several clusters as one list. */
function together(clusters: readonly Row[][]): NewJob[] {
  let before = 0;
  return clusters.flatMap((rows) => {
    const from = before;
    before += rows.length;
    return rows.map(({ job }) => shifted(job, (row) => row + from));
  });
}

function shifted(job: NewJob, place: (row: number) => number): NewJob {
  if (!job.dependsOn?.some((parent) => 'row' in parent)) return job;
  return {
    ...job,
    dependsOn: job.dependsOn.map((parent) => ('row' in parent ? { row: place(parent.row) } : parent)),
  };
}
