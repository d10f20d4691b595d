// What every store promises, as a suite that each store's test calls with a way to make one. Where the seam's
// docstrings leave a choice, it is made here, once for all stores:
//
// - A job is blocked when one of the jobs it waits for is dead, discarded while it waited, or blocked itself; its
//   `onDeadParent` speaks of dead ones only. Cancelled by it: to the dead set at once, still waiting for what is not
//   done, no attempt counted. Released by it: waits no longer for that job, but for its other ones.
// - Requeued: ready now, or waiting (or blocked) where jobs it waited for are not done; attempts anew, failed
//   attempts kept.
// - Freed by its last parent: ready from that moment, or from its own time if that is later.
// - A settlement counts when the job runs under that fence and the exchange is its owner's.
// - A blocked job has no cause: a filter with one matches none.
// - An idempotency key is the store's, not the tenant's. A row whose key is known is answered and not looked at further.
import { describe } from 'vitest';
import { claimPromises } from './store-conformance-claims.ts';
import { countPromises } from './store-conformance-counts.ts';
import { dependencyPromises } from './store-conformance-dependencies.ts';
import { enqueuePromises } from './store-conformance-enqueue.ts';
import { listPromises } from './store-conformance-lists.ts';
import { operatorPromises } from './store-conformance-operator.ts';
import { ownerPromises } from './store-conformance-owners.ts';
import type { StoreFixture } from './store-conformance-acts.ts';
import type { Store } from './store.ts';

/**
 * `make` gives an empty store; `another` a second one on the same database where machines share it; `runs` is how many
 * random sequences are compared with a model.
 */
export function storeConformance(
  name: string,
  make: () => Promise<Store>,
  options: { another?: (first: Store) => Promise<Store>; runs?: number } = {},
): void {
  const fixture: StoreFixture = { make, another: options.another ?? null, runs: options.runs ?? 15 };
  describe(`${name} keeps the promises of a store`, () => {
    enqueuePromises(fixture);
    claimPromises(fixture);
    dependencyPromises(fixture);
    ownerPromises(fixture);
    operatorPromises(fixture);
    listPromises(fixture);
    countPromises(fixture);
  });
}
