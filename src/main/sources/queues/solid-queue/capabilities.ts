// What Solid Queue tells and what can be done to it. Sources: app/models/solid_queue/*.rb of Solid Queue 1.x.
import { unsupported, type Capabilities, type Capability } from '../../../../contract/capabilities.ts';

const pausing: Omit<Capability, 'how'> = {
  support: 'native',
  durable: true,
  coversNewArrivals: true,
  hazards: [],
};
/** A row is changed, once, by the statements that Solid Queue itself uses. */
const byProtocol: Omit<Capability, 'how'> = {
  support: 'protocol',
  durable: true,
  coversNewArrivals: false,
  hazards: [],
};
const semaphores =
  'Only jobs without a concurrency_key: those with one hold or need a semaphore, which Solid Queue’s own code must count.';

export const solidQueueCapabilities: Capabilities = {
  facts: {
    lag: {
      kind: 'bounded',
      note: 'Ready since the row in ready_executions was written (as Solid Queue’s own latency), or since its time where the dispatcher has not moved it yet. Exact unless a long queue’s first jobs (201, and fewer where queues are many) and the first 2,000 rows of all leave an older one possible.',
    },
    depth: {
      kind: 'bounded',
      note: 'Ready: exact up to 200 a priority; where there are more than 100 of them, exact while short and else by the optimiser’s estimate, of 25 queues a poll. Delayed and blocked: exact up to 2,000 in all, or 200 a queue with an index by queue.',
    },
    running: { kind: 'exact', note: 'Claimed executions.' },
    stale: {
      kind: 'exact',
      note: 'Claimed by a process that gave no heartbeat for 5 min (its default; a changed process_alive_threshold is not seen), or that is gone.',
    },
    dead: {
      kind: 'bounded',
      note: 'Failed executions, exact up to 2,000 in all: they do not name their queue.',
    },
    blocked: { kind: 'bounded', note: 'Jobs that wait for a semaphore of their concurrency_key.' },
    arrivals: { kind: 'no', note: 'No counter: ids are counted over all queues, and done jobs are deleted.' },
    finishes: { kind: 'no', note: 'Done jobs are deleted, at once or after a day.' },
    workers: { kind: 'exact', note: 'Processes with their heartbeats; busy are threads.' },
    'claim-order': {
      kind: 'bounded',
      note: 'By priority, then by job id; which queues come first is each worker’s own setting.',
    },
    jobs: {
      kind: 'exact',
      note: 'Of one queue past the jobs of others, until the statement takes too long.',
    },
    locks: { kind: 'exact', note: 'Claimed executions with the heartbeat of their process.' },
  },
  actions: {
    pause: {
      ...pausing,
      how: 'Inserts the queue’s name into solid_queue_pauses, as SolidQueue::Queue#pause does; workers read it at every poll.',
      hazards: [
        'Jobs that a worker has claimed are still run.',
        'While any queue is paused, workers of all queues ("*") look for the queue names first, which on PostgreSQL reads all ready jobs.',
        'Scheduled jobs of the queue are still dispatched, and wait as ready ones.',
      ],
    },
    resume: { ...pausing, how: 'Deletes the queue’s row of solid_queue_pauses.' },
    drain: unsupported('Solid Queue cannot refuse new jobs: any Rails process may enqueue them.'),
    unlock: {
      ...byProtocol,
      how: 'In one transaction writes a row of ready_executions and deletes the one of claimed_executions, as the release of a claim does.',
      hazards: [
        'Too early, the job runs twice: only with proof that the process is dead. Solid Queue itself fails such jobs instead of releasing them.',
        'The semaphore of a concurrency_key stays taken, as it does when Solid Queue releases.',
      ],
    },
    retry: {
      ...byProtocol,
      how: 'In one transaction locks the failed execution, sets the counts of executions in the arguments to zero, writes a row of ready_executions and deletes the failed one.',
      hazards: [semaphores],
    },
    reschedule: {
      ...byProtocol,
      support: 'emulated',
      how: 'Sets scheduled_at of the scheduled execution and of its job.',
      hazards: ['Solid Queue has no such action; its dispatcher takes whatever time stands there.'],
    },
    discard: {
      ...byProtocol,
      how: 'Locks the execution and deletes the job, which takes its executions away, as discard does. Not for claimed jobs.',
      hazards: [semaphores, 'A batch is not told of it.'],
    },
    requeue: unsupported(
      'A done job is never run again: enqueueing belongs to the application, which makes a new job.',
    ),
    release: unsupported(
      'A blocked job needs its semaphore, which Solid Queue’s own code counts; the dispatcher releases it when that is free or has expired.',
    ),
    prioritise: {
      ...byProtocol,
      support: 'emulated',
      how: 'Sets the priority of the ready, scheduled or blocked execution and of its job.',
      hazards: ['Solid Queue has no such action; workers claim by whatever priority stands there.'],
    },
  },
};
