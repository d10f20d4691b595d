// A queue in a database as a source: guarded sessions, one for polls and one for looks, opened when they are first
// needed and anew after a loss.
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import type { Probe, Source, SourceDetails } from '../source.ts';
import { queueDetails, type QueueDetailParts } from './queue-details.ts';
import type { QueueSession } from './queue-reader.ts';
import { SessionHolder, type SessionParts } from './session-holder.ts';

export interface QueueSourceParts<S extends QueueSession> extends SessionParts<S>, QueueDetailParts<S> {
  /** "PostgreSQL 15.14" */
  server: (session: S) => string;
  /** Local clock, epoch ms. */
  now: () => number;
  /** Of a poll's statements (default 500). */
  statementTimeoutMs?: number;
}

const POLL_STATEMENT_MS = 500;
/** A person who asked is ready to wait a moment longer. */
const LOOK_STATEMENT_MS = 3_000;

export class QueueSource<S extends QueueSession> implements Source {
  readonly #parts: QueueSourceParts<S>;
  readonly #polls: SessionHolder<S>;
  readonly #looks: SessionHolder<S>;
  readonly details: SourceDetails;

  constructor(parts: QueueSourceParts<S>) {
    this.#parts = parts;
    this.#polls = new SessionHolder(parts, parts.statementTimeoutMs ?? POLL_STATEMENT_MS);
    this.#looks = new SessionHolder(parts, LOOK_STATEMENT_MS);
    this.details = queueDetails(this.#looks, parts);
  }

  probe(signal: AbortSignal): Promise<Probe> {
    return this.#polls.call(signal, (session, { system, tenantWord, warnings }) =>
      Promise.resolve({
        system: `${system} on ${this.#parts.server(session)}`,
        tenantWord,
        warnings: [...warnings],
      }),
    );
  }

  tenants(signal: AbortSignal): Promise<TenantInfo[]> {
    return this.#polls.call(signal, (session, reader, limit) => reader.tenants(session, limit));
  }

  snapshot(signal: AbortSignal): Promise<SourceSample> {
    return this.#polls.call(signal, async (session, reader, limit) => {
      const beganMs = this.#parts.now();
      const read = await reader.sample(session, limit);
      const endedMs = this.#parts.now();
      // The database's clock was read somewhere in between: the middle, give or take half.
      const errorMs = Math.max(0, endedMs - beganMs) / 2;
      return {
        databaseTimeMs: read.databaseTimeMs,
        clock: read.clock ?? { offsetMs: read.databaseTimeMs - (beganMs + errorMs), errorMs },
        tenants: read.tenants,
        workers: read.workers,
        kinds: read.kinds,
        workerMemory: null,
        claimOrder: reader.claimOrder,
        cost: { durationMs: Math.max(0, endedMs - beganMs), rowsRead: read.rowsRead },
      };
    });
  }

  /** Closes the sessions; a call under way rejects with `cancelled`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#polls[Symbol.asyncDispose](), this.#looks[Symbol.asyncDispose]()]);
  }
}
