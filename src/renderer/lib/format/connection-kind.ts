// What connections of each kind have: an engine to look into, and metrics to watch.
import type { Metric } from '../../../core/alert.ts';
import type { ConnectionSummary } from '../../../contract/live.ts';

const withEngine: ReadonlySet<ConnectionSummary['kind']> = new Set(['local-engine', 'engine']);

/** Whether the connection's jobs are run by engines of this kind: here, or headless with their store in a database. */
export const hasEngine = (connection: Pick<ConnectionSummary, 'kind'> | undefined): boolean =>
  connection !== undefined && withEngine.has(connection.kind);

/** A rule that cannot fire must not look as if it watched: why it has nothing to watch, or null. */
export function notTold(kind: ConnectionSummary['kind'], metric: Metric): string | null {
  if (hasEngine({ kind })) return null;
  if (metric === 'kindFailureRate' || metric === 'workerMemory')
    return kind === 'postal' ? 'not told by Postal' : "not told by a queue's tables";
  return metric === 'deadSet' && kind === 'postal' ? 'not told by Postal' : null;
}
