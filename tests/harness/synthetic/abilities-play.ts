// What the made-up systems allow: a mail server that knows no pause, and a queue on PostgreSQL.
import type { Capabilities, Capability } from '../../../src/contract/capabilities.ts';
import { unsupported } from '../../../src/contract/capabilities.ts';

const exact = { kind: 'exact', note: '' } as const;
const bounded = (note: string) => ({ kind: 'bounded', note }) as const;
const no = (note: string) => ({ kind: 'no', note }) as const;
const can = (
  support: Capability['support'],
  how: string,
  hazards: string[] = [],
  coversNewArrivals = false,
): Capability => ({ support, how, durable: true, coversNewArrivals, hazards });

export const postalAbilities: Capabilities = {
  facts: {
    lag: exact,
    depth: bounded('up to 200 of a server by its head rows, beyond by the optimiser: within about 2 times'),
    running: exact,
    stale: bounded('by the age of the lock alone: a locked message may only wait behind its batch'),
    dead: no('a message that failed for good leaves the queue'),
    blocked: no('no message waits for another'),
    arrivals: bounded("differences of the messages' newest ids"),
    finishes: bounded("differences of the deliveries' newest ids"),
    workers: bounded('by their locks: an idle thread leaves no trace'),
    'claim-order': exact,
    jobs: exact,
    locks: exact,
  },
  actions: {
    pause: can('emulated', 'Parks the unlocked messages of a server by an IP address that no worker has.', [
      'New messages go out until the next sweep.',
      'Over 5,000 parked messages slow every claim.',
    ]),
    resume: can('emulated', 'Gives the parked messages their IP address back.'),
    drain: unsupported(
      'Postal takes mail for a server or suspends it, and a suspension holds what is queued.',
    ),
    unlock: can('protocol', "Clears a lock by its message, owner and time, once the owner's end is proven.", [
      'Too early, the mail is sent twice.',
    ]),
    retry: can('protocol', 'Clears the retry time of unlocked messages.', ['Each takes one of 18 attempts.']),
    reschedule: unsupported('The next retry follows from the attempts: another time would be lost.'),
    discard: can('protocol', 'Deletes unlocked messages from the queue.', ['It cannot be undone.']),
    requeue: unsupported('A message that failed for good has no row in the queue any more.'),
    release: can('native', "Postal's own web page releases held messages."),
    prioritise: unsupported('The claim knows no priority.'),
  },
};

export const bossAbilities: Capabilities = {
  facts: {
    lag: exact,
    depth: bounded('up to 200 of a queue, beyond that its own cached counts, a minute old'),
    running: exact,
    stale: exact,
    dead: exact,
    blocked: no('pg-boss knows no jobs that wait for others'),
    arrivals: bounded('differences of samples'),
    finishes: bounded('differences of samples'),
    workers: no('workers leave no trace in its tables'),
    'claim-order': exact,
    jobs: exact,
    locks: bounded('the time of the claim, not its owner'),
  },
  actions: {
    pause: unsupported('pg-boss has no pause: its workers fetch what is there.'),
    resume: unsupported('There is no pause to end.'),
    drain: unsupported('pg-boss takes new jobs as long as its queue exists.'),
    unlock: can('protocol', 'Fails an active job as its supervisor does when it expires.', [
      'A worker that is still at it ends it a second time.',
    ]),
    retry: can('protocol', 'Sets failed jobs to retry, with one attempt more.', [], false),
    reschedule: can('protocol', 'Moves start_after of jobs that have not started.'),
    discard: can('native', "pg-boss's own delete_jobs.", ['It cannot be undone.']),
    requeue: can('protocol', 'As retry: a dead job has its row still.'),
    release: unsupported('Nothing is held.'),
    prioritise: can('emulated', 'Raises the priority of jobs that have not started.', [
      'A queue with many priorities is claimed more slowly.',
    ]),
  },
};
