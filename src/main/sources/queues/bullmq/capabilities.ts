// What can be told of BullMQ on PostgreSQL and done to it. Facts are from its migrations (0001 to 0011) and its Queue and Job.
import {
  unsupported,
  type Action,
  type Capabilities,
  type Capability,
} from '../../../../contract/capabilities.ts';

const byFunction = (
  how: string,
  hazards: readonly string[],
  support: 'native' | 'protocol' = 'protocol',
): Capability => ({
  support,
  how,
  durable: true,
  coversNewArrivals: support === 'native',
  hazards: [...hazards],
});

export const bullmqCapabilities: Capabilities = {
  facts: {
    lag: {
      kind: 'bounded',
      note: 'Exact for jobs that wait for their first start. A job that was retried, promoted or released keeps no time of it: its lag counts from its last start, or from when it was known to have been enqueued, and may be too long.',
    },
    depth: { kind: 'bounded', note: 'Exact up to 200 a state and queue, fewer where there are many queues.' },
    running: { kind: 'bounded', note: 'Jobs in state active, exact up to the same bound.' },
    stale: {
      kind: 'bounded',
      note: 'Active jobs whose lock has run out; workers renew it while they live. Measured by the database’s clock, while workers write theirs.',
    },
    dead: { kind: 'bounded', note: 'Jobs in state failed, unless the queue removes them (removeOnFail).' },
    blocked: {
      kind: 'bounded',
      note: 'Jobs in state waiting-children: parents of a flow with unfinished children.',
    },
    arrivals: { kind: 'no', note: 'BullMQ counts the ids it hands out, not the jobs that arrive.' },
    finishes: {
      kind: 'no',
      note: 'BullMQ counts finished jobs only for workers that are told to keep metrics, and no retried attempts.',
    },
    workers: { kind: 'bounded', note: 'Those that hold locks; idle ones leave no trace in the tables.' },
    'claim-order': { kind: 'exact', note: 'Within a queue: priority 0 first, then 1 and up; then by place.' },
    jobs: { kind: 'exact', note: '' },
    locks: { kind: 'exact', note: 'The token of the worker and the time at which its lock runs out.' },
  },
  actions: {
    pause: byFunction(
      'pause(queue, true) sets the queue’s own flag, which every claim reads.',
      ['Delayed jobs still come due, and wait.', 'Jobs that run finish.'],
      'native',
    ),
    resume: byFunction(
      'pause(queue, false) removes the flag and wakes the workers.',
      ['All that has gathered starts at once.'],
      'native',
    ),
    drain: unsupported(
      'Producers cannot be refused, and BullMQ’s own drain() deletes waiting jobs instead of working them off: see discard.',
    ),
    unlock: byFunction(
      "move_active_to_wait(queue, id, '0', now) puts an active job back whoever holds its lock; workers do the same by themselves for locks that ran out, in two passes.",
      [
        'A worker that still runs the job goes on, so that it may run twice; its finish is then refused.',
        'It is not counted as stalled, so that a job that kills its workers is never given up.',
        'A job with a priority goes to the front of it, one without to the end.',
      ],
    ),
    retry: byFunction(
      "reprocess_job(queue, id, 'failed', …) for one job; retry_jobs(queue, 'failed', count, before) for many.",
      [
        'Reason, stack traces and times of the failure are erased.',
        'Without resetting the attempts, a job that has used them up gets one more.',
        'retry_jobs does not make a flow’s parent wait again; reprocess_job does.',
        'Its lag counts from when it was first added wherever nothing later is known.',
      ],
    ),
    reschedule: byFunction(
      'change_delay(queue, id, delay, now) moves a delayed job; promote(queue, id) makes it ready now.',
      ['Only jobs in state delayed.', 'A job of a scheduler is made anew at its own time.'],
    ),
    discard: byFunction(
      'remove(queue, id, children) for one job; drain(queue, delayed) and clean(queue, state, before, limit) for many.',
      [
        'Deleted jobs cannot be brought back; copy them first.',
        'Jobs of a scheduler are refused or left out.',
        'A parent in the same queue that waited for the last of them is deleted too by drain and clean.',
      ],
    ),
    requeue: byFunction("reprocess_job(queue, id, 'completed', …) runs a completed job once more.", [
      'Its result is erased.',
      'What it did is done twice.',
    ]),
    release: byFunction('promote(queue, id) and promote_jobs(queue, count) make delayed jobs ready.', [
      'Backoff after failures is cut short too.',
      'A blocked job is released only by its children.',
    ]),
    prioritise: byFunction('change_priority(queue, id, priority, lifo); 0 comes before 1.', [
      'The job goes to the end of its new priority, or with lifo to the front.',
    ]),
  },
};

/** The function an action cannot do without. */
const NEEDS: Partial<Record<Action, string>> = {
  pause: 'pause',
  resume: 'pause',
  unlock: 'move_active_to_wait',
  retry: 'reprocess_job',
  reschedule: 'change_delay',
  discard: 'remove',
  requeue: 'reprocess_job',
  release: 'promote',
  prioritise: 'change_priority',
};

/** As found: which functions are there, whether this account may write, whether every table could be read. */
export function capabilitiesFound(
  functions: ReadonlySet<string>,
  writable: boolean,
  missingIndexes: readonly string[],
): Capabilities {
  const actions = Object.fromEntries(
    Object.entries(bullmqCapabilities.actions).map(([action, capability]): [string, Capability] => {
      const needed = NEEDS[action as Action];
      if (needed !== undefined && !functions.has(needed))
        return [action, unsupported(`This schema has no function ${needed}: run BullMQ’s migrations.`)];
      if (capability.support === 'none' || writable) return [action, capability];
      return [
        action,
        {
          ...capability,
          hazards: [
            ...capability.hazards,
            'The account of this connection may not write: another one must do it.',
          ],
        },
      ];
    }),
    // The same keys as before.
  ) as Capabilities['actions'];
  const facts = { ...bullmqCapabilities.facts };
  const lost = (name: string, unknown: readonly (keyof typeof facts)[]) => {
    if (!missingIndexes.includes(name)) return;
    for (const fact of unknown) facts[fact] = { kind: 'no', note: 'Its index is missing: see the warnings.' };
  };
  lost('waiting', ['lag']);
  lost('active', ['running', 'stale', 'workers', 'locks']);
  lost('finished', ['dead']);
  lost('blocked', ['blocked']);
  return { facts, actions };
}
