// A tenant as the memory store keeps it.
import { byteOrderKey } from './byte-order.ts';
import type { JobState } from '../job.ts';
import type { MemoryKind } from './memory-kind.ts';
import type { ReadyLane } from './memory-lane.ts';

export class MemoryTenant {
  readonly id: string;
  /** Ordered by `<` as the ids are byte by byte in UTF-8. */
  readonly key: string;
  readonly counts: Record<JobState, number> = {
    ready: 0,
    delayed: 0,
    waiting: 0,
    blocked: 0,
    running: 0,
    dead: 0,
  };
  arrivals = 0;
  attempts = 0;
  lastStartedAtMs: number | null = null;
  /** By kind, as it comes; few. */
  readonly lanes: ReadyLane[] = [];

  constructor(id: string) {
    this.id = id;
    this.key = byteOrderKey(id);
  }

  lane(kind: MemoryKind): ReadyLane | undefined {
    for (const lane of this.lanes) if (lane.kind === kind) return lane;
    return undefined;
  }
}
