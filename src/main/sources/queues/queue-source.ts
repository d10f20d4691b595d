// A queue in a database as a source: guarded sessions, one for polls and one for looks, opened when they are first
// needed and anew after a loss.
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import type { Probe, Source, SourceDetails } from '../source.ts';
import { queueDetails, type QueueDetailParts } from './queue-details.ts';
import type { QueueReader, QueueSession } from './queue-reader.ts';
import type { CountRows } from './rows-read.ts';
import { SessionHolder, type SessionParts } from './session-holder.ts';

export interface QueueSourceParts<S extends QueueSession> extends SessionParts<S>, QueueDetailParts<S> {
  /** "PostgreSQL 15.14" */
  server: (session: S) => string;
  /** Local clock, epoch ms. */
  now: () => number;
  /** Counts the rows of a poll; absent where readers do it themselves. */
  countRows?: CountRows<S>;
  /** Of a poll's statements (default 500). */
  statementTimeoutMs?: number;
}

const POLL_STATEMENT_MS = 500;
/** A person who asked is ready to wait a moment longer. */
const LOOK_STATEMENT_MS = 3_000;
/** Without a look for so long, the database sees one connection of ours. */
const LOOK_REST_MS = 60_000;

export class QueueSource<S extends QueueSession> implements Source {
  readonly #parts: QueueSourceParts<S>;
  readonly #polls: SessionHolder<S>;
  readonly #looks: SessionHolder<S>;
  /** Readers that count rows themselves, known from their first poll. */
  readonly #counting = new WeakSet<QueueReader<S>>();
  readonly details: SourceDetails;

  constructor(parts: QueueSourceParts<S>) {
    this.#parts = parts;
    this.#polls = new SessionHolder(parts, parts.statementTimeoutMs ?? POLL_STATEMENT_MS);
    this.#looks = new SessionHolder(parts, LOOK_STATEMENT_MS, LOOK_REST_MS);
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
      const askedMs = this.#parts.now();
      const rowsSince = await this.#countRows(session, reader, limit);
      const beganMs = this.#parts.now();
      const read = await reader.sample(session, limit);
      const endedMs = this.#parts.now();
      if (read.rowsRead !== null) this.#counting.add(reader);
      const rowsRead = read.rowsRead ?? (await unlessFailed(rowsSince));
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
        cost: { durationMs: Math.max(0, this.#parts.now() - askedMs), rowsRead },
      };
    });
  }

  /** What it returns tells the rows read since. */
  async #countRows(
    session: S,
    reader: QueueReader<S>,
    limit: AbortSignal,
  ): Promise<() => Promise<number | null>> {
    const nothing = () => Promise.resolve(null);
    const { countRows } = this.#parts;
    if (countRows === undefined || this.#counting.has(reader)) return nothing;
    const watched = () => reader.watched(session, limit);
    return (await unlessFailed(() => countRows(session, watched, limit))) ?? nothing;
  }

  /** Closes the sessions; a call under way rejects with `cancelled`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#polls[Symbol.asyncDispose](), this.#looks[Symbol.asyncDispose]()]);
  }
}

/** Null when it fails: what a poll costs is no reason to do without it. A lost session tells by its next statement. */
function unlessFailed<T>(work: () => Promise<T>): Promise<T | null> {
  return work().catch(() => null);
}
