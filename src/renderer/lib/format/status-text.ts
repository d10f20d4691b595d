// A tenant's condition in a few words: the cause where one is known, else what the status means.
import type { TenantRow } from '../../../contract/live.ts';
import type { Count } from '../../../core/count.ts';
import { formatCount } from '../../../core/duration.ts';

/** More queued jobs than this in a tenant that is on time are worth a word. */
const BURST = 100;

/** Its status, and what its other figures do not show: jobs that nobody works on until somebody acts. */
export function statusText(row: TenantRow): string {
  const left = [of(row.dead, 'dead'), of(row.blocked, 'blocked')].filter((words) => words !== null);
  return [conditionText(row), ...left].join(', ');
}

function of(count: Count | null, word: string): string | null {
  return count === null || count.value === 0 ? null : `${formatCount(count)} ${word}`;
}

function conditionText(row: TenantRow): string {
  if (row.paused !== null && row.status === 'paused') {
    return `paused by ${row.paused.by}${row.paused.reason === '' ? '' : `: ${row.paused.reason}`}`;
  }
  // A tenant that is late now is not "ok", though it was in time at some moment of the window.
  if (row.cause !== null && (row.severity !== null || row.status !== 'ok')) return row.cause.text;
  switch (row.status) {
    case 'ok':
      return row.ready.value > BURST ? `ok, ${formatCount(row.ready)} queued in a burst` : 'ok';
    case 'no-data':
      return 'no data';
    case 'warming-up':
      return 'warming up';
    case 'stopped':
      return 'stopped: no worker seen';
    case 'stalled':
      return 'stalled: nothing starts';
    case 'stuck':
      return 'stuck: nothing finishes';
    case 'paused':
    case 'idle':
    case 'lagging':
    case 'recovering':
      return row.status;
  }
}
