// The jobs of a batch by phases: what waits for nothing first, then what waits for it, and so on. Pure.
import type { JobRecord } from '../format/engine-words.ts';

export interface PhaseBox {
  key: string;
  kind: string;
  /** The worst of its jobs: dead before blocked before the rest. */
  state: JobRecord['state'];
  ids: readonly number[];
}
export interface Phases {
  /** From left to right. */
  columns: readonly (readonly PhaseBox[])[];
  /** From a box to the one that waits for it, by key. */
  links: readonly { from: string; to: string }[];
}

type Job = Pick<JobRecord, 'id' | 'kind' | 'state' | 'waitsFor'>;
const worse: readonly JobRecord['state'][] = ['dead', 'blocked', 'waiting', 'delayed', 'ready', 'running'];

/**
 * Jobs of one kind in one phase share a box. A job stands one phase after the last of those it waits for; what it
 * waits for and is not among `jobs` does not count.
 */
export function phasesOf(jobs: readonly Job[]): Phases {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const depths = new Map<number, number>();
  const depthOf = (job: Job): number => {
    const known = depths.get(job.id);
    if (known !== undefined) return known;
    // Cycles are refused at enqueue; should one be stored all the same, this ends it.
    depths.set(job.id, 0);
    const parents = job.waitsFor.flatMap((id) => byId.get(id) ?? []);
    const depth = parents.length === 0 ? 0 : 1 + Math.max(...parents.map(depthOf));
    depths.set(job.id, depth);
    return depth;
  };

  const boxes = new Map<string, PhaseBox & { phase: number }>();
  const keyOf = (job: Job): string => `${depthOf(job)} ${job.kind}`;
  for (const job of jobs) {
    const key = keyOf(job);
    const box = boxes.get(key);
    boxes.set(key, {
      key,
      kind: job.kind,
      phase: depthOf(job),
      state: box === undefined || worse.indexOf(job.state) < worse.indexOf(box.state) ? job.state : box.state,
      ids: [...(box?.ids ?? []), job.id],
    });
  }
  const columns: PhaseBox[][] = [];
  for (const box of boxes.values()) (columns[box.phase] ??= []).push(box);

  const links = new Map<string, { from: string; to: string }>();
  for (const job of jobs)
    for (const parent of job.waitsFor.flatMap((id) => byId.get(id) ?? [])) {
      const link = { from: keyOf(parent), to: keyOf(job) };
      links.set(`${link.from}→${link.to}`, link);
    }
  return { columns, links: [...links.values()] };
}
