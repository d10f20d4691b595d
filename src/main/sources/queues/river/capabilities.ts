// What can be told of River and done to it. Facts of River 0.44.
import { unsupported, type Capabilities } from '../../../../contract/capabilities.ts';

/** Of a River with `river_queue` (0.5 and later); without, nothing can be paused. */
export const riverCapabilities: Capabilities = {
  facts: {
    lag: {
      kind: 'exact',
      note: 'Scheduled and retryable jobs count as ready from their time on, whether River has made them available or not. A job that waited for others of its workflow counts from when they were done.',
    },
    depth: {
      kind: 'bounded',
      note: 'Exact up to 200 jobs of a state and priority; of over 100 groups (queue, state and priority) less, down to 4.',
    },
    running: { kind: 'bounded', note: 'As depth.' },
    stale: {
      kind: 'bounded',
      note: "Running for over 1 h, River's default limit; a client's own RescueStuckJobsAfter or a worker's own timeout is not stored in the database.",
    },
    dead: { kind: 'bounded', note: 'Discarded jobs; River deletes them after 7 days.' },
    blocked: { kind: 'bounded', note: 'Pending jobs, which wait for others of their workflow.' },
    arrivals: { kind: 'no', note: 'River counts none.' },
    finishes: { kind: 'no', note: 'River counts none.' },
    workers: {
      kind: 'bounded',
      note: 'Clients that run jobs now, and the leader. Clients without a job leave no trace that tells them apart.',
    },
    'claim-order': { kind: 'exact', note: 'Each queue has workers of its own: no queue waits for another.' },
    jobs: { kind: 'exact', note: '' },
    locks: { kind: 'exact', note: 'A running job is its own lock; it has no lease and no heartbeat.' },
  },
  actions: {
    pause: {
      support: 'native',
      how: 'Sets river_queue.paused_at and notifies the clients, as QueuePause does.',
      durable: true,
      coversNewArrivals: true,
      hazards: [
        'River deletes the row of a queue that no client has reported for a day, and the pause with it.',
        'Clients that only poll see it some seconds later.',
      ],
    },
    resume: {
      support: 'native',
      how: 'Clears river_queue.paused_at and notifies the clients, as QueueResume does.',
      durable: true,
      coversNewArrivals: true,
      hazards: [],
    },
    drain: unsupported('River cannot refuse new jobs of a queue.'),
    unlock: {
      support: 'protocol',
      how: 'Makes a running job retryable, or discards it when its attempts are used up, with an error that says so, as its rescuer does.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['A job whose worker still lives runs twice: River has no lease that would tell.'],
    },
    retry: {
      support: 'protocol',
      how: 'Makes a job available now, with one attempt more when all are used up, as JobRetry does.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['A job that must be unique may clash with one that came after it.'],
    },
    reschedule: {
      support: 'emulated',
      how: 'Changes scheduled_at of a scheduled or retryable job.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['River moves a job that is due within 5 s; it may be available already.'],
    },
    discard: {
      support: 'protocol',
      how: 'Cancels a job as JobCancel does; of a running one the client is asked to.',
      durable: true,
      coversNewArrivals: false,
      hazards: [
        'The state is cancelled, not discarded, and is deleted after a day.',
        'A running job ends only if it heeds its context.',
      ],
    },
    requeue: unsupported('River has no statement that moves a job to another queue.'),
    release: unsupported(
      'Pending jobs are released by the workflow they belong to, which knows what they wait for.',
    ),
    prioritise: {
      support: 'emulated',
      how: 'Changes priority (1 to 4, 1 first) of a job that does not run.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['Lower priorities of the same queue wait while higher ones keep coming.'],
    },
  },
};

/** Why nothing is paused where `river_queue` is missing. */
export const withoutQueues: Capabilities = {
  ...riverCapabilities,
  actions: {
    ...riverCapabilities.actions,
    pause: unsupported('This River is older than 0.5, which brought the pause. Upgrade it.'),
    resume: unsupported('This River is older than 0.5, which brought the pause.'),
  },
};
