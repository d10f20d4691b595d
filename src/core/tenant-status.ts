// A tenant's condition in one word, by rules applied in a fixed order (after Burrow's lag evaluation, which
// judges a window and not a moment, so that a burst that is worked off raises no alarm).
import type { TenantSample } from './sample.ts';
import type { TenantStatus } from './status.ts';
import type { TenantView } from './tenant-window.ts';

/** What a tenant's status depends on. */
export interface StatusFacts {
  /** The tenant over the window; null when there is no sample of late (TenantWindow.view). */
  view: Pick<
    TenantView,
    'sample' | 'lagMs' | 'minLagMs' | 'maxLagMs' | 'trend' | 'warmingUpMs' | 'started' | 'finished'
  > | null;
  windowMs: number;
  /** For how long the workers of the whole connection have owed a sign, ms (WorkerWatch.silentMs). */
  workersSilentMs: number;
  /** The lag that is still all right, ms: the lag rule's warning level. */
  allowedLagMs: number;
}

/**
 * The first that holds, in the order of tenantStatusSchema:
 *
 * - `no-data`: no sample of late, or no lag could be measured in the whole window and nothing below holds.
 * - `warming-up`: watched for less than the window; rules over the window would be guesses.
 * - `paused`: nothing more is started for the tenant, on purpose.
 * - `stopped`: no worker of the whole connection has shown a sign for longer than the window, although there was
 *   something ready or running for some tenant all that time. When there is no work anywhere, silence is
 *   no news and the tenant is idle. While there is work, every tenant is stopped, also one with nothing to
 *   do: a job of it would not run either.
 * - `idle`: certainly nothing ready and nothing running.
 * - `ok`: the lag was at or under the allowed level at least once in the window.
 * - `stalled`: something is ready, nothing was started in the window, and nothing stands before it in the workers'
 *   order as far as that is known. A tenant that waits behind others while the workers work is late, not stalled:
 *   its turn will come (docs/adr/0008).
 * - `stuck`: something runs, and nothing was finished in the window.
 * - `lagging`: the lag stayed above the level and does not fall.
 * - `recovering`: the lag is above the level and falls (trend of the window).
 *
 * What cannot be known (`started` or `finished` null) does not hold.
 */
export function tenantStatus({ view, windowMs, workersSilentMs, allowedLagMs }: StatusFacts): TenantStatus {
  if (view === null) return 'no-data';
  const { ready, running, paused } = view.sample;
  if (view.warmingUpMs > 0) return 'warming-up';
  if (paused !== null) return 'paused';
  if (workersSilentMs > windowMs) return 'stopped';
  if (isNone(ready) && isNone(running)) return 'idle';
  if (view.minLagMs !== null && view.minLagMs <= allowedLagMs) return 'ok';
  if (ready.value > 0 && view.started === false && !waitsItsTurn(view.sample)) return 'stalled';
  if (running.value > 0 && view.finished === false) return 'stuck';
  if (view.minLagMs === null) return 'no-data';
  return view.trend === 'falling' ? 'recovering' : 'lagging';
}

/** Silent workers are ruled out before: what is in front is being worked off. */
function waitsItsTurn({ behind }: TenantSample): boolean {
  return behind !== null && behind.ahead.value > 0;
}

function isNone(count: { value: number; kind: string }): boolean {
  return count.value === 0 && count.kind === 'exact';
}
