// What pg-boss tells and what can be done to it. Sources: its plans (retryJobs, resumeJobs, restoreJobs, cancelJobs,
// deleteJobsById, updateJob, redriveJobs) and manager at schema version 43.
import { unsupported, type Capabilities, type Capability } from '../../../../contract/capabilities.ts';

const protocol = (how: string, ...hazards: string[]): Capability => ({
  support: 'protocol',
  how,
  durable: true,
  coversNewArrivals: false,
  hazards,
});

const redrive = protocol(
  'As pg-boss’s redrive(): jobs of a dead letter queue are moved back to the queue that they came from, as new jobs.',
  'A redriven job has a new id, and starts with no attempts used.',
  'Only jobs that went to a dead letter queue can be redriven.',
);

const notPaused =
  'pg-boss has no pause: a worker stops only in its own process, by offWork(), and no row tells it to.';

/** Of the newest schema version that is known. */
export const pgBossCapabilities: Capabilities = {
  facts: {
    lag: {
      kind: 'exact',
      note: 'Through the index of claims; "at least" where thousands of delayed jobs, or more than 20 priorities, stand in front.',
    },
    depth: {
      kind: 'bounded',
      note: 'Exact up to 200 of each state, "at least" above, and pg-boss’s own last count where no index leads.',
    },
    running: {
      kind: 'bounded',
      note: 'Exact for small tables, or with an index on (name, started_on) of active jobs; else pg-boss’s own last count.',
    },
    stale: {
      kind: 'bounded',
      note: 'Active for longer than expire_seconds, or without a heartbeat for heartbeat_seconds; known where running jobs are.',
    },
    dead: { kind: 'bounded', note: 'Failed jobs: exact for small tables, else pg-boss’s own last count.' },
    blocked: {
      kind: 'bounded',
      note: 'Jobs that wait for others are listed; polls do not count them. Those of a key_strict_fifo queue that wait behind a failed one count as ready.',
    },
    arrivals: { kind: 'no', note: 'From differences of samples: pg-boss keeps no counter.' },
    finishes: { kind: 'no', note: 'From differences of samples: pg-boss keeps no counter.' },
    workers: {
      kind: 'bounded',
      note: 'Their last sign of life only: no job names its worker, and no table lists them.',
    },
    'claim-order': { kind: 'exact', note: 'Highest priority first, then the oldest creation.' },
    jobs: {
      kind: 'bounded',
      note: 'Waiting jobs by the index of claims, 20,000 at a time; failed and running ones where a table is not large, or an index was made.',
    },
    locks: { kind: 'bounded', note: 'Active jobs, as running.' },
  },
  actions: {
    pause: {
      ...unsupported(notPaused),
      hazards: [
        'Moving start_after of waiting jobs would lose their times, and would not hold new ones.',
        'Marking them as blocked would mix them with jobs that wait for others, and would not hold new ones either.',
      ],
    },
    resume: unsupported('There is no pause to end.'),
    drain: unsupported('pg-boss cannot refuse new jobs of one queue without failing its producers.'),
    unlock: protocol(
      'As pg-boss’s fail(), compared with retry_count and started_on as seen: an active job whose worker is proven dead is retried, or fails for good when no attempt is left.',
      'Too early, the job runs twice.',
      'It uses up an attempt; maintenance does the same by itself when a job expires.',
    ),
    retry: protocol(
      'As pg-boss’s retry(): a failed job goes to state retry with retry_limit raised by one.',
      'Its copy in a dead letter queue, where there is one, stays and may be worked as well.',
    ),
    reschedule: protocol(
      'As pg-boss’s update() with startAfter, for jobs that are not active yet; keep_until moves along.',
      'The delay that pg-boss had computed for a retry is replaced.',
    ),
    discard: protocol(
      'As pg-boss’s cancel(), which keeps the row and can be taken back, or deleteJob(), which does not.',
      'Cancelling an active job does not stop its worker; what it reports afterwards is ignored.',
      'Jobs that depend on a cancelled or deleted one stay blocked.',
    ),
    requeue: redrive,
    release: protocol(
      'As pg-boss’s resume(): a cancelled job is created again.',
      'It keeps the attempts that it has used.',
    ),
    prioritise: protocol(
      'As pg-boss’s update() with priority, for jobs that are not active yet.',
      'A worker that fetches by a range of priorities may no longer see it.',
    ),
  },
};

/** What the schema lacks is taken back. */
export function pgBossCapabilitiesOf(jobColumns: ReadonlySet<string>): Capabilities {
  const { facts, actions } = pgBossCapabilities;
  return {
    facts: {
      ...facts,
      ...(!jobColumns.has('blocked') && {
        blocked: { kind: 'no' as const, note: 'This version’s jobs wait for no others.' },
      }),
    },
    actions: {
      ...actions,
      ...(!jobColumns.has('source_name') && {
        requeue: unsupported(
          'This version does not record which queue a job of a dead letter queue came from.',
        ),
      }),
    },
  };
}
