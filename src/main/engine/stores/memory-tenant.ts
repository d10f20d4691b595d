// A tenant as the memory store keeps it.
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

/**
 * JavaScript compares UTF-16 units, in which the surrogates (everything above U+FFFF) stand below U+E000 to U+FFFF. With
 * those two ranges swapped the order is that of code points, which is that of UTF-8 bytes.
 */
export function byteOrderKey(id: string): string {
  // eslint-disable-next-line no-control-regex -- everything below the surrogates
  if (/^[\u0000-\ud7ff]*$/.test(id)) return id;
  let key = '';
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    key += String.fromCharCode(unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
  }
  return key;
}
