// A kind as the memory store keeps it.
import { TenantCircle, type CircleLane } from './memory-circle.ts';
import { IdSet } from './memory-id-set.ts';

export class MemoryKind<L extends CircleLane> {
  readonly name: string;
  /** The tenants that have ready jobs of it. */
  readonly circle = new TenantCircle<L>();
  /** Its ready jobs, also those that are held. */
  readonly ready = new IdSet();
  /** Stopped by hand, for every tenant. */
  held = false;
  /** Those that were shown to have ready jobs last, until claims were made. */
  shown: readonly L[] = [];
  /** How many more the present exchange may claim; 0 outside of one. */
  budget = 0;

  constructor(name: string) {
    this.name = name;
  }
}
