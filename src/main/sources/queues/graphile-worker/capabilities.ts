// What can be told of Graphile Worker and done to it. Facts are from its migrations (000011 to 000019) and its worker.
import {
  unsupported,
  type Action,
  type Capabilities,
  type Capability,
} from '../../../../contract/capabilities.ts';

const byFunction = (how: string, hazards: readonly string[]): Capability => ({
  support: 'protocol',
  how,
  durable: true,
  coversNewArrivals: false,
  hazards: [...hazards],
});
/** Of every function that takes ids of jobs. */
const SKIPS_LOCKED = 'A job that is locked is left out, unless its lock is older than 4 hours.';
const NO_SIGNAL = 'Workers are not told: they see it at their next poll (2 s by default).';

export const graphileWorkerCapabilities: Capabilities = {
  facts: {
    lag: {
      kind: 'bounded',
      note: 'Exact among the first 2,000 ready jobs; behind those an index by task tells it.',
    },
    depth: {
      kind: 'bounded',
      note: 'Exact where all ready jobs were read. Jobs whose named queue is locked are not ready.',
    },
    running: { kind: 'bounded', note: 'Locked jobs; in a large table an index by locked_at is needed.' },
    stale: { kind: 'bounded', note: 'Locked for over 4 hours, after which workers free them.' },
    dead: {
      kind: 'bounded',
      note: 'Jobs that have used up their attempts (25 by default) and are kept until they are cleaned up.',
    },
    blocked: { kind: 'no', note: 'Jobs do not depend on one another.' },
    arrivals: { kind: 'no', note: 'Graphile Worker keeps no counters.' },
    finishes: { kind: 'no', note: 'Completed jobs are deleted.' },
    workers: {
      kind: 'bounded',
      note: 'Those that hold locks; since 0.17 one is the pool of a process, which runs several jobs at once.',
    },
    'claim-order': { kind: 'exact', note: 'By priority, lowest first, then by run time, over all tasks.' },
    jobs: { kind: 'exact', note: '' },
    locks: { kind: 'bounded', note: 'Without an index by locked_at they are sought in the whole table.' },
  },
  actions: {
    pause: {
      support: 'emulated',
      how: "A task cannot be paused. A named queue can be parked: its row is locked with locked_at = 'infinity' and locked_by = 'headway-pause:…', while it is free.",
      durable: true,
      coversNewArrivals: true,
      hazards: [
        'It holds all tasks of that queue, not one task; jobs without a named queue go on.',
        'A queue that runs a job cannot be parked until that job has ended.',
        'Graphile Worker takes it for the lock of a worker: whoever unlocks all workers resumes it.',
        'Claims walk past the parked jobs each time, so that many of them slow every worker.',
      ],
    },
    resume: {
      ...byFunction("force_unlock_workers(array['headway-pause:…']) frees what was parked under that name.", [
        NO_SIGNAL,
      ]),
    },
    drain: unsupported('Graphile Worker cannot refuse new jobs.'),
    unlock: byFunction(
      'force_unlock_workers(worker_ids) frees all jobs and named queues that those workers hold.',
      [
        'A worker that still runs goes on, so that its jobs may run twice.',
        'Since 0.17 a name is that of a whole process: all of its jobs are freed.',
        'The attempt has been counted: a job in its last one is dead at once.',
      ],
    ),
    retry: byFunction(
      'reschedule_jobs(job_ids, run_at, attempts => 0) makes dead or waiting jobs ready again.',
      [SKIPS_LOCKED, NO_SIGNAL],
    ),
    reschedule: byFunction('reschedule_jobs(job_ids, run_at).', [SKIPS_LOCKED, NO_SIGNAL]),
    discard: byFunction(
      'permanently_fail_jobs(job_ids, reason) keeps them as dead; complete_jobs(job_ids) deletes them.',
      [SKIPS_LOCKED, 'Deleted jobs cannot be brought back; copy them first.'],
    ),
    requeue: unsupported('Completed jobs are deleted, so there is nothing to run again.'),
    release: byFunction('reschedule_jobs(job_ids, run_at => now()) makes delayed jobs ready.', [
      SKIPS_LOCKED,
      NO_SIGNAL,
      'Backoff after failures is cut short too.',
    ]),
    prioritise: byFunction('reschedule_jobs(job_ids, priority => n); lower numbers come first.', [
      SKIPS_LOCKED,
    ]),
  },
};

const NEEDS: Partial<Record<Action, string>> = {
  pause: 'force_unlock_workers',
  resume: 'force_unlock_workers',
  unlock: 'force_unlock_workers',
  retry: 'reschedule_jobs',
  reschedule: 'reschedule_jobs',
  discard: 'permanently_fail_jobs',
  release: 'reschedule_jobs',
  prioritise: 'reschedule_jobs',
};

/** As found: which functions are there, and whether this account may write. */
export function capabilitiesFound(functions: ReadonlySet<string>, writable: boolean): Capabilities {
  const actions = Object.fromEntries(
    Object.entries(graphileWorkerCapabilities.actions).map(([action, capability]): [string, Capability] => {
      const needed = NEEDS[action as Action];
      if (needed !== undefined && !functions.has(needed))
        return [action, unsupported(`This schema has no function ${needed}: upgrade Graphile Worker.`)];
      if (capability.support === 'none' || writable) return [action, capability];
      const hazard = 'The account of this connection may not write: another one must do it.';
      return [action, { ...capability, hazards: [...capability.hazards, hazard] }];
    }),
    // The same keys as before.
  ) as Capabilities['actions'];
  return { facts: graphileWorkerCapabilities.facts, actions };
}
