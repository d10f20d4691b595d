// What can be told of Oban and done to it. Facts of Oban 2.23.
import { unsupported, type Capabilities } from '../../../../contract/capabilities.ts';

export const obanCapabilities: Capabilities = {
  facts: {
    lag: {
      kind: 'exact',
      note: 'Scheduled and retryable jobs count as ready from their time on, whether Oban has staged them or not. A job that Lifeline rescued counts from its last attempt: when it was rescued is not stored.',
    },
    depth: {
      kind: 'bounded',
      note: 'Exact up to 200 jobs of a state and priority; of over 100 groups (queue, state and priority) less, down to 4.',
    },
    running: { kind: 'bounded', note: 'As depth.' },
    stale: {
      kind: 'bounded',
      note: 'Executing for over 60 min, the default of Lifeline; what it was set to, and whether it runs, is not stored in the database.',
    },
    dead: { kind: 'bounded', note: 'Discarded jobs; the pruner deletes them, by default after a minute.' },
    blocked: {
      kind: 'no',
      note: 'Oban’s jobs do not wait for others. Suspended ones, which workflows of Oban Pro use, are listed as held.',
    },
    arrivals: { kind: 'no', note: 'Oban counts none.' },
    finishes: { kind: 'no', note: 'Oban counts none.' },
    workers: {
      kind: 'bounded',
      note: 'Producers that execute jobs now, and the leading node where it is elected through the database.',
    },
    'claim-order': { kind: 'exact', note: 'Each queue has workers of its own: no queue waits for another.' },
    jobs: { kind: 'exact', note: '' },
    locks: { kind: 'exact', note: 'An executing job is its own lock; it has no lease and no heartbeat.' },
  },
  actions: {
    pause: {
      support: 'protocol',
      how: 'Notifies the nodes on their signal channel, as pause_queue does.',
      durable: false,
      coversNewArrivals: true,
      hazards: [
        'It is a signal only: neither stored nor readable, so that Headway never shows a queue as paused.',
        'A node that starts later, or that does not listen through PostgreSQL, runs the queue on.',
      ],
    },
    resume: {
      support: 'protocol',
      how: 'Notifies the nodes on their signal channel, as resume_queue does.',
      durable: false,
      coversNewArrivals: true,
      hazards: ['It is a signal only: whether it was heard is seen by jobs that start.'],
    },
    drain: unsupported('Oban cannot refuse new jobs of a queue from outside.'),
    unlock: {
      support: 'protocol',
      how: 'Makes an executing job available, or discards it when its attempts are used up, as Lifeline does.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['A job whose node still lives runs twice: Oban has no lease that would tell.'],
    },
    retry: {
      support: 'protocol',
      how: 'Makes a job available now, with one attempt more when all are used up, as retry_job does.',
      durable: true,
      coversNewArrivals: false,
      hazards: [],
    },
    reschedule: {
      support: 'protocol',
      how: 'Changes scheduled_at of a scheduled or retryable job, as update_job does.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['A job that is due is staged within a second; it may be available already.'],
    },
    discard: {
      support: 'protocol',
      how: 'Cancels a job as cancel_job does; of an executing one its node is notified.',
      durable: true,
      coversNewArrivals: false,
      hazards: [
        'The state is cancelled, not discarded, and the pruner deletes it, by default after a minute.',
        'An executing job goes on where its node does not hear the signal.',
      ],
    },
    requeue: {
      support: 'protocol',
      how: 'Changes the queue of a job that is not executing, as update_job does.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['A queue that no node runs keeps it for ever.'],
    },
    release: unsupported(
      'Suspended jobs are resumed by what suspended them, which knows what they wait for.',
    ),
    prioritise: {
      support: 'protocol',
      how: 'Changes priority (0 to 9, 0 first) of a job that is not executing, as update_job does.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['Lower priorities of the same queue wait while higher ones keep coming.'],
    },
  },
};
