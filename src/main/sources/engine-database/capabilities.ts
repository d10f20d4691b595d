// What can be told of a headless engine through its store, and done to it there.
import {
  unsupported,
  type Action,
  type Capabilities,
  type Capability,
} from '../../../contract/capabilities.ts';
import { localEngineCapabilities } from '../local-engine/capabilities.ts';

const { facts, actions } = localEngineCapabilities;

/** Of engines that share a database. */
export const engineDatabaseCapabilities: Capabilities = {
  facts: {
    ...facts,
    running: { kind: 'exact', note: 'Claimed jobs, also those that an engine has not begun yet.' },
    stale: {
      kind: 'exact',
      note: 'Jobs of an engine that was silent for over 5 minutes, while no other is there to take them.',
    },
    workers: { kind: 'bounded', note: 'As the engines last said, every 10 seconds.' },
    'claim-order': { kind: 'bounded', note: 'As the engines last said; unknown where they differ.' },
  },
  actions: {
    ...actions,
    pause: {
      ...actions.pause,
      hazards: ['What runs finishes, and what an engine has claimed already is still begun.'],
    },
    unlock: unsupported(
      'Not needed: engines take over the claims of one that was silent for 5 minutes; its late results are refused.',
    ),
  },
};

const ALONE =
  'Only while no engine works on the file: one that does has it for itself, and the change is refused.';
const alone = (capability: Capability): Capability =>
  capability.support === 'none' ? capability : { ...capability, hazards: [...capability.hazards, ALONE] };

/** Of an engine with a SQLite file of its own. */
export const engineFileCapabilities: Capabilities = {
  facts: {
    ...engineDatabaseCapabilities.facts,
    stale: { kind: 'no', note: 'An engine with a file of its own does not say that it lives.' },
    workers: {
      kind: 'no',
      note: 'An engine with a file of its own says nothing of its workers while it works.',
    },
    'claim-order': { kind: 'no', note: 'Likewise.' },
  },
  // Object.entries forgets the keys it was given.
  actions: Object.fromEntries(
    Object.entries({ ...actions, unlock: localEngineCapabilities.actions.unlock }).map(
      ([action, capability]) => [action, alone(capability)],
    ),
  ) as Record<Action, Capability>,
};
