// What a person asks for of Headway's own engine: the same for one of this computer and for a headless one's store.
import { z } from 'zod';
import type { Capabilities } from '../../../contract/capabilities.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import type { JobList, JobsPage, JobsQuery } from '../../../contract/queue-jobs.ts';
import type { SourceDetails } from '../source.ts';
import { jobDetail, queueJob, queueLock, type Beats } from './engine-jobs.ts';
import type { EngineJob, EnginePlace, EngineReader } from './engine-reader.ts';

export interface EngineDetailParts extends Pick<EngineReader, 'list' | 'job'> {
  capabilities: Capabilities;
  /** How claims are held and what becomes of one whose engine died, in a sentence. */
  lockRule: string;
  /** Null where no engine takes over from another. */
  beats: (signal: AbortSignal) => Promise<Beats | null>;
}

type State = EngineJob['state'];
/** What each list shows, one state after another. */
const STATES: Record<JobList, readonly State[]> = {
  ready: ['ready'],
  delayed: ['delayed'],
  running: ['running'],
  held: [],
  // Those that need a hand first; the others are freed by their parents.
  blocked: ['blocked', 'waiting'],
  dead: ['dead'],
};
const NOTES: Partial<Record<JobList, string>> = {
  held: 'The engine holds no single job back. Jobs of a paused tenant or kind stay among the ready ones.',
  blocked: 'First the jobs that wait for a dead one, then those whose parents are not done yet; each by id.',
  dead: 'By id, not by when each died.',
};
const BY_ARRIVAL =
  'By id, in the order of arrival, not by how long each has been ready. For that, choose one tenant.';
const SOUGHT =
  'The tenant’s jobs are sought among those of all, 10,000 at a time: there may be more further on.';

export function engineDetails(parts: EngineDetailParts): SourceDetails {
  return {
    capabilities: (signal) => {
      signal.throwIfAborted();
      return Promise.resolve(parts.capabilities);
    },
    jobs: (query, signal) => jobsPage(parts, query, signal),
    job: async (id, signal) => {
      if (!/^\d{1,15}$/.test(id)) return null;
      const { job, payload } = await parts.job(Number(id), signal);
      if (job === null) return null;
      const beats = job.state === 'running' ? await parts.beats(signal) : null;
      return { ...jobDetail(job, beats), payload };
    },
    locks: async ({ tenantId, limit }, signal) => {
      const { jobs, next } = await parts.list({ state: 'running', tenantId, after: null, limit }, signal);
      const beats = jobs.length === 0 ? null : await parts.beats(signal);
      return {
        locks: jobs.map((job) => queueLock(job, beats)),
        rule: parts.lockRule,
        more: next !== null,
      };
    },
    health: () => Promise.resolve(null),
    indexAdvice: () => Promise.resolve(null),
  };
}

async function jobsPage(
  parts: EngineDetailParts,
  { list, tenantId, after, limit }: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  const states = STATES[list];
  const begin = after === null ? { state: states[0], place: null } : readCursor(after, states);
  const found: EngineJob[] = [];
  let next: { state: State; place: EnginePlace | null } | null = null;
  for (const state of states.slice(begin.state === undefined ? 0 : states.indexOf(begin.state))) {
    if (found.length === limit) {
      next = { state, place: null };
      break;
    }
    const place = state === begin.state ? begin.place : null;
    const page = await parts.list({ state, tenantId, after: place, limit: limit - found.length }, signal);
    found.push(...page.jobs);
    if (page.next === null) continue;
    next = { state, place: page.next };
    break;
  }
  const beats = list === 'running' && found.length > 0 ? await parts.beats(signal) : null;
  const isSought = next !== null && found.length < limit;
  const notes = [
    list === 'ready' && tenantId === null ? BY_ARRIVAL : NOTES[list],
    isSought && tenantId !== null ? SOUGHT : undefined,
  ].filter((note) => note !== undefined);
  return {
    jobs: found.map((job) => queueJob(job, beats)),
    next:
      next === null ? null : JSON.stringify([next.state, next.place?.atMs ?? null, next.place?.id ?? null]),
    note: notes.length === 0 ? null : notes.join(' '),
  };
}

const cursorSchema = z.tuple([z.string(), z.number().nullable(), z.int().nullable()]);

/** Rejects a cursor of another source or list with `bad-request`. */
function readCursor(text: string, states: readonly State[]): { state: State; place: EnginePlace | null } {
  try {
    const [word, atMs, id] = cursorSchema.parse(JSON.parse(text));
    const state = z.enum(states).parse(word);
    return { state, place: atMs === null || id === null ? null : { atMs, id } };
  } catch (cause) {
    throw new HeadwayError(
      'bad-request',
      'This page cannot be continued: its cursor is not of this list. Begin anew.',
      { cause },
    );
  }
}
