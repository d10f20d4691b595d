// Who stands in front, by the order in which Postal's workers claim.
import { behind } from '../../../core/behind.ts';
import type { QueueHead } from '../../../core/behind.ts';
import type { TenantSample } from '../../../core/sample.ts';
import { oldestOf, rowsSeen, rowState } from './heads.ts';
import type { Moment, QueueRead, QueueSample } from './heads.ts';

/** The order assumed, in words. */
export const CLAIM_ORDER =
  "lowest queue id first: Postal's claim names no order, so InnoDB walks the primary key";

/** Only the latest are asked about: who is on time waits for nobody. */
const LATEST = 50;

/** How many ready rows the claim puts before the oldest ready row of each of the latest tenants, by tenant. */
export function behindOfLatest(
  queues: readonly { read: QueueRead; sample: QueueSample }[],
  moment: Moment,
): Map<string, TenantSample['behind']> {
  const latest = queues
    .flatMap(({ sample: { tenantId, oldestReady } }) =>
      oldestReady === null ? [] : [{ tenantId, readyAtMs: oldestReady.readyAtMs }],
    )
    .sort((a, b) => a.readyAtMs - b.readyAtMs)
    .slice(0, LATEST);
  if (latest.length === 0) return new Map();
  const heads = queues.map(({ read, sample }) => queueHead(read, sample, moment));
  return new Map(latest.map(({ tenantId }) => [tenantId, behind(heads, tenantId)]));
}

/** A tenant's place in the claim order. Ready rows of the tail count only when nothing lies before them unseen. */
function queueHead(read: QueueRead, sample: QueueSample, moment: Moment): QueueHead<number> {
  const { rows, complete } = rowsSeen(read);
  const ready = rows.filter((row) => rowState(row, moment) === 'ready');
  const unseenAfter = complete ? null : (read.head.at(-1)?.id ?? 0);
  const lastKey = rows.at(-1)?.id;
  return {
    tenantId: read.tenantId,
    readyKeys: ready.map((row) => row.id).filter((id) => unseenAfter === null || id <= unseenAfter),
    unseenAfter,
    oldestKey: oldestOf(ready)?.id ?? null,
    whole: lastKey === undefined ? null : { lastKey, ready: sample.ready },
  };
}
