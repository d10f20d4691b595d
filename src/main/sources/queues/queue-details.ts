// What a person asks for of a queue, beside its polls.
import type { DatabaseHealth, IndexAdvice } from '../../../contract/database-health.ts';
import type { WatchedTables } from '../health/watched-tables.ts';
import type { SourceDetails } from '../source.ts';
import type { QueueSession } from './queue-reader.ts';
import type { SessionHolder } from './session-holder.ts';

export interface QueueDetailParts<S extends QueueSession> {
  health: (session: S, watched: WatchedTables, signal: AbortSignal) => Promise<DatabaseHealth>;
  indexAdvice: (session: S, watched: WatchedTables, signal: AbortSignal) => Promise<IndexAdvice>;
}

export function queueDetails<S extends QueueSession>(
  looks: SessionHolder<S>,
  { health, indexAdvice }: QueueDetailParts<S>,
): SourceDetails {
  return {
    capabilities: (signal) => looks.call(signal, (_session, reader) => Promise.resolve(reader.capabilities)),
    jobs: (query, signal) =>
      looks.call(signal, (session, reader, limit) => reader.jobs(session, query, limit)),
    job: (id, signal) => looks.call(signal, (session, reader, limit) => reader.job(session, id, limit)),
    locks: (query, signal) =>
      looks.call(signal, (session, reader, limit) => reader.locks(session, query, limit)),
    health: (signal) =>
      looks.call(signal, async (session, reader, limit) =>
        health(session, await reader.watched(session, limit), limit),
      ),
    indexAdvice: (signal) =>
      looks.call(signal, async (session, reader, limit) =>
        indexAdvice(session, await reader.watched(session, limit), limit),
      ),
  };
}
