// The order of lists of jobs, the same in every store (see ListRequest).
import type { JobState } from '../job.ts';
import type { ListPlace, ListRequest } from './store.ts';

/** What a list is ordered by before the id: null for the id alone. */
export function orderOf({ state, tenantId }: Pick<ListRequest, 'state' | 'tenantId'>): ListOrder | null {
  if (state === 'delayed' || (state === 'ready' && tenantId !== null)) return 'readyAtMs';
  return state === 'running' ? 'claimedAtMs' : null;
}
export type ListOrder = 'readyAtMs' | 'claimedAtMs';

/** Where a job stands in a list. */
export function placeOf(
  job: { id: number; state: JobState; readyAtMs: number; claimedAtMs: number | null },
  request: Pick<ListRequest, 'state' | 'tenantId'>,
): ListPlace {
  const order = orderOf(request);
  return { atMs: order === null ? 0 : (job[order] ?? 0), id: job.id };
}

/** Before all places. */
export const LIST_BEGIN: ListPlace = { atMs: Number.MIN_SAFE_INTEGER, id: 0 };
