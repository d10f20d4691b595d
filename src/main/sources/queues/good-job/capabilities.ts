// What GoodJob tells and what can be done to it. Sources: app/models/good_job/{job,process,setting}.rb of GoodJob 4.
import { unsupported, type Capabilities, type Capability } from '../../../../contract/capabilities.ts';

const pausing: Omit<Capability, 'how'> = {
  support: 'native',
  durable: true,
  coversNewArrivals: true,
  hazards: [
    'Workers honour it only where enable_pauses is on, which the database does not tell: watch whether the queue still starts jobs.',
  ],
};
/** As GoodJob does it: under the job's advisory lock, which proves that nobody works it. */
const underLock: Omit<Capability, 'how'> = {
  support: 'protocol',
  durable: true,
  coversNewArrivals: false,
  hazards: ['A pooler in transaction mode breaks advisory locks: connect to the server itself.'],
};

const goodJob4: Capabilities = {
  facts: {
    lag: {
      kind: 'bounded',
      note: 'Ready since its scheduled time, its creation, or the start that was interrupted, whichever came last. Exact unless a long queue’s first jobs were written long after their times.',
    },
    depth: {
      kind: 'bounded',
      note: 'Ready exact up to about 400 a queue, delayed up to 200; where there are more than 41 queues, ready exact while short and else by the optimiser’s estimate, of 25 queues a poll, and delayed exact up to 2,000 in all.',
    },
    running: { kind: 'exact', note: 'Jobs whose locked_by_id is set.' },
    stale: {
      kind: 'exact',
      note: 'Held by a process that is gone, or gives no sign of life (an advisory lock, or its row written within a minute; within 5 min where it takes no lock), and with no advisory lock on the job.',
    },
    dead: {
      kind: 'bounded',
      note: 'Discarded jobs: finished with an error and not tried again. Exact up to 2,000 in all, where they are kept (preserve_job_records).',
    },
    blocked: {
      kind: 'no',
      note: 'A job over its concurrency limit is scheduled for later, and counts as delayed.',
    },
    arrivals: { kind: 'no', note: 'No counter: ids are random, and done jobs are deleted.' },
    finishes: { kind: 'no', note: 'Done jobs may be deleted at once.' },
    workers: { kind: 'exact', note: 'Processes with their threads; busy are threads.' },
    'claim-order': {
      kind: 'bounded',
      note: 'By priority, then by creation; which queues a worker takes is its own setting.',
    },
    jobs: { kind: 'exact', note: 'By scheduled time.' },
    locks: { kind: 'exact', note: 'Rows that name a process, and advisory locks.' },
  },
  actions: {
    pause: {
      ...pausing,
      how: 'Adds the queue to the value of key "pauses" in good_job_settings, as GoodJob.pause does.',
      hazards: [...pausing.hazards, 'Jobs that have begun run to their end.'],
    },
    resume: {
      ...pausing,
      how: 'Takes the queue out of the value of key "pauses", as GoodJob.unpause does.',
      hazards: [],
    },
    drain: unsupported('GoodJob cannot refuse new jobs: any Rails process may enqueue them.'),
    unlock: {
      ...underLock,
      how: 'Clears locked_by_id and locked_at of jobs whose process is proven dead, as GoodJob’s own cleanup of processes does.',
      hazards: [
        'Too early, the job runs twice: only with proof that the process is dead.',
        'The next attempt raises an InterruptError where the application asked for it.',
      ],
    },
    retry: unsupported(
      'A retry builds the job anew from its class, counts its attempt and enters it into its batch, which only the application’s code can do: GoodJob’s dashboard has it.',
    ),
    reschedule: {
      ...underLock,
      how: 'Sets scheduled_at of an unfinished job under its advisory lock, as reschedule_job does.',
    },
    discard: {
      ...underLock,
      how: 'Sets finished_at, error and error_event of an unfinished job under its advisory lock, as discard_job does.',
      hazards: [
        ...underLock.hazards,
        'Callbacks of the job and of its batch are not run, as the application’s code runs them: not for jobs of a batch.',
      ],
    },
    requeue: unsupported('A done job is run again by the application only, which makes a new one.'),
    release: unsupported(
      'GoodJob holds no jobs back: those over a concurrency limit are scheduled for later.',
    ),
    prioritise: {
      ...underLock,
      support: 'emulated',
      how: 'Sets the priority of an unfinished job under its advisory lock.',
      hazards: [
        ...underLock.hazards,
        'GoodJob has no such action; workers claim by whatever priority stands there.',
      ],
    },
  },
};

/** Before 4.0 rows do not say who holds them, and nothing can be paused. */
const goodJob3: Capabilities = {
  facts: {
    ...goodJob4.facts,
    running: { kind: 'bounded', note: 'Jobs under an advisory lock, among the first of each queue.' },
    stale: { kind: 'exact', note: 'None: an advisory lock goes with its session.' },
    dead: { kind: 'bounded', note: 'Among the last 2,000 finished jobs: with an error and not tried again.' },
    'claim-order': { kind: 'bounded', note: 'By priority, the highest number first, then by creation.' },
    locks: { kind: 'exact', note: 'Advisory locks.' },
  },
  actions: {
    ...goodJob4.actions,
    pause: unsupported('GoodJob 3 has no pauses.'),
    resume: unsupported('GoodJob 3 has no pauses.'),
    unlock: unsupported('An advisory lock belongs to its session and goes with it; nothing else is held.'),
  },
};

export const goodJobCapabilities = { 4: goodJob4, 3: goodJob3 } as const;
