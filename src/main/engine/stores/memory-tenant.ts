// A tenant as the memory store keeps it.
import { byteOrderKey } from './byte-order.ts';
import type { MemoryKind } from './memory-kind.ts';
import type { MemoryLane } from './memory-lane.ts';

export class MemoryTenant {
  readonly id: string;
  /** Ordered by `<` as the ids are byte by byte in UTF-8. */
  readonly key: string;
  /** By kind, as it comes; few. */
  readonly lanes: MemoryLane[] = [];

  constructor(id: string) {
    this.id = id;
    this.key = byteOrderKey(id);
  }

  lane(kind: MemoryKind<MemoryLane>): MemoryLane | undefined {
    for (const lane of this.lanes) if (lane.kind === kind) return lane;
    return undefined;
  }
}
