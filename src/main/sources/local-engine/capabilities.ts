// What can be told of Headway's own engine and done to it. The engine's admin (engine/admin.ts) does it.
import {
  unsupported,
  type Capabilities,
  type Capability,
  type Knowledge,
} from '../../../contract/capabilities.ts';

const exact = (note = ''): Knowledge => ({ kind: 'exact', note });
const native = (how: string, coversNewArrivals: boolean, hazards: string[] = []): Capability => ({
  ...{ support: 'native', how, durable: true, coversNewArrivals, hazards },
});

/** Of an engine of this computer. */
export const localEngineCapabilities: Capabilities = {
  facts: {
    lag: exact(),
    depth: exact('Counted with every change.'),
    running: exact(
      'Jobs in workers’ hands; lists also show those that the engine has claimed and not begun.',
    ),
    stale: exact('None: claims of an engine that died are taken back when the next one starts.'),
    dead: exact(),
    blocked: exact(
      'Jobs that wait for a dead one; lists show after them those whose parents are not done yet.',
    ),
    arrivals: exact('The engine’s own counters.'),
    finishes: exact('The engine’s own counters.'),
    workers: exact(),
    'claim-order': exact('First come, first served, or tenant after tenant, as the engine is set.'),
    jobs: exact(
      'The ready jobs of all tenants come by arrival; a tenant’s own by how long they have been ready.',
    ),
    locks: exact(
      'A claim carries a number that grows with each: an owner that lost it can no longer end the job.',
    ),
  },
  actions: {
    pause: native(
      'Holds a tenant, a kind, a kind of a tenant or all: from then on nothing of it is claimed.',
      true,
      ['What runs finishes.'],
    ),
    resume: native('Ends the hold; workers go on at once.', true),
    drain: native('Refuses new jobs of a tenant or kind and works off what is stored.', true, [
      'Senders are refused with a conflict: those that do not try again lose their jobs.',
    ]),
    unlock: unsupported(
      'Not needed: the claims of an engine that died are taken back by the next, never doubled.',
    ),
    retry: native(
      'Dead jobs become ready, their attempts counted anew; what waited for them waits again.',
      false,
      ['What an attempt did before it failed is done again.'],
    ),
    reschedule: unsupported('The engine changes no job’s time; a delayed one becomes ready by itself.'),
    discard: native(
      'Deletes dead jobs; what waited for them is cancelled, released or stays blocked as it asked.',
      false,
      ['They cannot be brought back.'],
    ),
    requeue: native(
      'Dead jobs of a tenant, kind or cause become ready, as a long operation that can be stopped.',
      false,
      ['What failed all of them may fail them again; release a few first.'],
    ),
    release: native('Blocked jobs no longer wait for their parents, or are cancelled.', false, [
      'They run without what their parents should have done.',
    ]),
    prioritise: unsupported('A job’s priority is fixed when it is enqueued.'),
  },
};
