// What is said of a monitored queue: its jobs' states, what can be read of it and done to it.
import type { Action, Fact, Knowledge, Support } from '../../../contract/capabilities.ts';
import type { JobList, QueueJob } from '../../../contract/queue-jobs.ts';
import { formatAge } from './figures.ts';
import type { Mark } from './mark.ts';

export const listNames: Record<JobList, string> = {
  ready: 'Ready',
  running: 'Running',
  delayed: 'Delayed',
  dead: 'Dead',
  held: 'Held',
  blocked: 'Blocked',
};

/** What will stand in a list once there is something. */
export const emptyLists: Record<JobList, string> = {
  ready: 'No job waits for a worker now.',
  running: 'No job runs now.',
  delayed: 'No job waits for its time or its retry.',
  dead: 'No job has failed for good.',
  held: 'No job is held back.',
  blocked: 'No job waits for another one.',
};

/** How the age in a list reads, and what it is measured from. */
export const ageNames: Record<JobList, { name: string; title: string }> = {
  ready: { name: 'Waits', title: 'Since it became ready' },
  running: { name: 'Runs', title: 'Since it was started' },
  delayed: { name: 'Starts in', title: 'Until it becomes ready' },
  dead: { name: 'Failed ago', title: 'Since its last attempt ended' },
  held: { name: 'Held', title: 'Since it was to be ready, or was created' },
  blocked: { name: 'Blocked', title: 'Since it was to be ready, or was created' },
};

/** The age of a job in its list, ms; negative for what is overdue in `delayed`. Null where the system keeps no such time. */
export function ageIn(list: JobList, job: QueueJob, nowMs: number): number | null {
  const from = {
    ready: job.readyAtMs ?? job.createdAtMs,
    running: job.startedAtMs,
    delayed: job.readyAtMs,
    dead: job.finishedAtMs ?? job.startedAtMs,
    held: job.readyAtMs ?? job.createdAtMs,
    blocked: job.readyAtMs ?? job.createdAtMs,
  }[list];
  if (from === null) return null;
  return list === 'delayed' ? from - nowMs : nowMs - from;
}

/** "5m 12s"; for what should have started by now, "due". Null where the system keeps no such time. */
export function ageText(list: JobList, job: QueueJob, nowMs: number): string | null {
  const ageMs = ageIn(list, job, nowMs);
  if (ageMs === null) return null;
  if (list === 'delayed' && ageMs <= 0) return 'due';
  return formatAge(ageMs);
}

export const markOfQueueJob = (job: Pick<QueueJob, 'state' | 'stale'>): Mark =>
  job.stale ? 'warning' : marks[job.state];
const marks: Record<QueueJob['state'], Mark> = {
  ready: 'idle',
  delayed: 'warming-up',
  running: 'ok',
  held: 'paused',
  blocked: 'warning',
  dead: 'critical',
  done: 'ok',
};

/** "running, stale": the system's own word where it differs from Headway's. */
export function stateWords({ state, stateWord, stale }: QueueJob): string {
  const own = stateWord.toLowerCase() === state ? '' : ` (${stateWord})`;
  return `${state}${own}${stale ? ', stale' : ''}`;
}

export const factNames: Record<Fact, string> = {
  lag: 'Lag',
  depth: 'Depth',
  running: 'Running jobs',
  stale: 'Stale locks',
  dead: 'Dead jobs',
  blocked: 'Blocked jobs',
  arrivals: 'Arrivals',
  finishes: 'Finished attempts',
  workers: 'Workers',
  'claim-order': "The workers' order",
  jobs: 'Single jobs',
  locks: 'Locks',
};
export const knowledgeWords: Record<Knowledge['kind'], { word: string; mark: Mark }> = {
  exact: { word: 'exact', mark: 'ok' },
  bounded: { word: 'bounded', mark: 'warming-up' },
  no: { word: 'not told', mark: 'no-data' },
};

export const actionNames: Record<Action, string> = {
  pause: 'Pause',
  resume: 'Resume',
  drain: 'Drain',
  unlock: 'Unlock',
  retry: 'Retry',
  reschedule: 'Reschedule',
  discard: 'Discard',
  requeue: 'Requeue',
  release: 'Release',
  prioritise: 'Prioritise',
};
export const supportWords: Record<Support, { word: string; title: string; mark: Mark }> = {
  native: { word: 'native', title: 'The system has it and keeps it', mark: 'ok' },
  protocol: {
    word: 'protocol',
    title: "By the system's own statements or functions, as its clients do",
    mark: 'ok',
  },
  emulated: {
    word: 'emulated',
    title: 'By changing rows in a way that the system does not know of',
    mark: 'warning',
  },
  none: { word: 'none', title: 'It cannot be done safely', mark: 'no-data' },
};
