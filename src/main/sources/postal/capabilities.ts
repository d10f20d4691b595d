// What Postal tells and what can be done to it. Sources: app/lib/worker/jobs/*, app/models/queued_message.rb and
// app/models/server.rb of Postal 3.3.
import { unsupported, type Capabilities } from '../../../contract/capabilities.ts';

const twice = 'Too early, the mail is sent twice: only with proof that the worker is dead.';

export const postalCapabilities: Capabilities = {
  facts: {
    lag: {
      kind: 'exact',
      note: 'By the head of each server’s queue; "at least" where a head holds no ready mail.',
    },
    depth: { kind: 'bounded', note: 'Exact up to the length of a head, the optimiser’s estimate above it.' },
    running: {
      kind: 'bounded',
      note: 'Locked mail, exact up to the length of a head; a locked row may only wait behind its batch.',
    },
    stale: { kind: 'bounded', note: 'Locks older than the time after which Postal deletes them.' },
    dead: { kind: 'no', note: 'Dead mail leaves the queue: it is listed from the message database.' },
    blocked: { kind: 'no', note: 'Postal’s mail waits for no other mail.' },
    arrivals: { kind: 'exact', note: 'The message database’s own ids.' },
    finishes: { kind: 'exact', note: 'Delivery attempts, by the message database’s own ids.' },
    workers: { kind: 'bounded', note: 'Threads that hold a lock, and the leader’s heartbeat.' },
    'claim-order': { kind: 'exact', note: 'Lowest queue id first.' },
    jobs: { kind: 'exact', note: 'Up to 20,000 rows are looked through for a page.' },
    locks: { kind: 'bounded', note: 'No index leads to them: sought among the first 20,000 rows.' },
  },
  actions: {
    pause: {
      support: 'emulated',
      how: 'Encodes ip_address_id of waiting rows (NULL as −1, n as −(n+1)), which no worker and no batch matches.',
      durable: true,
      coversNewArrivals: false,
      hazards: [
        'New mail leaks in between two sweeps, and all of it when Headway is closed.',
        'At most about 5,000 rows can be parked: each claim of any worker walks past them.',
      ],
    },
    resume: {
      support: 'emulated',
      how: 'Decodes ip_address_id of the parked rows.',
      durable: true,
      coversNewArrivals: false,
      hazards: [],
    },
    drain: unsupported(
      'Postal cannot refuse new mail of one server without refusing it to its sender for good.',
    ),
    unlock: {
      support: 'emulated',
      how: 'Clears locked_by and locked_at of rows whose worker is proven dead, compared with what was seen.',
      durable: true,
      coversNewArrivals: false,
      hazards: [twice],
    },
    retry: {
      support: 'emulated',
      how: 'Sets retry_after to NULL on unlocked rows.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['It consumes one of the 18 attempts.'],
    },
    reschedule: {
      support: 'emulated',
      how: 'Sets retry_after of unlocked rows.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['The backoff that Postal had computed is replaced.'],
    },
    discard: {
      support: 'emulated',
      how: 'Deletes unlocked rows of the queue; the messages stay, with their last status.',
      durable: true,
      coversNewArrivals: false,
      hazards: ['The mail is not sent, and its sender is not told.'],
    },
    requeue: unsupported('A dead mail’s queue row is gone; Postal’s own web page can retry a message.'),
    release: unsupported('Held mail is released in Postal’s own web page, which makes a new queue row.'),
    prioritise: unsupported('Postal knows no priorities.'),
  },
};
