// Which row waits for which: what the rows say themselves, and what their kinds say of jobs of the same tenant and batch.
// A store takes parents before the rows that wait for them; the caller may give them in any order.
import type { HeadwayError } from '../../contract/errors.ts';
import { type EnqueueCheck, refused } from './enqueue-check.ts';
import type { NewJob } from './job.ts';

/** Each becomes a row of its own in the store; a call with more is a mistake in its batches. */
const MOST_LINKS = 100_000;

export interface OrderedRows {
  /** Parents first, `dependsOn` counted in this order. */
  jobs: NewJob[];
  /** Where each of `jobs` stands in the caller's list. */
  rows: number[];
  /** By the caller's row. */
  errors: Map<number, HeadwayError>;
}

/** Leaves out rows that are refused, and with them what waits for them. */
export function orderedRows(jobs: readonly NewJob[], check: EnqueueCheck): OrderedRows {
  const errors = new Map<number, HeadwayError>();
  const checked = jobs.map((job, row) => {
    const answer = check.row(job, row, jobs.length);
    if (!(answer instanceof Error)) return answer;
    errors.set(row, answer);
    return null;
  });
  const parents = linksOf(checked, check, errors);
  const rows = parentsFirst(parents, errors);
  const places = new Map(rows.map((row, place) => [row, place]));
  return {
    jobs: rows.flatMap((row) => {
      const job = checked[row];
      if (!job) return [];
      const links = parents[row] ?? [];
      if (links.length === 0) return job;
      const ids = job.dependsOn?.filter((parent) => 'id' in parent) ?? [];
      return { ...job, dependsOn: [...ids, ...links.map((parent) => ({ row: places.get(parent) ?? -1 }))] };
    }),
    rows,
    errors,
  };
}

/** For each row the rows it waits for. */
function linksOf(
  jobs: readonly (NewJob | null)[],
  check: EnqueueCheck,
  errors: Map<number, HeadwayError>,
): number[][] {
  const batches = new Map<string, Map<string, number[]>>();
  const keyOf = ({ tenantId, batchId }: NewJob): string => JSON.stringify([tenantId, batchId ?? null]);
  if (jobs.some((job) => job !== null && check.parentsOf(job.kind).length > 0)) {
    for (const [row, job] of jobs.entries()) {
      if (job === null) continue;
      const key = keyOf(job);
      const kinds = batches.get(key) ?? new Map<string, number[]>();
      batches.set(key, kinds.set(job.kind, [...(kinds.get(job.kind) ?? []), row]));
    }
  }
  let links = 0;
  return jobs.map((job, row) => {
    if (job === null) return [];
    const own = job.dependsOn?.flatMap((parent) => ('row' in parent ? parent.row : [])) ?? [];
    const ofKinds = check.parentsOf(job.kind).flatMap((kind) => batches.get(keyOf(job))?.get(kind) ?? []);
    const all = ofKinds.length === 0 ? own : [...new Set([...own, ...ofKinds])];
    links += all.length;
    if (links <= MOST_LINKS) return all;
    errors.set(
      row,
      refused(
        row,
        'the rows of this call wait for each other in too many ways; give parts of it batch ids of their own',
      ),
    );
    return [];
  });
}

/** The rows that are not refused, each after those it waits for; else as they came. */
function parentsFirst(parents: readonly number[][], errors: Map<number, HeadwayError>): number[] {
  const isOrdered = parents.every((links, row) => links.every((parent) => parent < row));
  const order = isOrdered ? parents.map((_, row) => row) : sorted(parents);
  if (order.length < parents.length) refuseCycles(parents, new Set(order), errors);
  // In order, so that a refusal goes on from parent to child.
  for (const row of order) {
    const lost = parents[row]?.find((parent) => errors.has(parent));
    if (lost !== undefined && !errors.has(row))
      errors.set(row, refused(row, `row ${lost}, which it waits for, was refused`));
  }
  return order.filter((row) => !errors.has(row));
}

/** Without the rows of a cycle and those that wait for them (A. B. Kahn, "Topological sorting of large networks", 1962). */
function sorted(parents: readonly number[][]): number[] {
  const children = parents.map((): number[] => []);
  for (const [row, links] of parents.entries()) for (const parent of links) children[parent]?.push(row);
  const open = parents.map((links) => links.length);
  const order = parents.flatMap((links, row) => (links.length === 0 ? row : []));
  for (const row of order) {
    for (const child of children[row] ?? []) {
      const left = (open[child] ?? 0) - 1;
      open[child] = left;
      if (left === 0) order.push(child);
    }
  }
  return order;
}

function refuseCycles(
  parents: readonly number[][],
  sound: ReadonlySet<number>,
  errors: Map<number, HeadwayError>,
): void {
  for (const row of parents.keys()) {
    if (sound.has(row) || errors.has(row)) continue;
    const path = [row];
    for (;;) {
      // Every unsound row waits for another unsound one, so the walk comes back to where it was.
      const next = parents[path.at(-1) ?? row]?.find((parent) => !sound.has(parent)) ?? row;
      const from = path.indexOf(next);
      path.push(next);
      if (from < 0) continue;
      const circle = path.slice(from).join(' → ');
      errors.set(row, refused(row, `rows wait for each other: ${circle}`));
      break;
    }
  }
}
