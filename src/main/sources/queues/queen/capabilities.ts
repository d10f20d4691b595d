// What Queen tells and what can be done to it. Facts of smartpricing/queen 0.15: lib/schema/schema.sql and the procedures of push, pop,
// ack and consumer groups beside it.
import { unsupported, type Capabilities, type Knowledge } from '../../../../contract/capabilities.ts';

const exactly = (note: string): Knowledge => ({ kind: 'exact', note });
const bounded = (note: string): Knowledge => ({ kind: 'bounded', note });
const not = (note: string): Knowledge => ({ kind: 'no', note });

const deletes =
  'Where max_wait_time_seconds or retention is set, Queen deletes unconsumed messages by their age.';
const twice = 'Messages of a lease that is given up too early are processed twice.';

export const queenCapabilities: Capabilities = {
  facts: {
    lag: exactly(
      'Of the first message past the cursor of the consumer group that is furthest behind. A message that failed counts from its creation: Queen keeps no time of failure.',
    ),
    depth: bounded(
      'A message counts once for each consumer group that has not consumed it; exact up to 200 for each, fewer with many partitions.',
    ),
    running: exactly(
      'Messages of leases that stand and are not acknowledged, as consumers acknowledge in order.',
    ),
    stale: exactly('Always 0: a lease that ran out holds nothing, and its messages are ready since then.'),
    dead: bounded(
      'Dead letters, exact up to 200; of many partitions as of half a minute ago. Retention deletes them with their messages.',
    ),
    blocked: not('Messages behind a lease of their partition are ready, and wait for it.'),
    arrivals: not('Queen keeps no number of arrivals.'),
    finishes: exactly('Its own count of consumed messages; failures are not in it.'),
    workers: bounded('Leases that stand: each names one pop, not a process.'),
    'claim-order': bounded(
      'Within a partition the oldest message first; which partition comes next is not fixed.',
    ),
    jobs: exactly('By the index of messages.'),
    locks: exactly('Leases of partitions.'),
  },
  actions: {
    pause: {
      support: 'emulated',
      how: 'Parks the partition with a lease of ten years for each consumer group whose lease is free. For all at once Queen has a switch of its own, pop maintenance mode, which its servers see within 60 s.',
      durable: true,
      coversNewArrivals: true,
      hazards: [
        deletes,
        'Partitions and consumer groups that are new afterwards are not paused.',
        'A group whose lease stands is parked when its batch is done.',
      ],
    },
    resume: {
      support: 'emulated',
      how: "Clears the leases that carry the operation's name, and the group's watermark, so that wildcard pops look at the partition again.",
      durable: true,
      coversNewArrivals: true,
      hazards: [],
    },
    drain: unsupported(
      'Queen can refuse pushes of all queues only, which then wait in a file of its server.',
    ),
    unlock: {
      support: 'protocol',
      how: 'Clears the lease of one partition and group, as an acknowledgement with status "retry" does, compared with the worker that was seen.',
      durable: true,
      coversNewArrivals: false,
      hazards: [twice],
    },
    retry: unsupported('A failed batch is ready again at once: there is nothing to hurry.'),
    reschedule: unsupported('Messages carry no time of their own: a delay is set for a whole queue.'),
    discard: {
      support: 'protocol',
      how: "Queen's own delete_message_v1, by partition and transaction id.",
      durable: true,
      coversNewArrivals: false,
      hazards: ['The message is gone for all consumer groups, and from the dead letters.'],
    },
    requeue: unsupported(
      'A dead letter stays a message behind the cursor. Setting the cursor back would deliver all that follows it once more.',
    ),
    release: unsupported('Queen holds no messages back.'),
    prioritise: unsupported(
      'Order within a partition is fixed; the priority of a queue is not used by pops.',
    ),
  },
};

const readOnly = 'The tables of a Queen of 2025 are read only: update Queen.';

/** The older generation: nothing is done to it. */
export const capabilitiesOf2025: Capabilities = {
  facts: {
    ...queenCapabilities.facts,
    lag: bounded(
      'Exact where a partition has few messages; else the oldest pending message that a search by halves finds.',
    ),
    depth: bounded('Among the newest messages of each partition, up to 200 for each consumer group.'),
    running: exactly('Messages of leases that stand which have no status yet.'),
    dead: not('No index leads to them; they are listed by partition.'),
    finishes: not('No counter.'),
    jobs: bounded('A partition is walked from its first message.'),
  },
  actions: {
    ...{ pause: unsupported(readOnly), resume: unsupported(readOnly), drain: unsupported(readOnly) },
    ...{ unlock: unsupported(readOnly), retry: unsupported(readOnly), reschedule: unsupported(readOnly) },
    ...{ discard: unsupported(readOnly), requeue: unsupported(readOnly), release: unsupported(readOnly) },
    prioritise: unsupported(readOnly),
  },
};
