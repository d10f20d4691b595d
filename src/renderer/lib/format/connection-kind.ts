// Which connections have an engine to look into.
import type { ConnectionSummary } from '../../../contract/live.ts';

const withEngine: ReadonlySet<ConnectionSummary['kind']> = new Set(['local-engine', 'engine']);

/** Whether the connection's jobs are run by engines of this kind: here, or headless with their store in a database. */
export const hasEngine = (connection: Pick<ConnectionSummary, 'kind'> | undefined): boolean =>
  connection !== undefined && withEngine.has(connection.kind);
