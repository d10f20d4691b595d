// A job as a line of a list, whichever system it is of.
import type { JobList, QueueJob } from '../../../contract/queue-jobs.ts';
import { markOfJob } from './engine-words.ts';
import type { JobRecord } from './engine-words.ts';
import { formatAge } from './figures.ts';
import type { Mark } from './mark.ts';
import { ageText, markOfQueueJob, stateWords } from './queue-words.ts';

export interface JobRow {
  id: string;
  mark: Mark;
  /** What the mark says. */
  state: string;
  /** What stands in a frame before the text: "stale", or the system's own word for its state. */
  word: string | null;
  stale: boolean;
  age: string | null;
  kind: string | null;
  tenantId: string;
  attempts: number | null;
  maxAttempts: number | null;
  owner: string | null;
  /** Its last error, or what it waits for. */
  text: string;
}

/** A job of an engine of Headway's, aged by its store's clock. */
export function rowOfRecord(job: JobRecord, nowMs: number): JobRow {
  const failure = job.failedAttempts[0]?.failure;
  return {
    id: String(job.id),
    mark: markOfJob[job.state],
    state: job.state,
    word: null,
    stale: false,
    age: formatAge(nowMs - (failure === undefined ? job.createdAtMs : job.readyAtMs)),
    kind: job.kind,
    tenantId: job.tenantId,
    attempts: job.attempts,
    maxAttempts: job.maxAttempts,
    owner: job.owner,
    text: failure?.message ?? (job.waitsFor.length > 0 ? `waits for ${job.waitsFor.join(', ')}` : ''),
  };
}

/** The system's word for a list's state where all its jobs have the same: it need not stand in every line. */
export function commonWord(jobs: readonly QueueJob[]): string | null {
  const word = jobs[0]?.stateWord ?? null;
  return jobs.every(({ stateWord }) => stateWord === word) ? word : null;
}

/** A job in one of a queue's lists, aged by its database's clock. `common`: the word that goes without saying. */
export function rowOfQueueJob(
  job: QueueJob,
  { list, nowMs, common }: { list: JobList; nowMs: number; common: string | null },
): JobRow {
  const goesWithout = job.stateWord === common || job.stateWord.toLowerCase() === job.state;
  return {
    id: job.id,
    mark: markOfQueueJob(job),
    state: stateWords(job),
    word: job.stale ? 'stale' : goesWithout ? null : job.stateWord,
    stale: job.stale,
    age: ageText(list, job, nowMs),
    kind: job.kind,
    tenantId: job.tenantId,
    attempts: job.attempts,
    maxAttempts: job.maxAttempts,
    owner: job.owner,
    text: job.error ?? '',
  };
}
